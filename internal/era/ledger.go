package era

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// A Ledger knows which calls of clients a server has not answered yet on one connection.
// What the server says there without naming a call belongs to the only one of them, or to
// nobody: it must never reach another client. A call whose caller has left counts until its
// answer comes, since the server may still work on it. Correct servers never answer a call
// that was cancelled, so that towards other calls of the same client it counts for leftTime
// only: what is said of it then reaches nobody but its own client. Its zero value is ready.
type Ledger struct {
	mu   sync.Mutex
	last int64               // guarded by mu: how many have begun
	life int64               // guarded by mu: of the server, which Forget ends
	open map[string]*Open    // guarded by mu: by the id of the request
	left map[string]*left    // guarded by mu: calls without a caller, by their ids
	over map[owner]time.Time // guarded by mu: whose calls were more than left holds, and since when none of them counts
	lost bool                // guarded by mu: not even that is known, so that nothing is certain
}

const (
	maxLeft  = 1024        // calls without a caller that are remembered, and clients who had more
	leftTime = time.Minute // from when the server was told that the caller has left
)

// A left is a call whose caller has left.
type left struct {
	of   owner
	told time.Time // when the server was told so; zero while it was not
	gone bool      // the server that had it has most likely forgotten it
}

// An owner is one client, as far as we can tell them apart.
type owner struct{ principal, session, program string }

func ownerOf(c *mcp.Call) owner {
	if c.From == nil {
		return owner{}
	}
	return owner{c.From.Principal, c.From.Session, string(c.From.Client)}
}

// counts tells whether the call may be whom the server speaks of, at this time, towards a
// call of this client.
func (x *left) counts(to owner, now time.Time) bool {
	return x.of != to && !x.gone || x.told.IsZero() || now.Sub(x.told) < leftTime
}

// An Open is a call that the server has been given.
type Open struct {
	Call *mcp.Call
	Ctx  context.Context // ends with the call, however it ends

	id       string
	n        int64
	life     int64 // guarded by the ledger's mu: the server's, in which it was sent
	end      context.CancelCauseFunc
	answered bool // guarded by the ledger's mu: its answer came, though End was not called yet
}

// ID is the id of the call's request, which is its progress token as well.
func (o *Open) ID() []byte { return []byte(o.id) }

// errOver ends the context of a call whose request is over.
var errOver = errors.New("the request is over")

// Deserted tells whether the call's caller left before its request was over.
func (o *Open) Deserted() bool { return o.Ctx.Err() != nil && context.Cause(o.Ctx) != errOver }

// Begin enters a call under the id of its request.
func (l *Ledger) Begin(ctx context.Context, c *mcp.Call, id []byte) *Open {
	o := &Open{Call: c, id: string(id)}
	o.Ctx, o.end = context.WithCancelCause(ctx)
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

// End takes a call out and tells whether the server may still work on it, which follows from
// err, how its request ended.
func (l *Ledger) End(o *Open, err error) (works bool) {
	o.end(errOver)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, o.id)
	if o.answered || !leaves(err) {
		return false
	}
	of := ownerOf(o.Call)
	if len(l.left) >= maxLeft {
		l.overflow(of)
		return true
	}
	if l.left == nil {
		l.left = map[string]*left{}
	}
	x := &left{of: of}
	if o.life != l.life { // it may have been sent just after the new one began, so that it counts a while
		x.gone, x.told = true, time.Now()
	}
	l.left[o.id] = x
	return true
}

// Sends notes that a call is being sent, for the first time or again.
func (l *Ledger) Sends(id []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.open[string(id)]; o != nil {
		o.life = l.life
	}
}

// overflow notes that one more call was left than are remembered. That it is answered will
// not be known. It is called with mu held.
func (l *Ledger) overflow(of owner) {
	if _, known := l.over[of]; !known && len(l.over) >= maxLeft {
		l.lost = true
		return
	}
	if l.over == nil {
		l.over = map[owner]time.Time{}
	}
	l.over[of] = time.Now().Add(leftTime)
}

// Told notes that the server was told that the caller of a call has left.
func (l *Ledger) Told(id []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.left[string(id)]; x != nil {
		x.told = time.Now()
	}
}

// errUnsent is wrapped where ctx ended before a request was sent.
var errUnsent = errors.New("not sent")

// Unsent gives why a request is not sent: nil where ctx has not ended.
func Unsent(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return nil
}

// leaves tells whether a request that ended so was sent and not answered.
func leaves(err error) bool {
	switch {
	case err == nil, errors.Is(err, errUnsent), errors.Is(err, transport.ErrUnreachable), errors.Is(err, jsonrpc.ErrAnswer):
		return false
	}
	var remote *mcp.Remote
	var status *transport.Status
	return !errors.As(err, &remote) && !errors.As(err, &status)
}

// Answered notes the answer to a call, which its caller may not have yet, or has left.
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
	n := 0
	for _, one := range l.open {
		if !one.answered {
			o, n = one, n+1
		}
	}
	switch {
	case l.lost, n > 1:
		return nil, true
	case n == 0:
		return nil, len(l.left) > 1
	}
	of, now := ownerOf(o.Call), time.Now()
	for _, x := range l.left {
		if x.counts(of, now) {
			return nil, true
		}
	}
	for other, until := range l.over {
		if other != of || now.Before(until) {
			return nil, true
		}
	}
	return o, false
}

// Lingers tells whether less than two calls are open, so that where Only is not certain it is for
// calls whose callers have left.
func (l *Ledger) Lingers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, one := range l.open {
		if !one.answered {
			n++
		}
	}
	return n < 2
}

// Newest gives the open call that began last, of those that may carry a question if there
// are any; nil where all are answered or over.
func (l *Ledger) Newest() *Open {
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest *Open
	for _, o := range l.open {
		if !o.answered && o.Ctx.Err() == nil && (newest == nil || o.better(newest)) {
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

// Forget drops the calls without a caller: the server that had them knows them no more. It had those
// that are open as well, unless they are sent again.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.over, l.lost = nil, nil, false
	l.life++
}
