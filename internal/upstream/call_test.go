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

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// holding is a stateful server that answers calls when it is told to.
type holding struct {
	peer
	held chan func() // one for each call that reached it
}

func newHolding() *holding {
	h := &holding{held: make(chan func(), 10_000)}
	h.script = func(w *wire, m *jsonrpc.Message) error {
		if m.Method == mcp.ToolsCall {
			h.held <- func() { w.say(m, empty) }
			return nil
		}
		return plain(w, m)
	}
	return h
}

type outcome struct {
	err  error
	took time.Duration
}

// calls makes n calls at once and gives their outcomes as they come.
func calls(ctx context.Context, s *Server, n int) <-chan outcome {
	out := make(chan outcome, n)
	for range n {
		began := time.Now()
		go func() {
			_, err := s.Handle(ctx, call(s, ""))
			out <- outcome{err, time.Since(began)}
		}()
	}
	synctest.Wait()
	return out
}

// TestInFlightAndQueue: so many at the server, so many waiting for so long, the rest
// refused at once; the server goes on.
func TestInFlightAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolding()
		p := params(h)
		p.InFlight = 2
		r := start(t, p)
		r.readyAt(t)
		out := calls(t.Context(), r.Server, 2+maxQueued+3)
		for range 3 {
			if o := <-out; reasonOf(o.err) != "overloaded" || o.took != 0 {
				t.Errorf("one too many: %v after %v", o.err, o.took)
			}
		}
		if n := len(h.held); n != 2 || r.Status().InFlight != 2 {
			t.Errorf("%d calls at the server, status %+v", n, r.Status())
		}
		time.Sleep(time.Second)
		(<-h.held)()
		synctest.Wait()
		if o := <-out; o.err != nil || o.took != time.Second {
			t.Errorf("the answered one: %v after %v", o.err, o.took)
		}
		if n := len(h.held); n != 2 { // one from the queue has come
			t.Errorf("%d calls at the server", n)
		}
		for range maxQueued - 1 {
			if o := <-out; reasonOf(o.err) != "overloaded" || o.took != maxQueue {
				t.Fatalf("one that waited: %v after %v", o.err, o.took)
			}
		}
		(<-h.held)()
		(<-h.held)()
		for range 2 {
			if o := <-out; o.err != nil {
				t.Error(o.err)
			}
		}
		if st := r.Status(); st.InFlight != 0 || st.State != Ready || h.count(mcp.ToolsCall) != 3 {
			t.Errorf("status %+v after %d calls", st, h.count(mcp.ToolsCall))
		}
	})
}

// TestQueuedCallerLeaves: its own context ends its wait, and its place is free.
func TestQueuedCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolding()
		p := params(h)
		p.InFlight = 1
		r := start(t, p)
		r.readyAt(t)
		first := calls(t.Context(), r.Server, 1)
		ctx, stop := context.WithCancel(t.Context())
		second := calls(ctx, r.Server, 1)
		stop()
		if o := <-second; !errors.Is(o.err, context.Canceled) {
			t.Errorf("the one that left: %v", o.err)
		}
		third := calls(t.Context(), r.Server, 1)
		(<-h.held)()
		(<-h.held)()
		if a, b := <-first, <-third; a.err != nil || b.err != nil {
			t.Error(a.err, b.err)
		}
	})
}

// TestCallClocks: silence ends a call, progress keeps it, and nothing keeps it for ever.
// The server is told, by name, in each case.
func TestCallClocks(t *testing.T) {
	tests := []struct {
		name, token string
		every       time.Duration // between progress notifications; 0 for none
		max, ends   time.Duration
	}{
		{"silence", "", 0, time.Hour, 10 * time.Minute},
		{"silence with a token", `"a"`, 0, time.Hour, 10 * time.Minute},
		{"progress", `"a"`, 8 * time.Minute, time.Hour, time.Hour},
		{"too little progress", `"a"`, 10*time.Minute + time.Second, time.Hour, 10 * time.Minute},
		{"a short absolute bound", "", 0, time.Minute, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					if m.Method != mcp.ToolsCall {
						return plain(w, m)
					}
					for at := tt.every; tt.every > 0 && at < 2*time.Hour; at += tt.every {
						w.in(at, m, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, m.ID, at/time.Second))
					}
					return nil
				}}
				pr := params(p)
				pr.CallMax = tt.max
				r := start(t, pr)
				r.readyAt(t)
				began := time.Now()
				c := call(r.Server, tt.token)
				_, err := r.Handle(t.Context(), c)
				var e *mcp.Error
				if !errors.As(err, &e) || e.Code != mcp.TimedOut || e.Reason != "timeout" {
					t.Errorf("error %v", err)
				}
				if d := time.Since(began); d != tt.ends {
					t.Errorf("ended after %v, want %v", d, tt.ends)
				}
				synctest.Wait()
				if p.count(mcp.NoteCancelled) != 1 {
					t.Errorf("the server got %q", p.methods())
				}
				told := len(c.Back.(*listener).got)
				if want := 0; tt.every > 0 && tt.every < 10*time.Minute {
					if want = int(tt.ends / tt.every); told != want {
						t.Errorf("%d progress notifications came, want %d", told, want)
					}
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if now := len(c.Back.(*listener).got); now != told {
					t.Errorf("%d more came after the end", now-told)
				}
				if st := r.Status(); st.State != Ready || st.InFlight != 0 {
					t.Errorf("status %+v", st)
				}
			})
		})
	}
}

// TestCancelReachesTheServer: on a pipe by its name, and at once.
func TestCancelReachesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolding()
		r := start(t, params(h))
		r.readyAt(t)
		ctx, stop := context.WithCancel(t.Context())
		out := calls(ctx, r.Server, 1)
		stop()
		if o := <-out; !errors.Is(o.err, context.Canceled) || o.took != 0 {
			t.Errorf("%v after %v", o.err, o.took)
		}
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		id := rawjson.Get([]byte(h.raw[len(h.raw)-2]), "id")
		want := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + string(id) + `}}`
		if got := h.raw[len(h.raw)-1]; got != want {
			t.Errorf("the server got %s, want %s", got, want)
		}
	})
}

// TestDrain: open calls end well, queued and new ones are refused, and it waits no longer
// than it is told.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolding()
		p := params(h)
		p.InFlight = 2
		r := start(t, p)
		r.readyAt(t)
		out := calls(t.Context(), r.Server, 3) // the third one waits for room
		drained := make(chan time.Time, 1)
		go func() { r.Drain(t.Context()); drained <- time.Now() }()
		synctest.Wait()
		if st := r.Status(); st.State != Draining {
			t.Errorf("state %s", st.State)
		}
		if _, err := r.Handle(t.Context(), call(r.Server, "")); reasonOf(err) != "server_down" || !strings.Contains(err.Error(), "is being removed") {
			t.Errorf("a new call: %v", err)
		}
		time.Sleep(time.Second)
		(<-h.held)()
		synctest.Wait()
		if len(drained) != 0 {
			t.Error("drained with a call open")
		}
		time.Sleep(time.Second)
		(<-h.held)()
		if at := <-drained; at.Sub(r.began) != 2*time.Second {
			t.Errorf("drained after %v", at.Sub(r.began))
		}
		refused := 0
		for range 3 {
			if o := <-out; reasonOf(o.err) == "server_down" {
				refused++
			} else if o.err != nil {
				t.Error(o.err)
			}
		}
		if refused != 1 {
			t.Errorf("%d of those in the queue were refused", refused)
		}
		r.Drain(t.Context()) // again: at once
	})
}

// TestDrainIsBounded, and a call that it cuts is told why it has no answer.
func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolding()
		r := start(t, params(h))
		r.readyAt(t)
		out := calls(t.Context(), r.Server, 1)
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		r.Drain(ctx)
		if d := time.Since(r.began); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
		r.stop()
		if o := <-out; reasonOf(o.err) != "server_down" || !strings.HasPrefix(o.err.Error(), `server "s" was removed before it answered`) {
			t.Errorf("the call that was cut: %v", o.err)
		}
	})
}

// TestLossIsNoRemoval: whoever stops the gateway removes no server.
func TestLossIsNoRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, params(newHolding()))
		r.readyAt(t)
		out := calls(t.Context(), r.Server, 1)
		r.stop()
		if o := <-out; reasonOf(o.err) != "server_down" || !strings.HasPrefix(o.err.Error(), `the connection to server "s" was lost`) {
			t.Errorf("the call that was cut: %v", o.err)
		}
	})
}

// TestDeathWithCallsInFlight: each has one error at once, none is sent again, and the
// server is back.
func TestDeathWithCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var got atomic.Int64
		p := &peer{}
		p.script = func(w *wire, m *jsonrpc.Message) error {
			if m.Method != mcp.ToolsCall {
				return plain(w, m)
			}
			if got.Add(1) == n {
				time.Sleep(time.Second)
				return errors.New("killed")
			}
			return nil
		}
		pr := params(p)
		pr.InFlight = n
		r := start(t, pr)
		r.readyAt(t)
		out := calls(t.Context(), r.Server, n)
		for range n {
			o := <-out
			var e *mcp.Error
			if !errors.As(o.err, &e) || e.Code != mcp.Unavailable || e.Reason != "server_down" || o.took != time.Second {
				t.Fatalf("%v after %v", o.err, o.took)
			}
		}
		st := r.after(time.Second)
		if st.State != Ready || st.Restarts != 1 || st.InFlight != 0 || got.Load() != n {
			t.Errorf("status %+v, %d calls arrived", st, got.Load())
		}
	})
}

// TestRandomEndsKeepTheCounts: whatever happens to calls, every place is given back.
func TestRandomEndsKeepTheCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if m.Method != mcp.ToolsCall {
				return plain(w, m)
			}
			switch id := len(m.ID) + int(m.ID[len(m.ID)-1]); id % 3 {
			case 0:
				w.say(m, empty)
			case 1:
				w.in(20*time.Millisecond, m, empty)
			}
			return nil
		}}
		pr := params(p)
		pr.InFlight = 8
		r := start(t, pr)
		r.readyAt(t)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				ctx, stop := context.WithTimeout(t.Context(), time.Duration(i%40)*time.Millisecond)
				defer stop()
				_, _ = r.Handle(ctx, call(r.Server, ""))
			})
		}
		wg.Wait()
		r.mu.Lock()
		open, queued := r.open, r.queued
		r.mu.Unlock()
		if open != 0 || queued != 0 || !r.room.TryAcquire(8) {
			t.Errorf("%d open, %d queued", open, queued)
		}
	})
}
