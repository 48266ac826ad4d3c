package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// way is one binding with one revision.
type way struct {
	name string
	o    Options
	dial func(t *testing.T, o Options, s *Server) Client
}

func streamable(t *testing.T, o Options, s *Server) Client {
	if o.Revision == Stateless {
		return o.DialStateless(t, StartStateless(t, s))
	}
	return o.DialStateful(t, StartStateful(t, s))
}

func ways() []way {
	all := []way{{"SSE", Options{}, func(t *testing.T, o Options, s *Server) Client { return o.DialSSE(t, StartSSE(t, s)) }}}
	for _, revision := range append(statefulRevisions[:len(statefulRevisions):len(statefulRevisions)], Stateless) {
		o := Options{Revision: revision}
		all = append(all, way{"HTTP " + revision, o, streamable},
			way{"stdio " + revision, o, func(t *testing.T, o Options, s *Server) Client { return o.Connect(t, s) }})
	}
	return all
}

// allCaps declares everything that a client can be asked.
const allCaps = `{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{"listChanged":true}}`

// inEvery runs f over every binding and revision, against a new server of a script.
func inEvery(t *testing.T, script string, with func(*Options), f func(t *testing.T, s *Server, c Client)) {
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			o, s := w.o, New(script)
			o.Capabilities = allCaps
			if with != nil {
				with(&o)
			}
			f(t, s, w.dial(t, o, s))
		})
	}
}

// answerer answers each question with its number.
func answerer() func(string, json.RawMessage) (string, string) {
	var mu sync.Mutex
	n := 0
	return func(method string, params json.RawMessage) (string, string) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return answerTo(method, fmt.Sprint(n)), ""
	}
}

func answerTo(method, said string) string {
	switch method {
	case "elicitation/create":
		return `{"action":"accept","content":{"answer":` + quote(said) + `,"n":1.0}}`
	case "sampling/createMessage":
		return `{"role":"assistant","model":"m","content":{"type":"text","text":` + quote(said) + `}}`
	}
	return `{"roots":[{"uri":"file:///` + said + `"}]}`
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*guard)
	t.Cleanup(cancel)
	return ctx
}

func doAll(t *testing.T, c Client, name, arguments string) (*Answer, int) {
	t.Helper()
	a, rounds, err := c.DoAll(within(t), "tools/call", `{"name":`+quote(name)+`,"arguments":`+arguments+`}`)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a, rounds
}

// asks says whether a revision has the question of a tool.
func asks(tool, revision string) bool {
	switch tool {
	case "form":
		return revision >= "2025-06-18"
	case "url":
		return revision >= Stateful
	}
	return true
}

func TestQuestionsAreAnsweredInEveryEra(t *testing.T) {
	inEvery(t, "asking", func(o *Options) { o.OnAsk = answerer() }, func(t *testing.T, s *Server, c Client) {
		total, completes := 0, 0
		for _, tool := range []string{"form", "url", "sample", "roots"} {
			a, rounds := doAll(t, c, tool, `{"rounds":3,"tag":"é`+tool+`","complete":true}`)
			if !asks(tool, c.Revision()) {
				if string(field(a.Result, "isError")) != "true" {
					t.Errorf("%s: %s", tool, a.Raw)
				}
				continue
			}
			method := map[string]string{"sample": "sampling/createMessage", "roots": "roots/list"}[tool]
			if method == "" {
				method = "elicitation/create"
			}
			want := "é" + tool
			for range 3 {
				total++
				want += "\n" + answerTo(method, fmt.Sprint(total))
			}
			if got := FirstText(a); got != want {
				t.Errorf("%s: %s\nwant %s", tool, got, want)
			}
			if wantRounds := map[bool]int{true: 4, false: 1}[c.Revision() == Stateless]; rounds != wantRounds {
				t.Errorf("%s: %d rounds", tool, rounds)
			}
			if tool == "url" && c.Revision() == Stateful {
				completes = 3
			}
		}
		if asked := c.Asked(); len(asked) != total || s.Count("answered") != total {
			t.Errorf("%d questions, %d answers, want %d", len(asked), s.Count("answered"), total)
		}
		if n := len(c.Notes("notifications/elicitation/complete")); n != completes {
			t.Errorf("%d completions, want %d", n, completes)
		}
		for _, q := range c.Asked() {
			if !q.Answered || q.On == "" && c.(*core).http || q.Late {
				t.Errorf("%+v", q)
			}
		}
		noStray(t, c)
	})
}

func TestPromptsAndResourcesAskToo(t *testing.T) {
	inEvery(t, "asking", func(o *Options) { o.OnAsk = answerer() }, func(t *testing.T, s *Server, c Client) {
		for n, method := range []string{"prompts/get", "resources/read"} {
			a, _, err := c.DoAll(within(t), method, []string{`{"name":"ask"}`, `{"uri":"ask://resource"}`}[n])
			if err != nil {
				t.Fatal(err)
			}
			if !asks("form", c.Revision()) {
				if a.Error == nil {
					t.Errorf("%s: %s", method, a.Raw)
				}
				continue
			}
			if want := quote(answerTo("elicitation/create", fmt.Sprint(n+1))); !strings.Contains(string(a.Result), want) {
				t.Errorf("%s: %s, want %s", method, a.Raw, want)
			}
		}
	})
}

func TestTwoQuestionsAtOnce(t *testing.T) {
	inEvery(t, "asking", func(o *Options) {
		o.OnAsk = func(method string, _ json.RawMessage) (string, string) { return answerTo(method, "x"), "" }
	}, func(t *testing.T, s *Server, c Client) {
		if !asks("form", c.Revision()) {
			return
		}
		a, rounds := doAll(t, c, "both", `{"tag":"t"}`)
		if want := "t\n" + answerTo("elicitation/create", "x") + "\n" + answerTo("sampling/createMessage", "x"); FirstText(a) != want || rounds > 2 {
			t.Errorf("%d rounds: %s", rounds, a.Raw)
		}
	})
}

func TestRefusalsEndTheCall(t *testing.T) {
	inEvery(t, "asking", func(o *Options) {
		o.OnAsk = func(string, json.RawMessage) (string, string) { return "", `{"code":-1,"message":"no"}` }
	}, func(t *testing.T, s *Server, c Client) {
		a, _, err := c.DoAll(within(t), "tools/call", `{"name":"sample","arguments":{}}`)
		if c.Revision() == Stateless {
			if !errors.Is(err, ErrRefused) || a == nil {
				t.Errorf("%v, %v", a, err)
			}
			return
		}
		if want := `sampling/createMessage: {"code":-1,"message":"no"}`; err != nil || FirstText(a) != want || s.Count("refused") != 1 {
			t.Errorf("%v, %v", a, err)
		}
	})
}

func TestWhatIsNotDeclaredIsNotAsked(t *testing.T) {
	for caps, tool := range map[string]string{`{}`: "roots", `{"elicitation":{}}`: "url", `{"elicitation":{"url":{}}}`: "form"} {
		inEvery(t, "asking", func(o *Options) { o.Capabilities = caps }, func(t *testing.T, s *Server, c Client) {
			if tool == "form" && c.Revision() < Stateful {
				return // modes are newer
			}
			a, _ := doAll(t, c, tool, `{}`)
			if c.Revision() == Stateless {
				if string(field(a.Error, "code")) != codeCapability || field(a.Error, "data", "requiredCapabilities") == nil {
					t.Errorf("%s", a.Raw)
				}
			} else if string(field(a.Result, "isError")) != "true" {
				t.Errorf("%s", a.Raw)
			}
			if len(c.Asked()) != 0 {
				t.Errorf("asked: %+v", c.Asked())
			}
		})
	}
}

func TestAskingAnywayIsAFault(t *testing.T) {
	inEvery(t, "asking", func(o *Options) { o.Capabilities, o.Tolerant = `{}`, true }, func(t *testing.T, s *Server, c Client) {
		s.AskAnyway = true
		if _, err := CallTool(within(t), c, "sample", `{}`); err != nil {
			t.Fatal(err)
		}
		if len(c.Faults()) != 1 || len(c.Asked()) != 1 {
			t.Errorf("faults %q, asked %+v", c.Faults(), c.Asked())
		}
	})
}

func TestSilenceHangsUntilTheCancel(t *testing.T) {
	inEvery(t, "asking", nil, func(t *testing.T, s *Server, c Client) {
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		go func() {
			for len(c.Asked()) == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		if _, _, err := c.DoAll(ctx, "tools/call", `{"name":"sample","arguments":{}}`); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if c.Revision() != Stateless {
			WaitFor(t, "the cancel", func() bool { return s.Count("cancelled") == 1 })
		}
	})
}

func TestForeverIsCut(t *testing.T) {
	c := streamable(t, Options{Revision: Stateless, Capabilities: allCaps, OnAsk: answerer()}, New("asking"))
	if _, rounds, err := c.DoAll(within(t), "tools/call", `{"name":"forever","arguments":{}}`); err == nil || rounds != maxRounds {
		t.Errorf("%d rounds, %v", rounds, err)
	}
}

func TestQuestionsAreWithdrawn(t *testing.T) {
	inEvery(t, "asking", nil, func(t *testing.T, s *Server, c Client) {
		if c.Revision() == Stateless || !asks("form", c.Revision()) {
			return
		}
		if got := FirstText(mustCall(t, c, "withdraw", `{"tag":"t"}`)); got != "t\n"+ErrWithdrawn.Error() {
			t.Errorf("%s", got)
		}
		WaitFor(t, "the withdrawal", func() bool { return len(c.Asked()) == 1 && c.Asked()[0].Withdrawn })
	})
}

func TestLateQuestionsComeAfterTheCancel(t *testing.T) {
	inEvery(t, "asking", func(o *Options) { o.OnAsk = answerer() }, func(t *testing.T, s *Server, c Client) {
		if c.Revision() == Stateless || !asks("form", c.Revision()) {
			return
		}
		p := c.Start("tools/call", `{"name":"late","arguments":{}}`)
		WaitFor(t, "the call to hang", func() bool { return s.Count("hanging") == 1 })
		p.Cancel()
		WaitFor(t, "the answer", func() bool { return s.Count("late answered") == 1 })
		if q := c.Asked()[0]; q.On != "" || len(q.Open) != 0 {
			t.Errorf("%+v", q)
		}
	})
}

func TestQuestionsOnTheGetStream(t *testing.T) {
	s := New("asking")
	s.AskOnGet = true
	c := streamable(t, Options{Revision: Stateful, Capabilities: allCaps, OnAsk: answerer()}, s)
	doAll(t, c, "form", `{}`)
	if q := c.Asked()[0]; q.On != "" || len(q.Open) != 1 {
		t.Errorf("%+v", q)
	}
}

func TestAProcessOfOneRevisionAsks(t *testing.T) {
	for _, revision := range []string{"2025-06-18", Stateless} {
		command, args, env := StdioCommandAt("asking", revision)
		cmd, out, in := spawn(t, command, args, env)
		o := Options{Capabilities: allCaps, OnAsk: answerer()}
		if revision == Stateless {
			o.Revision = Stateless
		}
		c := o.Pipe(t, out, in)
		if a, _ := doAll(t, c, "form", `{"rounds":2,"tag":"t"}`); c.Revision() != revision || strings.Count(FirstText(a), "accept") != 2 {
			t.Errorf("%s: %s", c.Revision(), a.Raw)
		}
		c.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestForgeriesAreFaults(t *testing.T) {
	s := New("asking")
	s.Tolerant = true
	c := streamable(t, Options{Revision: Stateful, Capabilities: allCaps, OnAsk: answerer()}, s)
	doAll(t, c, "form", `{}`)
	for _, forged := range []string{`{"jsonrpc":"2.0","id":77,"result":{}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`} {
		if err := c.Send(forged); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Faults()); n != 2 {
		t.Errorf("faults: %q", s.Faults())
	}
}

func TestStateOfAnotherCallIsAFault(t *testing.T) {
	s := New("asking")
	s.Tolerant = true
	c := streamable(t, Options{Revision: Stateless, Capabilities: allCaps}, s)
	a, err := CallTool(within(t), c, "form", `{"tag":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, retry := range []string{
		`{"name":"form","arguments":{"tag":"b"},"requestState":` + string(field(a.Result, "requestState")) + `}`,
		`{"name":"form","arguments":{"tag":"a"},"requestState":"forged"}`,
	} {
		if a, err := c.Do(within(t), "tools/call", retry); err != nil || string(field(a.Error, "code")) != codeParams {
			t.Errorf("%v, %v", a, err)
		}
	}
	if len(s.Faults()) != 2 {
		t.Errorf("faults: %q", s.Faults())
	}
	// Responses to nothing that was asked are ignored: the question comes again.
	if a, err := c.Do(within(t), "tools/call", `{"name":"form","arguments":{"tag":"a"},"inputResponses":{"form0":{"action":"decline"}}}`); err != nil ||
		string(field(a.Result, "resultType")) != `"input_required"` {
		t.Errorf("%v, %v", a, err)
	}
}
