package session

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/mcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ended tells whether a session is over.
func ended(s *Session) bool { return s.Context().Err() != nil }

func inStore(t *testing.T, b Bounds, test func(*testing.T, *Store)) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(b)
		defer s.Close()
		test(t, s)
	})
}

// tick lets time pass, so that no two sessions are idle equally long.
func tick() { time.Sleep(time.Millisecond) }

// TestIdleSessionsExpire, while those with a stream or call stay.
func TestIdleSessionsExpire(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 10, All: 10, Idle: 30 * time.Minute}, func(t *testing.T, s *Store) {
		idle, busy, used := s.New("a", mcp.Scope{}), s.New("a", mcp.Scope{}), s.New("a", mcp.Scope{})
		done := busy.Use()
		call := idle.Calls.Begin(idle.Context(), []byte("1"))
		time.Sleep(29 * time.Minute)
		used.Use()() // a call that ends at once
		if s.Find(idle.ID, "a") == nil || ended(idle) {
			t.Error("a session expired early")
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s.Find(idle.ID, "a") != nil || !ended(idle) || call.Context.Err() == nil || call.Finish() {
			t.Error("an idle session lives")
		}
		if s.Find(busy.ID, "a") != busy || s.Find(used.ID, "a") != used || ended(busy) || ended(used) {
			t.Error("a session in use expired")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if s.Find(busy.ID, "a") != busy || s.Find(used.ID, "a") != nil {
			t.Error("a day later the wrong sessions live")
		}
		done()
		done() // counts once
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		if s.Find(busy.ID, "a") != busy {
			t.Error("a session expired early after its use")
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s.Find(busy.ID, "a") != nil || !ended(busy) {
			t.Error("a session does not expire after its use")
		}
	})
}

// TestSeveralUses: a session is idle when the last one ends.
func TestSeveralUses(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 10, All: 1, Idle: time.Hour}, func(t *testing.T, s *Store) {
		one := s.New("a", mcp.Scope{})
		first, second := one.Use(), one.Use()
		first()
		first()
		if s.New("a", mcp.Scope{}) != nil || ended(one) {
			t.Error("a session in use ended")
		}
		second()
		if s.New("a", mcp.Scope{}) == nil || !ended(one) {
			t.Error("an idle session keeps its place")
		}
	})
}

// TestTheLongestIdleEnds at the bound of its principal; others' stay.
func TestTheLongestIdleEnds(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 2, All: 10, Idle: time.Hour}, func(t *testing.T, s *Store) {
		other := s.New("b", mcp.Scope{})
		tick()
		one := s.New("a", mcp.Scope{})
		tick()
		two := s.New("a", mcp.Scope{})
		tick()
		one.Use()()
		tick()
		three := s.New("a", mcp.Scope{})
		if !ended(two) || ended(one) || ended(three) || ended(other) || s.Find(two.ID, "a") != nil {
			t.Error("the wrong session ended")
		}
		one.Use()
		three.Use()
		if s.New("a", mcp.Scope{}) != nil {
			t.Error("a session in use gave way")
		}
		if ended(one) || ended(three) || s.New("b", mcp.Scope{}) == nil {
			t.Error("others pay for it")
		}
	})
}

// TestTheBoundOfAll: whoever is idle longest gives way, but not to one who is at the own
// bound already.
func TestTheBoundOfAll(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 2, All: 4, Idle: time.Hour}, func(t *testing.T, s *Store) {
		var others []*Session
		for range 2 {
			others = append(others, s.New("b", mcp.Scope{}))
			tick()
		}
		one := s.New("a", mcp.Scope{})
		tick()
		two := s.New("a", mcp.Scope{})
		tick()
		for range 5 { // a is at both bounds
			s.New("a", mcp.Scope{})
			tick()
		}
		if ended(others[0]) || ended(others[1]) || !ended(one) || !ended(two) {
			t.Error("a greedy principal took the place of others")
		}
		if s.New("c", mcp.Scope{}) == nil || !ended(others[0]) || ended(others[1]) {
			t.Error("the longest idle one of all does not give way")
		}
		if n := len(s.byID); n != 4 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestLocalHasTheBoundOfAll, since without authentication everybody is local.
func TestLocalHasTheBoundOfAll(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 1, All: 3, Idle: time.Hour}, func(t *testing.T, s *Store) {
		var all []*Session
		for range 4 {
			all = append(all, s.New("local", mcp.Scope{}))
			tick()
		}
		if !ended(all[0]) || ended(all[1]) || ended(all[2]) || ended(all[3]) {
			t.Error("the wrong session ended")
		}
	})
}

// TestFindNeedsTheOwner.
func TestFindNeedsTheOwner(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 10, All: 10, Idle: time.Hour}, func(t *testing.T, s *Store) {
		one := s.New("a", mcp.Scope{})
		for _, c := range []struct {
			id, who string
			want    *Session
		}{{one.ID, "a", one}, {one.ID, "b", nil}, {one.ID, "", nil}, {"", "a", nil}, {one.ID + "x", "a", nil}} {
			if got := s.Find(c.id, c.who); got != c.want {
				t.Errorf("%q of %q gives %v", c.id, c.who, got)
			}
		}
		if len(one.ID) < 26 || s.New("a", mcp.Scope{}).ID == one.ID {
			t.Errorf("the id %q can be guessed", one.ID)
		}
	})
}

// TestCloseEndsEverySession and the janitor.
func TestCloseEndsEverySession(t *testing.T) {
	s := NewStore(Bounds{PerPrincipal: 10, All: 10, Idle: time.Hour})
	one := s.New("a", mcp.Scope{})
	call := one.Calls.Begin(one.Context(), []byte("1"))
	s.Close()
	if !ended(one) || call.Context.Err() == nil || s.Find(one.ID, "a") != nil {
		t.Error("a session outlives the store")
	}
	if two := s.New("a", mcp.Scope{}); two == nil || !ended(two) {
		t.Error("a session of a closed store lives")
	}
}

// TestAnIDIsInFlightOnce: it is free again after the answer or the cancellation, each of
// which happens once.
func TestAnIDIsInFlightOnce(t *testing.T) {
	s := New(t.Context(), "a", mcp.Scope{})
	defer s.End()
	one := s.Calls.Begin(s.Context(), []byte("1"))
	if s.Calls.Begin(s.Context(), []byte("1")) != nil {
		t.Error("an id is in flight twice")
	}
	text := s.Calls.Begin(s.Context(), []byte(`"1"`))
	if text == nil {
		t.Fatal(`"1" is taken for 1`)
	}
	s.Calls.Cancel([]byte("2"))
	s.Calls.Cancel([]byte("1"))
	if one.Context.Err() == nil || text.Context.Err() != nil {
		t.Error("the wrong call ended")
	}
	again := s.Calls.Begin(s.Context(), []byte("1"))
	if again == nil {
		t.Fatal("a cancelled id is not free")
	}
	if one.Finish() {
		t.Error("a cancelled call is answered")
	}
	if again.Context.Err() != nil || !again.Finish() || again.Finish() {
		t.Error("a late end of the first call touches the second of its id")
	}
	if again.Context.Err() == nil {
		t.Error("the context of an answered call lives")
	}
	s.End()
	if text.Context.Err() == nil || text.Finish() {
		t.Error("a call outlives its session")
	}
}

// TestNewsIsToldOnce, whoever asks.
func TestNewsIsToldOnce(t *testing.T) {
	s := New(t.Context(), "a", mcp.Scope{})
	defer s.End()
	s.SetReady() // before initialize: nothing
	select {
	case <-s.Ready():
		t.Error("ready before initialize")
	default:
	}
	if s.Caller() != nil || s.Revision() != "" {
		t.Error("a session is open before initialize")
	}
	if !s.Open("r", []byte("{}"), mcp.Seen{"F0"}) || s.Open("r2", nil, mcp.Seen{"F9"}) || s.Revision() != "r" {
		t.Error("a session opens not once")
	}
	s.SetReady()
	s.SetReady()
	<-s.Ready()
	if s.Tell(mcp.Tools, "F0") || !s.Tell(mcp.Tools, "F1") || s.Tell(mcp.Tools, "F1") || !s.Tell(mcp.Tools, "F0") {
		t.Error("news is told wrongly")
	}
	told := make(chan bool, 20)
	for range 20 {
		go func() { told <- s.Tell(mcp.Tools, "F2") }()
	}
	n := 0
	for range 20 {
		if <-told {
			n++
		}
	}
	if n != 1 {
		t.Errorf("news was told %d times", n)
	}
}
