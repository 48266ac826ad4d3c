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

// TestFailedRefetchIsMadeUp: a change that could not be fetched is fetched again, ever more
// seldom, until it is there, and at once when somebody lists. The last list stays meanwhile.
func TestFailedRefetchIsMadeUp(t *testing.T) {
	const change = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	for name, tt := range map[string]struct {
		failures, lists int // of the first change
		asks            bool
	}{
		"by itself": {8, 10, false},
		"asked":     {8, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var busy atomic.Bool
				var at []time.Time
				p := &peer{}
				p.script = func(w *wire, m *jsonrpc.Message) error {
					switch m.Method {
					case mcp.Initialize:
						w.say(m, initializedNew)
					case mcp.NoteInitialized:
						w.in(10*time.Second, m, change)
					case mcp.Tools.List():
						if at = append(at, time.Now()); len(at) > 1 && len(at) <= 1+tt.failures && busy.Load() {
							w.say(m, errorAnswer(-32603, "busy"))
							return nil
						}
						w.say(m, oneTool)
					default:
						return plain(w, m)
					}
					return nil
				}
				busy.Store(true)
				r := start(t, params(p))
				st := r.after(12 * time.Second) // it failed twice
				if st.State != Ready || st.Entries[mcp.Tools] != 1 || len(r.published()) != 1 {
					t.Errorf("status %+v, published %v", st, r.published())
				}
				if tt.asks {
					busy.Store(false)
					r.Asked()
				}
				r.after(time.Hour)
				if n := len(r.published()); n != 2 || len(at) != tt.lists {
					t.Errorf("published %d times, listed %d times", n, len(at))
				}
				for i := 3; i < len(at) && !tt.asks; i++ {
					if gap, before := at[i].Sub(at[i-1]), at[i-1].Sub(at[i-2]); gap < before || gap > maxWait {
						t.Errorf("after %s it was listed again after %s", before, gap)
					}
				}
				r.Asked()
				r.after(2 * time.Hour)
				if n := len(r.published()); n != 2 {
					t.Errorf("published %d times in the end", n)
				}
			})
		})
	}
}

// TestAChangeThatCouldNotBeFetched is fetched at the client's next list, whatever else was fetched
// since, or a while later; on the connection of one client as on the shared one.
func TestAChangeThatCouldNotBeFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		fails, tools := false, []string{"t"}
		live := map[int]*wire{}
		p := &peer{}
		p.script = func(w *wire, m *jsonrpc.Message) error {
			mu.Lock()
			defer mu.Unlock()
			live[w.n] = w
			switch m.Method {
			case mcp.Initialize:
				w.say(m, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}}`)
				return nil
			case mcp.Prompts.List():
				w.say(m, `{"jsonrpc":"2.0","id":%s,"result":{"prompts":[]}}`)
				return nil
			case mcp.Tools.List():
				if fails {
					w.say(m, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"busy"}}`)
					return nil
				}
				w.say(m, toolsNamed(tools...))
				return nil
			}
			return saysWhich(w, m)
		}
		r := perClient(t, p, 8)
		a := from("A", "p", `{}`, nil)
		r.sees(t, a)
		time.Sleep(2 * refetch)
		for i, asks := range []bool{true, false} {
			before, after := strings.Join(tools, " "), strings.Join(append(tools, fmt.Sprint("new", i)), " ")
			mu.Lock()
			fails, tools = true, strings.Fields(after)
			mu.Unlock()
			for _, kind := range []mcp.Kind{mcp.Tools, mcp.Prompts} {
				mu.Lock()
				for n := range 2 {
					live[n+1].say(nil, `{"jsonrpc":"2.0","method":"`+kind.Changed()+`"}`)
				}
				mu.Unlock()
				time.Sleep(2 * refetch)
			}
			if got := toolsOf(r.Own(a)); got != before {
				t.Errorf("at first it sees %q", got)
			}
			mu.Lock()
			fails = false
			mu.Unlock()
			if asks {
				r.sees(t, a)
				r.Asked()
				time.Sleep(refetch)
			} else {
				time.Sleep(2 * maxWait)
			}
			synctest.Wait()
			all := r.published()
			if got, n := toolsOf(r.Own(a)), all[len(all)-1].tools; got != after || n != i+2 {
				t.Errorf("then it sees %q, and all see %d tools", got, n)
			}
		}
	})
}
