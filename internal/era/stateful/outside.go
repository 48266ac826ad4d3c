package stateful

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

const (
	// outsideTime is how long a question of a client's own server waits, while no call of that
	// client is open, until one comes or the client listens.
	outsideTime = 5 * time.Second
	// barrierTime is how long a server may take to answer a ping behind which its questions are.
	barrierTime = 2 * time.Second
	// takeTime is how long a server has to make use of an answer that a call brought along: it
	// may look at the roots that it was given before it takes them for its own.
	takeTime = 100 * time.Millisecond
)

// outside are the questions on the connection of one client that belong to none of its calls,
// and that wait for a way to it: servers ask for roots right after the handshake, and when
// they are told that those changed.
type outside struct {
	missed atomic.Bool // the server has asked for roots, and was not told them

	mu    sync.Mutex
	waits map[*waiter]bool // guarded by mu
}

type waiter struct {
	call chan *era.Open // holds one: what carries the question
	done chan struct{}  // closed once the server has the answer, or the question needs the call no more
}

// enter begins to wait for a call, unless the client listens, which then is asked there: no call is to
// wait for it.
func (x *outside) enter(listens bool) *waiter {
	w := &waiter{make(chan *era.Open, 1), make(chan struct{})}
	if listens {
		return w
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.waits == nil {
		x.waits = map[*waiter]bool{}
	}
	x.waits[w] = true
	return w
}

// leave gives the call that the question was given meanwhile; nil for none.
func (x *outside) leave(w *waiter) *era.Open {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.waits, w)
	select {
	case of := <-w.call:
		return of
	default:
		return nil
	}
}

// carry has a call that the server did not get yet carry the questions that wait, and returns
// once they are answered or the call is over. A quick call would else be done before its
// client has answered them, and a server that waits for roots would refuse it. A client that can
// answer without having its call's result is not waited for long: some never do.
func (x *outside) carry(of *era.Open) (carried bool) {
	x.mu.Lock()
	var all []*waiter
	for w := range x.waits {
		w.call <- of
		all = append(all, w)
	}
	clear(x.waits)
	x.mu.Unlock()
	var late <-chan time.Time
	if !of.Call.From.TakesRounds {
		late = time.After(outsideTime)
	}
	for _, w := range all {
		select {
		case <-w.done:
		case <-of.Ctx.Done():
			return true
		case <-late:
			return false
		}
	}
	return len(all) > 0
}

// askAgain makes a server that was not told its client's roots ask for them again, before a call
// that can bring the question along is begun. It needs to have been told that there may be news.
func (o *Outbound) askAgain(ctx context.Context) {
	roots := rawjson.Get(o.p.Capabilities, "roots")
	if string(rawjson.Get(roots, "listChanged")) != "true" || !o.outside.missed.Swap(false) {
		return
	}
	ctx, stop := context.WithTimeout(ctx, barrierTime)
	defer stop()
	if o.Notify(ctx, mcp.NoteRootsListChanged, nil) == nil {
		_ = o.Check(ctx)
	}
}

// carries tells whether the client can be asked during this call: one without a session
// answers with a retry, which not all calls have (2026-07-28, patterns, Multi Round-Trip
// Requests).
func carries(c *mcp.Call) bool { return !c.From.TakesRounds || mcp.MayAsk(c.Method) }

// askClient puts a question to the one client of the connection: through its newest call,
// outside of its calls, or through its next one. Where that call is answered first the
// question was not that one's and goes on to another; where its client left, it is refused,
// but for roots, which are no call's, and the call only carried them.
//
// answered is to be called once the server has the answer.
func (o *Outbound) askClient(ctx context.Context, m *jsonrpc.Message, w *waiter) (result []byte, answered func(), err error) {
	late := time.Now().Add(outsideTime)
	for ; ; w = o.outside.enter(era.IsClosed(o.open())) {
		result, err, again := o.askOnce(ctx, m, w, time.Until(late))
		if !again {
			return result, func() { close(w.done) }, err
		}
		close(w.done)
		late = time.Now().Add(outsideTime)
	}
}

// askOnce asks in the first way that there is. again tells that it ended before an answer came.
func (o *Outbound) askOnce(ctx context.Context, m *jsonrpc.Message, w *waiter, wait time.Duration) (result []byte, err error, again bool) {
	carried := false // by a call that the server did not get before
	through := func(of *era.Open) ([]byte, error, bool) {
		result, err := o.put(ctx, of, m)
		goesOn := !of.Deserted() || carried && m.Method == mcp.RootsList
		return result, err, err == errNoCall && ctx.Err() == nil && goesOn
	}
	open := o.open()
	if m.Method != mcp.RootsList || !era.IsClosed(open) {
		if of := o.calls.Newest(); of != nil && carries(of.Call) {
			if given := o.outside.leave(w); given != nil {
				of = given
			}
			return through(of)
		}
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	listens := false
	select {
	case <-ctx.Done():
	case <-late.C:
	case <-open:
		listens = true
	case of := <-w.call:
		carried = true
		return through(of)
	}
	switch of := o.outside.leave(w); {
	case ctx.Err() != nil:
		return nil, ctx.Err(), false
	case of != nil:
		carried = true
		return through(of)
	case !listens:
		return nil, errNoCall, false
	}
	o.elicited.remember(o.p.From, m)
	result, err = o.p.From.Back.Ask(ctx, m.Method, unrelated(era.CleanResult(m.Params)))
	return result, err, errors.Is(err, errNotListening) && ctx.Err() == nil
}

// open is closed once the client listens outside of its calls; nil where it cannot.
func (o *Outbound) open() <-chan struct{} {
	if o.p.From == nil || o.p.From.Back == nil {
		return nil
	}
	return o.p.From.Back.Open()
}
