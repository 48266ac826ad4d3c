package upstream

import (
	"maps"
	"slices"
	"sync"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// Watches are all that clients watch of the servers of one name. They outlive each of these: the
// next one of the name goes on with them. A watch ends when its client ends it, also while no
// server has the name.
type Watches struct {
	mu  sync.Mutex
	all map[*watcher]bool // guarded by mu
	now *watchers         // guarded by mu: those of the shared connection of the server that has the name now
}

// A watcher is one client that wants to hear when one resource changes. All but in stays as it is.
type watcher struct {
	of   *Watches
	from *mcp.Caller
	uri  string
	told func(below string)

	in *watchers // guarded by Watches.mu: where its server hears of it; nil once it has left
}

// NewWatches makes the watches of a name. There are none yet.
func NewWatches() *Watches { return &Watches{all: map[*watcher]bool{}} }

// Any tells whether somebody watches something.
func (s *Watches) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) > 0
}

// take gives the name to the server that has w on its shared connection.
func (s *Watches) take(w *watchers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = w
}

// list gives everybody who watches something.
func (s *Watches) list() []*watcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.all))
}

// move puts a watcher among those of another connection. It is false where it is there, or has
// left, or where now are not those of the server that has the name.
func (s *Watches) move(one *watcher, to, now *watchers) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != now || one.in == nil || one.in == to {
		return false
	}
	one.in.take(one)
	to.put(one)
	return true
}

// leave ends a watch. It gives those among which nobody watches the URI any more; nil where
// somebody does.
func (one *watcher) leave() (last *watchers) {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	delete(one.of.all, one)
	in := one.in
	one.in = nil
	if in != nil && in.take(one) {
		return in
	}
	return nil
}

// settle takes over what clients watch of a server that had the name before, or that spoke
// another era before: to the shared connection, or to the clients' own. It is called before a
// call can reach the server over this connection.
func (s *Server) settle(ob era.Outbound) {
	if s.p.PerClient && !ob.Info().Stateless {
		s.clients.settle()
		return
	}
	for _, one := range s.p.Watches.list() {
		s.p.Watches.move(one, s.watched, s.watched)
	}
}

// settle takes over what clients watch to a connection of each client's own, which is made again
// as after a loss. Those beyond the bound of connections wait until their client needs one.
func (k *clients) settle() {
	restoring := 0
	for _, one := range k.s.p.Watches.list() {
		if era.IsClosed(one.from.Ended) {
			continue
		}
		k.mu.Lock()
		key := clientKey(one.from)
		of := k.keep(key, one.from)
		if k.s.p.Watches.move(one, of.watched, k.s.watched) && k.byKey[key] == nil && !of.restoring && restoring < k.s.p.Clients {
			restoring++
			of.restoring = true
			k.wg.Go(func() { k.restore(one.from, of) })
		}
		k.mu.Unlock()
	}
}
