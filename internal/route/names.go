package route

import (
	"context"
	"strings"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
)

// words say what people call one entry of a kind that has names.
var words = map[mcp.Kind]string{mcp.Tools: "tool", mcp.Prompts: "prompt"}

// named routes a call that names a tool or a prompt.
func (r *Router) named(ctx context.Context, c *mcp.Call, kind mcp.Kind) (*mcp.Reply, error) {
	if c.Name == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"name" must name a %s`, words[kind])
	}
	view, e := r.find(ctx, c, kind)
	if e == nil {
		return nil, r.unknown(view, c, kind)
	}
	c.Target = e.Target
	return r.pass(ctx, c, view)
}

// find looks a name up. Where it is not known its server may not have listed yet.
func (r *Router) find(ctx context.Context, c *mcp.Call, kind mcp.Kind) (*catalog.View, *catalog.Entry) {
	view := r.view(c.From)
	e := view.Find(kind, c.From.Scope, c.Name)
	if e == nil {
		r.house.WaitListed(ctx, c.From.Scope.Server)
		r.house.WaitOwn(ctx, c.From, c.Name)
		view = r.view(c.From)
		e = view.Find(kind, c.From.Scope, c.Name)
	}
	return view, e
}

// unknown tells a caller what it may have meant. Names are compared for so many callers a
// second only; the others are told less.
func (r *Router) unknown(view *catalog.View, c *mcp.Call, kind mcp.Kind) error {
	word := words[kind]
	if server, state := r.house.Missing(c.From.Scope, c.Name); server != "" {
		return mcp.Errorf(mcp.InvalidParams, "server_down", "unknown %s: %.256q; server %q is %s, so its %ss are not known now; GET /servers or the gateway's own messages say why", word, c.Name, server, state, word)
	}
	if !r.compares.Allow() {
		return mcp.Errorf(mcp.InvalidParams, "unknown_"+word, "unknown %s: %.256q", word, c.Name)
	}
	same, near := view.Meant(kind, c.From.Scope, c.Name)
	switch {
	case same != nil:
		return mcp.Errorf(mcp.InvalidParams, "ambiguous_"+word, "several servers have a %s %.256q; say which: %s", word, c.Name, strings.Join(same[:min(len(same), maxSame)], ", "))
	case near != nil:
		return mcp.Errorf(mcp.InvalidParams, "unknown_"+word, "unknown %s: %.256q; did you mean %s?", word, c.Name, strings.Join(near, " or "))
	}
	return mcp.Errorf(mcp.InvalidParams, "unknown_"+word, "unknown %s: %.256q", word, c.Name)
}
