package stateless

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds of the subscription's back-off.
const (
	minRelisten  = time.Second
	maxRelisten  = 60 * time.Second
	lostAfter    = 3 // listens in a row that never were acknowledged
	longRelisten = 10 * time.Second
)

// watch is what our one subscription is to carry beside the lists, and who waits until it
// does.
type watch struct {
	changed chan struct{} // holds one: uris is another set

	mu      sync.Mutex
	running bool                     // guarded by mu: somebody listens, so that waiting is of use
	uris    []string                 // guarded by mu: sorted
	n       int                      // guarded by mu: how often uris was set
	held    int                      // guarded by mu: the n that the server carries; -1 for none
	waiting map[chan<- error]int     // guarded by mu: by the n that they wait for
	open    map[string]*subscription // guarded by mu: by the id of the request
}

// Watch has the server tell when these resources change, and no others. It returns when the
// server has acknowledged the set, or refused it; then it is asked for again in the
// background. A server that does not offer it is not asked.
func (o *Outbound) Watch(ctx context.Context, uris []string) error {
	if !o.info.Subscribes {
		return nil
	}
	done := o.watch.set(uris)
	if done == nil {
		return nil
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		o.watch.mu.Lock()
		defer o.watch.mu.Unlock()
		delete(o.watch.waiting, done)
		return ctx.Err()
	}
}

// set notes what is wanted. It is nil where there is nothing to wait for.
func (w *watch) set(uris []string) chan error {
	uris = slices.Compact(slices.Sorted(slices.Values(uris)))
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(uris, w.uris) {
		w.uris = uris
		w.n++
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	if !w.running || w.held == w.n {
		return nil
	}
	done := make(chan error, 1)
	w.waiting[done] = w.n
	return done
}

// hold notes that the server carries the nth set, or none for -1.
func (w *watch) hold(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = n
}

func (w *watch) holds(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held == n
}

// settle tells who waits for a set up to the nth how it went.
func (w *watch) settle(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for done, wanted := range w.waiting {
		if wanted <= n {
			done <- err
			delete(w.waiting, done)
		}
	}
}

func (w *watch) run(running bool) {
	w.mu.Lock()
	w.running = running
	w.mu.Unlock()
}

// wanted is the set of now, and its number.
func (w *watch) wanted() (uris []string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uris, w.n
}

// take is wanted for whoever listens for the set now: the news that it is another is taken as
// well, since it would only have the same set asked for twice.
func (w *watch) take() (uris []string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.changed:
	default:
	}
	return w.uris, w.n
}

// cancelled ends the subscription that a server on a pipe announces the end of (2026-07-28,
// cancellation).
func (w *watch) cancelled(id []byte) {
	w.mu.Lock()
	s := w.open[string(id)]
	delete(w.open, string(id))
	w.mu.Unlock()
	if s != nil {
		s.end()
	}
}

// A listener keeps one subscription open. A result, a cancellation and a lost stream all
// mean the same: listen again, for changes may have been missed.
type listener struct {
	o        *Outbound
	ear      *era.Ear
	others   *sync.WaitGroup
	held     *subscription // acknowledged; nil for none
	wait     time.Duration
	failures int  // listens in a row that never were acknowledged
	missed   bool // changes of what is watched may have been missed
}

// subscribe listens until ctx ends. It gives up when the server cannot be reached any more.
func (o *Outbound) subscribe(ctx context.Context, ear *era.Ear, others *sync.WaitGroup) error {
	l := &listener{o: o, ear: ear, others: others, wait: minRelisten}
	o.watch.run(true)
	defer func() {
		o.watch.run(false)
		_, n := o.watch.wanted()
		o.watch.settle(n, errNotListening)
	}()
	for {
		uris, n := o.watch.take()
		filters := o.filters(uris)
		if filters == nil {
			l.replace(nil)
			o.watch.hold(n)
			o.watch.settle(n, nil)
		} else if err := l.listen(ctx, filters, uris, n); err != nil {
			return err
		}
		if err := l.rest(ctx, n); err != nil {
			return err
		}
	}
}

var errNotListening = errors.New("the connection ended")

// listen opens a subscription for the nth set, and ends the one before only once the new one
// is acknowledged, so that nothing falls between them.
func (l *listener) listen(ctx context.Context, filters [][]byte, uris []string, n int) error {
	next := l.o.open(ctx, filters, l.ear, l.others)
	var err error
	select {
	case <-next.acknowledged:
	case err = <-next.ended:
		next.ended <- err
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-next.acknowledged: // though it may have ended since
	default:
		if l.failures++; l.failures >= lostAfter && l.held == nil && unreachable(err) {
			return fmt.Errorf("subscriptions/listen: %w", err)
		}
		if err == nil {
			err = errors.New("the server ended the subscription before it acknowledged it")
		}
		l.missed = true
		l.o.watch.settle(n, fmt.Errorf("subscriptions/listen: %w", err))
		return nil
	}
	if l.held == nil { // what changed since the last listing was told to nobody
		if !l.missed {
			uris = nil
		}
		l.ear.Missed(l.o.info.Announces, uris)
	}
	l.failures, l.missed = 0, false
	l.replace(next)
	l.o.watch.hold(n)
	l.o.watch.settle(n, nil)
	return nil
}

func unreachable(err error) bool {
	var remote *mcp.Remote
	return err != nil && !errors.As(err, &remote)
}

func (l *listener) replace(next *subscription) {
	if l.held != nil {
		l.held.end()
	}
	l.held = next
}

// rest waits until there is a reason to listen: another set, the end of the subscription, or
// a set that the server did not take yet.
func (l *listener) rest(ctx context.Context, n int) error {
	var ended <-chan error
	if l.held != nil {
		ended = l.held.ended
	}
	if l.o.watch.holds(n) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.o.watch.changed:
			return nil
		case <-ended:
			l.lose()
			ended = nil
		}
	}
	retry := time.NewTimer(l.wait)
	defer retry.Stop()
	l.wait = min(2*l.wait, maxRelisten)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
			return nil
		case <-l.o.watch.changed:
			if l.held != nil {
				return nil
			}
			_, n := l.o.watch.wanted()
			l.o.watch.settle(n, nil) // it is taken up, and told as changed, when the server is heard again
		case <-ended:
			l.lose()
			ended = nil
		}
	}
}

// lose notes the end of the subscription.
func (l *listener) lose() {
	if time.Since(l.held.began) > longRelisten {
		l.wait = minRelisten
	}
	l.held, l.missed = nil, true
	l.o.watch.hold(-1)
}

// hear takes what belongs to no stream of its own: log lines, which belong to the only call
// that the server has not answered, late answers, and the end of our subscription. It never
// blocks. It is false for what it leaves.
func (o *Outbound) hear(m *jsonrpc.Message) bool {
	ear := o.ear.Load()
	switch {
	case m.Kind == jsonrpc.Request, m.Method == mcp.NoteProgress: // progress of a call comes to that
		return false
	case m.Kind != jsonrpc.Notification:
		o.calls.Answered(m.ID)
	case m.Method == mcp.NoteCancelled:
		o.watch.cancelled(rawjson.Get(m.Params, "requestId"))
	case era.OfNoCall(m.Method):
		ear.Hear(m)
	default:
		if of, _ := o.calls.Only(); of != nil {
			era.Relay(of.Ctx, of.Call, of.ID())(m)
		} else {
			ear.Hear(m)
		}
	}
	return true
}
