// Package policy is how concerns wrap the path: each is a Handler around the next. A
// policy reads the call's target and never looks a name up again.
package policy

import "mcpgateway/internal/mcp"

// Wrap puts a policy around the next handler.
type Wrap func(next mcp.Handler) mcp.Handler

// Chain wraps last in policies; the first listed acts first.
func Chain(last mcp.Handler, policies ...Wrap) mcp.Handler {
	for i := len(policies) - 1; i >= 0; i-- {
		last = policies[i](last)
	}
	return last
}
