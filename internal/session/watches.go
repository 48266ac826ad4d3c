package session

import (
	"context"
	"errors"
	"sync"

	"mcpgateway/internal/mcp"
)

// maxWatches bounds the resources that one client subscribes to.
const maxWatches = 1024

// Watches are the resources that a client subscribed to, by URI. Each is watched once,
// however often the client asks, and until it unsubscribes or its session ends.
type Watches struct {
	mu    sync.Mutex
	open  map[string]*watch // guarded by mu
	ended bool              // guarded by mu
}

type watch struct {
	set  chan struct{} // closed once stop or err is set
	stop func()        // nil where there is nothing to stop yet; guarded by Watches.mu
	err  error
}

// Add watches a resource that is not watched yet: start begins it and gives what ends it.
// Where another call has begun it, it waits for that one's outcome.
func (w *Watches) Add(ctx context.Context, uri string, start func() (stop func(), err error)) error {
	x, mine, err := w.enter(uri)
	if err != nil {
		return err
	}
	if !mine {
		select {
		case <-x.set:
			if errors.Is(x.err, context.Canceled) && ctx.Err() == nil { // that call was; this one was not
				return w.Add(ctx, uri, start)
			}
			return x.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	stop, err := start()
	w.mu.Lock()
	wanted := w.open[uri] == x // neither unsubscribed nor ended meanwhile
	switch {
	case wanted && err != nil:
		delete(w.open, uri)
	case wanted:
		x.stop = stop
	}
	x.err = err
	close(x.set)
	w.mu.Unlock()
	if !wanted && err == nil {
		stop()
	}
	return err
}

// enter gives the watch on a resource. It is mine where there was none.
func (w *Watches) enter(uri string) (x *watch, mine bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil, false, mcp.Errorf(mcp.InvalidRequest, "session", "the session is over")
	}
	if x := w.open[uri]; x != nil {
		return x, false, nil
	}
	if len(w.open) >= maxWatches {
		return nil, false, mcp.Errorf(mcp.Overloaded, "subscriptions", "a session may subscribe to %d resources at most", maxWatches)
	}
	x = &watch{set: make(chan struct{})}
	if w.open == nil {
		w.open = map[string]*watch{}
	}
	w.open[uri] = x
	return x, true, nil
}

// Remove ends the watch on a resource, if there is one.
func (w *Watches) Remove(uri string) {
	w.mu.Lock()
	var stop func()
	if x := w.open[uri]; x != nil {
		stop = x.stop
	}
	delete(w.open, uri)
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Len is how many resources are watched.
func (w *Watches) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

func (w *Watches) end() {
	w.mu.Lock()
	var stops []func()
	for _, x := range w.open {
		if x.stop != nil { // one that is still beginning is stopped by Add
			stops = append(stops, x.stop)
		}
	}
	w.open, w.ended = nil, true
	w.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}
