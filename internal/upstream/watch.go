package upstream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// watchers are those who want to hear over one connection when resources of one server change.
type watchers struct {
	turn    chan struct{} // holds one: whoever tells the server what is wanted
	rewatch chan struct{} // holds one: less is watched than the server was told

	of    *Watches
	byURI map[string]map[*watcher]bool // guarded by of.mu
}

func newWatchers(of *Watches) *watchers {
	return &watchers{turn: make(chan struct{}, 1), rewatch: make(chan struct{}, 1), of: of, byURI: map[string]map[*watcher]bool{}}
}

// WatchResource has told called when the resource with this URI changes, until stop is
// called: with what its URI goes on with where the server names a part of it, else with
// nothing. told must not block. The server's own refusal is the error. Where each client has a
// connection of its own, it watches there, since what the server knows of it may change there
// alone.
func (s *Server) WatchResource(ctx context.Context, from *mcp.Caller, uri string, told func(below string)) (stop func(), err error) {
	ob, err := s.current()
	if err != nil {
		return nil, err
	}
	watched, current := s.watched, s.current
	if s.p.PerClient && !ob.Info().Stateless {
		c, leave, err := s.clients.up(ctx, from)
		if err != nil {
			return nil, err
		}
		defer leave() // from then on the watch keeps it open
		ob, watched, current = c.ob, c.watched, c.current
	}
	if !ob.Info().Subscribes {
		return nil, mcp.Errorf(mcp.UnknownMethod, "subscribe", "server %q does not tell when its resources change", s.p.Name)
	}
	w := watched.add(from, uri, told)
	stop = sync.OnceFunc(func() {
		if last := w.leave(); last != nil {
			poke(last.rewatch) // nobody waits for the server to hear of it
		}
	})
	err = watched.tellServer(ctx, current) // which is nothing where another watches the same
	var some era.Unwatched
	if errors.As(err, &some) { // the refusal of another's resource is not ours
		err = some[uri]
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// watch tells the server what is wanted now, over the shared connection.
func (s *Server) watch(ctx context.Context) error { return s.watched.tellServer(ctx, s.current) }

// tellServer tells a server what is wanted now, over the connection that is up then.
func (w *watchers) tellServer(ctx context.Context, current func() (era.Outbound, error)) error {
	ctx, stop := context.WithTimeout(ctx, watchTime) // others wait for their turn
	defer stop()
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ob, err := current()
	if err != nil {
		return err
	}
	return ob.Watch(ctx, w.uris())
}

// watchTime is how long a server may take to take note of what is watched.
const watchTime = 10 * time.Second

func (w *watchers) add(from *mcp.Caller, uri string, told func(below string)) *watcher {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	one := &watcher{of: w.of, from: from, uri: uri, told: told}
	w.of.all[one] = true
	w.put(one)
	return one
}

// put and take are called with of.mu held.
func (w *watchers) put(one *watcher) {
	if w.byURI[one.uri] == nil {
		w.byURI[one.uri] = map[*watcher]bool{}
	}
	w.byURI[one.uri][one] = true
	one.in = w
}

// take tells whether nobody watches the URI any more.
func (w *watchers) take(one *watcher) (last bool) {
	delete(w.byURI[one.uri], one)
	last = len(w.byURI[one.uri]) == 0
	if last {
		delete(w.byURI, one.uri)
	}
	return last
}

func (w *watchers) any() bool {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	return len(w.byURI) > 0
}

func (w *watchers) uris() []string {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
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
	w.tell(func(watched string) (string, bool) { return beneath(watched, uri) }, true)
}

// all tells everybody, since what they watch may have changed unheard.
func (w *watchers) all() { w.tell(func(string) (string, bool) { return "", true }, false) }

func (w *watchers) tell(concerned func(watched string) (below string, mine bool), elseAll bool) {
	w.of.mu.Lock()
	some := map[*watcher]string{}
	var every []*watcher
	for uri, ones := range w.byURI {
		below, mine := concerned(uri)
		for one := range ones {
			every = append(every, one)
			if mine {
				some[one] = below
			}
		}
	}
	w.of.mu.Unlock()
	if len(some) == 0 && elseAll {
		for _, one := range every {
			some[one] = ""
		}
	}
	for one, below := range some {
		one.told(below)
	}
}

// beneath tells whether a URI is watched itself, or lies under what is, and with what it goes on
// there.
func beneath(watched, uri string) (below string, ok bool) {
	below, ok = strings.CutPrefix(uri, watched)
	return below, ok && (below == "" || strings.HasSuffix(watched, "/") || strings.HasPrefix(below, "/"))
}
