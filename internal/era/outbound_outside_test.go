package era_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A lane is how a test's client is reached outside of its calls.
type lane struct {
	notes
	open chan struct{}
}

func (l *lane) Open() <-chan struct{} { return l.open }

func (l *lane) listen() { close(l.open) }

func newLane() *lane {
	l := &lane{open: make(chan struct{})}
	l.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"by":"lane"}`), nil }
	return l
}

// newOwn is a scene on the connection of one client, which a lane reaches; nil for one without
// a session.
func newOwn(t *testing.T, k kind, l *lane) *scene {
	s := &scene{wire: &wire{}, results: map[string]error{}, backs: map[string]*notes{}, cancels: map[string]func(){}}
	s.script = func(m *jsonrpc.Message, say func(string)) {
		if m.Method == mcp.ToolsCall || m.Method == mcp.Ping {
			s.mu.Lock()
			s.opened, s.say = append(s.opened, string(m.ID)), say
			s.mu.Unlock()
		}
		if m.Method == mcp.Ping {
			say(empty)
		}
	}
	p := stateful.Params{PerClient: true, From: &mcp.Caller{Principal: "p"}, Capabilities: []byte(`{"elicitation":{},"sampling":{},"roots":{"listChanged":true}}`)}
	if l != nil {
		p.From.Session, p.From.Back = "A", l
	}
	s.ob = declares(t, k, s.wire, p)
	s.heard = hear(t, s.ob)
	t.Cleanup(s.calls.Wait)
	if err := s.ob.Check(t.Context()); err != nil { // from here on the server can say something
		t.Fatal(err)
	}
	return s
}

// question has the server ask outside of calls; what it is answered is appended to got.
func (s *scene) question(id, method string) (got func() string) {
	var mu sync.Mutex
	answer := ""
	s.await(id, func(a *jsonrpc.Message) {
		mu.Lock()
		defer mu.Unlock()
		answer = string(a.Raw)
	})
	s.say(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{}}`)
	return func() string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return answer
	}
}

func wantAnswer(t *testing.T, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

// TestAQuestionOutsideOfCalls goes to the client that the connection is for, as soon as it
// listens.
func TestAQuestionOutsideOfCalls(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		l := newLane()
		s := newOwn(t, k, l)
		got := s.question("1", mcp.RootsList)
		wantAnswer(t, got(), "")
		time.Sleep(5*time.Second - time.Millisecond)
		wantAnswer(t, got(), "")
		l.listen()
		wantAnswer(t, got(), `"by":"lane"`)
		wantAnswer(t, s.question("2", mcp.Elicit)(), `"by":"lane"`)
		wantAnswer(t, s.question("3", "unknown/method")(), `-32601`)
		if n := len(l.questions()); n != 2 {
			t.Errorf("the client was asked %d times", n)
		}
	})
}

// TestAQuestionOutsideOfCallsIsRefused where nobody comes.
func TestAQuestionOutsideOfCallsIsRefused(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		for _, l := range []*lane{nil, newLane()} {
			s := newOwn(t, k, l)
			got := s.question("1", mcp.RootsList)
			time.Sleep(5*time.Second - time.Millisecond)
			wantAnswer(t, got(), "")
			time.Sleep(time.Millisecond)
			wantAnswer(t, got(), noCall)
		}
	})
}

// TestTheNextCallCarriesTheQuestion: the server gets that call once it has the answer.
func TestTheNextCallCarriesTheQuestion(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newOwn(t, k, nil)
		got := s.question("1", mcp.RootsList)
		more := s.question("2", mcp.Elicit)
		time.Sleep(4 * time.Second)
		hold := make(chan struct{})
		c := call(`{"name":"s.t"}`)
		c.From = &mcp.Caller{Principal: "p", TakesRounds: true}
		c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) {
			<-hold
			return []byte(`{"by":"call"}`), nil
		}
		lists := call(`{}`) // cannot carry it
		lists.Method, lists.From = "x/y", c.From
		for _, one := range []*mcp.Call{lists, c} {
			s.calls.Go(func() {
				if _, err := s.ob.Handle(t.Context(), one); err != nil && one == c {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if last := s.last(1)[0]; !strings.Contains(last, `"x/y"`) {
			t.Errorf("the server got %s before it was answered", last)
		}
		time.Sleep(time.Hour) // the client takes its time
		wantAnswer(t, got(), "")
		close(hold)
		wantAnswer(t, got(), `"by":"call"`)
		wantAnswer(t, more(), `"by":"call"`)
		time.Sleep(100 * time.Millisecond) // for the server to make use of them
		synctest.Wait()
		if last := s.last(1)[0]; !strings.Contains(last, `"tools/call"`) {
			t.Errorf("then the server got %s", last)
		}
		s.mu.Lock()
		id := s.opened[len(s.opened)-1]
		s.mu.Unlock()
		s.finish(id)
		s.say(`{"jsonrpc":"2.0","id":6,"result":{}}`)
	})
}

// TestRootsThatNobodyToldAreAskedForAgain: before its next call a client that could not be asked is
// told that its roots changed, and that call brings the question along.
func TestRootsThatNobodyToldAreAskedForAgain(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newOwn(t, k, nil)
		refused := s.question("1", mcp.RootsList)
		time.Sleep(time.Minute)
		wantAnswer(t, refused(), noCall)
		var again func() string
		s.told = func(m *jsonrpc.Message) {
			if m.Method == mcp.NoteRootsListChanged {
				again = s.question("2", mcp.RootsList)
			}
		}
		hold := make(chan struct{})
		c := call(`{"name":"s.t"}`)
		c.From = &mcp.Caller{Principal: "p", TakesRounds: true}
		c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) {
			<-hold
			return []byte(`{"by":"call"}`), nil
		}
		s.calls.Go(func() {
			if _, err := s.ob.Handle(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(time.Minute) // the client takes its time, and the server has not got the call
		if last := s.last(1)[0]; !strings.Contains(last, mcp.Ping) {
			t.Errorf("the server got %s", last)
		}
		close(hold)
		wantAnswer(t, again(), `"by":"call"`)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		s.finish(s.opened[len(s.opened)-1])
		s.finish(s.begin(t, "b")) // told once
		methods := []string{}
		for _, raw := range s.last(100)[2:] {
			if method, _ := rawjson.Text(rawjson.Get([]byte(raw), "method")); method != "" {
				methods = append(methods, method)
			}
		}
		if want := []string{mcp.Ping, mcp.NoteRootsListChanged, mcp.Ping, mcp.ToolsCall, mcp.ToolsCall}; !slices.Equal(methods, want) {
			t.Errorf("the server got %q", methods)
		}
	})
}

// TestRootsAreNotAskedForAgain where the client never said that they may change.
func TestRootsAreNotAskedForAgain(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		w := &wire{}
		say := func(string) {}
		w.script = func(m *jsonrpc.Message, answer func(string)) { say = answer; answer(empty) }
		w.told = func(m *jsonrpc.Message) {
			if m.Method == mcp.NoteRootsListChanged {
				t.Error("the server was told")
			}
		}
		ob := declares(t, k, w, stateful.Params{PerClient: true, From: &mcp.Caller{Principal: "p"}, Capabilities: []byte(`{"roots":{}}`)})
		hear(t, ob)
		if err := ob.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		say(`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`)
		time.Sleep(time.Minute)
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
			t.Error(err)
		}
	})
}

// TestAClientThatNeverAnswersIsNotWaitedFor: its calls go on, at once where it listens and is asked
// there, else after a while.
func TestAClientThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		for _, listens := range []bool{true, false} {
			l := newLane()
			never := func(ctx context.Context, _ string, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
			l.ask = never
			s := newOwn(t, k, l)
			if listens {
				l.listen()
			}
			s.told = func(m *jsonrpc.Message) {
				if m.Method == mcp.NoteRootsListChanged { // as it is before a call, since nobody could tell it at first
					s.say(`{"jsonrpc":"2.0","id":2,"method":"roots/list"}`)
				}
			}
			s.say(`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`)
			synctest.Wait()
			s.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			synctest.Wait()
			c := call(`{"name":"s.t"}`)
			c.Back.(*notes).ask = never
			began := time.Now()
			sent := make(chan time.Duration, 1)
			script := s.script
			s.script = func(m *jsonrpc.Message, say func(string)) {
				if m.Method == mcp.ToolsCall {
					sent <- time.Since(began)
					say(empty)
					return
				}
				script(m, say)
			}
			if _, err := s.ob.Handle(t.Context(), c); err != nil {
				t.Error(err)
			}
			if took := <-sent; listens && took != 0 || took > 5*time.Second {
				t.Errorf("listens is %v: the call waited %s", listens, took)
			}
		}
	})
}

// TestACallThatCarriesMayBeCancelled: the server never heard of it, and the question waits on.
func TestACallThatCarriesMayBeCancelled(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		l := newLane()
		s := newOwn(t, k, l)
		got := s.question("1", mcp.RootsList)
		synctest.Wait()
		ctx, stop := context.WithCancel(t.Context())
		c := call(`{"name":"s.t"}`)
		c.Back.(*notes).ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		s.calls.Go(func() {
			if _, err := s.ob.Handle(ctx, c); err == nil {
				t.Error("a cancelled call succeeded")
			}
		})
		synctest.Wait()
		stop()
		synctest.Wait()
		for _, raw := range s.last(20) {
			if strings.Contains(raw, mcp.ToolsCall) || strings.Contains(raw, mcp.NoteCancelled) {
				t.Errorf("the server got %s", raw)
			}
		}
		l.listen()
		wantAnswer(t, got(), `"by":"lane"`)
	})
}

// TestAQuestionOutlivesItsCall: the call that carried it was answered first.
func TestAQuestionOutlivesItsCall(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		l := newLane()
		s := newOwn(t, k, l)
		a := s.begin(t, "a")
		s.backs["a"].ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		got := s.question("1", mcp.Elicit)
		wantAnswer(t, got(), "")
		l.listen()
		wantAnswer(t, got(), "")
		wantAnswer(t, s.question("2", mcp.RootsList)(), `"by":"lane"`) // no call's question
		s.finish(a)
		wantAnswer(t, got(), `"by":"lane"`)
	})
}

// TestTheServerWithdrawsAQuestionOutsideOfCalls while it waits: nobody is asked, nothing answered.
func TestTheServerWithdrawsAQuestionOutsideOfCalls(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		l := newLane()
		s := newOwn(t, k, l)
		got := s.question("1", mcp.RootsList)
		synctest.Wait()
		s.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
		synctest.Wait()
		l.listen()
		time.Sleep(time.Minute)
		wantAnswer(t, got(), "")
		if n := len(l.questions()); n != 0 {
			t.Errorf("the client was asked %d times", n)
		}
	})
}
