package era_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// declares connects to a stateful server as a client that can be asked everything.
func declares(t *testing.T, k kind, w *wire, p stateful.Params) era.Outbound {
	t.Helper()
	w.t = t
	p.Self = self
	if p.Capabilities == nil {
		p.Capabilities = []byte(era.AllQuestionsAndRoots)
	}
	conn := w.lines
	if k.streams {
		conn = w.streams
	}
	ob, err := stateful.Connect(t.Context(), conn(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ob.Close() })
	return ob
}

func isStateful(k kind) bool { return !k.stateless }
func isPipe(k kind) bool     { return !k.stateless && !k.streams }

// asking scripts a server that asks n times during a call, one question after the other, and
// then answers with all that it was told.
func asking(w *wire, n int, method, params string) {
	w.script = func(m *jsonrpc.Message, say func(string)) {
		if m.Method != mcp.ToolsCall {
			return
		}
		var answers []string
		call := string(m.ID)
		var next func()
		next = func() {
			if len(answers) == n {
				say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"answers":[%s]}}`, call, strings.Join(answers, ",")))
				return
			}
			id := fmt.Sprintf(`"q%d"`, len(answers))
			w.await(id, func(a *jsonrpc.Message) {
				body := a.Result
				if a.Kind == jsonrpc.Failure {
					body = a.Error
				}
				answers = append(answers, string(body))
				next()
			})
			say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params))
		}
		next()
	}
}

// TestQuestionsReachTheCaller, and the answer of whatever kind reaches the server.
func TestQuestionsReachTheCaller(t *testing.T) {
	accept := `{"action":"accept","content":{"n":1.0},"_meta":{"k":1}}`
	tests := []struct {
		name   string
		rounds int
		answer func(ctx context.Context) ([]byte, error)
		want   string // each time
	}{
		{"one round", 1, func(context.Context) ([]byte, error) { return []byte(accept), nil }, accept},
		{"three rounds", 3, func(context.Context) ([]byte, error) { return []byte(accept), nil }, accept},
		{"declined", 2, func(context.Context) ([]byte, error) { return []byte(`{"action":"decline"}`), nil }, `{"action":"decline"}`},
		{"the client's error", 2, func(context.Context) ([]byte, error) {
			return nil, &mcp.Remote{Raw: []byte(`{"code":-1,"message":"no","z":1.0}`), Number: -1}
		}, `{"code":-1,"message":"no","z":1.0}`},
		{"not declared", 1, func(context.Context) ([]byte, error) {
			return nil, mcp.Errorf(mcp.UnknownMethod, "capability", "none")
		}, `{"code":-32601,"message":"none","data":{"reason":"capability"}}`},
		{"a mode not declared", 1, func(context.Context) ([]byte, error) {
			return nil, mcp.Errorf(mcp.InvalidParams, "capability", "no URLs")
		}, `{"code":-32602,"message":"no URLs","data":{"reason":"capability"}}`},
		{"no answer in time", 1, func(ctx context.Context) ([]byte, error) {
			if !era.Sleep(ctx, 10*time.Minute) {
				return nil, ctx.Err()
			}
			return nil, mcp.Errorf(mcp.TimedOut, "question_timeout", "no answer")
		}, `{"code":-32603,"message":"no answer","data":{"reason":"question_timeout"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, isStateful, func(t *testing.T, k kind) {
				w := &wire{}
				asking(w, tt.rounds, mcp.Elicit, `{"message":"m","n":1.0,"_meta":{"progressToken":3}}`)
				ob := declares(t, k, w, stateful.Params{})
				hear(t, ob)
				c := call(`{"name":"s.t"}`)
				back := c.Back.(*notes)
				back.ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) { return tt.answer(ctx) }
				reply, err := ob.Handle(t.Context(), c)
				want := fmt.Sprintf(`{"answers":[%s]}`, strings.Join(slices.Repeat([]string{tt.want}, tt.rounds), ","))
				if err != nil || string(reply.Result) != want {
					t.Fatalf("%+v, %v, want %s", reply, err, want)
				}
				if got := back.questions(); len(got) != tt.rounds || got[0] != `elicitation/create {"message":"m","n":1.0}` {
					t.Errorf("the client was asked %q", got)
				}
			})
		})
	}
}

// TestUndeclaredQuestionsAreRefused, whatever the caller could answer.
func TestUndeclaredQuestionsAreRefused(t *testing.T) {
	for method, params := range map[string]string{
		mcp.RootsList: `{}`, "x/y": `{}`, mcp.Elicit: `{"mode":"url","url":"https://a"}`, mcp.ToolsCall: `{"name":"t"}`,
	} {
		each(t, isStateful, func(t *testing.T, k kind) {
			w := &wire{}
			asking(w, 1, method, params)
			ob := declares(t, k, w, stateful.Params{Capabilities: []byte(`{"elicitation":{}}`)})
			hear(t, ob)
			c := call(`{"name":"s.t"}`)
			reply, err := ob.Handle(t.Context(), c)
			if err != nil || !strings.Contains(string(reply.Result), `[{"code":-3260`) || c.Back.(*notes).questions() != nil {
				t.Errorf("%s: %+v, %v", method, reply, err)
			}
		})
	}
}

// TestOurRoots are answered by ourselves, with and without a call.
func TestOurRoots(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		w := &wire{}
		asking(w, 1, mcp.RootsList, `{}`)
		ob := declares(t, k, w, stateful.Params{Roots: []byte(`[{"uri":"file:///a"}]`)})
		hear(t, ob)
		reply, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`))
		if err != nil || string(reply.Result) != `{"answers":[{"roots":[{"uri":"file:///a"}]}]}` {
			t.Errorf("%+v, %v", reply, err)
		}
	})
}

// TestWithdrawnQuestion: the client's question ends, and nothing is answered.
func TestWithdrawnQuestion(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"m"}}`)
			time.AfterFunc(time.Second, func() {
				say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}`)
			})
			time.AfterFunc(time.Minute, func() { say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)) })
		}}
		ob := declares(t, k, w, stateful.Params{})
		hear(t, ob)
		c := call(`{"name":"s.t"}`)
		began := time.Now()
		var ended time.Duration
		c.Back.(*notes).ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			ended = time.Since(began)
			return nil, ctx.Err()
		}
		if _, err := ob.Handle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ended != time.Second {
			t.Errorf("the question ended after %v", ended)
		}
		for _, m := range w.last(9) {
			if strings.Contains(m, `"q"`) {
				t.Errorf("the server got %s", m)
			}
		}
	})
}

// TestQuestionsEndWithTheirCall: answered, or given up by its caller.
func TestQuestionsEndWithTheirCall(t *testing.T) {
	for _, answered := range []bool{true, false} {
		each(t, isStateful, func(t *testing.T, k kind) {
			var refused *jsonrpc.Message
			w := &wire{}
			w.script = func(m *jsonrpc.Message, say func(string)) {
				w.await(`"q"`, func(a *jsonrpc.Message) { refused = a })
				say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"m"}}`)
				if answered {
					time.AfterFunc(time.Second, func() { say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)) })
				}
			}
			ob := declares(t, k, w, stateful.Params{})
			hear(t, ob)
			c := call(`{"name":"s.t"}`)
			over := false
			c.Back.(*notes).ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				<-ctx.Done()
				over = true
				return nil, ctx.Err()
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			_, err := ob.Handle(ctx, c)
			if (err == nil) != answered {
				t.Errorf("%v", err)
			}
			synctest.Wait()
			if !over || refused == nil || refused.Kind != jsonrpc.Failure || !strings.Contains(string(refused.Error), "-32603") {
				t.Errorf("over %v, refused with %+v", over, refused)
			}
		})
	}
}

// TestCloseEndsQuestions that nobody answers.
func TestCloseEndsQuestions(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) {
			say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}`)
		}}
		ob := declares(t, k, w, stateful.Params{})
		hear(t, ob)
		c := call(`{"name":"s.t"}`)
		c.Back.(*notes).ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := ob.Handle(ctx, c)
			done <- err
		}()
		synctest.Wait()
		_ = ob.Close()
		stop()
		if err := <-done; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// inbox is what a session is told outside of its calls.
type inbox struct{ told }

func (i *inbox) Put(method string, params []byte) { i.add(method + " " + string(params)) }

// TestCompletedElicitations go to the session that was asked, until it ends, if it opens URLs.
func TestCompletedElicitations(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		done := `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"%s"}}`
		w := &wire{}
		w.script = func(m *jsonrpc.Message, say func(string)) {
			if strings.Contains(string(m.Params), `"required"`) {
				say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e2"},{"elicitationId":"e3"}]}}}`)
				return
			}
			if strings.Contains(string(m.Params), `"done"`) {
				for _, id := range []string{"e1", "e2", "e3", "e4"} {
					say(fmt.Sprintf(done, id))
				}
				say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID))
				return
			}
			w.await("1", func(*jsonrpc.Message) { say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)) })
			say(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"mode":"url","url":"https://a","elicitationId":"e1"}}`)
		}
		ob := declares(t, k, w, stateful.Params{})
		hear(t, ob)
		box, ended := &inbox{}, make(chan struct{})
		as := func(arguments string, from *mcp.Caller) error {
			c := call(`{"name":"s.t","arguments":{` + arguments + `}}`)
			c.From = from
			c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"action":"accept"}`), nil }
			_, err := ob.Handle(t.Context(), c)
			return err
		}
		opensURLs := []byte(`{"elicitation":{"url":{}}}`)
		asked := &mcp.Caller{Principal: "local", Session: "1", Capabilities: opensURLs, Inbox: box, Ended: ended}
		if err := as("", asked); err != nil {
			t.Fatal(err)
		}
		if remote := era.AsRemote(as(`"required":1`, asked)); remote == nil || remote.Number != era.URLElicitation {
			t.Errorf("%v", remote)
		}
		other := &mcp.Caller{Principal: "local"}
		_ = as(`"done":1`, other)
		want := []string{}
		for _, id := range []string{"e1", "e2", "e3"} {
			want = append(want, `notifications/elicitation/complete {"elicitationId":"`+id+`"}`)
		}
		if got := box.take(); !slices.Equal(got, want) {
			t.Errorf("the session was told %q", got)
		}
		formsOnly := &mcp.Caller{Principal: "local", Session: "2", Capabilities: []byte(`{"elicitation":{}}`), Inbox: &inbox{}, Ended: make(chan struct{})}
		_ = as(`"required":1`, formsOnly)
		_ = as(`"done":1`, other)
		if got := formsOnly.Inbox.(*inbox).take(); got != nil {
			t.Errorf("a session that opens no URLs was told %q", got)
		}
		if got := box.take(); !slices.Equal(got, want) {
			t.Errorf("the next time the session was told %q", got)
		}
		close(ended)
		_ = as(`"done":1`, other)
		if got := box.take(); got != nil {
			t.Errorf("after its end the session was told %q", got)
		}
	})
}
