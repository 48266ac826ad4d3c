package route

import (
	"container/list"
	"sync"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
)

// given remembers which server gave a caller which URIs that it does not list. No caller
// sees what another one was given.
type given struct {
	mu      sync.Mutex
	callers map[string]*list.Element // guarded by mu: of recent
	recent  *list.List               // guarded by mu: of *receiver, the latest first
	all     int                      // guarded by mu: URIs of all
}

// A receiver is one caller with what it was given.
type receiver struct {
	name   string
	byURI  map[string]*list.Element // of recent
	recent *list.List               // of *gift, the latest first
}

type gift struct{ uri, server, origin string }

// Bounds on what is remembered. An older one gives way to a newer one.
const (
	maxGiven    = 1024 // of one caller
	maxGivenAll = 32 << 10
)

func newGiven() *given { return &given{callers: map[string]*list.Element{}, recent: list.New()} }

// put remembers that the server gave the URI to the caller.
func (g *given) put(c *mcp.Caller, uri, server string) {
	if len(uri) > catalog.MaxURI {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	name := callerOf(c)
	at := g.callers[name]
	if at == nil {
		at = g.recent.PushFront(&receiver{name: name, byURI: map[string]*list.Element{}, recent: list.New()})
		g.callers[name] = at
	}
	g.recent.MoveToFront(at)
	to := at.Value.(*receiver)
	g.add(to, gift{uri, server, uri})
	if normal := catalog.Normal(uri); normal != uri {
		g.add(to, gift{normal, server, uri})
	}
	for to.recent.Len() > maxGiven {
		g.dropOldest(to)
	}
	for g.all > maxGivenAll {
		last := g.recent.Back()
		oldest := last.Value.(*receiver)
		g.dropOldest(oldest)
		if oldest.recent.Len() == 0 {
			g.recent.Remove(last)
			delete(g.callers, oldest.name)
		}
	}
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
	delete(of.byURI, last.Value.(*gift).uri)
	g.all--
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
