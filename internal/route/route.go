// Package route is the first frame of every call: it loads the catalog's view once and
// settles who answers. It looks names up in one table and never splits them; it speaks to
// no server.
package route

import (
	"context"
	"strings"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"

	"golang.org/x/time/rate"
)

// Listed tells of servers whose lists the catalog does not have.
type Listed interface {
	// WaitListed waits until the server has listed once, or every one where none is named,
	// or has failed to, or has had its time.
	WaitListed(ctx context.Context, server string)
	// Asked tells that a client listed, so that stale lists are fetched again.
	Asked()
	// Missing gives a server that is not ready and whose tool this name would be, and its
	// state; empty for none. At a server's own endpoint every name is one of that server's.
	Missing(s mcp.Scope, tool string) (server, state string)
}

// Router routes calls to next.
type Router struct {
	catalog  *catalog.Catalog
	listed   Listed
	next     mcp.Handler
	compares *rate.Limiter
}

// Bounds on what an unknown name costs, and on what is said about it.
const (
	maxCompares = 20 // a second
	maxSame     = 10
)

// New makes the first frame. next must call the target's handler in the end.
func New(c *catalog.Catalog, l Listed, next mcp.Handler) *Router {
	return &Router{catalog: c, listed: l, next: next, compares: rate.NewLimiter(maxCompares, maxCompares)}
}

// Handle sets the call's target and passes it on.
func (r *Router) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	switch c.Method {
	case mcp.ToolsList:
		return r.list(ctx, c)
	case mcp.ToolsCall:
		return r.call(ctx, c)
	}
	return nil, mcp.Errorf(mcp.UnknownMethod, "method", "method %q is not known", c.Method)
}

func (r *Router) list(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if cursor := rawjson.Get(c.Params.Raw, "cursor"); cursor != nil && string(cursor) != "null" {
		// Lists have one page, so no cursor is ours.
		return nil, mcp.Errorf(mcp.InvalidParams, "cursor", "the cursor is not one of this list")
	}
	r.listed.WaitListed(ctx, c.From.Scope.Server)
	r.listed.Asked()
	view := r.catalog.View()
	c.Target = mcp.Target{Kind: "list", Handler: mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		return &mcp.Reply{Result: view.ToolList(c.From.Scope), Seen: view.Fingerprint(c.From.Scope)}, nil
	})}
	return r.next.Handle(ctx, c)
}

func (r *Router) call(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if c.Name == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"name" must name a tool`)
	}
	view := r.catalog.View()
	e := view.Tool(c.From.Scope, c.Name)
	if e == nil { // its server may not have listed yet
		r.listed.WaitListed(ctx, c.From.Scope.Server)
		view = r.catalog.View()
		e = view.Tool(c.From.Scope, c.Name)
	}
	if e == nil {
		return nil, r.unknown(view, c)
	}
	c.Target = e.Target
	return r.next.Handle(ctx, c)
}

// unknown tells a caller what it may have meant. Names are compared for so many callers a
// second only; the others are told less.
func (r *Router) unknown(view *catalog.View, c *mcp.Call) error {
	if server, state := r.listed.Missing(c.From.Scope, c.Name); server != "" {
		return mcp.Errorf(mcp.InvalidParams, "server_down", "unknown tool: %.256q; server %q is %s, so its tools are not known now; GET /servers or the gateway's own messages say why", c.Name, server, state)
	}
	if !r.compares.Allow() {
		return mcp.Errorf(mcp.InvalidParams, "unknown_tool", "unknown tool: %.256q", c.Name)
	}
	same, near := view.Meant(c.From.Scope, c.Name)
	switch {
	case same != nil:
		return mcp.Errorf(mcp.InvalidParams, "ambiguous_tool", "several servers have a tool %.256q; say which: %s", c.Name, strings.Join(same[:min(len(same), maxSame)], ", "))
	case near != nil:
		return mcp.Errorf(mcp.InvalidParams, "unknown_tool", "unknown tool: %.256q; did you mean %s?", c.Name, strings.Join(near, " or "))
	}
	return mcp.Errorf(mcp.InvalidParams, "unknown_tool", "unknown tool: %.256q", c.Name)
}

// Dispatch is the last frame: it calls the target.
var Dispatch mcp.Handler = mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	return c.Target.Handler.Handle(ctx, c)
})

// Tools is the fingerprint of what a caller sees, and a channel that is closed at the next
// change of anything.
func (r *Router) Tools(c *mcp.Caller) (fingerprint string, changed <-chan struct{}) {
	view, changed := r.catalog.Watch()
	return view.Fingerprint(c.Scope), changed
}

// Instructions tell a client how names are made, and what the servers say about
// themselves.
func (r *Router) Instructions(s mcp.Scope) string {
	var b strings.Builder
	switch {
	case s.Server != "":
	case s.Safe:
		b.WriteString("Tools are named <server>__<tool>: the part before the first __ names the server that a tool belongs to. Long or unusual names are cut and end in a hash.")
	default:
		b.WriteString("Tools are named <server>.<tool>: the part before the first dot names the server that a tool belongs to.")
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
