package stateless

import (
	"cmp"
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// Bounds of the calls that wait for a client's answers.
const (
	defaultParkedOwn = 16
	defaultParked    = 1024
	maxKept          = 1 << 20  // bytes of one call's notifications, and of its result
	maxKeptAll       = 64 << 20 // of all, with their questions and requests
	maxQuestions     = 64       // of one call at one time
	maxLines         = 64       // log lines of one parked call
	lingerTime       = time.Minute
	gatherTime       = 5 * time.Millisecond // questions that come together go out together
	otherStateTime   = time.Hour            // how long a state that parks nothing may be used
)

// A lot is where calls are that may ask. Each runs on a goroutine of its own, so that the
// request which carries it can be answered while it goes on: a server of the stateful era
// waits for the answer to its question, which comes with another request.
type lot struct {
	handler  mcp.Handler
	log      *slog.Logger
	question time.Duration // how long a client may take to answer one
	own, all int           // calls that may be parked: of one principal, and of all
	running  sync.WaitGroup

	mu       sync.Mutex
	draining bool            // guarded by mu: no call may park
	closed   bool            // guarded by mu: no call may begin
	runs     map[*run]bool   // guarded by mu: those whose handler runs
	parked   map[uint64]*run // guarded by mu: those that a state names
	last     uint64          // guarded by mu
	places   map[string]int  // guarded by mu: by principal
	taken    int             // guarded by mu: places in all
	bytes    int             // guarded by mu
}

func newLot(p era.Params) *lot {
	return &lot{
		handler: p.Handler, log: p.Log, question: p.QuestionTime, own: cmp.Or(p.ParkedOwn, defaultParkedOwn), all: cmp.Or(p.Parked, defaultParked),
		runs: map[*run]bool{}, parked: map[uint64]*run{}, places: map[string]int{},
	}
}

var errClosing = mcp.Errorf(mcp.Unavailable, "closing", "the gateway is shutting down")

// start runs a call, carried by k. It ends with its handler, or with ends, the end of the
// client; the request's own end is the carrier's matter.
func (l *lot) start(ctx, ends context.Context, c *mcp.Call, k *carrier) (*run, error) {
	r := &run{lot: l, call: c, carrier: k, from: c.From, ended: make(chan struct{}), asked: make(chan struct{}, 1)}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	unlink := func() bool { return true }
	if ends != nil {
		unlink = context.AfterFunc(ends, r.abandon)
	}
	c.Back = r
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		unlink()
		r.cancel()
		return nil, errClosing
	}
	l.runs[r] = true
	l.running.Go(func() {
		reply, err := l.handle(ctx, c)
		unlink()
		r.cancel()
		r.finish(reply, err)
		l.mu.Lock()
		delete(l.runs, r)
		l.mu.Unlock()
	})
	return r, nil
}

// handle answers a call. On net/http's goroutine a panic would end its request alone; here it
// must not end more.
func (l *lot) handle(ctx context.Context, c *mcp.Call) (reply *mcp.Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("a call panicked", "method", c.Method, "panic", p, "stack", string(debug.Stack()))
			reply, err = nil, mcp.Errorf(mcp.Internal, "internal", "the gateway could not answer")
		}
	}()
	return l.handler.Handle(ctx, c)
}

// drain ends the calls that are parked, and lets no others park.
func (l *lot) drain() {
	l.mu.Lock()
	l.draining = true
	var all []*run
	for _, r := range l.parked {
		all = append(all, r)
	}
	l.mu.Unlock()
	for _, r := range all {
		r.abandonParked(0)
	}
}

// close ends every call. When it returns, every goroutine of the lot has exited.
func (l *lot) close() {
	l.drain()
	l.mu.Lock()
	l.closed = true
	for r := range l.runs {
		r.cancel()
	}
	l.mu.Unlock()
	l.running.Wait()
}

// enter gives a call that parks the name by which a state finds it, unless it has one. It is
// false where no call may park any more. It is called with the run's mu held.
func (l *lot) enter(r *run) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	if r.id == 0 {
		l.last++
		r.id = l.last
		l.parked[r.id] = r
	}
	return true
}

func (l *lot) leave(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parked, id)
}

// find gives the call that a state names; nil for none.
func (l *lot) find(id uint64) *run {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parked[id]
}

// take takes a place for a call that will park. Where nobody is authenticated all are one
// principal, and only the bound on all holds.
func (l *lot) take(principal string) *mcp.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := principal != mcp.Local && principal != mcp.Stdio
	switch {
	case l.draining:
		return errClosing
	case l.taken >= l.all, own && l.places[principal] >= l.own:
		return errFull
	}
	l.taken++
	l.places[principal]++
	return nil
}

func (l *lot) give(principal string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	if l.places[principal]--; l.places[principal] == 0 {
		delete(l.places, principal)
	}
}

var errFull = mcp.Errorf(mcp.Overloaded, "parked", "too many calls wait for answers of their clients; try again later")

// hold counts bytes that are kept for parked calls.
func (l *lot) hold(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && l.bytes+n > maxKeptAll {
		return false
	}
	l.bytes += n
	return true
}
