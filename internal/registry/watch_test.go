package registry

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
)

// library is a server whose resources can be watched, on one connection or on each client's own.
func library(version, sessions string) config.Server {
	d := def("a", version)
	d.Command, d.Sessions = "library", sessions
	return d
}

// watch has a client watch x:1 of the server a.
func (h *house) watch(t *testing.T, session string) (told *atomic.Int64, stop func()) {
	t.Helper()
	told = &atomic.Int64{}
	stop, err := h.WatchResource(t.Context(), "a", &mcp.Caller{Session: session}, "x:1", func(string) { told.Add(1) })
	ok(t, err)
	return told, stop
}

// rest lets everything come to rest, and gives what libraries were asked since.
func (h *house) rest() string {
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := strings.Join(h.asked, ", ")
	h.asked = nil
	return asked
}

// TestWatchesGoOnWithTheNextServer of the name: that is told what is watched, and each client
// that something may have changed; whether clients share a connection or not, before and after.
func TestWatchesGoOnWithTheNextServer(t *testing.T) {
	const shared, own = config.SessionsShared, config.SessionsPerClient
	for name, change := range map[string]struct{ before, after, old, next string }{
		"shared":     {shared, shared, "a.v1/subscribe x:1", "a.v2/subscribe x:1"},
		"per client": {own, own, "a.v1/subscribe x:1, a.v1/subscribe x:1", "a.v2/subscribe x:1, a.v2/subscribe x:1"},
		"to shared":  {own, shared, "a.v1/subscribe x:1, a.v1/subscribe x:1", "a.v2/subscribe x:1"},
		"to own":     {shared, own, "a.v1/subscribe x:1", "a.v2/subscribe x:1, a.v2/subscribe x:1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.Start()
				ok(t, h.Apply([]config.Server{library("v1", change.before)}))
				h.WaitTried(t.Context())
				one, stopOne := h.watch(t, "1")
				two, stopTwo := h.watch(t, "2")
				equal(t, "at first", h.rest(), change.old)
				ok(t, h.Apply([]config.Server{library("v2", change.after)}))
				equal(t, "after the reload", h.rest(), change.next)
				if one.Load() != 1 || two.Load() != 1 {
					t.Errorf("told %d and %d times", one.Load(), two.Load())
				}
				h.update()
				synctest.Wait()
				if one.Load()+two.Load() < 3 {
					t.Error("what the next server tells reaches nobody")
				}
				stopOne()
				stopTwo()
				equal(t, "in the end", h.rest(), strings.ReplaceAll(change.next, "subscribe", "unsubscribe"))
			})
		})
	}
}

// TestAWatchThatBeginsDuringAReload is the next server's as well.
func TestAWatchThatBeginsDuringAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{library("v1", config.SessionsShared)}))
		h.WaitTried(t.Context())
		reloaded := make(chan error, 1)
		time.AfterFunc(time.Second/2, func() { reloaded <- h.Apply([]config.Server{library("v2", config.SessionsShared)}) })
		_, stop := h.watch(t, "1")
		ok(t, <-reloaded)
		equal(t, "asked", h.rest(), "a.v2/subscribe x:1")
		stop()
		equal(t, "in the end", h.rest(), "a.v2/unsubscribe x:1")
	})
}

// TestWatchesOutliveARemoval: they go on when a server of the name is added. Clients can end them
// meanwhile, and nobody can begin one.
func TestWatchesOutliveARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		add := func(version string) {
			ok(t, h.Add([]config.Server{library(version, config.SessionsShared)}))
			h.WaitTried(t.Context())
		}
		add("v1")
		stays, stopStays := h.watch(t, "1")
		leaves, stopLeaves := h.watch(t, "2")
		equal(t, "at first", h.rest(), "a.v1/subscribe x:1")
		ok(t, h.Remove(t.Context(), "a"))
		stopLeaves()
		var e *mcp.Error
		if _, err := h.WatchResource(t.Context(), "a", &mcp.Caller{Session: "3"}, "x:1", func(string) {}); !errors.As(err, &e) || e.Code != mcp.Unavailable {
			t.Errorf("a new watch: %v", err)
		}
		equal(t, "while it is gone", h.rest(), "")
		add("v2")
		equal(t, "when it is back", h.rest(), "a.v2/subscribe x:1")
		if stays.Load() != 1 || leaves.Load() != 0 {
			t.Errorf("who stays is told %d times, who left %d times", stays.Load(), leaves.Load())
		}
		ok(t, h.Remove(t.Context(), "a"))
		stopStays()
		add("v3")
		equal(t, "when nobody watches", h.rest(), "")
	})
}

// TestWatchesOfNamesThatAreGoneAreForgotten once nobody watches.
func TestWatchesOfNamesThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{library("v1", config.SessionsShared), def("b")}))
		h.WaitTried(t.Context())
		_, stop := h.watch(t, "1")
		ok(t, h.Apply([]config.Server{def("c")}))
		if len(h.watches) != 2 || h.watches["a"] == nil || h.watches["c"] == nil {
			t.Errorf("while a client watches: %v", h.watches)
		}
		stop()
		ok(t, h.Apply([]config.Server{def("d")}))
		if len(h.watches) != 1 || h.watches["d"] == nil {
			t.Errorf("then: %v", h.watches)
		}
	})
}
