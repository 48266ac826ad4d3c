package gatetest

import (
	"context"
	"net/http"
	"sync"
)

// An item is one thing to send.
type item struct {
	raw    []byte // nil: nothing to send, only what else the item says
	last   bool   // the answer: nothing follows for its request
	status int    // HTTP status where the answer is plain JSON
	die    bool   // break the connection after raw, which is sent as it is
	method string // of the request that raw answers
}

// An outbox is an unbounded queue of what goes out on one stream. Whoever pushes never
// waits for a slow reader.
type outbox struct {
	mu    sync.Mutex
	items []item
	ready chan struct{}

	header http.Header // of the request it belongs to, where there is one
	sent   func(item)  // told of each item, where it is set; must not block
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

func (o *outbox) push(i item) {
	o.mu.Lock()
	o.items = append(o.items, i)
	o.mu.Unlock()
	if o.sent != nil && i.raw != nil && !i.die {
		o.sent(i)
	}
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// next gives the oldest item, and false when there is none and ctx is done.
func (o *outbox) next(ctx context.Context) (item, bool) {
	for {
		o.mu.Lock()
		if len(o.items) > 0 {
			i := o.items[0]
			o.items = o.items[1:]
			o.mu.Unlock()
			return i, true
		}
		o.mu.Unlock()
		select {
		case <-o.ready:
		case <-ctx.Done():
			o.mu.Lock()
			empty := len(o.items) == 0
			o.mu.Unlock()
			if empty {
				return item{}, false
			}
		}
	}
}
