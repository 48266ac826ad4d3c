package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// within tells whether d is nominal, give or take a fifth.
func within(d, nominal time.Duration) bool {
	return d >= nominal*4/5 && d <= nominal*6/5
}

func TestBackoff(t *testing.T) {
	lost := errors.New("lost")
	const s, any = time.Second, -time.Second
	tests := []struct {
		name  string
		up    []time.Duration // how long it was up before each end; -1: it never came up
		err   error
		waits []time.Duration
		last  State
	}{
		{"it never comes up", []time.Duration{-1, -1, -1, -1, -1, -1, -1, -1, -1}, lost, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s, 60 * s}, Down},
		{"it was up and stays down", []time.Duration{5 * s, -1, -1, -1, -1, -1, -1, -1}, lost, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s}, Down},
		{"it falls four times", []time.Duration{5 * s, 5 * s, 5 * s, 5 * s}, lost, []time.Duration{0, s, 2 * s, 4 * s}, Down},
		{"it loops", []time.Duration{5 * s, 5 * s, 5 * s, 5 * s, 5 * s}, lost, []time.Duration{0, s, 2 * s, 4 * s, 60 * s}, CrashLoop},
		{"it loops and then does not come up", []time.Duration{0, 0, 0, 0, 0, -1, -1}, lost, []time.Duration{0, s, 2 * s, 4 * s, 60 * s, any, 32 * s}, Down},
		{"seldom is no loop", []time.Duration{61 * s, 61 * s, 61 * s, 61 * s, 61 * s, 61 * s}, lost, []time.Duration{0, 0, 0, 0, 0, 0}, Down},
		{"steady is forgiven", []time.Duration{-1, -1, -1, 61 * s, 5 * s}, lost, []time.Duration{s, 2 * s, 4 * s, 0, s}, Down},
		{"cannot be started", []time.Duration{-1, -1}, transport.ErrNotStarted, []time.Duration{s, 2 * s}, Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b backoff
			now := time.Unix(1e9, 0)
			var state State
			for i, up := range tt.up {
				if up >= 0 {
					b.up(now)
					now = now.Add(up)
				}
				var wait time.Duration
				state, wait = b.next(fmt.Errorf("it: %w", tt.err), now)
				if tt.waits[i] != any && !within(wait, tt.waits[i]) {
					t.Errorf("wait %d is %v, not about %v", i+1, wait, tt.waits[i])
				}
				now = now.Add(wait)
			}
			if state != tt.last {
				t.Errorf("state %s, want %s", state, tt.last)
			}
		})
	}
}

// TestJitter: servers of one host do not come back at one moment.
func TestJitter(t *testing.T) {
	waits := map[time.Duration]bool{}
	for range 100 {
		b := backoff{failures: 7}
		_, wait := b.next(errors.New("lost"), time.Now())
		waits[wait] = true
	}
	if len(waits) < 50 {
		t.Errorf("100 servers have %d waits", len(waits))
	}
}

// TestDialsBackOff sees the times on the wire, and the status between them.
func TestDialsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{refuse: func(int) error { return fmt.Errorf("%w: connection refused", transport.ErrUnreachable) }}
		r := start(t, params(p))
		st := r.after(0)
		if st.State != Down || !strings.Contains(st.Reason, "connection refused") || st.Restarts != 0 {
			t.Errorf("after the first attempt: %+v", st)
		}
		st = r.after(10 * time.Minute)
		dials := p.dialed()
		for i, nominal := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			if gap := dials[i+1].Sub(dials[i]); !within(gap, nominal*time.Second) {
				t.Errorf("attempt %d came %v after the one before", i+2, gap)
			}
		}
		if st.Restarts != len(dials)-1 {
			t.Errorf("%d restarts, %d attempts", st.Restarts, len(dials))
		}
		if _, err := r.Handle(t.Context(), call(r.Server, "")); reasonOf(err) != "server_down" {
			t.Errorf("a call: %v", err)
		}
	})
}

func reasonOf(err error) string {
	var e *mcp.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestNotStartedIsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{}
		p.refuse = func(n int) error {
			if n < 3 {
				return fmt.Errorf("%w: no such command", transport.ErrNotStarted)
			}
			return nil
		}
		pr := params(p)
		pr.Stderr = func() []string { return []string{"sh: not found"} }
		r := start(t, pr)
		st := r.after(0)
		if st.State != Failed || !strings.Contains(st.Reason, "no such command") || len(st.Stderr) != 1 {
			t.Errorf("status %+v", st)
		}
		if st = r.after(4 * time.Second); st.State != Ready || st.Reason != "" || st.Stderr != nil {
			t.Errorf("once it was mended: %+v", st)
		}
	})
}

// TestCrashLoop: five ends within a minute, and it is left alone for one.
func TestCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			_ = plain(w, m)
			if m.Method == mcp.Tools.List() {
				era.Sleep(w.ctx, time.Second)
				return errors.New("exit status 2")
			}
			return nil
		}}
		r := start(t, params(p))
		st := r.after(30 * time.Second)
		if st.State != CrashLoop || !strings.Contains(st.Reason, "exit status 2") {
			t.Fatalf("status %+v", st)
		}
		dials := p.dialed()
		if len(dials) != loopEnds {
			t.Errorf("%d connections", len(dials))
		}
		last := st.Since
		r.after(3 * time.Minute)
		if dials = p.dialed(); len(dials) <= loopEnds || !within(dials[loopEnds].Sub(last), maxWait) {
			t.Errorf("it was tried again at %v, after it was given up at %v", dials[loopEnds:], last)
		}
	})
}

// TestRestartIsImmediate: a server that was up comes back at once, and is seen to.
func TestRestartIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kill := make(chan struct{})
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			_ = plain(w, m)
			if m.Method == mcp.Tools.List() && w.n == 1 {
				<-kill
				return errors.New("killed")
			}
			return nil
		}}
		r := start(t, params(p))
		r.after(time.Hour)
		close(kill)
		st := r.after(time.Hour)
		if st.State != Ready || st.Restarts != 1 || !st.Since.Equal(r.began.Add(time.Hour)) || st.Entries[mcp.Tools] != 1 {
			t.Errorf("status %+v", st)
		}
		if len(r.published()) != 2 {
			t.Errorf("published %v", r.published())
		}
	})
}

// TestGraceOfALostList: however old the list is when the server goes down, its tools stay
// for the grace time, then go, and come back with the server.
func TestGraceOfALostList(t *testing.T) {
	for name, down := range map[string]func(ctx context.Context) error{
		"refused": func(context.Context) error { return transport.ErrUnreachable },
		"hanging": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var gone atomic.Bool
				kill := make(chan struct{})
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					_ = plain(w, m)
					if m.Method == mcp.Tools.List() && w.n == 1 {
						<-kill
						return errors.New("killed")
					}
					return nil
				}}
				pr := params(dialFunc(func(ctx context.Context) (transport.Conn, error) {
					if gone.Load() {
						return nil, down(ctx)
					}
					return p.Dial(ctx)
				}))
				pr.StartTimeout = 2 * time.Minute
				r := start(t, pr)
				r.after(time.Hour)
				gone.Store(true)
				close(kill)
				st := r.after(time.Hour + 5*time.Minute - 1)
				if n := len(r.published()); n != 1 || st.Entries[mcp.Tools] != 1 || st.State == Ready {
					t.Errorf("just before the end of the grace: %v, %+v", r.published(), st)
				}
				st = r.after(time.Hour + 5*time.Minute)
				if got := r.published(); len(got) != 2 || got[1].tools != -1 || got[1].at != time.Hour+5*time.Minute || st.Entries[mcp.Tools] != 0 {
					t.Errorf("after the grace: %v, %+v", got, st)
				}
				r.after(2 * time.Hour)
				if got := r.published(); len(got) != 2 {
					t.Errorf("taken back more than once: %v", got)
				}
				gone.Store(false)
				st = r.after(3 * time.Hour)
				if got := r.published(); len(got) != 3 || got[2].tools != 1 || st.Entries[mcp.Tools] != 1 || st.State != Ready {
					t.Errorf("back again: %v, %+v", got, st)
				}
			})
		})
	}
}

type dialFunc func(ctx context.Context) (transport.Conn, error)

func (f dialFunc) Dial(ctx context.Context) (transport.Conn, error) { return f(ctx) }

// TestEndWhileItRests: a connection that ends just after a listing is noticed at once.
func TestEndWhileItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch m.Method {
			case mcp.Initialize:
				w.say(m, initializedNew)
			case mcp.NoteInitialized:
				w.in(10*time.Second, m, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			case mcp.Tools.List():
				w.say(m, oneTool)
				if time.Now().Unix()%60 != 0 {
					era.Sleep(w.ctx, time.Millisecond)
					return errors.New("killed")
				}
			default:
				return plain(w, m)
			}
			return nil
		}}
		r := start(t, params(p))
		r.after(20 * time.Second)
		if d := p.dialed(); len(d) < 2 || d[1].Sub(r.began) != 10*time.Second+time.Millisecond {
			t.Errorf("connected at %v", d)
		}
	})
}

// TestWhoSeesAToolMayCallIt: the list is not published before calls reach the server.
func TestWhoSeesAToolMayCallIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr := params(&peer{})
		r := &rig{began: time.Now()}
		seen := make(chan struct{})
		var once sync.Once
		r.Server = New(pr)
		r.p.Publish = func(*catalog.Part) { once.Do(func() { close(seen) }); time.Sleep(time.Second) }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		<-seen
		if _, err := r.Handle(t.Context(), call(r.Server, "")); err != nil {
			t.Error(err)
		}
		stop()
		<-done
	})
}

// TestStatesOfALife: what /servers shows, one after the other.
func TestStatesOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kill := make(chan struct{})
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.Initialize {
				w.in(time.Second, m, initialized)
				return nil
			}
			_ = plain(w, m)
			if m.Method == mcp.Tools.List() && w.n == 1 {
				<-kill
				return errors.New("killed")
			}
			return nil
		}}
		p.refuse = func(n int) error {
			if n == 2 {
				return transport.ErrUnreachable
			}
			return nil
		}
		pr := params(p)
		if st := New(pr).Status(); st.State != Idle || st.Name != "s" || st.Transport != "pipe" {
			t.Errorf("before Run: %+v", st)
		}
		r := start(t, pr)
		check := func(at time.Duration, want State) {
			t.Helper()
			if st := r.after(at); st.State != want {
				t.Errorf("after %v: %s (%s), want %s", at, st.State, st.Reason, want)
			}
		}
		check(0, Starting)
		check(time.Second, Ready)
		close(kill)
		check(time.Second, Down) // it fell, was tried at once, and refused
		check(2500*time.Millisecond, Starting)
		check(4*time.Second, Ready)
		r.Drain(t.Context())
		check(4*time.Second, Draining)
		r.stop()
		check(4*time.Second, Stopped)
	})
}
