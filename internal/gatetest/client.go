package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// A Client is a scripted client of one binding. Its methods may be called from any
// number of goroutines.
type Client interface {
	// Do sends a request and waits for its answer. Params are the raw params object, or
	// empty; they go out byte for byte, but that a stateless client adds the fields of
	// _meta that its revision demands. When ctx ends first, the request is cancelled.
	Do(ctx context.Context, method, params string) (*Answer, error)
	// DoAll is Do that answers input_required with OnAsk, for at most 20 rounds, and gives
	// the last answer and how often it sent the request. Without OnAsk it hangs there.
	DoAll(ctx context.Context, method, params string) (a *Answer, rounds int, err error)
	// Start sends a request and does not wait.
	Start(method, params string) *Pending
	// Notify sends a notification.
	Notify(method, params string) error
	// Send sends a whole message that awaits no answer, whatever it is: an answer to a
	// question that never came, for one.
	Send(message string) error
	// Asked are the questions that came, in order, each once.
	Asked() []Question
	// Notes are the notifications that came and belong to no call, in order: all kinds of
	// list_changed, resources/updated, elicitation/complete, cancelled questions, tasks,
	// and log lines where the binding does not tell whose they are. No method: all.
	Notes(method string) []json.RawMessage
	// Listen opens a subscription with a raw filter and waits until it is acknowledged
	// (stateless).
	Listen(ctx context.Context, filter string) (*Listening, error)
	// Hello is the result of initialize (stateful).
	Hello() json.RawMessage
	// Revision is the one that is spoken.
	Revision() string
	// Seen gives the messages that were sent and received, the first 20,000 of them
	// without those over 256 KiB.
	Seen() []Seen
	// ListChanged gives one token for each tools/list_changed, on the stream where such
	// messages belong.
	ListChanged() <-chan struct{}
	// Stray are the messages that belong to no open request and to no subscription.
	Stray() []json.RawMessage
	// Faults are the rules that the other side broke. Those that are there at Close fail
	// the test.
	Faults() []string
	// Close ends the connection, in the binding's own way, and every goroutine.
	Close()
}

// An Answer is what answered a request; the fields are the bytes that came.
type Answer struct {
	Raw    json.RawMessage // the whole message
	Result json.RawMessage
	Error  json.RawMessage
	Notes  []json.RawMessage // what came for the request before, in order
	Status int               // HTTP status, where there is one
}

// ErrCanceled is the end of a request that was cancelled.
var ErrCanceled = errors.New("canceled")

// A Pending is a request on its way.
type Pending struct {
	ID string // the raw id

	c      *core
	method string
	token  string          // raw progress token
	caps   json.RawMessage // that it declared
	level  string          // that it asked for (stateless)
	done   chan struct{}
	abort  context.CancelFunc // of the binding; may be nil
	status int

	// Guarded by c.mu.
	notes  []json.RawMessage
	over   bool
	answer *Answer
	err    error
}

// Wait waits for the answer; the request goes on when ctx ends.
func (p *Pending) Wait(ctx context.Context) (*Answer, error) {
	select {
	case <-p.done:
		return p.answer, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s %s: %w", p.method, p.ID, ctx.Err())
	}
}

// Notes are what came for the request so far.
func (p *Pending) Notes() []json.RawMessage {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return slices.Clone(p.notes)
}

// Done is closed when the request is answered or at its end.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Cancel cancels in the binding's own way. Wait gives ErrCanceled, and what comes for
// the request from now on is stray.
func (p *Pending) Cancel() {
	if p.c.settle(p, nil, ErrCanceled) {
		p.c.wire.abandon(p)
	}
}

// A wire is what one binding does for a client.
type wire interface {
	send(p *Pending, body, params []byte) // a request; the answer comes through core.arrive
	note(body []byte) error
	abandon(p *Pending)
	close()
}

// core is what the clients of all bindings share.
type core struct {
	t         testing.TB
	opts      Options
	stateless bool
	http      bool // each request has a stream of its own
	binding   string
	wire      wire
	changed   chan struct{}
	ctx       context.Context // done at Close
	cancel    context.CancelFunc
	running   sync.WaitGroup
	closing   sync.Once
	log       seenLog

	mu      sync.Mutex
	last    int
	pending map[string]*Pending
	tokens  map[string]*Pending
	stray   []json.RawMessage
	faults  []string
	headers map[string][]annotation // of the tools that were listed

	version   string // agreed (stateful)
	hello     json.RawMessage
	notes     []note
	listens   map[string]*Listening // every one that was opened
	listen    *Listening            // the one that each client has
	questions []*Question
	used      map[string]bool // progress tokens that were given; ids of elicitations, after an "e"
	level     string          // the lowest that was asked for
	followed  bool            // resources were subscribed to (stateful)
}

// A note is a notification that belongs to no call.
type note struct {
	method string
	raw    json.RawMessage
}

func newCore(t testing.TB, o Options, binding string) *core {
	c := &core{
		t: t, opts: o, stateless: o.Revision == Stateless, http: binding == "streamable", binding: binding, changed: make(chan struct{}, 4096),
		pending: map[string]*Pending{}, tokens: map[string]*Pending{}, headers: map[string][]annotation{},
		listens: map[string]*Listening{}, used: map[string]bool{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *core) Do(ctx context.Context, method, params string) (*Answer, error) {
	p := c.Start(method, params)
	a, err := p.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		p.Cancel()
	}
	return a, err
}

func (c *core) Start(method, params string) *Pending {
	p := c.open(method)
	c.begin(p, params)
	return p
}

// open makes a request with the next id.
func (c *core) open(method string) *Pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	return &Pending{ID: strconv.Itoa(c.last), c: c, method: method, done: make(chan struct{})}
}

func (c *core) begin(p *Pending, params string) {
	raw := c.complete(p.method, params)
	p.token = string(field(raw, "_meta", "progressToken"))
	p.caps = []byte(c.opts.capabilities())
	if c.stateless {
		p.caps = field(raw, "_meta", metaCapabilities)
		p.level, _ = text(field(raw, "_meta", metaLogLevel))
	}
	level := p.level
	if p.method == "logging/setLevel" {
		level, _ = text(field(raw, "level"))
	}
	c.mu.Lock()
	c.pending[p.ID] = p
	if p.token != "" {
		c.tokens[p.token] = p
		c.used[p.token] = true
	}
	if level != "" && (c.level == "" || severity(level) < severity(c.level)) {
		c.level = level
	}
	c.followed = c.followed || p.method == "resources/subscribe"
	c.mu.Unlock()
	body := []byte(request(p.ID, p.method, string(raw)))
	revision := c.Revision()
	if p.method == "initialize" {
		revision, _ = text(field(raw, "protocolVersion"))
	}
	c.log.add(Seen{Raw: body, Sent: true, Binding: c.binding, Revision: revision})
	c.wire.send(p, body, raw)
}

// complete adds what a stateless request must carry (2026-07-28, basic, Per-request
// protocol fields); what the test gave stays.
func (c *core) complete(method, params string) []byte {
	if !c.stateless {
		if params == "" {
			return nil
		}
		return []byte(params)
	}
	raw := []byte(params)
	if params == "" {
		raw = []byte(`{}`)
	}
	meta := []byte(field(raw, "_meta"))
	if meta == nil {
		meta = []byte(`{}`)
	}
	meta = missing(meta, metaVersion, quote(Stateless))
	meta = missing(meta, metaClientInfo, clientInfo)
	meta = missing(meta, metaCapabilities, c.opts.capabilities())
	if c.opts.LogLevel != "" && method != "subscriptions/listen" {
		meta = missing(meta, metaLogLevel, quote(c.opts.LogLevel))
	}
	return with(raw, "_meta", string(meta))
}

const clientInfo = `{"name":"gatetest","version":"1.0.0"}`

func (c *core) Notify(method, params string) error { return c.Send(notification(method, params)) }

func (c *core) Send(message string) error { return c.say(message, "") }

// say sends what awaits no answer; method is that of the question that it answers.
func (c *core) say(message, method string) error {
	c.log.add(Seen{Raw: []byte(message), Sent: true, Binding: c.binding, Revision: c.Revision(), Method: method})
	return c.wire.note([]byte(message))
}

func (c *core) Revision() string {
	if c.stateless {
		return Stateless
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

func (c *core) Hello() json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello
}

func (c *core) Seen() []Seen { return c.log.get() }

func (c *core) ListChanged() <-chan struct{} { return c.changed }

func (c *core) Stray() []json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.stray)
}

func (c *core) Faults() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.faults)
}

func (c *core) Close() {
	c.closing.Do(func() {
		c.wire.close()
		c.cancel()
		c.running.Wait()
		c.mu.Lock()
		var open []*Pending
		for _, p := range c.pending {
			open = append(open, p)
		}
		c.mu.Unlock()
		for _, p := range open {
			c.settle(p, nil, errors.New("the client was closed"))
		}
		for _, f := range c.Faults() {
			if c.opts.Tolerant {
				break
			}
			c.t.Errorf("the answering side broke a rule: %s", f)
		}
	})
}

func (c *core) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *core) lost(raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stray = append(c.stray, raw)
}

// settle ends a request once and says whether it was open.
func (c *core) settle(p *Pending, a *Answer, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.over {
		return false
	}
	p.over = true
	delete(c.pending, p.ID)
	if c.tokens[p.token] == p {
		delete(c.tokens, p.token)
	}
	if a != nil {
		a.Notes = p.notes
	}
	p.answer, p.err = a, err
	close(p.done)
	return true
}
