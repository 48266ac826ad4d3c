package registry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/upstream"
)

// List is the state of every server, in the order of lists.
func (r *Registry) List() []Server {
	r.mu.Lock()
	members := append([]*member(nil), r.members...)
	r.mu.Unlock()
	out := make([]Server, len(members))
	for i, m := range members {
		out[i] = Server{Def: m.def, Source: m.source}
		if m.server == nil {
			out[i].Status = upstream.Status{Name: m.def.Name, Transport: m.def.Shown(), State: "disabled", Since: m.since, Reason: "it is disabled in the config"}
			continue
		}
		out[i].Status = m.server.Status()
	}
	return out
}

// Tried tells whether every enabled server was tried once.
func (r *Registry) Tried() bool {
	r.mu.Lock()
	started := r.started
	r.mu.Unlock()
	return started && len(r.Untried()) == 0
}

// Untried names the enabled servers that were not tried yet.
func (r *Registry) Untried() []string {
	names := []string{}
	for _, m := range r.snapshot() {
		select {
		case <-m.server.Tried():
		default:
			names = append(names, m.def.Name)
		}
	}
	return names
}

// WaitTried waits until each of the named servers was tried once, or ctx ends.
func (r *Registry) WaitTried(ctx context.Context, names ...string) {
	for _, m := range r.snapshot(names...) {
		select {
		case <-m.server.Tried():
		case <-ctx.Done():
			return
		}
	}
}

// WaitListed waits until the server was tried once, or every one where none is named, but
// only so long after the start: lists never wait for a slow server twice.
func (r *Registry) WaitListed(ctx context.Context, server string) {
	r.mu.Lock()
	left := time.Until(r.since.Add(r.p.ListWait))
	r.mu.Unlock()
	if left <= 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, left)
	defer stop()
	if server == "" {
		r.WaitTried(ctx)
	} else {
		r.WaitTried(ctx, server)
	}
}

// Has tells whether a server of this name is wanted and enabled.
func (r *Registry) Has(name string) bool { return r.find(name) != nil }

// Handler answers calls to a server, whatever they name; nil where there is no such server.
func (r *Registry) Handler(name string) mcp.Handler {
	if m := r.find(name); m != nil {
		return m.server
	}
	return nil
}

// WatchResource has told called when a resource of a server changes for this caller, until
// stop is called; it goes on with each server that takes the name over. told must not block.
func (r *Registry) WatchResource(ctx context.Context, server string, from *mcp.Caller, uri string, told func(below string)) (stop func(), err error) {
	for {
		m := r.find(server)
		if m == nil {
			return nil, mcp.Errorf(mcp.Unavailable, "server_down", "server %q is gone", server)
		}
		stop, err = m.server.WatchResource(ctx, from, uri, told)
		if r.find(server) == m {
			return stop, err
		}
		if err == nil { // the server went meanwhile, and the next one may not have this watch
			stop()
		}
		r.WaitTried(ctx, server)
	}
}

// unwatch forgets the names that have no server, and of whose last one nobody watches anything.
// It is called with mu held.
func (r *Registry) unwatch() {
	wanted := map[string]bool{}
	for _, m := range r.members {
		wanted[m.def.Name] = m.server != nil
	}
	maps.DeleteFunc(r.watches, func(name string, w *upstream.Watches) bool { return !wanted[name] && !w.Any() })
}

// FollowTasks has told called with each change of a server's tasks, until stop is called. told
// must not block. agreed waits for what the server agrees to, until its ctx ends.
func (r *Registry) FollowTasks(server string, from *mcp.Caller, tasks []string, told func(task string, params []byte)) (agreed func(ctx context.Context) []string, stop func()) {
	m := r.find(server)
	if m == nil {
		return func(context.Context) []string { return nil }, func() {}
	}
	return m.server.FollowTasks(from, tasks, told)
}

// Notify passes a client's notification on to a server, or to every one where none is named.
// It does not block.
func (r *Registry) Notify(server string, from *mcp.Caller, method string, params []byte) {
	var names []string
	if server != "" {
		names = []string{server}
	}
	for _, m := range r.snapshot(names...) {
		m.server.Notify(from, method, params)
	}
}

// Capabilities are what a server declared, raw; nil before it did.
func (r *Registry) Capabilities(name string) []byte {
	if m := r.find(name); m != nil {
		return m.server.Status().Info.Capabilities
	}
	return nil
}

// Tasks tells whether a server has the tasks extension.
func (r *Registry) Tasks(name string) bool {
	m := r.find(name)
	return m != nil && m.server.Status().Info.Tasks
}

// ServerInfo is what a server said about itself; nil before it did.
func (r *Registry) ServerInfo(name string) []byte {
	if m := r.find(name); m != nil {
		return m.server.Status().Info.ServerInfo
	}
	return nil
}

func (r *Registry) find(name string) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.def.Name == name && m.server != nil {
			return m
		}
	}
	return nil
}

// Missing gives a server that is not ready and whose tool or prompt this name would be.
func (r *Registry) Missing(s mcp.Scope, name string) (server, state string) {
	for _, m := range r.snapshot() {
		if s.Server == "" && !owns(m.def, name) || s.Server != "" && s.Server != m.def.Name {
			continue
		}
		if st := m.server.Status().State; st != upstream.Ready {
			return m.def.Name, string(st)
		}
	}
	return "", ""
}

// owns tells whether a name begins as those of a server do.
func owns(def config.Server, name string) bool {
	return slices.ContainsFunc(prefixes(def), func(prefix string) bool {
		rest, ok := strings.CutPrefix(name, prefix)
		return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "__"))
	})
}

// Own is what servers list to this caller, as far as they may list to it something else than
// to all.
func (r *Registry) Own(from *mcp.Caller) (parts []*catalog.Part) {
	for _, m := range r.perClient("", from) {
		if p := m.server.Own(from); p != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

// WaitOwn waits until it is known what the servers whose name this may be, or all where it is
// empty, list to this caller, but for each only so long after it was first wanted.
func (r *Registry) WaitOwn(ctx context.Context, from *mcp.Caller, name string) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, m := range r.perClient(name, from) {
		wait.Go(func() { m.server.WaitOwn(ctx, from, r.p.ListWait) })
	}
}

// perClient gives the servers that a caller sees, whose name this may be, and that have a
// connection for each client.
func (r *Registry) perClient(name string, from *mcp.Caller) (out []*member) {
	all := r.own.Load()
	if all == nil {
		return nil
	}
	for _, m := range *all {
		alone := from.Scope.Server
		if alone == m.def.Name || alone == "" && (name == "" || owns(m.def, name) || m.def.Prefix != nil && *m.def.Prefix == "") {
			out = append(out, m)
		}
	}
	return out
}

// Asked tells every server that a client listed.
func (r *Registry) Asked() {
	for _, m := range r.snapshot() {
		m.server.Asked()
	}
}
