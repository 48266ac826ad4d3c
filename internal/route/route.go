// Package route is the first frame of every call: it loads the catalog's view once and
// settles who answers. It looks names up in tables and never splits them, and finds who has a
// URI. What clients and servers call the same thing is translated here, on the way in and on
// the way back. It speaks to no server.
package route

import (
	"context"
	"strings"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/seal"

	"golang.org/x/time/rate"
)

// Listed tells of servers whose lists the catalog does not have.
type Listed interface {
	// WaitListed waits until the server has listed once, or every one where none is named,
	// or has failed to, or has had its time.
	WaitListed(ctx context.Context, server string)
	// Asked tells that a client listed, so that stale lists are fetched again.
	Asked()
	// Own is what servers list to this caller, where that may be something else than to all.
	Own(from *mcp.Caller) []*catalog.Part
	// WaitOwn waits until that is known, or cannot be, or had its time: of the servers whose
	// entry may have this name, or of all where it is empty.
	WaitOwn(ctx context.Context, from *mcp.Caller, name string)
	// Missing gives a server that is not ready and whose tool or prompt this name would be,
	// and its state; empty for none. At a server's own endpoint every name is one of that
	// server's.
	Missing(s mcp.Scope, name string) (server, state string)
}

// Reach is how servers are reached past their lists.
type Reach interface {
	// Handler answers calls to a server, whatever they name; nil where there is no such server.
	Handler(server string) mcp.Handler
	// WatchResource has told called when a resource of a server changes for this caller, until stop is called,
	// with what its URI goes on with where a part of it changed.
	// told must not block. It fails where the server does not tell, or cannot be reached.
	WatchResource(ctx context.Context, server string, from *mcp.Caller, uri string, told func(below string)) (stop func(), err error)
	// FollowTasks has told called with each change of a server's tasks, which it names as the
	// server does, until stop is called. told must not block. It does not wait; agreed waits for
	// what the server agrees to, until its ctx ends.
	FollowTasks(server string, from *mcp.Caller, tasks []string, told func(task string, params []byte)) (agreed func(ctx context.Context) []string, stop func())
	// Notify passes a client's notification on to a server, or to each where none is named,
	// as far as that server has a use for it. It does not block.
	Notify(server string, from *mcp.Caller, method string, params []byte)
}

// House is what a Router asks of the servers.
type House interface {
	Listed
	Reach
}

// Router routes calls to next.
type Router struct {
	catalog  *catalog.Catalog
	house    House
	next     mcp.Handler
	page     int
	seal     *seal.Sealer
	given    *given
	compares *rate.Limiter
}

// Bounds on what an unknown name costs, and on what is said about it.
const (
	maxCompares = 20 // a second
	maxSame     = 10
)

// New makes the first frame. next must call the target's handler in the end. pageSize is how
// many entries a list gives at a time; 0: all of them.
func New(c *catalog.Catalog, h House, next mcp.Handler, pageSize int) *Router {
	return &Router{catalog: c, house: h, next: next, page: pageSize, seal: seal.New(), given: newGiven(), compares: rate.NewLimiter(maxCompares, maxCompares)}
}

// Handle sets the call's target and passes it on.
func (r *Router) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if kind, ok := mcp.Listed(c.Method); ok {
		return r.list(ctx, c, kind)
	}
	switch c.Method {
	case mcp.ToolsCall:
		return r.named(ctx, c, mcp.Tools)
	case mcp.PromptsGet:
		return r.named(ctx, c, mcp.Prompts)
	case mcp.ResourcesRead:
		return r.read(ctx, c)
	case mcp.Completion:
		return r.complete(ctx, c)
	case mcp.TasksGet, mcp.TasksUpdate, mcp.TasksCancel:
		return r.task(ctx, c)
	}
	return r.other(ctx, c)
}

// other passes a method that we do not know to the one server of the caller's endpoint. What
// speaks of one hop only never passes.
func (r *Router) other(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	unknown := mcp.Errorf(mcp.UnknownMethod, "method", "method %.256q is not known", c.Method)
	switch c.Method {
	case mcp.Initialize, mcp.Ping, mcp.Discover, mcp.SetLevel, mcp.Subscribe, mcp.Unsubscribe, mcp.SubscriptionsListen:
		return nil, unknown
	}
	server := c.From.Scope.Server
	if server == "" || strings.HasPrefix(c.Method, "tasks/") {
		return nil, unknown
	}
	handler := r.house.Handler(server)
	if handler == nil {
		return nil, unknown
	}
	c.Target = mcp.Target{Server: server, Kind: "other", Canonical: server, Origin: c.Name, Handler: handler}
	return r.pass(ctx, c, r.view(c.From))
}

// view is what a caller sees now.
func (r *Router) view(from *mcp.Caller) *catalog.View {
	return r.catalog.View().With(r.house.Own(from))
}

// pass sends a call on whose target is set, and puts its result into the caller's words.
func (r *Router) pass(ctx context.Context, c *mcp.Call, view *catalog.View) (*mcp.Reply, error) {
	if c.Admit != nil {
		if err := c.Admit(&c.Target); err != nil {
			return nil, err
		}
		c.Admit = nil // it holds the request, which a parked call outlives
	}
	reply, err := r.next.Handle(ctx, c)
	if err != nil || reply.Kind != mcp.Complete {
		return reply, err
	}
	result := r.shownTask(c, r.shownLinks(view, c, reply.Result))
	if same(result, reply.Result) {
		return reply, nil
	}
	out := *reply
	out.Result = result
	return &out, nil
}

// Dispatch is the last frame: it calls the target.
var Dispatch mcp.Handler = mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	return c.Target.Handler.Handle(ctx, c)
})

// Seen is what a caller sees of each kind, and a channel that is closed at the next change of
// anything.
func (r *Router) Seen(c *mcp.Caller) (seen mcp.Seen, changed <-chan struct{}) {
	view, changed := r.catalog.Watch()
	view = view.With(r.house.Own(c))
	for kind := range mcp.Kinds {
		seen[kind] = view.Fingerprint(kind, c.Scope)
	}
	return seen, changed
}

// Notify passes a notification of the caller on to whom it concerns: news of its roots to
// every server that it can see, one that we do not know to the one server of its endpoint.
func (r *Router) Notify(c *mcp.Caller, method string, params []byte) {
	if c.Scope.Server != "" || method == mcp.NoteRootsListChanged {
		r.house.Notify(c.Scope.Server, c, method, params)
	}
}

// Instructions tell a client how names are made, and what the servers say about
// themselves.
func (r *Router) Instructions(s mcp.Scope) string {
	var b strings.Builder
	switch {
	case s.Server != "":
	case s.Safe:
		b.WriteString("Tools and prompts are named <server>__<name>: the part before the first __ names the server that one belongs to. Long or unusual names are cut and end in a hash.")
	default:
		b.WriteString("Tools and prompts are named <server>.<name>: the part before the first dot names the server that one belongs to.")
	}
	for _, i := range r.catalog.View().Instructions() {
		if s.Server == i.Server {
			return i.Text
		}
		if s.Server == "" {
			b.WriteString("\n\n# " + i.Server + "\n" + i.Text)
		}
	}
	return b.String()
}
