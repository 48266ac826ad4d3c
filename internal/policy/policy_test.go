package policy

import (
	"context"
	"testing"

	"mcpgateway/internal/mcp"
)

// TestFirstListedActsFirst, and sees the reply last.
func TestFirstListedActsFirst(t *testing.T) {
	var seen string
	frame := func(name string) Wrap {
		return func(next mcp.Handler) mcp.Handler {
			return mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
				seen += name + "("
				defer func() { seen += ")" + name }()
				return next.Handle(ctx, c)
			})
		}
	}
	last := mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) { seen += "."; return nil, nil })
	_, _ = Chain(last, frame("a"), frame("b")).Handle(t.Context(), &mcp.Call{})
	_, _ = Chain(last).Handle(t.Context(), &mcp.Call{})
	if seen != "a(b(.)b)a." {
		t.Errorf("order %s", seen)
	}
}
