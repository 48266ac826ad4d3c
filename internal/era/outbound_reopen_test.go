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
	"mcpgateway/internal/transport"
)

// A torn is a connection to an HTTP server on which the word that a second session is opened fails.
type torn struct {
	transport.Conn
	fail func() error
	mu   sync.Mutex
	n    int // guarded by mu: how often initialized was sent
}

func (c *torn) Send(ctx context.Context, m transport.Message) error {
	if strings.Contains(string(m.Body), mcp.NoteInitialized) {
		c.mu.Lock()
		c.n++
		second := c.n == 2
		c.mu.Unlock()
		if second {
			return c.fail()
		}
	}
	return c.Conn.Send(ctx, m)
}

// losing is a server that has forgotten the first session, which the first call meets.
func losing(t *testing.T, says string, fail func() error) (*wire, *stateful.Outbound) {
	w := &wire{t: t, says: says}
	w.script = func(_ *jsonrpc.Message, say func(string)) { say(empty) }
	ob, err := stateful.Connect(t.Context(), &torn{Conn: w.streams(), fail: fail}, stateful.Params{Self: self})
	if err != nil {
		t.Fatal(err)
	}
	var lost sync.Once
	w.fail = func(m *jsonrpc.Message) (err error) {
		if m.Method == mcp.ToolsCall {
			lost.Do(func() { err = &transport.Status{Code: 404, Session: true} })
		}
		return err
	}
	return w, ob
}

// TestASessionThatWasNotOpenedWhole is opened anew with the next request, and then all is as after
// any loss: subscriptions are made again and what changed is told.
func TestASessionThatWasNotOpenedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ob := losing(t, initializedAll, func() error { return &transport.Status{Code: 503, Session: true} })
		heard := hear(t, ob)
		if err := ob.Watch(t.Context(), []string{"a"}); err != nil {
			t.Fatal(err)
		}
		heard.take()
		w.forget()
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err == nil {
			t.Error("the first call did not fail")
		}
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
			t.Errorf("the next: %v", err)
		}
		synctest.Wait()
		if got := heard.take(); !slices.Contains(got, `updated {"uri":"a"}`) || !slices.Contains(got, "changed tools") {
			t.Errorf("heard %q", got)
		}
		if got := w.sent(mcp.Subscribe); len(got) != 1 {
			t.Errorf("the server got %q", got)
		}
	})
}

// TestACallerThatLeavesTearsNoSession: what it began to open is opened to the end.
func TestACallerThatLeavesTearsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w, ob := losing(t, initializedAll, func() error { leave(); return nil })
		heard := hear(t, ob)
		w.forget()
		if _, err := ob.Handle(ctx, call(`{"name":"s.t"}`)); err != context.Canceled {
			t.Errorf("the call ended with %v", err)
		}
		synctest.Wait()
		if got := heard.take(); !slices.Contains(got, "changed tools") {
			t.Errorf("heard %q", got)
		}
		if got := w.sent(mcp.ToolsCall); len(got) != 1 {
			t.Errorf("a call whose caller left was sent %d times", len(got))
		}
	})
}

// TestASubscriptionThatHangsHoldsUpNoOthers in a new session.
func TestASubscriptionThatHangsHoldsUpNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ob := losing(t, initializedAll, func() error { return nil })
		heard := hear(t, ob)
		if err := ob.Watch(t.Context(), []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		w.script = func(m *jsonrpc.Message, say func(string)) {
			if !strings.Contains(string(m.Params), `"a"`) {
				say(empty)
			}
		}
		heard.take()
		w.forget()
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := w.sent(mcp.Subscribe); !slices.Equal(got, []string{`resources/subscribe {"uri":"a"}`, `resources/subscribe {"uri":"b"}`}) {
			t.Errorf("the server got %q", got)
		}
		if got := heard.take(); !slices.Contains(got, `updated {"uri":"b"}`) {
			t.Errorf("heard %q", got)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := ob.Watch(ctx, []string{"b", "c"}); err != nil {
			t.Error(err)
		}
	})
}

// TestACallOfTheSessionBeforeStopsCounting, though it ends when the new one is open already.
func TestACallOfTheSessionBeforeStopsCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{says: initialized}
		breaks := make(chan struct{})
		var lost sync.Once
		w.script = func(m *jsonrpc.Message, say func(string)) {
			if !strings.Contains(string(m.Params), `"stays"`) {
				say(empty)
			}
		}
		w.fail = func(m *jsonrpc.Message) (err error) {
			if m.Method == mcp.ToolsCall && strings.Contains(string(m.Params), `"old"`) {
				<-breaks
				return transport.ErrClosed
			}
			if m.Method == mcp.ToolsCall {
				lost.Do(func() { err = &transport.Status{Code: 404, Session: true} })
			}
			return err
		}
		ob := declares(t, kind{streams: true}, w, stateful.Params{})
		hear(t, ob)
		begin := func(name string) (back *notes, leave func(), done chan error) {
			ctx, leave := context.WithCancel(t.Context())
			c := call(`{"name":"s.t"}`)
			c.Target.Origin, c.From = name, &mcp.Caller{Principal: name}
			back = c.Back.(*notes)
			back.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{}`), nil }
			done = make(chan error, 1)
			go func() { _, err := ob.Handle(ctx, c); done <- err }()
			synctest.Wait()
			return back, leave, done
		}
		_, end, old := begin("old")
		defer end()
		_, end, next := begin("next") // it meets the 404
		defer end()
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		close(breaks)
		<-old
		stays, leave, done := begin("stays")
		asks := func() {
			question, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":70,"method":"elicitation/create","params":{"message":"m"}}`), jsonrpc.ServerLimits)
			if err != nil {
				t.Fatal(err)
			}
			w.await("70", func(*jsonrpc.Message) {})
			w.events <- transport.Event{Message: question}
			synctest.Wait()
		}
		if asks(); len(stays.questions()) != 0 { // the old call may have been sent in the new session after all
			t.Error("asked at once")
		}
		time.Sleep(time.Minute)
		if asks(); len(stays.questions()) != 1 {
			t.Error("the only call was not asked")
		}
		leave()
		<-done
	})
}
