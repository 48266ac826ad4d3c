package jsonrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/rawjson"
)

// ErrClosed is wrapped by what Do and Send return once the stream has ended.
var ErrClosed = errors.New("connection to the server ended")

// ErrAnswer is wrapped by what Do returns when an answer came that is none we accept.
var ErrAnswer = errors.New("the server's answer is not acceptable")

const (
	maxEvents = 256
	maxBatch  = 50
)

// An Event is a message that belongs to no call, or the news that some were lost
// because nobody took them in time.
type Event struct {
	Message *Message
	Lost    bool
}

// Duplex matches answers to calls on a stream that both sides write to. Its ledger maps
// the id of each open call to whoever waits; an entry leaves it exactly once, by an
// answer, the end of the call's context, or the end of the stream. It starts no goroutine.
type Duplex struct {
	write   func(ctx context.Context, body []byte) error
	limits  Limits
	events  chan Event
	skipped atomic.Int64
	late    atomic.Int64
	hearer  atomic.Pointer[func(*Message) bool]

	mu    sync.Mutex
	calls map[string]*waiter // guarded by mu
	err   error              // guarded by mu; not nil once shut
	lost  bool               // guarded by mu: Messages are dropped since an Event in the queue tells so
}

type waiter struct {
	on   func(*Message)
	done chan outcome // holds one
}

type outcome struct {
	answer *Message
	err    error
}

// NewDuplex makes a Duplex that writes whole messages with write, which may be called
// from many goroutines.
func NewDuplex(write func(ctx context.Context, body []byte) error) *Duplex {
	return &Duplex{write: write, limits: ServerLimits, calls: map[string]*waiter{}, events: make(chan Event, maxEvents+1)}
}

// Bound sets what Receive accepts, in place of ServerLimits. It is called before Receive is.
func (d *Duplex) Bound(l Limits) { d.limits = l.ForServers() }

// Hear offers f, on the reader's goroutine and in wire order, each message that names no open
// call: what f does not take becomes an Event. So whoever hears knows what came before an
// answer before the answer. f is offered the answers too, before their callers have them, and
// late ones, to calls whose caller has left; and progress of requests that are answered.
// It must not block. nil ends it.
func (d *Duplex) Hear(f func(*Message) bool) {
	if f == nil {
		d.hearer.Store(nil)
		return
	}
	d.hearer.Store(&f)
}

func (d *Duplex) offer(m *Message) (taken bool) {
	f := d.hearer.Load()
	return f != nil && (*f)(m)
}

// Do sends a request and waits for its answer. on gets what arrives for the call before
// it, on the reader's goroutine; it may be nil.
func (d *Duplex) Do(ctx context.Context, id, body []byte, on func(*Message)) (*Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // and nothing is sent
	}
	w := &waiter{on: on, done: make(chan outcome, 1)}
	if err := d.enter(string(id), w); err != nil {
		return nil, err
	}
	if err := d.write(ctx, body); err != nil {
		d.leave(string(id))
		return nil, err
	}
	select {
	case o := <-w.done:
		return o.answer, o.err
	case <-ctx.Done():
		if d.leave(string(id)) != nil {
			return nil, ctx.Err()
		}
		o := <-w.done // it left the ledger by its answer, an instant before
		return o.answer, o.err
	}
}

// Send writes what awaits no answer.
func (d *Duplex) Send(ctx context.Context, body []byte) error {
	if err := d.Err(); err != nil {
		return err
	}
	return d.write(ctx, body)
}

// Receive scans and routes what the stream brought: one message, or a batch as revision
// 2025-03-26 allows. Only one goroutine, the reader, calls it. It never blocks.
func (d *Duplex) Receive(raw []byte) {
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		d.receiveBatch(trimmed)
		return
	}
	m, err := Parse(raw, d.limits)
	if err != nil {
		d.refuse(err)
		return
	}
	d.route(m)
}

func (d *Duplex) receiveBatch(raw []byte) {
	if rawjson.Check(raw, d.limits.Limits) != nil {
		d.skipped.Add(1)
		return
	}
	n := 0
	for one := range rawjson.Elements(raw) {
		if n++; n > maxBatch {
			d.skipped.Add(1)
			return
		}
		if m, err := Parse(one, d.limits); err != nil {
			d.refuse(err)
		} else {
			d.route(m)
		}
	}
}

// refuse fails the call that an unacceptable answer names, if it names one.
func (d *Duplex) refuse(err error) {
	var p *ParseError
	if errors.As(err, &p) && p.ID != nil && (p.Reply || p.Syntax || p.Reason == string(rawjson.Depth) || p.Reason == string(rawjson.Tokens)) {
		if d.settle(string(p.ID), outcome{err: fmt.Errorf("%w: %s", ErrAnswer, p.Detail)}) {
			return
		}
		d.offer(&Message{Kind: Failure, ID: p.ID}) // to whoever still counts that call as open
	}
	d.skipped.Add(1)
}

// TooLong fails the call whose answer was longer than the stream's bound.
func (d *Duplex) TooLong(id []byte) {
	if id == nil {
		d.skipped.Add(1)
		return
	}
	if !d.settle(string(id), outcome{err: fmt.Errorf("%w: it is longer than the bound", ErrAnswer)}) {
		d.offer(&Message{Kind: Failure, ID: id})
		d.skipped.Add(1)
	}
}

func (d *Duplex) route(m *Message) {
	switch m.Kind {
	case Response, Failure:
		d.offer(m) // before its caller has it, and so before all that the stream brings after it
		if !d.settle(string(m.ID), outcome{answer: m}) {
			d.late.Add(1)
		}
	case Request:
		d.publish(m)
	case Notification:
		id, progress := correlation(m.Params)
		if id == nil {
			d.publish(m)
			return
		}
		d.mu.Lock()
		w := d.calls[string(id)]
		d.mu.Unlock()
		switch {
		case w != nil && w.on != nil:
			w.on(m)
		case w == nil && progress && d.offer(m): // what was begun may go on after its answer
		default:
			d.late.Add(1)
		}
	}
}

// correlation is the id of the call that a notification on a shared stream belongs to:
// our progress tokens are the ids of their calls, and a subscription's id is its
// request's (2026-07-28, subscriptions, Receiving Notifications).
func correlation(params []byte) (id []byte, progress bool) {
	if token := rawjson.Get(params, "progressToken"); token != nil {
		return token, true
	}
	if meta := rawjson.Get(params, "_meta"); meta != nil {
		return rawjson.Get(meta, "io.modelcontextprotocol/subscriptionId"), false
	}
	return nil, false
}

// publish offers a message to whoever hears, and else queues an Event. Where the queue is
// full it drops it; the queue's last place is kept for the news that something was lost, so
// that whoever reads on learns it.
func (d *Duplex) publish(m *Message) {
	if d.offer(m) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	if len(d.events) < maxEvents { // only here it grows
		d.lost = false
		d.events <- Event{Message: m}
		return
	}
	if !d.lost {
		d.lost = true
		d.events <- Event{Lost: true}
	}
}

// Events carries what belongs to no call; closed by Shut.
func (d *Duplex) Events() <-chan Event { return d.events }

// Shut ends the stream: each waiting call fails with err, as does each later one. The
// first call decides; later ones do nothing. err should wrap ErrClosed.
func (d *Duplex) Shut(err error) {
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return
	}
	d.err = err
	calls := d.calls
	d.calls = nil
	close(d.events)
	d.mu.Unlock()
	for _, w := range calls {
		w.done <- outcome{err: err}
	}
}

// Err says why the stream ended; nil while it lives.
func (d *Duplex) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Skipped counts what arrived and was no message.
func (d *Duplex) Skipped() int64 { return d.skipped.Load() }

// Late counts answers and notifications that named no open call.
func (d *Duplex) Late() int64 { return d.late.Load() }

func (d *Duplex) enter(id string, w *waiter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	if d.calls[id] != nil {
		return fmt.Errorf("id %s is in use", id)
	}
	d.calls[id] = w
	return nil
}

func (d *Duplex) leave(id string) *waiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.calls[id]
	delete(d.calls, id)
	return w
}

func (d *Duplex) settle(id string, o outcome) bool {
	w := d.leave(id)
	if w == nil {
		return false
	}
	w.done <- o
	return true
}
