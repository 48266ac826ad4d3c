package session

import (
	"context"
	"errors"
	"sync"
)

// Calls is the table of one client's calls in flight, so that each can be cancelled by
// its id. An id leaves it once: by its answer or by its cancellation.
type Calls struct {
	mu   sync.Mutex
	open map[string]*Open // guarded by mu
}

// An Open call is one in flight. Its context ends when the call is cancelled.
type Open struct {
	Context context.Context
	cancel  context.CancelCauseFunc
	calls   *Calls
	id      string
}

// NewCalls makes an empty table.
func NewCalls() *Calls { return &Calls{open: map[string]*Open{}} }

// Begin enters a call. It returns nil where the id is in use, which a client must not do
// (2026-07-28, basic, Requests).
func (c *Calls) Begin(ctx context.Context, id []byte) *Open {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[string(id)] != nil {
		return nil
	}
	o := &Open{calls: c, id: string(id)}
	o.Context, o.cancel = context.WithCancelCause(ctx)
	c.open[o.id] = o
	return o
}

// Finish takes the call out. It tells whether its answer is still wanted.
func (o *Open) Finish() bool {
	o.calls.mu.Lock()
	wanted := o.calls.open[o.id] == o
	if wanted {
		delete(o.calls.open, o.id)
	}
	o.calls.mu.Unlock()
	o.cancel(nil)
	return wanted
}

// ErrByClient is the cause of the end of a call that its client cancelled by its id.
var ErrByClient = errors.New("the client cancelled the call")

// Cancel ends the call with this id, if it is in flight, for its client.
func (c *Calls) Cancel(id []byte) {
	c.mu.Lock()
	o := c.open[string(id)]
	delete(c.open, string(id))
	c.mu.Unlock()
	if o != nil {
		o.cancel(ErrByClient)
	}
}

// CancelAll ends every call.
func (c *Calls) CancelAll() {
	c.mu.Lock()
	open := c.open
	c.open = map[string]*Open{}
	c.mu.Unlock()
	for _, o := range open {
		o.cancel(nil)
	}
}
