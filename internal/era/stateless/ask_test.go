package stateless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
)

// form is a question as a server of the stateful era puts it.
const form = `{"message":"m","elicitationId":"e","requestedSchema":{"type":"object","properties":{}},"_meta":{"progressToken":9,"com.example/x":1.0}}`

// cleanForm is the same as this era has it.
const cleanForm = `{"message":"m","requestedSchema":{"type":"object","properties":{}},"_meta":{"com.example/x":1.0}}`

// A desk is an edge in front of a handler that asks.
type desk struct {
	t    *testing.T
	b    *Inbound
	hits atomic.Int32
	id   int
}

func newDesk(t *testing.T, h func(ctx context.Context, c *mcp.Call) (string, error)) *desk {
	d := &desk{t: t}
	d.b = NewInbound(era.Params{Feed: newView(), Presence: presence{`{"name":"n","version":"1"}`, ""}, Streams: quota.New(100, 100), Via: "self",
		Handler: mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
			d.hits.Add(1)
			c.Target = mcp.Target{Server: "s", Origin: c.Name}
			text, err := h(ctx, c)
			if err != nil {
				return nil, err
			}
			return &mcp.Reply{Result: []byte(text)}, nil
		})})
	return d
}

// A request is one of a client's, with what a test changes of it.
type request struct {
	ctx                          context.Context
	method, name, arguments, who string
	caps, meta                   string
	state                        *string
	responses                    string
	scope                        mcp.Scope
	out                          *told
	header                       func(string) []string
}

func (d *desk) incoming(r request) *era.Incoming {
	d.t.Helper()
	or := func(s *string, other string) {
		if *s == "" {
			*s = other
		}
	}
	or(&r.method, mcp.ToolsCall)
	or(&r.name, "tool")
	or(&r.arguments, `{"a":1}`)
	or(&r.who, mcp.Local)
	or(&r.caps, `{"elicitation":{},"sampling":{},"roots":{}}`)
	key := map[string]string{mcp.ResourcesRead: "uri", mcp.TasksGet: mcp.MemberTaskID, mcp.TasksUpdate: mcp.MemberTaskID, mcp.TasksCancel: mcp.MemberTaskID}[r.method]
	or(&key, "name")
	params := fmt.Sprintf(`"%s":"%s","arguments":%s`, key, r.name, r.arguments)
	if r.state != nil {
		raw, _ := json.Marshal(*r.state)
		params += `,"requestState":` + string(raw)
	}
	if r.responses != "" {
		params += `,"inputResponses":` + r.responses
	}
	meta := `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` + r.caps
	if r.meta != "" {
		meta += "," + r.meta
	}
	d.id++
	raw := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":{%s,"_meta":{%s}}}`, d.id, r.method, params, meta)
	m, err := jsonrpc.Parse([]byte(raw), jsonrpc.ClientLimits)
	if err != nil {
		d.t.Fatal(err)
	}
	if r.out == nil {
		r.out = &told{}
	}
	return &era.Incoming{Message: m, Principal: r.who, Scope: r.scope, Out: r.out, Header: r.header}
}

// send makes a request and waits for its answer.
func (d *desk) send(r request) answered {
	d.t.Helper()
	return d.read(d.serve(r)())
}

// serve begins a request; the function gives its answer.
func (d *desk) serve(r request) func() era.Answer {
	in := d.incoming(r)
	ctx := r.ctx
	if ctx == nil {
		ctx = d.t.Context()
	}
	done := make(chan era.Answer, 1)
	go func() { done <- d.b.Serve(ctx, in) }()
	return func() era.Answer { return <-done }
}

// answered is an answer as a client reads it.
type answered struct {
	status int
	raw    string
	Result struct {
		ResultType    string
		InputRequests map[string]struct {
			Method string
			Params json.RawMessage
		}
		RequestState *string
		TTLMs        *int
		Text         string
	}
	Error struct {
		Code int
		Data struct {
			Reason               string
			RequiredCapabilities json.RawMessage
			Error                json.RawMessage
		}
	}
}

func (d *desk) read(a era.Answer) answered {
	d.t.Helper()
	out := answered{status: a.Status, raw: string(a.Body)}
	if a.Body == nil {
		return out
	}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		d.t.Fatalf("%s: %v", a.Body, err)
	}
	return out
}

// asks expects questions with these keys.
func (d *desk) asks(a answered, keys ...string) *string {
	d.t.Helper()
	got := slices.Sorted(maps.Keys(a.Result.InputRequests))
	if a.status != 200 || a.Result.ResultType != "input_required" || !slices.Equal(got, keys) || a.Result.RequestState == nil || a.Result.TTLMs != nil {
		d.t.Fatalf("%d %s\nwant the questions %q", a.status, a.raw, keys)
	}
	if !strings.HasPrefix(*a.Result.RequestState, mark) || !strings.Contains(a.raw, mcp.MetaServerInfo) {
		d.t.Fatalf("the state is %s in %s", *a.Result.RequestState, a.raw)
	}
	return a.Result.RequestState
}

func (d *desk) says(a answered, text string) {
	d.t.Helper()
	if a.status != 200 || a.Result.ResultType != "complete" || a.Result.Text != text {
		d.t.Errorf("%d %s\nwant the result %q", a.status, a.raw, text)
	}
}

func (d *desk) refuses(a answered, code int, reason string) {
	d.t.Helper()
	if a.Error.Code != code || a.Error.Data.Reason != reason {
		d.t.Errorf("%d %s\nwant the error %d %s", a.status, a.raw, code, reason)
	}
	if reason == "request_state" && !strings.Contains(string(a.raw), "call again without it") {
		d.t.Errorf("%s does not say what to do", a.raw)
	}
}

// hits expects so many calls to have reached the house.
func (d *desk) reached(n int32) {
	d.t.Helper()
	if got := d.hits.Load(); got != n {
		d.t.Errorf("%d calls reached the house, not %d", got, n)
	}
}

// idle expects that nothing is held and nothing runs.
func (d *desk) idle() {
	d.t.Helper()
	synctest.Wait()
	l := d.b.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.runs)+len(l.parked)+len(l.places)+l.taken+l.bytes != 0 {
		d.t.Errorf("held: %d runs, %d parked, %v places, %d taken, %d bytes", len(l.runs), len(l.parked), l.places, l.taken, l.bytes)
	}
}

// elicit asks once and says what came.
func elicit(ctx context.Context, c *mcp.Call) (string, error) {
	result, err := c.Back.Ask(ctx, mcp.Elicit, []byte(form))
	if err != nil {
		return "", err
	}
	text, _ := json.Marshal(string(result))
	return `{"text":` + string(text) + `}`, nil
}

const yes = `{"action":"accept","content":{"x":1.0}}`

// TestOneRound: the question as this era has it, then the answer, byte for byte, and each
// kind of request that may be asked about.
func TestOneRound(t *testing.T) {
	for _, method := range []string{mcp.ToolsCall, mcp.PromptsGet, mcp.ResourcesRead} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, elicit)
			a := d.send(request{method: method})
			state := d.asks(a, "q1")
			if q := a.Result.InputRequests["q1"]; q.Method != mcp.Elicit || string(q.Params) != cleanForm {
				t.Errorf("asked %s %s", q.Method, q.Params)
			}
			a = d.send(request{method: method, arguments: ` { "a" : 1.0 } `, state: state, responses: `{"q1":` + yes + `,"other":5}`})
			d.says(a, yes)
			d.reached(1)
			d.idle()
		})
	}
}

// TestThreeRounds: each with a state of its own, each used once.
func TestThreeRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			for range 2 {
				if _, err := elicit(ctx, c); err != nil {
					return "", err
				}
			}
			return elicit(ctx, c)
		})
		var states []*string
		a := d.send(request{})
		for i := 1; i <= 3; i++ {
			key := fmt.Sprintf("q%d", i)
			states = append(states, d.asks(a, key))
			for _, old := range states[:i-1] {
				d.refuses(d.send(request{state: old, responses: `{"` + key + `":{}}`}), -32602, "request_state")
			}
			a = d.send(request{state: states[i-1], responses: `{"` + key + `":{"i":` + fmt.Sprint(i) + `}}`})
		}
		d.says(a, `{"i":3}`)
		d.refuses(d.send(request{state: states[2], responses: `{"q3":{}}`}), -32602, "request_state")
		d.reached(1)
		d.idle()
	})
}

// TestQuestionsAtOnceGoOutTogether, and those that are not answered go out again, with the
// new ones.
func TestQuestionsAtOnceGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			answers := make(chan string, 2)
			for range 2 {
				go func() { a, err := elicit(ctx, c); answers <- fmt.Sprint(a, err) }()
			}
			<-answers
			<-answers
			return `{"text":"both"}`, nil
		})
		first := d.asks(d.send(request{}), "q1", "q2")
		d.refuses(d.send(request{state: first, responses: `{"q1":{},"q2":7}`}), -32602, "params") // which uses nothing up
		d.refuses(d.send(request{state: first, responses: `[]`}), -32602, "params")
		second := d.asks(d.send(request{state: first, responses: `{"q2":{}}`}), "q1")
		third := d.asks(d.send(request{state: second, responses: `{"q2":{},"q3":{}}`}), "q1")
		fourth := d.asks(d.send(request{state: third}), "q1")
		d.refuses(d.send(request{state: second, responses: `{"q1":{}}`}), -32602, "request_state")
		d.says(d.send(request{state: fourth, responses: `{"q1":{}}`}), "both")
		d.reached(1)
		d.idle()
	})
}

// TestForeignStates: whatever does not fit to the last bit is refused, and reaches nobody.
func TestForeignStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, elicit)
		state := d.asks(d.send(request{who: "a"}), "q1")
		forged := []string{d.b.states.prefix, d.b.states.prefix + "AAAA", d.b.states.prefix + "!", *state + "A", *state + "-TAMPERED", (*state)[:len(*state)-1], *state + "\n"}
		flipped := []byte(*state)
		flipped[len(flipped)/2] ^= 1
		forged = append(forged, string(flipped))
		made := d.b.states.close(state0(d, stateParked))
		forged = append(forged, made)
		for _, f := range forged {
			d.refuses(d.send(request{who: "a", state: &f, responses: `{"q1":{}}`}), -32602, "request_state")
		}
		for _, r := range []request{
			{who: "b"}, {}, {who: "a", name: "other"}, {who: "a", arguments: `{"a":2}`}, {who: "a", arguments: `{"a":1,"b":1}`},
			{who: "a", method: mcp.PromptsGet}, {who: "a", scope: mcp.Scope{Safe: true}}, {who: "a", scope: mcp.Scope{Server: "s"}},
		} {
			r.state, r.responses = state, `{"q1":{}}`
			d.refuses(d.send(r), -32602, "request_state")
		}
		d.reached(1)
		d.says(d.send(request{who: "a", state: state, responses: `{"q1":{}}`}), "{}")
		d.idle()
		other := newDesk(t, func(_ context.Context, c *mcp.Call) (string, error) {
			return `{"text":` + string(getState(c)) + `}`, nil
		})
		for _, s := range []string{*state, "theirs", "", mark, "mgw1.x.y"} { // a server's own, or another gateway's
			other.says(other.send(request{state: &s, responses: `{"q1":{}}`}), s)
		}
		other.refuses(other.read(other.b.Serve(t.Context(), raw(t, `"requestState":7,"name":"x"`))), -32602, "params")
	})
}

// TestStatesExpire: the server is told that its question has none to answer it, and goes on;
// what it makes of that waits for a while, and then it is ended.
func TestStatesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, after error
		began := time.Now()
		var took time.Duration
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			_, asked = c.Back.Ask(ctx, mcp.Elicit, []byte(form))
			took = time.Since(began)
			if c.Name == "goes on" {
				return `{"text":"without"}`, nil
			}
			<-ctx.Done()
			after = ctx.Err()
			return "", after
		})
		state := d.asks(d.send(request{}), "q1")
		time.Sleep(12 * time.Minute)
		d.refuses(d.send(request{state: state, responses: `{"q1":{}}`}), -32602, "request_state")
		d.idle()
		var own *mcp.Error
		if !errors.As(asked, &own) || own.Code != mcp.TimedOut || took != 10*time.Minute || !errors.Is(after, context.Canceled) {
			t.Errorf("the question ended with %v after %s, the call with %v", asked, took, after)
		}
		began = time.Now()
		state = d.asks(d.send(request{name: "goes on"}), "q1")
		time.Sleep(10*time.Minute + 30*time.Second)
		d.says(d.send(request{name: "goes on", state: state, responses: `{"q1":{}}`}), "without")
		d.idle()
		state = d.asks(d.send(request{name: "goes on"}), "q1")
		time.Sleep(time.Hour)
		d.idle()
		d.refuses(d.send(request{name: "goes on", state: state}), -32602, "request_state")
		d.reached(3)
	})
}
