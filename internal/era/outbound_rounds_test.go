package era_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

const form = `{"method":"elicitation/create","params":{"message":"m","n":1.0,"requestedSchema":{"type":"object","properties":{}}}}`

// rounding scripts a stateless server that gives these results to the rounds of a call, the
// last one again and again.
func rounding(w *wire, results ...string) {
	n := 0
	w.script = func(m *jsonrpc.Message, say func(string)) {
		if m.Method != mcp.ToolsCall {
			return
		}
		say(`{"jsonrpc":"2.0","id":%s,"result":` + results[min(n, len(results)-1)] + `}`)
		n++
	}
}

// rounds gives of each call that the server got what its params have for the next round.
func (w *wire) rounds() (out []string) {
	for _, m := range w.last(99) {
		if strings.Contains(m, `"method":"tools/call"`) {
			params := rawjson.Get([]byte(m), "params")
			out = append(out, string(rawjson.Get(params, "inputResponses"))+" "+string(rawjson.Get(params, "requestState")))
		}
	}
	return out
}

// TestRoundsAreMadeForStatefulCallers: each question is asked in place, and the call sent
// again with what was said and with the state that the server gave, if any.
func TestRoundsAreMadeForStatefulCallers(t *testing.T) {
	accept := `{"action":"accept","content":{"a":1.0}}`
	tests := []struct {
		name    string
		results []string
		answer  string
		asked   int
		rounds  []string
	}{
		{"none", []string{`{"content":[]}`}, accept, 0, []string{" "}},
		{"one", []string{`{"resultType":"input_required","inputRequests":{"a":` + form + `},"requestState":"s\u0031"}`, `{"content":[]}`}, accept, 1,
			[]string{" ", `{"a":` + accept + `} "s\u0031"`}},
		{"one without a state", []string{`{"resultType":"input_required","inputRequests":{"\u0061":` + form + `}}`, `{"content":[]}`}, accept, 1,
			[]string{" ", `{"\u0061":` + accept + `} `}},
		{"three", []string{
			`{"resultType":"input_required","inputRequests":{"a":` + form + `},"requestState":"1"}`,
			`{"resultType":"input_required","inputRequests":{"b":{"method":"roots/list"},"c":` + form + `}}`,
			`{"resultType":"input_required","inputRequests":{"d":{"method":"sampling/createMessage","params":{}}},"requestState":"3"}`,
			`{"content":[]}`}, accept, 4,
			[]string{" ", `{"a":` + accept + `} "1"`, `{"b":` + accept + `,"c":` + accept + `} `, `{"d":` + accept + `} "3"`}},
		{"declined", []string{`{"resultType":"input_required","inputRequests":{"a":` + form + `}}`, `{"content":[]}`}, `{"action":"decline"}`, 1,
			[]string{" ", `{"a":{"action":"decline"}} `}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, isStateless, func(t *testing.T, k kind) {
				w := &wire{}
				rounding(w, tt.results...)
				ob := k.connect(t, w)
				c := call(`{"name":"s.t","inputResponses":{"forged":1},"requestState":"forged","_meta":{"progressToken":"p","k":1}}`)
				back := c.Back.(*notes)
				back.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(tt.answer), nil }
				reply, err := ob.Handle(t.Context(), c)
				if err != nil || reply.Kind != mcp.Complete || string(reply.Result) != `{"content":[]}` {
					t.Fatalf("%+v, %v", reply, err)
				}
				if got := w.rounds(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.rounds) {
					t.Errorf("the rounds were %q, want %q", got, tt.rounds)
				}
				if got := back.questions(); len(got) != tt.asked {
					t.Errorf("the client was asked %q", got)
				}
				seen := map[string]bool{}
				for _, m := range w.last(len(tt.rounds)) {
					id := string(rawjson.Get([]byte(m), "id"))
					token := rawjson.Get(rawjson.Get(rawjson.Get([]byte(m), "params"), "_meta"), "progressToken")
					if seen[id] || string(token) != id || !strings.Contains(m, `"k":1`) {
						t.Errorf("the server got %s", m)
					}
					seen[id] = true
				}
			})
		})
	}
}

// TestRoundsThatFail: the call ends with an error of ours that says why.
func TestRoundsThatFail(t *testing.T) {
	input := func(requests string) string {
		return `{"resultType":"input_required","inputRequests":` + requests + `,"requestState":"s"}`
	}
	tests := []struct {
		name, result   string
		err            error // of the client; nil for an answer
		reason, within string
		sent           int
	}{
		{"for ever", input(`{"a":` + form + `}`), nil, "rounds", "more than 16 times", 17},
		{"the client's error", input(`{"a":` + form + `}`), &mcp.Remote{Raw: []byte(`{"code":-1,"message":"User said no"}`), Number: -1}, "client_error", "User said no", 1},
		{"not declared", input(`{"a":` + form + `}`), mcp.Errorf(mcp.UnknownMethod, "capability", "no forms"), "capability", "no forms", 1},
		{"no answer in time", input(`{"a":` + form + `}`), mcp.Errorf(mcp.TimedOut, "question_timeout", "late"), "question_timeout", "late", 1},
		{"an unknown question", input(`{"a":{"method":"tools/call"}}`), nil, "server_invalid", "none that the revision allows", 1},
		{"no question", input(`{"a":7}`), nil, "server_invalid", "none that the revision allows", 1},
		{"no object", input(`[]`), nil, "server_invalid", "no object", 1},
		{"the same key twice", input(`{"a":` + form + `,"\u0061":` + form + `}`), nil, "server_invalid", "inputRequests", 1},
		{"params that are none", input(`{"a":{"method":"roots/list","params":1}}`), nil, "server_invalid", "no object", 1},
		{"a state that is none", `{"resultType":"input_required","requestState":{}}`, nil, "server_invalid", "no string", 1},
		{"nothing", `{"resultType":"input_required"}`, nil, "server_invalid", "neither", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, isStateless, func(t *testing.T, k kind) {
				w := &wire{}
				rounding(w, tt.result)
				ob := k.connect(t, w)
				c := call(`{"name":"s.t"}`)
				back := c.Back.(*notes)
				back.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{}`), tt.err }
				_, err := ob.Handle(t.Context(), c)
				var e *mcp.Error
				if !errors.As(err, &e) || e.Reason != tt.reason || !strings.Contains(e.Message, tt.within) || era.AsRemote(err) != nil {
					t.Errorf("%#v", err)
				}
				if object, _ := era.Render(err); !strings.HasPrefix(string(object), `{"code":-32603,`) {
					t.Errorf("it is answered %s", object)
				}
				if got := w.rounds(); len(got) != tt.sent {
					t.Errorf("sent %d times", len(got))
				}
				if tt.reason == "rounds" && len(back.questions()) != 16 {
					t.Errorf("asked %d times", len(back.questions()))
				}
			})
		})
	}
}

// TestOnlySomeCallsHaveRounds (2026-07-28, multi round-trip requests, Supported Requests).
func TestOnlySomeCallsHaveRounds(t *testing.T) {
	for _, rounds := range []bool{true, false} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{script: func(_ *jsonrpc.Message, say func(string)) {
				say(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"input_required","requestState":"s"}}`)
			}}
			c := call(`{"ref":{"type":"ref/prompt","name":"s.t"}}`)
			c.Method, c.From.TakesRounds = mcp.Completion, rounds
			_, err := k.connect(t, w).Handle(t.Context(), c)
			var e *mcp.Error
			if !errors.As(err, &e) || e.Reason != "server_invalid" {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestPutOffCalls: a round without questions is made after 0.2, 1 and 5 s, and then no more.
func TestPutOffCalls(t *testing.T) {
	off := `{"resultType":"input_required","requestState":"s"}`
	for _, tt := range []struct {
		results []string
		took    time.Duration
		ok      bool
	}{
		{[]string{off, `{}`}, 200 * time.Millisecond, true},
		{[]string{off, off, off, `{}`}, 6200 * time.Millisecond, true},
		{[]string{off}, 6200 * time.Millisecond, false},
		{[]string{off, off, off, `{"resultType":"input_required","inputRequests":{"a":` + form + `}}`, off, `{}`}, 6400 * time.Millisecond, true},
		{[]string{`{"resultType":"input_required","requestState":"s","inputRequests":{}}`, `{}`}, 200 * time.Millisecond, true},
	} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{}
			rounding(w, tt.results...)
			ob := k.connect(t, w)
			began := time.Now()
			c := call(`{"name":"s.t"}`)
			c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{}`), nil }
			_, err := ob.Handle(t.Context(), c)
			if (err == nil) != tt.ok || time.Since(began) != tt.took {
				t.Errorf("%q: %v after %v", tt.results, err, time.Since(began))
			}
			for i, r := range w.rounds() {
				if i > 0 && i < 3 && r != ` "s"` {
					t.Errorf("round %d was %q", i, r)
				}
			}
		})
	}
}

// TestRoundsEndWithTheirCall: while a question is open, or the call is put off.
func TestRoundsEndWithTheirCall(t *testing.T) {
	for _, result := range []string{`{"resultType":"input_required","inputRequests":{"a":` + form + `}}`, `{"resultType":"input_required","requestState":"s"}`} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{}
			rounding(w, result)
			ob := k.connect(t, w)
			c := call(`{"name":"s.t"}`)
			over := false
			c.Back.(*notes).ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				<-ctx.Done()
				over = true
				return nil, ctx.Err()
			}
			ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer stop()
			if _, err := ob.Handle(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if asked := c.Back.(*notes).questions() != nil; asked != over {
				t.Error("the question goes on")
			}
			synctest.Wait()
			if got := w.last(1)[0]; !strings.Contains(got, "tools/call") {
				t.Errorf("the server got %s, though no request was open", got)
			}
		})
	}
}

// TestRoundsPass: a caller that takes rounds gets what a stateless server asks, as it is, and
// what it answers goes to the server.
func TestRoundsPass(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		result := `{"resultType":"input_required","inputRequests":{"a":` + form + `},"requestState":"s","_meta":{"io.modelcontextprotocol/serverInfo":{}}}`
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(`{"jsonrpc":"2.0","id":%s,"result":` + result + `}`) }}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t","inputResponses":{"a":{"y":2.0}},"requestState":"s0"}`)
		c.From.TakesRounds, c.From.Capabilities = true, []byte(`{"elicitation":{}}`)
		reply, err := ob.Handle(t.Context(), c)
		if err != nil || reply.Kind != mcp.InputRequired || string(reply.Result) != `{"resultType":"input_required","inputRequests":{"a":`+form+`},"requestState":"s"}` {
			t.Errorf("%+v, %v", reply, err)
		}
		if got := w.last(1)[0]; !strings.Contains(got, `"inputResponses":{"a":{"y":2.0}},"requestState":"s0"`) {
			t.Errorf("the server got %s", got)
		}
		if c.Back.(*notes).questions() != nil {
			t.Error("the client was asked in place")
		}
	})
}

// TestStatefulServersGiveNoState, so that one towards them is refused, with what to do; without
// it the call is made.
func TestStatefulServersGiveNoState(t *testing.T) {
	each(t, func(k kind) bool { return !k.stateless }, func(t *testing.T, k kind) {
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(`{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`) }}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t","requestState":"forged"}`)
		c.From.TakesRounds = true
		_, err := ob.Handle(t.Context(), c)
		var e *mcp.Error
		if !errors.As(err, &e) || e.Code != mcp.InvalidParams || e.Reason != "request_state" || !strings.HasSuffix(e.Message, "; call again without it") {
			t.Errorf("%v", err)
		}
		again := call(`{"name":"s.t"}`)
		again.From.TakesRounds = true
		if _, err := ob.Handle(t.Context(), again); err != nil || len(w.rounds()) != 1 {
			t.Errorf("%v, after %d calls", err, len(w.rounds()))
		}
	})
}

// TestRoundsBeyondTheCaller do not pass (2026-07-28, multi round-trip requests, Server
// Requirements 7).
func TestRoundsBeyondTheCaller(t *testing.T) {
	url := `{"method":"elicitation/create","params":{"mode":"url","url":"https://a","message":"m"}}`
	tools := `{"method":"sampling/createMessage","params":{"tools":[]}}`
	for _, tt := range []struct{ declared, requests, required string }{
		{`{}`, `{"a":` + form + `}`, `{"elicitation":{"form":{}}}`},
		{`{"elicitation":{}}`, `{"a":` + form + `,"b":` + url + `}`, `{"elicitation":{"url":{}}}`},
		{`{"sampling":{}}`, `{"a":` + tools + `,"b":` + url + `,"c":` + form + `,"d":{"method":"roots/list"}}`, `{"sampling":{"tools":{}},"elicitation":{"url":{},"form":{}},"roots":{}}`},
		{`{"elicitation":{"url":{}}}`, `{"a":` + form + `}`, `{"elicitation":{"form":{}}}`},
		{`{"roots":{}}`, `{"a":{"method":"sampling/createMessage"}}`, `{"sampling":{}}`},
	} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{}
			rounding(w, `{"resultType":"input_required","inputRequests":`+tt.requests+`}`)
			c := call(`{"name":"s.t"}`)
			c.From.TakesRounds, c.From.Capabilities = true, []byte(tt.declared)
			_, err := k.connect(t, w).Handle(t.Context(), c)
			object, status := era.Render(err)
			data := rawjson.Get(object, "data")
			if status != 400 || string(rawjson.Get(object, "code")) != "-32021" || string(rawjson.Get(data, "requiredCapabilities")) != tt.required {
				t.Errorf("%s: %s, %v", tt.declared, object, err)
			}
		})
	}
}

// TestTasksPass only to callers that declared the extension.
func TestTasksPass(t *testing.T) {
	result := `{"resultType":"task","taskId":"1"}`
	for declared, want := range map[string]string{
		`{}`: "", `{"extensions":{"x/y":{}}}`: "",
		`{"extensions":{"io.modelcontextprotocol/tasks":{}}}`: result,
	} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{}
			rounding(w, result)
			c := call(`{"name":"s.t"}`)
			c.From.TakesRounds, c.From.Capabilities = true, []byte(declared)
			reply, err := k.connect(t, w).Handle(t.Context(), c)
			if want == "" && err == nil || want != "" && (err != nil || string(reply.Result) != want) {
				t.Errorf("%s: %+v, %v", declared, reply, err)
			}
		})
	}
}

// TestResponsesAreNotOfTheStatefulEra, so a stateful server gets none.
func TestResponsesAreNotOfTheStatefulEra(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t","inputResponses":{}}`)
		c.From.TakesRounds = true
		if _, err := ob.Handle(t.Context(), c); err != nil || !strings.HasSuffix(w.last(1)[0], `"params":{"name":"t"}}`) {
			t.Errorf("the server got %s, %v", w.last(1)[0], err)
		}
		c = call(`{"name":"s.t","requestState":"theirs"}`)
		c.From.TakesRounds = true
		var e *mcp.Error
		if _, err := ob.Handle(t.Context(), c); !errors.As(err, &e) || e.Code != mcp.InvalidParams {
			t.Error(err)
		}
	})
}
