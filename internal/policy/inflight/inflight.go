// Package inflight bounds the calls in flight, of each principal and of all. A call over a
// bound is refused at once; it waits for nobody.
package inflight

import (
	"context"
	"errors"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/policy"
	"mcpgateway/internal/quota"
)

// New makes the policy. calls counts them.
func New(calls *quota.Quota) policy.Wrap {
	return func(next mcp.Handler) mcp.Handler {
		return mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
			switch err := calls.Take(c.From.Principal); {
			case errors.Is(err, quota.ErrOwn):
				return nil, mcp.Errorf(mcp.Overloaded, "too_many_calls", "you have as many calls in flight as you may; wait for some to end")
			case err != nil:
				return nil, mcp.Errorf(mcp.Overloaded, "overloaded", "the gateway has as many calls in flight as it may; try again later")
			}
			defer calls.Give(c.From.Principal)
			return next.Handle(ctx, c)
		})
	}
}
