package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/config"
)

func TestNothingStartsBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		off := def("off")
		off.Enabled = false
		ok(t, h.Apply([]config.Server{def("b"), off, def("a")}))
		synctest.Wait()
		equal(t, "running", h.running(), "")
		equal(t, "states", h.states(), "b:config:idle off:config:disabled a:config:idle")
		if h.Tried() {
			t.Error("tried before the start")
		}
		h.WaitListed(t.Context(), "") // returns: nobody would end the wait
		h.Start()
		h.Start()
		h.WaitTried(t.Context())
		synctest.Wait()
		equal(t, "running", h.running(), "a:1/1 b:1/1")
		equal(t, "states", h.states(), "b:config:ready off:config:disabled a:config:ready")
		equal(t, "tools", h.tools(), "b.t a.t")
		if !h.Tried() {
			t.Error("not tried")
		}
		ok(t, h.call(t.Context(), "a.t"))
		ok(t, h.Add([]config.Server{def("c")})) // starts at once
		h.WaitTried(t.Context(), "c")
		equal(t, "tools", h.tools(), "b.t a.t c.t")
	})
}

func TestAddIsAllOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Add([]config.Server{def("a"), def("b")}))
		h.WaitTried(t.Context())
		var conflict *Conflict
		if err := h.Add([]config.Server{def("c"), def("A"), def("b")}); !errors.As(err, &conflict) || fmt.Sprint(conflict.Names) != "[A b]" {
			t.Errorf("%v", err)
		}
		if err := h.Add([]config.Server{def("c"), def("d"), def("C")}); !errors.As(err, &conflict) || fmt.Sprint(conflict.Names) != "[C]" {
			t.Errorf("one name twice: %v", err)
		}
		if err := h.Add([]config.Server{def("c"), def("d"), def("e"), def("f")}); !errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		equal(t, "states", h.states(), "a:api:ready b:api:ready")
		equal(t, "running", h.running(), "a:1/1 b:1/1")
		ok(t, h.Add([]config.Server{def("c"), def("d"), def("e")}))
		if err := h.Add([]config.Server{def("f")}); !errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
	})
}

func TestConcurrentAddsOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		var wg sync.WaitGroup
		results := make(chan error, 100)
		for range 100 {
			wg.Go(func() { results <- h.Add([]config.Server{def("same")}) })
		}
		wg.Wait()
		close(results)
		added := 0
		for err := range results {
			var conflict *Conflict
			if err == nil {
				added++
			} else if !errors.As(err, &conflict) {
				t.Error(err)
			}
		}
		h.WaitTried(t.Context())
		if added != 1 {
			t.Errorf("%d were added", added)
		}
		equal(t, "running", h.running(), "same:1/1")
	})
}

// TestRemoveDrains: the tools go at once, open calls end well, then the server stops; its
// name is free.
func TestRemoveDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Add([]config.Server{behaving("a", "hold"), def("b")}))
		h.WaitTried(t.Context())
		called := make(chan error, 1)
		go func() { called <- h.call(t.Context(), "a.t") }()
		synctest.Wait()
		removed := make(chan error, 1)
		gone, leave := context.WithCancel(t.Context())
		go func() { removed <- h.Remove(gone, "a") }()
		synctest.Wait()
		equal(t, "tools", h.tools(), "b.t")
		equal(t, "states", h.states(), "b:api:ready")
		leave() // whoever asked for it does not wait any more; the calls do
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(removed) != 0 || len(called) != 0 {
			t.Errorf("removed %d, called %d", len(removed), len(called))
		}
		ok(t, h.Add([]config.Server{def("a")})) // its name is free while the old one finishes
		h.WaitTried(t.Context())
		equal(t, "tools", h.tools(), "b.t a.t")
		close(h.release)
		ok(t, <-called)
		ok(t, <-removed)
		equal(t, "running", h.running(), "a:1/2 b:1/1")
		if err := h.Remove(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

func TestRemoveWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Add([]config.Server{behaving("a", "hold")}))
		h.WaitTried(t.Context())
		called := make(chan error, 1)
		go func() { called <- h.call(t.Context(), "a.t") }()
		synctest.Wait()
		began := time.Now()
		ok(t, h.Remove(t.Context(), "a"))
		if d := time.Since(began); d != drainTime {
			t.Errorf("it took %v", d)
		}
		if err := <-called; err == nil {
			t.Error("the call was answered")
		}
		synctest.Wait()
		equal(t, "running", h.running(), "a:0/1")
	})
}

// TestApply: unchanged servers keep their connection, the order is the file's, those of
// the API stay behind it.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{def("a"), def("b"), def("c")}))
		ok(t, h.Add([]config.Server{def("api")}))
		h.WaitTried(t.Context())
		equal(t, "tools", h.tools(), "a.t b.t c.t api.t")
		ok(t, h.Apply([]config.Server{def("c"), def("b", "changed"), def("d")}))
		h.WaitTried(t.Context())
		synctest.Wait()
		equal(t, "tools", h.tools(), "c.t b.t d.t api.t")
		equal(t, "running", h.running(), "a:0/1 api:1/1 b:1/2 c:1/1 d:1/1")
		for range 100 {
			ok(t, h.Apply([]config.Server{def("c"), def("b", "changed"), def("d")}))
		}
		equal(t, "running", h.running(), "a:0/1 api:1/1 b:1/2 c:1/1 d:1/1")

		var conflict *Conflict
		before := h.states()
		if err := h.Apply([]config.Server{def("API"), def("e")}); !errors.As(err, &conflict) {
			t.Errorf("a name that the API gave away: %v", err)
		}
		equal(t, "states", h.states(), before)
		equal(t, "running", h.running(), "a:0/1 api:1/1 b:1/2 c:1/1 d:1/1")
	})
}

// TestApplyDrains: what goes finishes its calls, and what is new is there before.
func TestApplyDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{behaving("a", "hold")}))
		h.WaitTried(t.Context())
		called, applied := make(chan error, 1), make(chan error, 1)
		go func() { called <- h.call(t.Context(), "a.t") }()
		synctest.Wait()
		go func() { applied <- h.Apply([]config.Server{def("a"), def("b")}) }()
		synctest.Wait()
		equal(t, "tools while the old one finishes", h.tools(), "a.t b.t")
		ok(t, h.call(t.Context(), "a.t"))
		time.Sleep(time.Second)
		close(h.release)
		ok(t, <-called)
		ok(t, <-applied)
		equal(t, "running", h.running(), "a:1/2 b:1/1")
	})
}

// TestDeletedServerOfTheFile stays away until its definition changes.
func TestDeletedServerOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		file := []config.Server{def("a"), def("b")}
		apply := func(want string, file ...config.Server) {
			t.Helper()
			ok(t, h.Apply(file))
			h.WaitTried(t.Context())
			equal(t, "tools", h.tools(), want)
		}
		apply("a.t b.t", file...)
		ok(t, h.Remove(t.Context(), "a"))
		apply("b.t", file...)
		ok(t, h.Add([]config.Server{def("a", "of the API")}))
		apply("b.t a.t", file...) // the API's does not clash with one that stays away
		ok(t, h.Remove(t.Context(), "a"))
		apply("b.t", file...)
		apply("a.t b.t", def("a", "changed"), def("b"))
		apply("a.t b.t", file...) // it was changed in between, back to what it was
	})
}

// TestWaitListed waits for the slow ones, once, and only so long after the start.
func TestWaitListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ok(t, h.Apply([]config.Server{behaving("slow", "hang"), def("a")}))
		h.Start()
		began := time.Now()
		time.Sleep(4 * time.Second)
		var lists sync.WaitGroup
		for range 10 {
			lists.Go(func() { h.WaitListed(t.Context(), "") })
		}
		lists.Wait()
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("the list came %v after the start", d)
		}
		equal(t, "tools", h.tools(), "a.t")
		began = time.Now()
		h.WaitListed(t.Context(), "")
		ok(t, h.Add([]config.Server{behaving("later", "hang")}))
		h.WaitListed(t.Context(), "")
		if d := time.Since(began); d != 0 {
			t.Errorf("later lists waited %v", d)
		}
		if h.Tried() {
			t.Error("the slow one was tried")
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		h.WaitTried(ctx, "later")
		if d := time.Since(began); d != time.Second {
			t.Errorf("WaitTried took %v", d)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !h.Tried() {
			t.Error("a server that does not answer counts as tried once its start time is over")
		}
	})
}

// TestWaitListedEnds as soon as each was tried, or with the caller.
func TestWaitListedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ok(t, h.Apply([]config.Server{def("a"), def("b")}))
		h.Start()
		began := time.Now()
		h.WaitListed(t.Context(), "")
		equal(t, "tools", h.tools(), "a.t b.t")
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ok(t, h.Apply([]config.Server{behaving("slow", "hang")}))
		h.Start()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		h.WaitListed(ctx, "")
		if d := time.Since(began); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// TestAskedReachesStaleLists: one listing brings the news of servers that announce none.
func TestAskedReachesStaleLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{def("a")}))
		h.WaitTried(t.Context())
		_, changed := h.catalog.Watch()
		h.Asked()
		time.Sleep(2 * time.Minute)
		select {
		case <-changed:
			t.Error("a fresh list was fetched again")
		default:
		}
		h.Asked()
		<-changed
	})
}

// TestClose ends everything, also in mid-start and in mid-call, and takes no more.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{behaving("a", "hold"), def("b"), behaving("c", "hang")}))
		h.WaitTried(t.Context(), "a", "b")
		called, removed := make(chan error, 1), make(chan error, 1)
		go func() { called <- h.call(t.Context(), "a.t") }()
		synctest.Wait()
		go func() { removed <- h.Remove(t.Context(), "a") }()
		synctest.Wait()
		h.Close()
		h.Close()
		if err := <-called; err == nil {
			t.Error("the call was answered")
		}
		ok(t, <-removed)
		equal(t, "running", h.running(), "a:0/1 b:0/1 c:0/1")
		equal(t, "states", h.states(), "b:config:stopped c:config:stopped")
		if !errors.Is(h.Apply(nil), ErrClosed) || !errors.Is(h.Add([]config.Server{def("x")}), ErrClosed) {
			t.Error("a closed registry takes servers")
		}
		h.Start()
	})
}

// TestReloadUnderLoad: while servers come and go, calls to those that stay never fail.
func TestReloadUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{def("stay")}))
		h.WaitTried(t.Context())
		done := make(chan struct{})
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						if err := h.call(t.Context(), "stay.t"); err != nil {
							t.Error(err)
							return
						}
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		for i := range 100 {
			if i%2 == 0 {
				ok(t, h.Apply([]config.Server{def("flap", fmt.Sprint(i)), def("stay")}))
			} else {
				ok(t, h.Apply([]config.Server{def("stay")}))
			}
			time.Sleep(3 * time.Millisecond)
		}
		close(done)
		callers.Wait()
		if !strings.Contains(h.running(), "stay:1/1") {
			t.Errorf("running %s", h.running())
		}
	})
}
