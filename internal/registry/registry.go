// Package registry is the changing set of servers. It is the only writer of the catalog
// and owns one supervisor per server. It reads no file and speaks to no client.
package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/config"
	"mcpgateway/internal/upstream"
)

// Where a server's definition came from.
const (
	FromConfig = "config"
	FromAPI    = "api"
)

// Bounds of the registry's own.
const (
	drainTime = 5 * time.Second // for the calls of a server that is removed
)

var (
	// ErrUnknown: no server has this name.
	ErrUnknown = errors.New("no such server")
	// ErrFull: there may be no more servers.
	ErrFull = errors.New("too many servers")
	// ErrClosed: the registry takes no more.
	ErrClosed = errors.New("the gateway is stopping")
)

// A Conflict names servers that exist already.
type Conflict struct{ Names []string }

func (c *Conflict) Error() string {
	return "already registered: " + strings.Join(c.Names, ", ")
}

// Params are what a Registry is made of.
type Params struct {
	Catalog *catalog.Catalog
	Bounds  catalog.Bounds
	// Build makes a server of its definition; watches are what clients watch of those of its name,
	// publish is where its lists go, and renewed is called when what one client sees of it changed.
	// It fails for nothing: what keeps a server from starting is the server's state.
	Build    func(def config.Server, watches *upstream.Watches, publish func(*catalog.Part), renewed func()) *upstream.Server
	ListWait time.Duration
	Most     int // servers
}

// A Registry holds the servers that are wanted.
type Registry struct {
	p      Params
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	own atomic.Pointer[[]*member] // those that have a connection for each client

	mu      sync.Mutex
	started bool              // guarded by mu
	since   time.Time         // guarded by mu: when it was started
	closed  bool              // guarded by mu
	members []*member         // guarded by mu: in the order of lists
	removed map[string]string // guarded by mu: fingerprints of servers of the file that were deleted

	watches map[string]*upstream.Watches // guarded by mu: by name, also of servers that are gone, while clients watch
}

type member struct {
	def     config.Server
	source  string
	since   time.Time
	server  *upstream.Server // nil for a disabled one
	part    *catalog.Part    // guarded by Registry.mu
	rank    int              // guarded by Registry.mu
	cancel  context.CancelFunc
	done    chan struct{}
	leaving bool // guarded by Registry.mu: being drained, not wanted any more
}

// A Server is a member's state for people.
type Server struct {
	Def    config.Server
	Source string
	Status upstream.Status
}

// New makes an empty registry. Close ends it.
func New(p Params) *Registry {
	r := &Registry{p: p, removed: map[string]string{}, watches: map[string]*upstream.Watches{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Start starts every server, all at once, and each later one when it is added. It may be
// called again.
func (r *Registry) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed {
		return
	}
	r.started, r.since = true, time.Now()
	for _, m := range r.members {
		r.run(m)
	}
}

// run starts a member's supervisor. It is called with mu held.
func (r *Registry) run(m *member) {
	if m.server == nil || !r.started {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	m.cancel, m.done = cancel, make(chan struct{})
	r.wg.Go(func() {
		defer close(m.done)
		m.server.Run(ctx)
	})
}

// Apply makes the servers of the file be the wanted ones; those of the API stay. A server
// whose definition did not change keeps its connection. It returns once those that went are
// drained. A wanted name that the API gave away is a *Conflict, and nothing changes.
func (r *Registry) Apply(want []config.Server) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	old := map[string]*member{}
	var api []*member
	for _, m := range r.members {
		switch {
		case m.leaving:
		case m.source == FromAPI:
			api = append(api, m)
		default:
			old[m.def.Name] = m
		}
	}
	want = slices.DeleteFunc(slices.Clone(want), func(def config.Server) bool { return r.removed[def.Name] == def.Fingerprint() })
	if taken := conflicts(api, want); taken != nil {
		r.mu.Unlock()
		return &Conflict{taken}
	}
	var next, gone []*member
	for _, def := range want {
		delete(r.removed, def.Name)
		m := old[def.Name]
		if m == nil || m.def.Fingerprint() != def.Fingerprint() {
			m = r.member(def, FromConfig)
			r.run(m) // new ones start before old ones stop
		} else {
			delete(old, def.Name)
		}
		next = append(next, m)
	}
	for _, m := range old {
		m.leaving = true
		gone = append(gone, m)
	}
	r.members = append(next, api...)
	r.merge()
	r.unwatch()
	r.mu.Unlock()
	r.drain(context.Background(), gone...)
	return nil
}

// Add adds servers, all or none.
func (r *Registry) Add(defs []config.Server) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if taken := conflicts(r.members, defs); taken != nil {
		return &Conflict{taken}
	}
	if len(r.members)+len(defs) > r.p.Most {
		return fmt.Errorf("%w: there may be %d", ErrFull, r.p.Most)
	}
	for _, def := range defs {
		m := r.member(def, FromAPI)
		r.members = append(r.members, m)
		r.run(m)
	}
	return nil
}

// conflicts gives the names of defs that members, or defs before them, have already.
func conflicts(members []*member, defs []config.Server) []string {
	var taken []string
	for i, def := range defs {
		if slices.ContainsFunc(members, func(m *member) bool { return clash(m.def, def) }) ||
			slices.ContainsFunc(defs[:i], func(d config.Server) bool { return clash(d, def) }) {
			taken = append(taken, def.Name)
		}
	}
	return taken
}

// clash tells whether two servers would share a name or a prefix.
func clash(a, b config.Server) bool {
	for _, x := range prefixes(a) {
		for _, y := range prefixes(b) {
			if strings.EqualFold(x, y) {
				return true
			}
		}
	}
	return false
}

// prefixes are what a server's tools may be named by: its own name always, since canonical
// names are found too.
func prefixes(def config.Server) []string {
	if def.Prefix != nil && *def.Prefix != "" {
		return []string{def.Name, *def.Prefix}
	}
	return []string{def.Name}
}

// Remove takes a server out at once, and returns when its calls are done and it has stopped,
// or their time is over; the end of ctx does not cut them short.
func (r *Registry) Remove(ctx context.Context, name string) error {
	r.mu.Lock()
	var m *member
	for i, x := range r.members {
		if x.def.Name == name {
			m = x
			r.members = append(r.members[:i:i], r.members[i+1:]...)
			break
		}
	}
	if m == nil {
		r.mu.Unlock()
		return ErrUnknown
	}
	m.leaving = true
	if m.source == FromConfig {
		r.removed[name] = m.def.Fingerprint()
	}
	r.merge()
	r.unwatch()
	r.mu.Unlock()
	r.drain(context.WithoutCancel(ctx), m)
	return nil
}

// drain lets each server finish its calls, and stops it.
func (r *Registry) drain(ctx context.Context, gone ...*member) {
	ctx, stop := context.WithTimeout(ctx, drainTime)
	defer stop()
	var wg sync.WaitGroup
	for _, m := range gone {
		if m.server == nil {
			continue
		}
		wg.Go(func() {
			m.server.Drain(ctx)
			r.mu.Lock()
			cancel, done := m.cancel, m.done
			r.mu.Unlock()
			if cancel != nil {
				cancel()
				select {
				case <-done:
				case <-ctx.Done(): // a stubborn process goes on being ended; Close waits for it
				}
			}
		})
	}
	wg.Wait()
}

// member makes a member. It is called with mu held.
func (r *Registry) member(def config.Server, source string) *member {
	m := &member{def: def, source: source, since: time.Now()}
	if def.Enabled {
		if r.watches[def.Name] == nil {
			r.watches[def.Name] = upstream.NewWatches()
		}
		m.server = r.p.Build(def, r.watches[def.Name], func(p *catalog.Part) { r.publish(m, p) }, r.renewed)
	}
	return m
}

// publish takes a server's lists into the catalog.
func (r *Registry) publish(m *member, p *catalog.Part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.part = p
	if !m.leaving {
		r.merge()
	}
}

// renewed has everybody look again, since a client sees something else of a server.
func (r *Registry) renewed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p.Catalog.Wake()
}

// merge writes the catalog. It is called with mu held, so that no older view comes later. A
// server's rank does not change when another one goes, so that whoever pages through a list
// goes on where he was.
func (r *Registry) merge() {
	parts := make([]*catalog.Part, 0, len(r.members))
	rank := 0
	for _, m := range r.members {
		m.rank = max(m.rank, rank+1)
		rank = m.rank
		if m.part != nil {
			part := *m.part
			part.Rank = rank
			parts = append(parts, &part)
		}
	}
	r.p.Catalog.Swap(catalog.Merge(parts, r.p.Bounds))
	var own []*member
	for _, m := range r.members {
		if m.server != nil && m.def.Sessions == config.SessionsPerClient {
			own = append(own, m)
		}
	}
	r.own.Store(&own)
}

// snapshot gives the members that have a server: the named ones, or all.
func (r *Registry) snapshot(names ...string) []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*member
	for _, m := range r.members {
		if m.server == nil {
			continue
		}
		if len(names) == 0 || slices.Contains(names, m.def.Name) {
			out = append(out, m)
		}
	}
	return out
}

// Close stops every server and waits for it. No calls may be under way any more that
// should end well.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}
