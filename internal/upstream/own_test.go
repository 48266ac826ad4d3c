package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// A lane is a client as it is reached outside of its calls.
type lane struct {
	open chan struct{} // closed once it listens; nil: it does

	mu  sync.Mutex
	got []string // guarded by mu
}

func (l *lane) note(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, s)
}

func (l *lane) told() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func (l *lane) Notify(_ context.Context, method string, params []byte) error {
	l.note(method + " " + string(params))
	return nil
}

func (l *lane) Ask(_ context.Context, method string, params []byte) ([]byte, error) {
	l.note(method + " " + string(params))
	return []byte(`{"roots":[]}`), nil
}

func (l *lane) Open() <-chan struct{} {
	if l.open != nil {
		return l.open
	}
	c := make(chan struct{})
	close(c)
	return c
}

// TestTheClientsServerSpeaksToIt outside of its calls: questions and log lines. The shared
// connection's do not reach it.
func TestTheClientsServerSpeaksToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		p.script = func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.NoteInitialized {
				w.in(time.Second, m, `{"jsonrpc":"2.0","id":"r","method":"roots/list"}`)
				w.in(time.Second, m, `{"jsonrpc":"2.0","id":"e","method":"elicitation/create","params":{"message":"m"}}`)
				w.in(time.Second, m, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d}}`, w.n))
			}
			return saysWhich(w, m)
		}
		r := perClient(t, p, 2)
		l, other := &lane{}, &lane{}
		a := from("A", "p", `{"roots":{},"elicitation":{}}`, nil)
		a.Back = l
		b := from("B", "p", `{}`, nil)
		b.Back = other
		which(t, r, a)
		which(t, r, b)
		time.Sleep(2 * time.Second)
		got := l.told()
		slices.Sort(got)
		want := []string{`elicitation/create {"message":"s: m"}`, `notifications/message {"level":"info","data":2}`, "roots/list "}
		if !slices.Equal(got, want) {
			t.Errorf("A was told %q", got)
		}
		if got := other.told(); !slices.Equal(got, []string{`notifications/message {"level":"info","data":3}`}) {
			t.Errorf("B was told %q", got)
		}
	})
}

// TestTwoProgramsOfOnePrincipal have connections of their own.
func TestTwoProgramsOfOnePrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := perClient(t, &peer{script: saysWhich}, 2)
		one, two := from("", "p", `{}`, nil), from("", "p", `{}`, nil)
		one.Client, two.Client = []byte(`{"name":"x"}`), []byte(`{"name":"y"}`)
		if a, b, c := which(t, r, one), which(t, r, two), which(t, r, one); a != "2" || b != "3" || c != "2" {
			t.Errorf("connections %s, %s and %s", a, b, c)
		}
	})
}

// An archive is a library on whose connections updates can be told one by one.
type archive struct {
	*library
	mu    sync.Mutex
	wires map[int]*wire
	gone  map[int]bool
}

func newArchive() *archive {
	a := &archive{library: newLibrary(), wires: map[int]*wire{}, gone: map[int]bool{}}
	script := a.script
	a.script = func(w *wire, m *jsonrpc.Message) error {
		a.mu.Lock()
		a.wires[w.n] = w
		a.mu.Unlock()
		if m.Method == "end/this" {
			return errors.New("killed")
		}
		if m.Method == mcp.ToolsCall {
			return saysWhich(w, m)
		}
		return script(w, m)
	}
	return a
}

func (a *archive) update(n int, uri string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wires[n].say(nil, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"`+uri+`"}}`)
	synctest.Wait()
}

// subscriptions are "2 resources/subscribe": the connection and what it was asked.
func (a *archive) subscriptions() []string {
	synctest.Wait()
	return slices.DeleteFunc(a.methods(), func(m string) bool { return !strings.HasSuffix(m, "subscribe") })
}

// TestAClientWatchesOnItsOwnConnection, which stays open meanwhile, and hears of no other's.
func TestAClientWatchesOnItsOwnConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newArchive()
		r := perClient(t, &l.peer, 3)
		told := map[string]int{}
		watch := func(who *mcp.Caller, name, uri string) func() {
			stop, err := r.WatchResource(t.Context(), who, uri, func(string) { told[name]++ })
			if err != nil {
				t.Fatal(err)
			}
			return stop
		}
		a, b, c := from("A", "p", `{}`, nil), from("B", "p", `{}`, nil), from("", "p", `{}`, nil)
		stopA := watch(a, "a", "file:///a")
		stopB := watch(b, "b", "file:///a")
		stopC := watch(c, "c", "file:///a")
		if got := l.subscriptions(); !slices.Equal(got, []string{"2 resources/subscribe", "3 resources/subscribe", "4 resources/subscribe"}) {
			t.Errorf("asked %q", got)
		}
		for n, name := range map[int]string{2: "a", 3: "b", 4: "c"} {
			clear(told)
			l.update(n, "file:///a")
			if told[name] != 1 || len(told) != 1 {
				t.Errorf("an update on connection %d: told %v", n, told)
			}
		}
		time.Sleep(2 * clientIdle)
		if n := which(t, r, a); n != "2" {
			t.Errorf("A's connection is %s, though it watched", n)
		}
		if _, err := r.Handle(t.Context(), callOf(r.Server, from("C", "p", `{}`, nil))); err == nil {
			t.Error("a connection that is watched made room")
		}
		stopA()
		stopB()
		stopC()
		time.Sleep(2 * time.Second)
		got := l.subscriptions()[3:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"2 resources/unsubscribe", "3 resources/unsubscribe", "4 resources/unsubscribe"}) {
			t.Errorf("then %q", got)
		}
		time.Sleep(2 * clientIdle)
		synctest.Wait()
		if r.clients.find(a) != nil || r.clients.keptAs(a).watched.any() {
			t.Error("the connection stays though nobody watches")
		}
	})
}

// TestWhatIsWatchedIsWatchedAgain on a new connection of the same client, which hears that it
// may have changed; not after the session's end.
func TestWhatIsWatchedIsWatchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newArchive()
		l.refuse = func(n int) error {
			if n == 3 || n == 4 {
				return errors.New("no")
			}
			return nil
		}
		r := perClient(t, &l.peer, 2)
		ended := make(chan struct{})
		a := from("A", "p", `{}`, ended)
		var mu sync.Mutex
		told := 0
		stop, err := r.WatchResource(t.Context(), a, "file:///a", func(string) { mu.Lock(); told++; mu.Unlock() })
		if err != nil {
			t.Fatal(err)
		}
		r.Notify(a, "end/this", nil)
		time.Sleep(time.Minute)
		if got := l.subscriptions(); !slices.Equal(got, []string{"2 resources/subscribe", "5 resources/subscribe"}) || told != 1 {
			t.Errorf("asked %q, told %d times", got, told)
		}
		l.update(5, "file:///a")
		if told != 2 {
			t.Errorf("told %d times", told)
		}
		close(ended)
		time.Sleep(time.Hour)
		stop()
		synctest.Wait()
		if n := len(l.dialed()); n != 5 || len(r.clients.kept) != 0 {
			t.Errorf("%d connections were made, %d clients are remembered", n, len(r.clients.kept))
		}
	})
}

// TestARefusedWatchLeavesNothing open at a client's connection.
func TestARefusedWatchLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newArchive()
		r := perClient(t, &l.peer, 2)
		var remote *mcp.Remote
		if _, err := r.WatchResource(t.Context(), from("A", "p", `{}`, nil), "file:///forbidden", func(string) {}); !errors.As(err, &remote) {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * clientIdle)
		synctest.Wait()
		if r.clients.keptAs(from("A", "p", `{}`, nil)).watched.any() || len(r.clients.byKey) != 0 {
			t.Error("something is left")
		}
	})
}
