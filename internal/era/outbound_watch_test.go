package era_test

import (
	"errors"
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
	"mcpgateway/internal/transport"
)

const everything = `"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{}}`

const (
	initializedAll = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25",` + everything + `}}`
	discoveredAll  = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],` + everything + `}}`
)

// sent gives of the messages that the server got those with one of the methods, as method
// and params without _meta.
func (w *wire) sent(methods ...string) (out []string) {
	for _, raw := range w.last(999) {
		m, err := jsonrpc.Parse([]byte(raw), jsonrpc.ServerLimits)
		if err == nil && slices.Contains(methods, m.Method) {
			params, _, _ := strings.Cut(string(m.Params), `,"_meta"`)
			out = append(out, m.Method+" "+params)
		}
	}
	return out
}

func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = nil
}

// TestStatefulWatch: the difference alone goes to the server.
func TestStatefulWatch(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		w := &wire{says: initializedAll}
		w.script = func(m *jsonrpc.Message, say func(string)) {
			if strings.Contains(string(m.Params), "gone") {
				say(unknown)
				return
			}
			say(empty)
		}
		ob := k.connect(t, w)
		heard := hear(t, ob)
		step := func(fails bool, uris []string, want ...string) {
			t.Helper()
			w.forget()
			err := ob.Watch(t.Context(), uris)
			var refused era.Unwatched
			if (err != nil) != fails || fails && (!errors.As(err, &refused) || len(refused) != 1 || era.AsRemote(refused["gone"]) == nil) {
				t.Errorf("%q: %v", uris, err)
			}
			if got := w.sent(mcp.Subscribe, mcp.Unsubscribe); !slices.Equal(got, want) {
				t.Errorf("%q: the server got %q, want %q", uris, got, want)
			}
		}
		step(false, nil)
		step(false, []string{"a", "b\u00e4"}, `resources/subscribe {"uri":"a"}`, `resources/subscribe {"uri":"bä"}`)
		step(false, []string{"a", "b\u00e4"})
		step(false, []string{"b\u00e4", "c"}, `resources/unsubscribe {"uri":"a"}`, `resources/subscribe {"uri":"c"}`)
		step(true, []string{"b\u00e4", "gone", "c"}, `resources/subscribe {"uri":"gone"}`)
		step(true, []string{"b\u00e4", "gone"}, `resources/unsubscribe {"uri":"c"}`, `resources/subscribe {"uri":"gone"}`)
		step(false, nil, `resources/unsubscribe {"uri":"bä"}`)
		if got := heard.take(); got != nil {
			t.Errorf("heard %q", got)
		}
	})
}

// TestUnwatchable: a server that does not offer it is not asked.
func TestUnwatchable(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		w := &wire{}
		ob := k.connect(t, w)
		if !k.stateless { // it announces its tools, to which a stateless one is listened
			hear(t, ob)
		}
		w.forget()
		if err := ob.Watch(t.Context(), []string{"a"}); err != nil || len(w.last(9)) != 0 {
			t.Errorf("%v, the server got %q", err, w.last(9))
		}
	})
}

// TestWatchAfterReopen: in a new session all is subscribed again, and may have changed.
func TestWatchAfterReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t: t, says: initializedAll}
		w.script = func(_ *jsonrpc.Message, say func(string)) { say(empty) }
		ob, err := stateful.Connect(t.Context(), w.streams(), stateful.Params{Self: self})
		if err != nil {
			t.Fatal(err)
		}
		heard := hear(t, ob)
		if err := ob.Watch(t.Context(), []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		if got := heard.take(); got != nil {
			t.Errorf("heard %q", got)
		}
		w.forget()
		var lost sync.Once
		w.fail = func(m *jsonrpc.Message) (err error) {
			if m.Method == mcp.ToolsCall {
				lost.Do(func() { err = &transport.Status{Code: 404, Session: true} })
			}
			return err
		}
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
			t.Fatal(err)
		}
		got := heard.take()
		slices.Sort(got)
		want := []string{"changed prompts", "changed resources", "changed tools", `updated {"uri":"a"}`, `updated {"uri":"b"}`}
		if !slices.Equal(got, want) {
			t.Errorf("heard %q", got)
		}
		if got := w.sent(mcp.Subscribe); !slices.Equal(got, []string{`resources/subscribe {"uri":"a"}`, `resources/subscribe {"uri":"b"}`}) {
			t.Errorf("the server got %q", got)
		}
		// What is not watched any more is not unsubscribed from where it never was.
		w.forget()
		if err := ob.Watch(t.Context(), []string{"b"}); err != nil {
			t.Fatal(err)
		}
		if got := w.sent(mcp.Subscribe, mcp.Unsubscribe); !slices.Equal(got, []string{`resources/unsubscribe {"uri":"a"}`}) {
			t.Errorf("the server got %q", got)
		}
	})
}

// A listened is a stateless server's side of our subscriptions.
type listened struct {
	*wire
	mu     sync.Mutex
	says   map[string]func(string) // of the open ones, by id
	ids    []string                // all, in order
	refuse bool
	bad    []string // resources that it refuses, with the whole request
	silent bool
}

func newListened() *listened {
	l := &listened{wire: &wire{says: discoveredAll}, says: map[string]func(string){}}
	l.script = func(m *jsonrpc.Message, say func(string)) {
		if m.Method != mcp.SubscriptionsListen {
			say(empty)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		id := string(m.ID)
		l.ids = append(l.ids, id)
		if l.refuse || slices.ContainsFunc(l.bad, func(uri string) bool { return strings.Contains(string(m.Params), `"`+uri+`"`) }) {
			say(unknown)
			return
		}
		if l.says[id] = say; l.silent {
			return
		}
		l.note(id, mcp.NoteAcknowledged, "")
	}
	return l
}

func (l *listened) note(id, method, more string) {
	l.says[id](fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, method, more, id))
}

// newest gives the id of the last subscription.
func (l *listened) newest() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[len(l.ids)-1]
}

// TestStatelessWatch: one subscription of ours carries everything; a new set is acknowledged
// before the old subscription ends.
func TestStatelessWatch(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		lists := []string{"changed tools", "changed prompts", "changed resources"}
		if got := heard.take(); !slices.Equal(got, lists) {
			t.Errorf("once it was acknowledged: %q", got)
		}
		const filter = `subscriptions/listen {"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true`
		if got := l.sent(mcp.SubscriptionsListen); !slices.Equal(got, []string{filter + "}}"}) && !slices.Equal(got, []string{filter + "}"}) {
			t.Errorf("the server got %q", got)
		}
		first := l.newest()
		l.forget()
		if err := ob.Watch(t.Context(), []string{"b", "a", "b"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		second := l.newest()
		got := l.sent(mcp.SubscriptionsListen, mcp.NoteCancelled)
		if len(got) == 0 || !strings.HasPrefix(got[0], filter+`,"resourceSubscriptions":["a","b"]`) {
			t.Errorf("the server got %q", got)
		}
		switch {
		case k.streams:
			if !slices.Equal(l.ended, []string{mcp.SubscriptionsListen}) {
				t.Errorf("ended %q", l.ended)
			}
		case len(got) != 2 || got[1] != `notifications/cancelled {"requestId":`+first+`}`:
			t.Errorf("the server got %q", got)
		}
		if got := heard.take(); got != nil {
			t.Errorf("without a gap nothing is told: %q", got)
		}
		l.forget()
		l.note(second, mcp.NoteUpdated, `"uri":"a",`)
		l.note(second, mcp.Prompts.Changed(), "")
		if got := heard.take(); !slices.Equal(got, []string{`updated {"uri":"a"}`, "changed prompts"}) {
			t.Errorf("heard %q", got)
		}
		for range 3 { // the same set is no news to the server
			if err := ob.Watch(t.Context(), []string{"a", "b"}); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.sent(mcp.SubscriptionsListen); got != nil {
			t.Errorf("the server got %q", got)
		}
		// A lost stream: listen again, and what is watched may have changed.
		l.says[second](fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete"}}`, second))
		time.Sleep(2 * time.Second)
		if got := heard.take(); !slices.Equal(got, append(lists, `updated {"uri":"a"}`, `updated {"uri":"b"}`)) {
			t.Errorf("after the end of the subscription: %q", got)
		}
		if l.newest() == second {
			t.Error("nobody listens")
		}
	})
}

// TestWatchesAreMerged: however many come while a subscription is being opened.
func TestWatchesAreMerged(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		hear(t, ob)
		synctest.Wait()
		l.mu.Lock()
		l.silent = true
		l.mu.Unlock()
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				if err := ob.Watch(t.Context(), []string{fmt.Sprint("u", i)}); err != nil {
					t.Error(err)
				}
			})
		}
		id := l.newest()
		l.mu.Lock()
		l.silent = false
		if len(l.ids) != 2 {
			t.Errorf("%d subscriptions", len(l.ids))
		}
		l.mu.Unlock()
		l.note(id, mcp.NoteAcknowledged, "")
		calls.Wait()
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.ids); n > 3 { // the first set of them, and the last
			t.Errorf("%d subscriptions", n)
		}
	})
}

// TestRefusedWatch: the caller learns it, the old subscription stays, and it is tried again. What
// is taken then may have changed meanwhile.
func TestRefusedWatch(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		first := l.newest()
		heard.take()
		l.mu.Lock()
		l.refuse = true
		l.mu.Unlock()
		if err := ob.Watch(t.Context(), []string{"a"}); err == nil || era.AsRemote(err) == nil {
			t.Errorf("%v", err)
		}
		l.note(first, mcp.Tools.Changed(), "")
		if got := heard.take(); !slices.Equal(got, []string{"changed tools"}) {
			t.Errorf("heard %q", got)
		}
		l.mu.Lock()
		l.refuse = false
		l.mu.Unlock()
		time.Sleep(2 * time.Second)
		for range 2 {
			if got := heard.take(); !slices.Equal(got, []string{`updated {"uri":"a"}`}) {
				t.Errorf("heard %q", got)
			}
			l.note(l.newest(), mcp.NoteUpdated, `"uri":"a",`)
		}
	})
}

// TestServersEndSubscriptions on a pipe by a cancellation, which is not answered with one.
func TestServersEndSubscriptions(t *testing.T) {
	each(t, func(k kind) bool { return k.stateless && !k.streams }, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		first := l.newest()
		heard.take()
		l.says[first](`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + first + `}}`)
		time.Sleep(500 * time.Millisecond)
		if got := l.sent(mcp.NoteCancelled); got != nil {
			t.Errorf("the server got %q", got)
		}
		// Nobody waits for a subscription while there is none to be had.
		began := time.Now()
		if err := ob.Watch(t.Context(), []string{"a"}); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Second)
		if got := heard.take(); !slices.Contains(got, `updated {"uri":"a"}`) || l.newest() == first {
			t.Errorf("heard %q", got)
		}
	})
}
