package streamable

import (
	"context"
	"time"

	"mcpgateway/internal/transport"
)

const (
	retryDefault = time.Second
	retryFloor   = 500 * time.Millisecond
	retryCap     = time.Minute
	connects     = 10 // in any window
	window       = time.Minute
)

// A pace says when a stream may be connected again: after the wait that the server asked
// for (2025-11-25, transports, Sending Messages 6), within our bounds, doubled for each
// connect in a row that brought nothing at all, and at most ten times a minute whatever
// the server says.
type pace struct {
	retry  time.Duration // the server's; zero for none
	idle   int           // connects in a row that brought nothing
	latest [connects]time.Time
	next   int
}

// wait returns nil when the next connect may happen. The first one of a pace need not wait.
func (p *pace) wait(ctx context.Context, closed <-chan struct{}, first bool) error {
	now := time.Now()
	var d time.Duration
	if !first {
		d = p.delay()
	}
	if oldest := p.latest[p.next]; !oldest.IsZero() {
		d = max(d, oldest.Add(window).Sub(now))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return transport.ErrClosed
	case <-t.C:
	}
	p.latest[p.next] = time.Now()
	p.next = (p.next + 1) % connects
	return nil
}

func (p *pace) delay() time.Duration {
	d := p.retry
	if d == 0 {
		d = retryDefault
	}
	d = min(max(d, retryFloor), retryCap)
	for range min(p.idle, 7) {
		d = min(2*d, retryCap)
	}
	return d
}

// connected tells how the last connect went.
func (p *pace) connected(useful bool) {
	if useful {
		p.idle = 0
	} else {
		p.idle++
	}
}
