package era

import (
	"context"
	"errors"
	"sync"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// A Ledger knows which calls of clients a server has not answered yet on one connection.
// What the server says there without naming a call belongs to the only one of them, or to
// nobody: it must never reach another client. A call whose caller has left counts until its
// answer comes, since the server may still work on it. Its zero value is ready.
type Ledger struct {
	mu   sync.Mutex
	last int64               // guarded by mu: how many have begun
	open map[string]*Open    // guarded by mu: by the id of the request
	left map[string]struct{} // guarded by mu: ids of calls without a caller
	lost bool                // guarded by mu: more were left than are kept, so that nothing is certain
}

// maxLeft bounds the calls without a caller that are remembered.
const maxLeft = 1024

// An Open is a call that the server has been given.
type Open struct {
	Call *mcp.Call
	Ctx  context.Context // ends with the call, however it ends

	id       string
	n        int64
	end      context.CancelFunc
	answered bool // guarded by the ledger's mu: its answer came when nobody waited any more
}

// ID is the id of the call's request, which is its progress token as well.
func (o *Open) ID() []byte { return []byte(o.id) }

// Begin enters a call under the id of its request.
func (l *Ledger) Begin(ctx context.Context, c *mcp.Call, id []byte) *Open {
	o := &Open{Call: c, id: string(id)}
	o.Ctx, o.end = context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	o.n = l.last
	if l.open == nil {
		l.open = map[string]*Open{}
	}
	l.open[o.id] = o
	return o
}

// End takes a call out. err is how its request ended, from which follows whether the server
// may still work on it.
func (l *Ledger) End(o *Open, err error) {
	o.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, o.id)
	if o.answered || !leaves(err) {
		return
	}
	if len(l.left) >= maxLeft {
		l.lost = true
		return
	}
	if l.left == nil {
		l.left = map[string]struct{}{}
	}
	l.left[o.id] = struct{}{}
}

// leaves tells whether a request that ended so was sent and not answered.
func leaves(err error) bool {
	switch {
	case err == nil, errors.Is(err, transport.ErrUnreachable), errors.Is(err, jsonrpc.ErrAnswer):
		return false
	}
	var remote *mcp.Remote
	var status *transport.Status
	return !errors.As(err, &remote) && !errors.As(err, &status)
}

// Answered notes the answer to a call whose caller has left.
func (l *Ledger) Answered(id []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.open[string(id)]; o != nil {
		o.answered = true
	}
	delete(l.left, string(id))
}

// Get gives the call whose request has this id; nil where none is open.
func (l *Ledger) Get(id []byte) *Open {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[string(id)]
}

// Only gives the only call that the server has not answered; nil where there are others or
// its caller has left. several tells of the first.
func (l *Ledger) Only() (o *Open, several bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost || len(l.open)+len(l.left) > 1 {
		return nil, true
	}
	for _, o := range l.open {
		return o, false
	}
	return nil, false
}

// Newest gives the open call that began last, of those that may carry a question if there
// are any; nil where none is open.
func (l *Ledger) Newest() *Open {
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest *Open
	for _, o := range l.open {
		if newest == nil || o.better(newest) {
			newest = o
		}
	}
	return newest
}

func (o *Open) better(than *Open) bool {
	if asks, other := mcp.MayAsk(o.Call.Method), mcp.MayAsk(than.Call.Method); asks != other {
		return asks
	}
	return o.n > than.n
}

// Forget drops the calls without a caller: the server that had them knows them no more.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.lost = nil, false
}
