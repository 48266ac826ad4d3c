package upstream

import (
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
	"mcpgateway/internal/rawjson"
)

const (
	subscribes = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true,"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}}`
	twoURIs    = `{"jsonrpc":"2.0","id":%s,"result":{"resources":[{"uri":"file:///a","name":"a"},{"uri":"file:///b","name":"b"}]}}`
	noURIs     = `{"jsonrpc":"2.0","id":%s,"result":{"resourceTemplates":[]}}`
)

// library is a server with resources that tells of changes when update is called.
type library struct {
	peer
	mu   sync.Mutex
	last *wire // guarded by mu
}

func newLibrary() *library {
	l := &library{}
	l.script = func(w *wire, m *jsonrpc.Message) error {
		l.mu.Lock()
		l.last = w
		l.mu.Unlock()
		switch m.Method {
		case mcp.Initialize:
			w.say(m, subscribes)
		case mcp.Resources.List():
			w.say(m, twoURIs)
		case mcp.Templates.List():
			w.say(m, noURIs)
		case mcp.Subscribe, mcp.Unsubscribe:
			if string(rawjson.Get(m.Params, "uri")) == `"file:///forbidden"` {
				w.say(m, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32002,"message":"no"}}`)
				return nil
			}
			w.say(m, empty)
		default:
			return plain(w, m)
		}
		return nil
	}
	return l
}

func (l *library) update(uri string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.say(nil, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"`+uri+`"}}`)
	synctest.Wait()
}

func (l *library) asked() (out []string) {
	l.peer.mu.Lock()
	defer l.peer.mu.Unlock()
	for _, raw := range l.raw {
		for _, method := range []string{mcp.Subscribe, mcp.Unsubscribe} {
			if strings.Contains(raw, `"method":"`+method+`"`) {
				uri, _ := rawjson.Text(rawjson.Get(rawjson.Get([]byte(raw), "params"), "uri"))
				out = append(out, strings.TrimPrefix(method, "resources/")+" "+uri)
			}
		}
	}
	return out
}

// TestUpdatesReachWhoWatches: the URI itself, what lies under it, and all where it is
// nobody's. The server hears of each URI once, and of the end of the last watcher.
func TestUpdatesReachWhoWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary()
		r := start(t, params(l))
		r.readyAt(t)
		var told []string
		watch := func(uri, name string) func() {
			stop, err := r.WatchResource(t.Context(), from("A", "p", `{}`, nil), uri, func(string) { told = append(told, name) })
			if err != nil {
				t.Fatal(err)
			}
			return stop
		}
		a1 := watch("file:///a", "a1")
		a2 := watch("file:///a", "a2")
		b := watch("file:///b", "b")
		for _, c := range []struct{ uri, want string }{
			{"file:///a", "a1 a2"}, {"file:///a/part", "a1 a2"}, {"file:///ab", "a1 a2 b"}, {"file:///b", "b"}, {"other:x", "a1 a2 b"},
		} {
			told = nil
			l.update(c.uri)
			slices.Sort(told)
			if got := strings.Join(told, " "); got != c.want {
				t.Errorf("%s: told %q, want %q", c.uri, got, c.want)
			}
		}
		a1()
		a1()
		synctest.Wait()
		if got := l.asked(); !slices.Equal(got, []string{"subscribe file:///a", "subscribe file:///b"}) {
			t.Errorf("the server was asked %q", got)
		}
		a2()
		b()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := l.asked()[2:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"unsubscribe file:///a", "unsubscribe file:///b"}) {
			t.Errorf("then %q", got)
		}
		told = nil
		l.update("file:///a")
		if told != nil {
			t.Errorf("told %q, though nobody watches", told)
		}
	})
}

// TestWatchersSurviveARestart: the new connection is told what is watched, and they that
// something may have changed.
func TestWatchersSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary()
		script := l.script
		kill := make(chan struct{})
		l.script = func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.ToolsCall && w.n == 1 {
				close(kill)
				return errors.New("killed")
			}
			return script(w, m)
		}
		r := start(t, params(l))
		r.readyAt(t)
		var mu sync.Mutex
		told := 0
		if _, err := r.WatchResource(t.Context(), from("A", "p", `{}`, nil), "file:///a", func(string) { mu.Lock(); told++; mu.Unlock() }); err != nil {
			t.Fatal(err)
		}
		_, _ = r.Handle(t.Context(), call(r.Server, ""))
		<-kill
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.asked(); !slices.Equal(got, []string{"subscribe file:///a", "subscribe file:///a"}) || told != 1 {
			t.Errorf("the server was asked %q, the watcher told %d times", got, told)
		}
		l.update("file:///a")
		if told != 2 {
			t.Errorf("told %d times", told)
		}
	})
}

// TestWatchIsRefused where the server refuses, or has no such thing.
func TestWatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary()
		r := start(t, params(l))
		r.readyAt(t)
		var remote *mcp.Remote
		if _, err := r.WatchResource(t.Context(), from("A", "p", `{}`, nil), "file:///forbidden", func(string) {}); !errors.As(err, &remote) {
			t.Errorf("got %v", err)
		}
		if r.watched.any() {
			t.Error("a refused URI is watched")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := start(t, params(&peer{}))
		r.readyAt(t)
		var e *mcp.Error
		if _, err := r.WatchResource(t.Context(), from("A", "p", `{}`, nil), "file:///a", func(string) {}); !errors.As(err, &e) || e.Code != mcp.UnknownMethod {
			t.Errorf("got %v", err)
		}
	})
}

// TestRefusedResourceFailsItsOwnWatchers, though a stateless server refuses all that it is asked
// for together with it.
func TestRefusedResourceFailsItsOwnWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Discover:
				w.say(m, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true}}}}`)
			case mcp.Resources.List():
				w.say(m, twoURIs)
			case mcp.Templates.List():
				w.say(m, noURIs)
			case mcp.SubscriptionsListen:
				if strings.Contains(string(m.Params), "forbidden") {
					w.say(m, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such resource"}}`)
					return nil
				}
				w.say(nil, fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"notifications":%s,"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`,
					mcp.NoteAcknowledged, rawjson.Get(m.Params, "notifications"), m.ID))
			default:
				return plain(w, m)
			}
			return nil
		}}
		r := start(t, params(p))
		r.readyAt(t)
		var watches sync.WaitGroup
		for i := range 16 {
			uri := fmt.Sprint("file:///", i)
			if i == 7 {
				uri = "file:///forbidden"
			}
			watches.Go(func() {
				_, err := r.WatchResource(t.Context(), from("", "p", `{}`, nil), uri, func(string) {})
				var remote *mcp.Remote
				if i == 7 && !errors.As(err, &remote) || i != 7 && err != nil {
					t.Errorf("%s: %v", uri, err)
				}
			})
		}
		watches.Wait()
		if got := len(r.watched.uris()); got != 15 {
			t.Errorf("%d resources are watched", got)
		}
	})
}
