package era_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A scene is a pipe on which calls stay open until the test answers them.
type scene struct {
	*wire
	ob      era.Outbound
	heard   *told
	advice  []string
	say     func(string)
	calls   sync.WaitGroup
	mu      sync.Mutex
	opened  []string          // ids
	results map[string]error  // by the call's name
	backs   map[string]*notes // by the call's name
	cancels map[string]func()
	n       int
}

func newScene(t *testing.T, k kind, perClient bool) *scene {
	return newSceneOf(t, k, &wire{}, perClient)
}

func newSceneOf(t *testing.T, k kind, w *wire, perClient bool) *scene {
	s := &scene{wire: w, results: map[string]error{}, backs: map[string]*notes{}, cancels: map[string]func(){}}
	s.script = func(m *jsonrpc.Message, say func(string)) {
		if m.Method == mcp.ToolsCall {
			s.mu.Lock()
			s.opened, s.say = append(s.opened, string(m.ID)), say
			s.mu.Unlock()
		}
	}
	s.ob = declares(t, k, s.wire, stateful.Params{PerClient: perClient, Report: func(a string) { s.advice = append(s.advice, a) }})
	s.heard = hear(t, s.ob)
	t.Cleanup(s.calls.Wait)
	return s
}

// begin begins a call and gives the id of its request.
func (s *scene) begin(t *testing.T, name string) string {
	return s.beginFrom(t, name, &mcp.Caller{Principal: "local"})
}

func (s *scene) beginFrom(t *testing.T, name string, from *mcp.Caller) string {
	ctx, stop := context.WithCancel(t.Context())
	c := call(`{"name":"s.t"}`)
	c.From = from
	back := c.Back.(*notes)
	back.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"by":"` + name + `"}`), nil }
	s.backs[name], s.cancels[name] = back, stop
	s.calls.Go(func() {
		defer stop()
		_, err := s.ob.Handle(ctx, c)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.results[name] = err
	})
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[len(s.opened)-1]
}

func (s *scene) finish(id string) {
	s.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, id))
	synctest.Wait()
}

// ask has the server ask on the stream of all, and gives who answered, or the error.
func (s *scene) ask(t *testing.T) string {
	t.Helper()
	s.n++
	id := fmt.Sprint(1000 + s.n)
	got := ""
	s.await(id, func(a *jsonrpc.Message) {
		s.mu.Lock()
		defer s.mu.Unlock()
		got, _ = rawjson.Text(rawjson.Get(a.Result, "by"))
		if a.Kind == jsonrpc.Failure {
			got, _ = rawjson.Text(rawjson.Get(a.Error, "message"))
		}
	})
	s.say(`{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{"message":"m"}}`)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return got
}

const (
	several = "several calls are in flight"
	lingers = "a call that was cancelled or timed out has not been answered"
	noCall  = "no call is open"
)

// TestAttributionOnAPipe: to the only call that is not answered, or to nobody.
func TestAttributionOnAPipe(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		is := func(want string) {
			t.Helper()
			if got := s.ask(t); got == "" || !strings.HasPrefix(got, want) {
				t.Errorf("the server got %q, want %s", got, want)
			}
		}
		a := s.begin(t, "a")
		is("a")
		b := s.begin(t, "b")
		is(several)
		if got := s.ask(t); !strings.Contains(got, `"sessions": "per-client"`) {
			t.Errorf("the server got %q", got)
		}
		if len(s.advice) != 2 || !strings.Contains(s.advice[0], `"sessions": "per-client"`) {
			t.Errorf("reported %q", s.advice)
		}
		s.finish(a)
		is("b")
		s.finish(b)
		is(noCall)
		// A call that was cancelled counts until its answer comes.
		c := s.begin(t, "c")
		s.cancels["c"]()
		is(noCall)
		d := s.begin(t, "d")
		is(lingers)
		s.finish(c)
		is("d")
		s.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, c)) // once more, which frees nothing
		is("d")
		s.finish(d)
		is(noCall)
		for name, n := range map[string]int{"a": 1, "b": 1, "c": 0, "d": 2} {
			if got := len(s.backs[name].questions()); got != n {
				t.Errorf("%s was asked %d times, want %d", name, got, n)
			}
		}
	})
}

// TestABrokenLateAnswerFreesTheConnection too.
func TestABrokenLateAnswerFreesTheConnection(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		a := s.begin(t, "a")
		s.cancels["a"]()
		synctest.Wait()
		s.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":7}`, a))
		b := s.begin(t, "b")
		if got := s.ask(t); got != "b" {
			t.Errorf("the server got %q", got)
		}
		s.finish(b)
	})
}

// TestPerClient: of several calls of one client the newest that may be asked about.
func TestPerClient(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, true)
		a := s.begin(t, "a")
		b := s.begin(t, "b")
		if got := s.ask(t); got != "b" {
			t.Errorf("the server got %q", got)
		}
		s.cancels["b"]()
		synctest.Wait()
		if got := s.ask(t); got != "a" {
			t.Errorf("with a cancelled call the server got %q", got)
		}
		s.finish(a)
		s.finish(b)
		if got := s.ask(t); got != "" {
			t.Errorf("without a call the server got %q at once", got)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := s.last(1)[0]; !strings.Contains(got, noCall) {
			t.Errorf("without a call the server got %q", got)
		}
		if len(s.advice) != 0 {
			t.Errorf("reported %q", s.advice)
		}
	})
}

// TestAQuestionMovesOn to another call of its client when the one it was put to is answered.
func TestAQuestionMovesOn(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, true)
		a := s.begin(t, "a")
		b := s.begin(t, "b")
		s.backs["b"].ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var by string
		s.await("1", func(m *jsonrpc.Message) { by, _ = rawjson.Text(rawjson.Get(m.Result, "by")) })
		s.say(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"m"}}`)
		synctest.Wait()
		if by != "" || len(s.backs["b"].questions()) != 1 {
			t.Fatalf("%q answered, b was asked %q", by, s.backs["b"].questions())
		}
		s.finish(b)
		if by != "a" {
			t.Errorf("%q answered", by)
		}
		s.finish(a)
	})
}

// TestAttributionOnTheGETStream is the same, but that a call's own stream is its own.
func TestAttributionOnTheGETStream(t *testing.T) {
	each(t, func(k kind) bool { return isStateful(k) && k.streams }, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		a := s.begin(t, "a")
		own := s.say
		events := s.events
		s.say = func(line string) {
			m, err := jsonrpc.Parse([]byte(line), jsonrpc.ServerLimits)
			if err != nil {
				t.Error(err)
			}
			events <- jsonrpc.Event{Message: m}
		}
		get := s.say
		if got := s.ask(t); got != "a" {
			t.Errorf("the server got %q", got)
		}
		s.begin(t, "b")
		ofB := s.say
		s.say = get
		if got := s.ask(t); !strings.HasPrefix(got, several) {
			t.Errorf("the server got %q", got)
		}
		s.say = own
		if got := s.ask(t); got != "a" {
			t.Errorf("on its own stream the server got %q", got)
		}
		s.finish(a)
		s.say = get
		s.cancels["b"]() // its stream is closed, so that nobody knows when it ends
		synctest.Wait()
		if got := s.ask(t); !strings.HasPrefix(got, noCall) {
			t.Errorf("after the end of b the server got %q", got)
		}
		_ = ofB
	})
}

// TestQuestionsOnTheStreamsOfOurOwnRequests are nobody's; pings are answered.
func TestQuestionsOnTheStreamsOfOurOwnRequests(t *testing.T) {
	each(t, func(k kind) bool { return isStateful(k) && k.streams }, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		s.begin(t, "a")
		calls := s.script
		answers := map[string]string{}
		s.script = func(m *jsonrpc.Message, say func(string)) {
			if m.Method == mcp.ToolsCall {
				calls(m, say)
				return
			}
			for _, id := range []string{"1", "2"} {
				s.await(id, func(a *jsonrpc.Message) {
					s.mu.Lock()
					defer s.mu.Unlock()
					answers[id] = string(a.Raw)
				})
			}
			say(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			say(`{"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"m"}}`)
			say(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}`)
			say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}`)
		}
		if _, err := s.ob.List(t.Context(), mcp.Tools, era.ListBounds{Pages: 1, Entries: 1, Time: time.Second}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if answers["1"] != `{"jsonrpc":"2.0","id":1,"result":{}}` || !strings.Contains(answers["2"], noCall) || s.backs["a"].questions() != nil {
			t.Errorf("answers %q", answers)
		}
		if got := fmt.Sprint(s.heard.take()); got != `[changed tools notifications/message {"level":"info"}]` {
			t.Errorf("heard %s", got)
		}
		s.cancels["a"]()
	})
}

// TestLogLines go to the only call, in their order before its answer; else to nobody's.
func TestLogLines(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		const lines = 50
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			for i := range lines {
				say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d}}`, i))
			}
			say(empty)
		}}
		ob := k.connect(t, w)
		heard := hear(t, ob)
		synctest.Wait()
		for range 20 {
			c := call(`{"name":"s.t"}`)
			if _, err := ob.Handle(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			got := c.Back.(*notes).told()
			if len(got) != lines || !strings.HasSuffix(got[lines-1], fmt.Sprintf(`"data":%d}`, lines-1)) {
				t.Fatalf("the caller was told %d lines before its answer", len(got))
			}
		}
		if got := heard.take(); got != nil {
			t.Errorf("heard %q", got)
		}
	})
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		a, b := s.begin(t, "a"), s.begin(t, "b")
		s.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}`)
		if got := s.heard.take(); !slices.Equal(got, []string{`notifications/message {"level":"info"}`}) || s.backs["a"].told() != nil || s.backs["b"].told() != nil {
			t.Errorf("heard %q", got)
		}
		s.finish(a)
		s.finish(b)
	})
}

// TestTooManyQuestions at once are refused, and each of the others answered.
func TestTooManyQuestions(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		a := s.begin(t, "a")
		hold := make(chan struct{})
		s.backs["a"].ask = func(context.Context, string, []byte) ([]byte, error) {
			<-hold
			return []byte(`{}`), nil
		}
		const most = 1024
		refused, answered := 0, 0
		for i := range most + 6 {
			id := fmt.Sprint(i)
			s.await(id, func(m *jsonrpc.Message) {
				if m.Kind == jsonrpc.Failure {
					refused++
				} else {
					answered++
				}
			})
			s.say(`{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{}}`)
			synctest.Wait()
		}
		if refused != 6 || answered != 0 {
			t.Errorf("%d refused, %d answered", refused, answered)
		}
		close(hold)
		synctest.Wait()
		if answered != most {
			t.Errorf("%d answered", answered)
		}
		s.finish(a)
	})
}
