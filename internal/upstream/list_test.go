package upstream

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// TestListChangedIsCoalesced: one listing a second, and the last change is never missed.
func TestListChangedIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var version atomic.Int64
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Initialize:
				w.say(m, initializedNew)
			case mcp.NoteInitialized:
				go func() {
					era.Sleep(w.ctx, 10*time.Second)
					for range 10_000 { // 3,333 a second
						version.Add(1)
						w.say(m, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
						era.Sleep(w.ctx, 300*time.Microsecond)
					}
				}()
			case mcp.Tools.List():
				w.say(m, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"v%d","inputSchema":{"type":"object"}}]}}`, m.ID, version.Load()))
			default:
				return plain(w, m)
			}
			return nil
		}}
		r := start(t, params(p))
		r.after(time.Minute)
		got := r.published()
		if len(got) < 4 || len(got) > 6 {
			t.Errorf("listed %d times", len(got))
		}
		for i, s := range got[1:] {
			if gap := s.at - got[i].at; gap < time.Second {
				t.Errorf("listed again after %v", gap)
			}
		}
		if last := got[len(got)-1].part.Entries[mcp.Tools][0].Target.Origin; last != "v10000" {
			t.Errorf("the last list has %s", last)
		}
	})
}

// TestStatelessChanges: a subscription announces them, and is made again where it ends.
func TestStatelessChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		note := func(id []byte, method string) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"notifications":{"toolsListChanged":true}}}`, method, id)
		}
		var listens atomic.Int64
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Discover:
				w.say(m, discoveredLive)
			case mcp.SubscriptionsListen:
				w.say(m, note(m.ID, mcp.NoteAcknowledged))
				switch listens.Add(1) {
				case 1: // a change after 10 s; the end after 20 s by a result
					w.in(10*time.Second, m, note(m.ID, mcp.Tools.Changed()))
					w.in(20*time.Second, m, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete"}}`)
				case 2: // the end by a cancellation alone
					w.in(20*time.Second, m, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, m.ID))
				}
			default:
				return plain(w, m)
			}
			return nil
		}}
		r := start(t, params(p))
		r.after(15 * time.Second) // listed at the start, and once more when the subscription holds
		if got := r.published(); len(got) != 3 || got[1].at != 0 || got[2].at != 10*time.Second {
			t.Errorf("after a change: %v", got)
		}
		r.after(30 * time.Second) // listens again after 1 s, and lists since changes may be missed
		if got := r.published(); len(got) != 4 || got[3].at != 21*time.Second {
			t.Errorf("after the end of the subscription: %v", got)
		}
		r.after(time.Hour)
		if got := r.published(); len(got) != 5 || listens.Load() != 3 {
			t.Errorf("after the cancellation: %v, %d subscriptions", got, listens.Load())
		}
		if st := r.Status(); st.State != Ready || st.Restarts != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

// TestStaleListsAreFetchedWhenAsked: after a minute, or the list's own lifetime.
func TestStaleListsAreFetchedWhenAsked(t *testing.T) {
	tests := []struct {
		name, discover, list string
		fresh                time.Duration // 0: for ever
	}{
		{"stateful", unknownMethod, oneTool, time.Minute},
		{"a stateful server's hint counts for nothing", unknownMethod, `{"jsonrpc":"2.0","id":%s,"result":{"ttlMs":1000,"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`, time.Minute},
		{"stateless", discovered, oneTool, time.Minute},
		{"stateless with a lifetime", discovered, `{"jsonrpc":"2.0","id":%s,"result":{"ttlMs":5000,"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`, 5 * time.Second},
		{"a lifetime that is none", discovered, `{"jsonrpc":"2.0","id":%s,"result":{"ttlMs":-1,"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`, time.Minute},
		{"announced", discoveredLive, oneTool, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					switch m.Method {
					case mcp.Discover:
						w.say(m, tt.discover)
					case mcp.Tools.List():
						w.say(m, tt.list)
					default:
						return plain(w, m)
					}
					return nil
				}}
				r := start(t, params(p))
				ask := func(at time.Duration) int {
					r.after(at)
					for range 100 {
						r.Asked()
					}
					synctest.Wait()
					return len(r.published())
				}
				if tt.fresh == 0 {
					if n := ask(time.Hour); n != 1 {
						t.Errorf("listed %d times", n)
					}
					return
				}
				if n := ask(tt.fresh); n != 1 {
					t.Errorf("fresh: listed %d times", n)
				}
				if n := ask(tt.fresh + 1); n != 2 {
					t.Errorf("stale: listed %d times", n)
				}
				if n := ask(tt.fresh + 2*time.Second); n != 2 {
					t.Errorf("fresh again: listed %d times", n)
				}
			})
		})
	}
}

// A journal is a log that is read a few lines at a time.
type journal struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	return len(line), nil
}

func (j *journal) take() (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines, j.lines = j.lines, nil
	return lines
}

// TestWhatListsLackIsToldOnce, until they do not lack it any more.
func TestWhatListsLackIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b, good, more = `{"name":"a"}`, `{"name":"b"}`, `{"name":"t","inputSchema":{"type":"object"}}`, `"nextCursor":"2",`
		lists := []string{
			more + `"tools":[` + a + `]`,
			more + `"tools":[` + a + `]`,
			more + `"tools":[` + a + "," + b + `]`,
			`"tools":[` + good + `]`,
			more + `"tools":[` + a + `]`,
		}
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Initialize:
				w.say(m, initializedNew)
			case mcp.NoteInitialized:
				for i := range lists[1:] {
					w.in(time.Duration(i+1)*10*time.Second, m, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
				}
			case mcp.Tools.List():
				w.say(m, `{"jsonrpc":"2.0","id":%s,"result":{`+lists[0]+`}}`)
				lists = lists[1:]
			default:
				return plain(w, m)
			}
			return nil
		}}
		pr := params(p)
		pr.List.Pages = 1
		var log journal
		pr.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		r := start(t, pr)
		const ofA, ofB, part = "leaves out tool 1", "leaves out tool 2", "listed in part"
		for i, want := range [][]string{{ofA, part}, nil, {ofB}, nil, {ofA, part}} {
			r.after(time.Duration(i) * 10 * time.Second)
			said := log.take()
			if !slices.EqualFunc(said, want, strings.Contains) {
				t.Errorf("of list %d it is told %q", i+1, said)
			}
		}
		if len(lists) > 0 {
			t.Errorf("%d lists were not fetched", len(lists))
		}
	})
}

// TestFailedRefetchIsMadeUp: a change that could not be fetched is fetched when somebody
// lists, and the last list stays meanwhile.
func TestFailedRefetchIsMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := 0
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Initialize:
				w.say(m, initializedNew)
			case mcp.NoteInitialized:
				w.in(10*time.Second, m, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			case mcp.Tools.List():
				if lists++; lists == 2 {
					w.say(m, errorAnswer(-32603, "busy"))
					return nil
				}
				w.say(m, oneTool)
			default:
				return plain(w, m)
			}
			return nil
		}}
		r := start(t, params(p))
		st := r.after(20 * time.Second)
		if st.State != Ready || st.Entries[mcp.Tools] != 1 || len(r.published()) != 1 {
			t.Errorf("status %+v, published %v", st, r.published())
		}
		r.Asked()
		r.after(22 * time.Second)
		if len(r.published()) != 2 {
			t.Errorf("published %v", r.published())
		}
		r.Asked()
		r.after(24 * time.Second)
		if len(r.published()) != 2 {
			t.Errorf("published %v", r.published())
		}
	})
}
