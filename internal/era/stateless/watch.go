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
	"mcpgateway/internal/transport"
)

// Bounds of the subscription and of its back-off.
const (
	ackTime      = 10 * time.Second // until it is acknowledged
	minRelisten  = time.Second
	maxRelisten  = 60 * time.Second
	lostAfter    = 3 // listens in a row that did not reach the server
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
	but     error                    // guarded by mu: an era.Unwatched of what it does not carry of that; nil for nothing
	waiting map[chan<- error]int     // guarded by mu: by the n that they wait for
	open    map[string]*subscription // guarded by mu: by the id of the request
}

// Watch has the server tell when these resources change, and no others. It returns when the
// server has acknowledged the set, or refused some or all of it; those are asked for again in
// the background. A server that does not offer it is not asked.
func (o *Outbound) Watch(ctx context.Context, uris []string) error {
	if !o.info.Subscribes {
		return nil
	}
	done, err := o.watch.set(uris)
	if done == nil {
		return err
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

// set notes what is wanted. done is nil where there is nothing to wait for, and err is what
// there is to say then.
func (w *watch) set(uris []string) (done chan error, err error) {
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
	switch {
	case !w.running:
		return nil, nil
	case w.held == w.n:
		return nil, w.but
	}
	done = make(chan error, 1)
	w.waiting[done] = w.n
	return done, nil
}

// hold notes that the server carries the nth set but for some, and tells who waits for it.
func (w *watch) hold(n int, but era.Unwatched) {
	var err error
	if len(but) > 0 {
		err = but
	}
	w.mu.Lock()
	w.held, w.but = n, err
	w.mu.Unlock()
	w.settle(n, err)
}

// lose notes that the server carries none.
func (w *watch) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.but = -1, nil
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
	but      era.Unwatched // what the server did not take of the set that it took last
	wait     time.Duration
	failures int  // listens in a row that did not reach the server
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
		if err := l.listen(ctx, uris, n); err != nil {
			return err
		}
		if err := l.rest(ctx, n); err != nil {
			return err
		}
	}
}

var errNotListening = errors.New("the connection ended")

// listen has the server carry the nth set, or what it takes of it. The subscription before ends
// only once the new one is acknowledged, so that nothing falls between them.
func (l *listener) listen(ctx context.Context, uris []string, n int) error {
	if l.held != nil && slices.Equal(uris, l.held.carried) {
		l.take(l.held, nil, uris, n)
		return nil
	}
	next, but, err := l.ask(ctx, uris)
	if era.AsRemote(err) != nil && len(uris) > 0 {
		next, but, err = l.sift(ctx, uris, err)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return l.fail(err, uris, n)
	}
	l.take(next, but, uris, n)
	return nil
}

// ask opens a subscription to these resources beside the lists, and waits until it is
// acknowledged, with all but some of them. It is nil where there is nothing to ask for.
func (l *listener) ask(ctx context.Context, uris []string) (*subscription, era.Unwatched, error) {
	filters := l.o.filters(uris)
	if filters == nil {
		return nil, nil, nil
	}
	next := l.o.open(ctx, filters, l.ear, l.others)
	late := time.NewTimer(ackTime)
	defer late.Stop()
	var err error
	select {
	case <-next.acknowledged:
	case err = <-next.ended:
		next.ended <- err
		if err == nil {
			err = errors.New("the server ended the subscription before it acknowledged it")
		}
	case <-late.C:
		err = fmt.Errorf("the server did not acknowledge the subscription within %s", ackTime)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if !era.IsClosed(next.acknowledged) { // else it was, though it may have ended since
		next.end()
		return nil, nil, fmt.Errorf("subscriptions/listen: %w", err)
	}
	return next, next.readAcknowledged(uris), nil
}

// take notes that the server carries the nth set but for some of it.
func (l *listener) take(next *subscription, but era.Unwatched, uris []string, n int) {
	var announces [mcp.Kinds]bool
	unheard := l.held == nil && next != nil
	if unheard { // what changed since the last listing was told to nobody
		announces = l.o.info.Announces
	}
	var news []string // of which the same is true
	for _, uri := range uris {
		if but[uri] == nil && (unheard && l.missed || l.but[uri] != nil) {
			news = append(news, uri)
		}
	}
	l.ear.Missed(announces, news)
	l.failures, l.missed, l.but = 0, l.missed && next == nil, but
	l.replace(next)
	l.o.watch.hold(n, but)
}

// fail notes that the server takes nothing new. It goes on with what it carries.
func (l *listener) fail(err error, uris []string, n int) error {
	l.failures++
	if !unreachable(err) {
		l.failures = 0
	}
	if l.held != nil {
		_, fresh := l.split(uris)
		l.but = unwatched(fresh, err)
		l.o.watch.hold(n, l.but)
		return nil
	}
	if l.failures >= lostAfter {
		return err
	}
	l.missed = true
	l.o.watch.settle(n, err)
	return nil
}

// unreachable tells whether there was no connection. A server that refuses to be listened to,
// in whatever way, or a proxy that does, may answer calls all the same.
func unreachable(err error) bool {
	return errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrClosed)
}

func (l *listener) replace(next *subscription) {
	if l.held != nil && l.held != next {
		l.held.end()
	}
	l.held = next
}

// rest waits until there is a reason to listen: another set, the end of the subscription, or
// what the server did not take yet.
func (l *listener) rest(ctx context.Context, n int) error {
	var ended <-chan error
	if l.held != nil {
		ended = l.held.ended
	}
	if l.o.watch.holds(n) && len(l.but) == 0 {
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
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
			l.wait = min(2*l.wait, maxRelisten)
			return nil
		case <-l.o.watch.changed:
			if l.o.watch.holds(n) {
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
	l.o.watch.lose()
}

// hear takes what belongs to no stream of its own: log lines, which belong to the only call
// that the server has not answered, late answers, and the end of our subscription. It never
// blocks. It is false for what it leaves.
func (o *Outbound) hear(m *jsonrpc.Message) bool {
	ear := o.ear.Load()
	switch {
	case m.Kind == jsonrpc.Request:
		return false
	case m.Kind != jsonrpc.Notification:
		o.calls.Answered(m.ID)
	case m.Method == mcp.NoteCancelled:
		o.watch.cancelled(rawjson.Get(m.Params, "requestId"))
	case m.Method == mcp.NoteProgress:
		if rawjson.Get(m.Params, mcp.MetaProgressToken) != nil {
			return false // progress of a call comes to that
		}
		ear.Hear(m)
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
