package route

import (
	"container/list"
	"sync"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
)

// given remembers which server gave a caller which URIs in their plain form that it does not
// list. Each is one server's: while it is remembered, and for as long as the process lives
// after it fell out, no other server's URI has that form for this caller. No caller sees what
// another one was given; those that cannot be told apart are one.
type given struct {
	most, mostAll int // bounds

	mu      sync.Mutex
	callers map[string]*list.Element // guarded by mu: of recent
	recent  *list.List               // guarded by mu: of *receiver, the latest first
	all     int                      // guarded by mu: URIs of all
	fallen  fallen                   // guarded by mu
}

// A receiver is one caller with what it was given.
type receiver struct {
	name   string
	ended  <-chan struct{}
	byURI  map[string]*list.Element // of recent
	recent *list.List               // of *gift, the latest first
}

type gift struct{ uri, server, origin string }

// Bounds on what is remembered. An older one gives way to a newer one.
const (
	maxGiven    = 1024 // of one caller
	maxGivenAll = 32 << 10
)

func newGiven() *given {
	return &given{most: maxGiven, mostAll: maxGivenAll, callers: map[string]*list.Element{}, recent: list.New()}
}

// claim remembers that the server gave the URI to the caller. It is false where the URI, or
// what is normalised alike, is another server's for this caller.
func (g *given) claim(c *mcp.Caller, uri, server string) bool {
	if len(uri) > catalog.MaxURI {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	name, normal := callerOf(c), catalog.Normal(uri)
	if g.barred(name, uri, server) || g.barred(name, normal, server) {
		return false
	}
	at := g.callers[name]
	if at == nil {
		at = g.recent.PushFront(&receiver{name: name, ended: c.Ended, byURI: map[string]*list.Element{}, recent: list.New()})
		g.callers[name] = at
	}
	g.recent.MoveToFront(at)
	to := at.Value.(*receiver)
	if old := to.byURI[normal]; old == nil || old.Value.(*gift).origin != normal { // else it was given as that too
		g.add(to, gift{normal, server, uri})
	}
	g.add(to, gift{uri, server, uri})
	for to.recent.Len() > g.most {
		g.dropOldest(to)
	}
	for g.all > g.mostAll {
		last := g.recent.Back()
		oldest := last.Value.(*receiver)
		g.dropOldest(oldest)
		if oldest.recent.Len() == 0 {
			g.recent.Remove(last)
			delete(g.callers, oldest.name)
		}
	}
	return true
}

// barred tells whether a URI is another server's than this one.
func (g *given) barred(name, uri, server string) bool {
	if at := g.callers[name]; at != nil {
		if old := at.Value.(*receiver).byURI[uri]; old != nil {
			return old.Value.(*gift).server != server
		}
	}
	return g.fallen.bars(name, uri, server)
}

func (g *given) add(to *receiver, one gift) {
	if old := to.byURI[one.uri]; old != nil {
		old.Value = &one
		to.recent.MoveToFront(old)
		return
	}
	to.byURI[one.uri] = to.recent.PushFront(&one)
	g.all++
}

func (g *given) dropOldest(of *receiver) {
	last := of.recent.Back()
	of.recent.Remove(last)
	one := last.Value.(*gift)
	delete(of.byURI, one.uri)
	g.all--
	select {
	case <-of.ended: // nobody has its URIs any more
	default:
		g.fallen.add(of.name, one.uri, one.server)
	}
}

// any tells whether anything is remembered for the caller.
func (g *given) any(c *mcp.Caller) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.callers[callerOf(c)] != nil
}

// find gives who gave a URI to the caller, and as what.
func (g *given) find(c *mcp.Caller, uri string) (server, origin string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.callers[callerOf(c)]
	if at == nil {
		return "", "", false
	}
	to := at.Value.(*receiver)
	found := to.byURI[uri]
	if found == nil && len(uri) <= catalog.MaxURI {
		found = to.byURI[catalog.Normal(uri)]
	}
	if found == nil {
		return "", "", false
	}
	g.recent.MoveToFront(at)
	to.recent.MoveToFront(found)
	one := found.Value.(*gift)
	return one.server, one.origin, true
}
