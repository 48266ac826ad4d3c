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
)

// Listed waits until every server has listed once, or has failed to, or has had its time.
type Listed interface {
	WaitListed(ctx context.Context)
	// Asked tells that a client listed, so that stale lists are fetched again.
	Asked()
}

// Router routes calls to next.
type Router struct {
	catalog *catalog.Catalog
	listed  Listed
	next    mcp.Handler
}

// New makes the first frame. next must call the target's handler in the end.
func New(c *catalog.Catalog, l Listed, next mcp.Handler) *Router {
	return &Router{catalog: c, listed: l, next: next}
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
	if rawjson.Get(c.Params.Raw, "cursor") != nil {
		// Lists have one page, so no cursor is ours.
		return nil, mcp.Errorf(mcp.InvalidParams, "cursor", "the cursor is not one of this list")
	}
	r.listed.WaitListed(ctx)
	r.listed.Asked()
	view := r.catalog.View()
	c.Target = mcp.Target{Kind: "list", Handler: mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		return &mcp.Reply{Result: view.ToolList()}, nil
	})}
	return r.next.Handle(ctx, c)
}

func (r *Router) call(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if c.Name == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"name" must name a tool`)
	}
	e := r.catalog.View().Tool(c.Name)
	if e == nil { // its server may not have listed yet
		r.listed.WaitListed(ctx)
		e = r.catalog.View().Tool(c.Name)
	}
	if e == nil {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_tool", "unknown tool: %.256q", c.Name)
	}
	c.Target = e.Target
	return r.next.Handle(ctx, c)
}

// Dispatch is the last frame: it calls the target.
var Dispatch mcp.Handler = mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	return c.Target.Handler.Handle(ctx, c)
})

// Tools is the fingerprint of what a caller sees, and a channel that is closed at the next
// change of anything.
func (r *Router) Tools(*mcp.Caller) (fingerprint string, changed <-chan struct{}) {
	view, changed := r.catalog.Watch()
	return view.Fingerprint(), changed
}

// Instructions tell a client how names are made, and what the servers say about
// themselves.
func (r *Router) Instructions() string {
	var b strings.Builder
	b.WriteString("Tools are named <server>.<tool>: the part before the first dot names the server that a tool belongs to.")
	for _, i := range r.catalog.View().Instructions() {
		b.WriteString("\n\n# " + i.Server + "\n" + i.Text)
	}
	return b.String()
}
