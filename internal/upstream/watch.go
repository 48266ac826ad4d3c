package upstream

import (
	"context"
	"errors"
	"strings"
	"sync"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// watchers are those who want to hear when resources of one server change.
type watchers struct {
	turn chan struct{} // holds one: whoever tells the server what is wanted

	mu    sync.Mutex
	byURI map[string]map[*watcher]bool // guarded by mu
}

type watcher struct{ told func() }

func newWatchers() *watchers {
	return &watchers{turn: make(chan struct{}, 1), byURI: map[string]map[*watcher]bool{}}
}

// WatchResource has told called when the resource with this URI changes, until stop is
// called. told must not block. The server's own refusal is the error.
func (s *Server) WatchResource(ctx context.Context, uri string, told func()) (stop func(), err error) {
	ob, err := s.current()
	if err != nil {
		return nil, err
	}
	if !ob.Info().Subscribes {
		return nil, mcp.Errorf(mcp.UnknownMethod, "subscribe", "server %q does not tell when its resources change", s.p.Name)
	}
	w := &watcher{told}
	first := s.watched.add(uri, w)
	stop = sync.OnceFunc(func() {
		if s.watched.drop(uri, w) {
			poke(s.rewatch) // nobody waits for the server to hear of it
		}
	})
	if first {
		err := s.watch(ctx)
		var some era.Unwatched
		if errors.As(err, &some) { // the refusal of another's resource is not ours
			err = some[uri]
		}
		if err != nil {
			stop()
			return nil, err
		}
	}
	return stop, nil
}

// watch tells the server what is wanted now.
func (s *Server) watch(ctx context.Context) error {
	select {
	case s.watched.turn <- struct{}{}:
		defer func() { <-s.watched.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ob, err := s.current()
	if err != nil {
		return err
	}
	return ob.Watch(ctx, s.watched.uris())
}

// add tells whether nobody else watches the URI.
func (w *watchers) add(uri string, one *watcher) (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byURI[uri] == nil {
		w.byURI[uri] = map[*watcher]bool{}
		first = true
	}
	w.byURI[uri][one] = true
	return first
}

// drop tells whether nobody watches the URI any more.
func (w *watchers) drop(uri string, one *watcher) (last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byURI[uri], one)
	last = len(w.byURI[uri]) == 0
	if last {
		delete(w.byURI, uri)
	}
	return last
}

func (w *watchers) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byURI) > 0
}

func (w *watchers) uris() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, 0, len(w.byURI))
	for uri := range w.byURI {
		out = append(out, uri)
	}
	return out
}

// updated tells those who watch the resource, or one that contains it: a server may name
// a part of what was subscribed (2025-11-25, server, Resources, Subscriptions). Where the
// URI is nobody's, each watcher of the server is told, for it may have another name for the
// same.
func (w *watchers) updated(params []byte) {
	uri, ok := rawjson.Text(rawjson.Get(params, "uri"))
	if !ok {
		return
	}
	w.tell(func(watched string) bool { return contains(watched, uri) }, true)
}

// all tells everybody, since what they watch may have changed unheard.
func (w *watchers) all() { w.tell(func(string) bool { return true }, false) }

func (w *watchers) tell(concerned func(watched string) bool, elseAll bool) {
	w.mu.Lock()
	var some, every []*watcher
	for uri, ones := range w.byURI {
		mine := concerned(uri)
		for one := range ones {
			every = append(every, one)
			if mine {
				some = append(some, one)
			}
		}
	}
	w.mu.Unlock()
	if len(some) == 0 && elseAll {
		some = every
	}
	for _, one := range some {
		one.told()
	}
}

// contains tells whether a URI is watched itself, or lies under what is.
func contains(watched, uri string) bool {
	rest, ok := strings.CutPrefix(uri, watched)
	return ok && (rest == "" || strings.HasSuffix(watched, "/") || strings.HasPrefix(rest, "/"))
}
