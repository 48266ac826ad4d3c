package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A spring counts what is watched.
type spring struct{ begun, stopped atomic.Int64 }

func (s *spring) start() (func(), error) {
	s.begun.Add(1)
	return func() { s.stopped.Add(1) }, nil
}

func (s *spring) want(t *testing.T, begun, stopped int64) {
	t.Helper()
	if s.begun.Load() != begun || s.stopped.Load() != stopped {
		t.Errorf("%d begun, %d stopped, want %d and %d", s.begun.Load(), s.stopped.Load(), begun, stopped)
	}
}

// TestAResourceIsWatchedOnce until it is removed or the session ends.
func TestAResourceIsWatchedOnce(t *testing.T) {
	s := newSession(t)
	w, x := &s.Watches, &spring{}
	add := func(uri string) {
		t.Helper()
		if err := w.Add(t.Context(), uri, x.start); err != nil {
			t.Error(err)
		}
	}
	add("a")
	add("a")
	add("b")
	x.want(t, 2, 0)
	w.Remove("a")
	w.Remove("a")
	w.Remove("never")
	x.want(t, 2, 1)
	add("a")
	x.want(t, 3, 1)
	s.End()
	s.End()
	x.want(t, 3, 3)
	if w.Add(t.Context(), "c", x.start) == nil || w.Len() != 0 {
		t.Error("a session that is over watches")
	}
	x.want(t, 3, 3)
}

// TestWatchesAreBounded, and one that fails takes no place.
func TestWatchesAreBounded(t *testing.T) {
	s := newSession(t)
	w, x := &s.Watches, &spring{}
	wrong := errors.New("no such resource")
	for i := range maxWatches {
		if err := w.Add(t.Context(), fmt.Sprint("bad", i), func() (func(), error) { return nil, wrong }); err != wrong {
			t.Fatal(err)
		}
		if err := w.Add(t.Context(), fmt.Sprint(i), x.start); err != nil {
			t.Fatal(err)
		}
	}
	if w.Add(t.Context(), "more", x.start) == nil {
		t.Error("there is no bound")
	}
	if w.Add(t.Context(), "7", x.start) != nil {
		t.Error("what is watched already counts twice")
	}
	w.Remove("7")
	if w.Add(t.Context(), "more", x.start) != nil {
		t.Error("a place is not given back")
	}
}

// TestAWatchThatIsNotWantedAnyMore when it has begun is stopped: its client unsubscribed, or
// its session ended.
func TestAWatchThatIsNotWantedAnyMore(t *testing.T) {
	for name, leave := range map[string]func(*Session){"unsubscribed": func(s *Session) { s.Watches.Remove("a") }, "ended": (*Session).End} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(t)
			x := &spring{}
			leaveNow := make(chan struct{})
			done := make(chan error, 2)
			slow := func() (func(), error) {
				<-leaveNow
				return x.start()
			}
			for range 2 { // the second waits for the first
				go func() { done <- s.Watches.Add(context.Background(), "a", slow) }()
			}
			synctest.Wait()
			leave(s)
			close(leaveNow)
			for range 2 {
				if err := <-done; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			x.want(t, 1, 1)
		})
	}
}

// TestACancelledSubscriptionSpoilsNoOther of the same resource.
func TestACancelledSubscriptionSpoilsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t)
		x := &spring{}
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			first <- s.Watches.Add(ctx, "a", func() (func(), error) { <-ctx.Done(); return nil, ctx.Err() })
		}()
		synctest.Wait()
		go func() { second <- s.Watches.Add(t.Context(), "a", x.start) }()
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
		x.want(t, 1, 0)
	})
}

// TestWatchesRace: what was begun is stopped once.
func TestWatchesRace(t *testing.T) {
	s := newSession(t)
	x := &spring{}
	var wg sync.WaitGroup
	for i := range 200 {
		uri := fmt.Sprint(i % 3)
		wg.Go(func() { _ = s.Watches.Add(t.Context(), uri, x.start) })
		wg.Go(func() { s.Watches.Remove(uri) })
		if i == 150 {
			wg.Go(s.End)
		}
	}
	wg.Wait()
	s.End()
	x.want(t, x.begun.Load(), x.begun.Load())
}
