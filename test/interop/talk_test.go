package interop

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// step is one request, or several at once, in which the server may ask the client and tell it
// things; and what the client answers meanwhile. clients/talk.mjs takes the same as JSON.
type step struct {
	Do       string         `json:"do"`
	Name     string         `json:"name,omitempty"`
	Args     map[string]any `json:"args"`
	URI      string         `json:"uri,omitempty"`
	Ref      *reference     `json:"ref,omitempty"`
	Argument *argument      `json:"argument,omitempty"`
	Context  *known         `json:"context,omitempty"`
	Level    string         `json:"level,omitempty"`
	With     []step         `json:"with,omitempty"`    // of "together"
	Answer   string         `json:"answer,omitempty"`  // to an elicitation; empty is accept
	Content  map[string]any `json:"content,omitempty"` // of an accepted form
	Await    map[string]int `json:"await,omitempty"`   // notifications to wait for, by method

	label  string   // of the step in its server's script
	want   string   // a part of the result's text, where it cannot be what it is directly
	asking bool     // the client may be asked, though nothing shows it
	asked  askedHow // how many questions there must be, where not those that are asked directly
	random bool     // the result, and what comes with it, is never twice the same
}

type askedHow int

const (
	asDirectly askedHow = iota
	twoQuestions
	anyQuestions
)

type reference struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	URI  string `json:"uri,omitempty"`
}

type argument struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type known struct {
	Arguments map[string]string `json:"arguments"`
}

// said is what came of a step.
type said struct {
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Asked  []heard         `json:"asked"`
	Heard  []heard         `json:"heard"`
}

// heard is a question or a notification of the server.
type heard struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// root is one that the clients have.
type root struct{ uri, name string }

// clientRoots are in the order in which the Go SDK gives them. The TypeScript clients have the same.
var clientRoots = []root{{"file:///home/ada/notes", "notes"}, {"file:///home/ada/project", "project"}}

// talk notes what a client of this process is asked and told, step by step.
type talk struct {
	mu      sync.Mutex
	step    step          // guarded by mu
	asked   []heard       // guarded by mu
	heard   []heard       // guarded by mu
	changed chan struct{} // guarded by mu
}

func newTalk() *talk { return &talk{changed: make(chan struct{})} }

func (t *talk) begin(s step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.step, t.asked, t.heard = s, nil, nil
}

func (t *talk) current() step {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.step
}

func (t *talk) ask(method string, params any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, heard{method, json.RawMessage(mustJSON(params))})
}

func (t *talk) hear(method string, params any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = append(t.heard, heard{method, json.RawMessage(mustJSON(params))})
	close(t.changed)
	t.changed = make(chan struct{})
}

// wait returns when so many notifications of each method have come in this step.
func (t *talk) wait(counts map[string]int) {
	guard := time.After(5 * time.Second)
	for {
		t.mu.Lock()
		missing, changed := false, t.changed
		for method, n := range counts {
			missing = missing || len(ofMethod(t.heard, method)) < n
		}
		t.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-changed:
		case <-guard:
			return
		}
	}
}

func (t *talk) end(result any, err error) said {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := said{Asked: slices.Clone(t.asked), Heard: slices.Clone(t.heard)}
	if err != nil {
		s.Error = json.RawMessage(mustJSON(map[string]any{"message": err.Error()}))
	} else {
		s.Result = json.RawMessage(mustJSON(result))
	}
	return s
}

func ofMethod(all []heard, method string) []heard {
	var out []heard
	for _, h := range all {
		if h.Method == method {
			out = append(out, h)
		}
	}
	return out
}

// elicited is what the clients answer to an elicitation.
func (s step) elicited(mode string) (action string, content map[string]any) {
	action = s.Answer
	if action == "" {
		action = "accept"
	}
	if action == "accept" && mode != "url" {
		if content = s.Content; content == nil {
			content = map[string]any{}
		}
	}
	return action, content
}

// sampled is the text that the clients answer to a sampling request.
func sampled(params any) string {
	var p struct {
		Messages []struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal([]byte(mustJSON(params)), &p); err != nil || len(p.Messages) == 0 {
		return "Sampled: nothing"
	}
	raw := p.Messages[len(p.Messages)-1].Content
	var block struct{ Text string }
	if strings.HasPrefix(string(raw), "[") {
		var blocks []json.RawMessage
		if json.Unmarshal(raw, &blocks) == nil && len(blocks) > 0 {
			raw = blocks[0]
		}
	}
	_ = json.Unmarshal(raw, &block) // an answer with no text shows in the comparison
	return "Sampled: " + block.Text
}

// together runs all of a step's requests at once, and gives their outcomes in order.
func together(steps []step, do func(step) (any, error)) map[string]any {
	all := make([]map[string]any, len(steps))
	var wg sync.WaitGroup
	for i, s := range steps {
		wg.Go(func() {
			if result, err := do(s); err != nil {
				all[i] = map[string]any{"error": map[string]any{"message": err.Error()}}
			} else {
				all[i] = map[string]any{"result": result}
			}
		})
	}
	wg.Wait()
	return map[string]any{"all": all}
}
