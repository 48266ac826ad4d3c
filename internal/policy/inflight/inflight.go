// Package inflight bounds the calls in flight, of each principal and of all. A call over a
// bound is refused at once; it waits for nobody.
package inflight

import (
	"context"
	"sync"

	"mcpgateway/internal/mcp"
)

// Local is the principal that all callers share where nobody is authenticated; only the
// bound on all holds for it.
const Local = "local"

// Bounds counts the calls in flight and holds them against its two bounds.
type Bounds struct {
	perPrincipal, all int

	mu    sync.Mutex
	total int            // guarded by mu
	open  map[string]int // guarded by mu
	none  chan struct{}  // guarded by mu: closed when total falls to 0, where somebody waits
}

// New makes Bounds; both are at least 1.
func New(perPrincipal, all int) *Bounds {
	return &Bounds{perPrincipal: perPrincipal, all: all, open: map[string]int{}}
}

// Wrap is the policy.
func (b *Bounds) Wrap(next mcp.Handler) mcp.Handler {
	return mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		if err := b.enter(c.From.Principal); err != nil {
			return nil, err
		}
		defer b.leave(c.From.Principal)
		return next.Handle(ctx, c)
	})
}

// Wait returns once no call is in flight, or ctx ends. One goroutine may wait at a time.
func (b *Bounds) Wait(ctx context.Context) {
	b.mu.Lock()
	if b.total == 0 {
		b.mu.Unlock()
		return
	}
	none := make(chan struct{})
	b.none = none
	b.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

func (b *Bounds) enter(principal string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total >= b.all {
		return mcp.Errorf(mcp.Overloaded, "overloaded", "the gateway has %d calls in flight, its bound; try again later", b.all)
	}
	if principal != Local && b.open[principal] >= b.perPrincipal {
		return mcp.Errorf(mcp.Overloaded, "too_many_calls", "you have %d calls in flight, your bound; wait for some to end", b.perPrincipal)
	}
	b.total++
	b.open[principal]++
	return nil
}

func (b *Bounds) leave(principal string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total--; b.total == 0 && b.none != nil {
		close(b.none)
		b.none = nil
	}
	if b.open[principal]--; b.open[principal] == 0 {
		delete(b.open, principal)
	}
}
