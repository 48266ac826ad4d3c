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
	"mcpgateway/internal/rawjson"
)

// from gives a caller of a session, or, without one, of a principal.
func from(session, principal, caps string, ended <-chan struct{}) *mcp.Caller {
	c := &mcp.Caller{Session: session, Principal: principal, Capabilities: []byte(caps), Ended: ended}
	c.TakesRounds = session == ""
	return c
}

func callOf(s *Server, who *mcp.Caller) *mcp.Call {
	c := call(s, "")
	c.From = who
	return c
}

// perClient starts a server where so many clients have a connection each.
func perClient(t *testing.T, p *peer, most int) *rig {
	t.Helper()
	pr := params(p)
	pr.PerClient, pr.Clients = true, most
	r := start(t, pr)
	r.readyAt(t)
	return r
}

// saysWhich answers each call with the number of its connection.
func saysWhich(w *wire, m *jsonrpc.Message) error {
	if m.Method == mcp.ToolsCall {
		w.say(m, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"n":%d}}`, m.ID, w.n))
		return nil
	}
	return plain(w, m)
}

func which(t *testing.T, r *rig, who *mcp.Caller) string {
	t.Helper()
	reply, err := r.Handle(t.Context(), callOf(r.Server, who))
	if err != nil {
		t.Fatal(err)
	}
	return string(rawjson.Get(reply.Result, "n"))
}

// TestEachClientHasItsConnection: one for each session, and for each principal with its
// capabilities; what it declares is the client's own.
func TestEachClientHasItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: saysWhich}
		r := perClient(t, p, 64)
		const caps = `{"roots":{"listChanged":true},"experimental":{"x":{}},"sampling":{}}`
		one, two := from("A", "p", caps, nil), from("B", "p", `{}`, nil)
		if a, b := which(t, r, one), which(t, r, two); a != "2" || b != "3" {
			t.Errorf("connections %s and %s", a, b)
		}
		if a, b := which(t, r, one), which(t, r, two); a != "2" || b != "3" {
			t.Errorf("then connections %s and %s", a, b)
		}
		three, four := from("", "p", `{}`, nil), from("", "q", `{}`, nil)
		if a, b, c := which(t, r, three), which(t, r, four), which(t, r, from("", "p", `{}`, nil)); a != "4" || b != "5" || c != a {
			t.Errorf("without sessions: connections %s, %s and %s", a, b, c)
		}
		p.mu.Lock()
		hello := slices.DeleteFunc(slices.Clone(p.raw), func(m string) bool { return !strings.Contains(m, `"method":"initialize"`) })
		p.mu.Unlock()
		if got := string(rawjson.Get(rawjson.Get([]byte(hello[1]), "params"), "capabilities")); got != `{"roots":{"listChanged":true},"sampling":{}}` {
			t.Errorf("declared for the first client: %s", got)
		}
	})
}

// TestClientsAreCounted: those that have a connection now, where each has one.
func TestClientsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := start(t, params(&peer{script: saysWhich}))
		shared.readyAt(t)
		which(t, shared, from("A", "p", `{}`, nil))
		if n := shared.Status().Clients; n != nil {
			t.Errorf("a shared server counts %d", *n)
		}
		r := perClient(t, &peer{script: saysWhich}, 64)
		ended := make(chan struct{})
		counts := []int{*r.Status().Clients}
		for _, who := range []*mcp.Caller{from("A", "p", `{}`, ended), from("B", "p", `{}`, nil), from("B", "p", `{}`, nil)} {
			which(t, r, who)
			counts = append(counts, *r.Status().Clients)
		}
		close(ended)
		synctest.Wait()
		if counts = append(counts, *r.Status().Clients); !slices.Equal(counts, []int{0, 1, 2, 2, 1}) {
			t.Errorf("counts %d", counts)
		}
	})
}

// TestConnectionEndsWithItsSession, or when nobody used it for long.
func TestConnectionEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: saysWhich}
		r := perClient(t, p, 64)
		ended := make(chan struct{})
		a, b := from("A", "p", `{}`, ended), from("B", "p", `{}`, nil)
		which(t, r, a)
		which(t, r, b)
		close(ended)
		synctest.Wait()
		if r.clients.find(a) != nil || r.clients.find(b) == nil {
			t.Error("the session ended: its connection must, the other's must not")
		}
		time.Sleep(2 * clientIdle)
		synctest.Wait()
		if r.clients.find(b) != nil {
			t.Error("an idle connection stays")
		}
		if n := which(t, r, b); n != "4" {
			t.Errorf("after that the client has connection %s", n)
		}
	})
}

// TestClientsAreBounded: the one that was unused longest makes room; none does while in use.
func TestClientsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.ToolsCall && w.n == 3 {
				return nil // never answered
			}
			return saysWhich(w, m)
		}}
		r := perClient(t, p, 2)
		which(t, r, from("A", "p", `{}`, nil))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var hung sync.WaitGroup
		hung.Go(func() { _, _ = r.Handle(ctx, callOf(r.Server, from("B", "p", `{}`, nil))) })
		synctest.Wait()
		if n := which(t, r, from("C", "p", `{}`, nil)); n != "4" { // A makes room
			t.Errorf("the third client has connection %s", n)
		}
		hung.Go(func() { _, _ = r.Handle(ctx, callOf(r.Server, from("B", "p", `{}`, nil))) })
		synctest.Wait()
		which(t, r, from("D", "p", `{}`, nil)) // C makes room
		if r.clients.find(from("B", "p", `{}`, nil)) == nil {
			t.Error("a connection in use made room")
		}
		stop()
		hung.Wait()
	})
}

// TestRootsChangeReachesTheClientsOwnConnection and no other.
func TestRootsChangeReachesTheClientsOwnConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: saysWhich}
		r := perClient(t, p, 64)
		a, b := from("A", "p", `{"roots":{}}`, nil), from("B", "p", `{"roots":{}}`, nil)
		which(t, r, a)
		which(t, r, b)
		r.Notify(b, mcp.NoteRootsListChanged, nil)
		r.Notify(from("C", "p", `{}`, nil), mcp.NoteRootsListChanged, nil) // it has none yet
		synctest.Wait()
		if got := slices.DeleteFunc(p.methods(), func(m string) bool { return !strings.Contains(m, "roots") }); !slices.Equal(got, []string{"3 " + mcp.NoteRootsListChanged}) {
			t.Errorf("got %q", got)
		}
	})
}

// TestStatelessCallersTakeTurns on a connection where a question cannot tell its call.
func TestStatelessCallersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, most := 0, 0
		var mu sync.Mutex
		p := &peer{}
		p.script = func(w *wire, m *jsonrpc.Message) error {
			if m.Method != mcp.ToolsCall {
				return plain(w, m)
			}
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			go func() {
				if !sleepIn(w.ctx, time.Second) {
					return
				}
				mu.Lock()
				open--
				mu.Unlock()
				w.say(m, empty)
			}()
			return nil
		}
		r := perClient(t, p, 64)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := r.Handle(t.Context(), callOf(r.Server, from("", "p", `{}`, nil))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most != 1 {
			t.Errorf("%d calls ran at once", most)
		}
	})
}

// TestAWaitForATurnEnds: after the time that a call may be silent, and when its caller leaves. A
// call that comes to its turn has its own time before it.
func TestAWaitForATurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			switch {
			case m.Method != mcp.ToolsCall:
				return plain(w, m)
			case strings.Contains(string(m.Params), "progressToken"): // the first, which goes on and on
				for at := time.Minute; at <= 15*time.Minute; at += time.Minute {
					w.in(at, m, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, m.ID, at))
				}
				w.in(16*time.Minute, m, empty)
			default:
				w.in(9*time.Minute, m, empty)
			}
			return nil
		}}
		r := perClient(t, p, 4)
		who := from("", "p", `{}`, nil)
		begin := func(ctx context.Context, token string) <-chan error {
			c, done := call(r.Server, token), make(chan error, 1)
			c.From = who
			go func() {
				_, err := r.Handle(ctx, c)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		first, waits := begin(t.Context(), `"a"`), begin(t.Context(), "")
		ctx, leave := context.WithCancel(t.Context())
		left := begin(ctx, "")
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		time.Sleep(8 * time.Minute)
		later := begin(t.Context(), "")
		var e *mcp.Error
		if err := <-waits; !errors.As(err, &e) || e.Code != mcp.Overloaded || len(first) > 0 {
			t.Errorf("who waited too long got %v", err)
		}
		if err := <-first; err != nil {
			t.Errorf("the first got %v", err)
		}
		if err := <-later; err != nil { // 8 min of waiting, and 9 of its own
			t.Errorf("the later one got %v", err)
		}
		if n := p.count(mcp.ToolsCall); n != 2 {
			t.Errorf("the server got %d calls", n)
		}
	})
}

func sleepIn(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// TestConnectionThatFailsFailsItsOwnClient alone.
func TestConnectionThatFailsFailsItsOwnClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: saysWhich, refuse: func(n int) error {
			if n == 2 {
				return errors.New("no more processes")
			}
			return nil
		}}
		r := perClient(t, p, 64)
		_, err := r.Handle(t.Context(), callOf(r.Server, from("A", "p", `{}`, nil)))
		var e *mcp.Error
		if !errors.As(err, &e) || e.Code != mcp.Unavailable || strings.Contains(e.Message, "processes") {
			t.Errorf("got %v", err)
		}
		if n := which(t, r, from("B", "p", `{}`, nil)); n != "3" {
			t.Errorf("the other client has connection %s", n)
		}
	})
}
