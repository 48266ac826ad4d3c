// Package quota bounds what callers hold at one time, such as calls in flight or open
// streams: for each principal, and for all together. It never waits for a place.
package quota

import (
	"context"
	"errors"
	"sync"

	"mcpgateway/internal/mcp"
)

var (
	// ErrAll: all callers together hold as much as they may.
	ErrAll = errors.New("the bound on all callers is reached")
	// ErrOwn: this caller does.
	ErrOwn = errors.New("the caller's own bound is reached")
)

// A Quota counts places.
type Quota struct {
	own, all int

	mu    sync.Mutex
	total int            // guarded by mu
	held  map[string]int // guarded by mu
	none  chan struct{}  // guarded by mu: closed when total falls to 0, where somebody waits
}

// New makes a Quota; both bounds are at least 1.
func New(own, all int) *Quota { return &Quota{own: own, all: all, held: map[string]int{}} }

// Take takes a place for a principal, which Give gives back. Where nobody is authenticated
// all are one principal, and only the bound on all holds.
func (q *Quota) Take(principal string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total >= q.all {
		return ErrAll
	}
	if principal != mcp.Local && q.held[principal] >= q.own {
		return ErrOwn
	}
	q.total++
	q.held[principal]++
	return nil
}

// Give gives a place back.
func (q *Quota) Give(principal string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[principal]--; q.held[principal] == 0 {
		delete(q.held, principal)
	}
	if q.total--; q.total == 0 && q.none != nil {
		close(q.none)
		q.none = nil
	}
}

// Open is how many places are taken.
func (q *Quota) Open() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// Wait returns once no place is taken, or ctx ends.
func (q *Quota) Wait(ctx context.Context) {
	q.mu.Lock()
	if q.total == 0 {
		q.mu.Unlock()
		return
	}
	if q.none == nil {
		q.none = make(chan struct{})
	}
	none := q.none
	q.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
