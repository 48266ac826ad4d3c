package stateful

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// Params say who we are to a server, and how it may ask.
type Params struct {
	Self         []byte // our Implementation object
	Capabilities []byte // what we declare, raw; nil for {}
	Roots        []byte // the array of roots that we answer with ourselves; nil: the client is asked
	Via          string // our id among gateways; empty for none
	// PerClient tells that the connection serves one client alone, so that a question which
	// may belong to one of several calls can go to any of them, and one that belongs to none is
	// the client's as well.
	PerClient bool
	// From is that client where it has a session; its Back reaches it outside of calls. May be nil.
	From *mcp.Caller
	// TaskTools are the tools that run as tasks only, as all connections to the server know them; nil:
	// as this one does.
	TaskTools *TaskTools
	// Report is told, in words for operators, when a question found no addressee; may be nil.
	Report func(advice string)
}

// Outbound speaks with a stateful server.
type Outbound struct {
	link era.Link
	p    Params
	info era.Info

	ear atomic.Pointer[era.Ear] // nil before Run

	revision atomic.Pointer[era.Revision] // for answers; nil before the handshake, set once link.Header is
	calls    era.Ledger                   // calls of clients

	again    chan struct{} // holds one: whoever put it there may open a session
	session  atomic.Int64  // how often the session was opened; written under again
	torn     bool          // guarded by again: the last session was not opened whole, so that the next round opens one
	reopened chan struct{} // holds one: a new session, so that Run lists again

	asking   asking
	outside  outside
	elicited elicitations
	level    level
	watch    watch
	tasks    tasks
}

// Connect does the handshake of the stateful revisions (2025-11-25, lifecycle,
// Initialization). The connection stays the caller's to close where it fails.
func Connect(ctx context.Context, conn transport.Conn, p Params) (*Outbound, error) {
	if p.Capabilities == nil {
		p.Capabilities = []byte("{}")
	}
	if p.Report == nil {
		p.Report = func(string) {}
	}
	o := &Outbound{link: era.Link{Conn: conn, First: era.FirstStateful}, p: p, again: make(chan struct{}, 1), reopened: make(chan struct{}, 1)}
	if o.tasks.tools = p.TaskTools; o.tasks.tools == nil {
		o.tasks.tools = &TaskTools{}
	}
	o.tasks.init()
	o.asking.init()
	o.level.turn = make(chan struct{}, 1)
	o.watch.turn = make(chan struct{}, 1)
	shared, isShared := conn.(transport.Shared)
	if isShared { // a question must not be overtaken by what comes behind it
		shared.Hear(o.take)
	}
	if err := o.handshake(ctx); err != nil {
		if isShared {
			shared.Hear(nil)
		}
		o.asking.end()
		return nil, err
	}
	return o, nil
}

// Info is what the server said in initialize.
func (o *Outbound) Info() era.Info { return o.info }

// List lists one kind. A server that declares none of it is not asked.
func (o *Outbound) List(ctx context.Context, kind mcp.Kind, b era.ListBounds) (*era.Listing, error) {
	if !o.info.Has[kind] {
		return &era.Listing{}, nil
	}
	l, err := era.Follow(ctx, kind, b, func(ctx context.Context, params []byte) ([]byte, error) {
		if via := era.Via(nil, o.p.Via); via != nil {
			params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: rawjson.AppendEdited(nil, nil, via...)})
		}
		return o.round(ctx, o.link.NextID(), kind.List(), params, nil)
	})
	if err != nil {
		return nil, err
	}
	l.TTL = 0 // caching hints are not this era's: never acted on
	if kind == mcp.Tools {
		o.tasks.shown(l)
	}
	return l, nil
}

// Check pings.
func (o *Outbound) Check(ctx context.Context) error {
	_, err := o.round(ctx, o.link.NextID(), mcp.Ping, nil, nil)
	var remote *mcp.Remote
	if errors.As(err, &remote) {
		return nil // an answer of any kind is a sign of life
	}
	return err
}

// Handle sends a call to the server.
func (o *Outbound) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if c.From.TakesRounds && rawjson.Get(c.Params.Raw, mcp.MemberRequestState) != nil {
		// This server gave none, so that it belongs to another call (2026-07-28, patterns,
		// Multi Round-Trip Requests).
		return nil, mcp.Errorf(mcp.InvalidParams, "request_state", "the requestState is not of this call, since its server gives none; call again without it")
	}
	o.raiseLevel(ctx, c.From.LogLevel)
	result, err := o.call(ctx, c)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		o.rememberRequired(c.From, err)
		return nil, era.Unavailable(c.Target.Server, err)
	}
	return &mcp.Reply{Result: era.CleanResult(result, era.MemberType, era.MemberTTL, era.MemberScope)}, nil
}

// call sends a call, or has it run as a task, and tells the server where the caller leaves.
func (o *Outbound) call(ctx context.Context, c *mcp.Call) ([]byte, error) {
	id := o.link.NextID()
	params := o.params(c, id)
	brings := o.p.PerClient && carries(c)
	if brings {
		o.askAgain(ctx)
	}
	of := o.calls.Begin(ctx, c, id)
	if brings {
		if o.outside.carry(of) {
			era.Sleep(ctx, takeTime)
		}
		if ctx.Err() != nil {
			o.calls.End(of, nil) // the server never got it
			return nil, ctx.Err()
		}
	}
	if o.tasks.runs(c) {
		return o.runTask(ctx, of, params)
	}
	return o.runCall(ctx, of, params)
}

// runCall sends a call and waits for its answer.
func (o *Outbound) runCall(ctx context.Context, of *era.Open, params []byte) ([]byte, error) {
	id := of.ID()
	result, err := o.round(ctx, id, of.Call.Method, params, o.during(of, id))
	if o.calls.End(of, err) && ctx.Err() != nil && o.link.Cancel(id) {
		o.calls.Told(id)
	}
	return result, err
}

// params are those of a call in the words of the server's revision and hop.
func (o *Outbound) params(c *mcp.Call, id []byte) []byte {
	edits := era.Via(c.Params.Meta, o.p.Via)
	if c.Params.ProgressToken != nil {
		edits = append(edits, rawjson.Edit{Key: mcp.MetaProgressToken, Value: id})
	}
	params := era.CallParams(c, era.CleanMeta(c.Params.Meta, edits...))
	if c.From.TakesRounds && rawjson.Get(params, mcp.MemberInputResponses) != nil { // no member of this era's
		params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: mcp.MemberInputResponses})
	}
	if o.tasks.can && c.Method == mcp.ToolsCall && rawjson.Get(params, memberTask) != nil { // callers may make none
		params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: memberTask})
	}
	return params
}

// during hears what the server says while a call runs. On a stream of its own all of it
// belongs to the call.
func (o *Outbound) during(of *era.Open, id []byte) func(*jsonrpc.Message) {
	relay := era.Relay(of.Ctx, of.Call, id)
	if !o.link.Conn.OwnStream() {
		return relay
	}
	return func(m *jsonrpc.Message) { o.hear(m, of, relay) }
}

// nobody is whom a question on the stream of a request of our own is for.
var nobody = func() *era.Open {
	ctx, end := context.WithCancel(context.Background())
	end()
	return &era.Open{Ctx: ctx}
}()

// aside hears what the server says on the stream of a request of our own.
func (o *Outbound) aside() func(*jsonrpc.Message) {
	if !o.link.Conn.OwnStream() {
		return nil
	}
	return func(m *jsonrpc.Message) {
		o.hear(m, nobody, func(m *jsonrpc.Message) {
			if ear := o.ear.Load(); ear != nil {
				ear.Hear(m)
			}
		})
	}
}

// Notify sends a notification of a client to the server.
func (o *Outbound) Notify(ctx context.Context, method string, params []byte) error {
	params = era.NoteParams(params, o.p.Via)
	return o.link.Conn.Send(ctx, transport.Message{Body: jsonrpc.AppendNotification(nil, method, params), Header: o.link.Header})
}

// Run hears the server's notifications and questions until the connection ends.
func (o *Outbound) Run(ctx context.Context, ear era.Ear) error {
	o.ear.Store(&ear)
	if shared, ok := o.link.Conn.(transport.Shared); ok {
		defer shared.Hear(nil)
	}
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.reopened: // what the server has may be new as well
			ear.Missed(o.info.Has, nil)
			watching.Go(func() { o.watchAgain(ctx, &ear) })
		case e, open := <-o.link.Conn.Events():
			switch {
			case !open:
				return o.link.Conn.Err()
			case e.Lost:
				ear.Missed(o.info.Has, o.watch.wanted())
			default:
				o.hear(e.Message, nil, nil)
			}
		}
	}
}

// take hears what the reader of a shared stream brings. It is false for what it leaves: before Run
// all but questions, and progress of no call.
func (o *Outbound) take(m *jsonrpc.Message) bool {
	stray := m.Method == mcp.NoteProgress && rawjson.Get(m.Params, mcp.MetaProgressToken) != nil && o.belongs(m) == nil
	if stray || m.Kind != jsonrpc.Request && o.ear.Load() == nil {
		return false
	}
	o.hear(m, nil, nil)
	return true
}

// hear sorts what the server says. of is the call on whose own stream it came, and relay that
// call's; nil where it may belong to any. It never blocks, since readers call it.
func (o *Outbound) hear(m *jsonrpc.Message, of *era.Open, relay func(*jsonrpc.Message)) {
	switch {
	case m.Kind == jsonrpc.Request:
		o.question(m, of)
		return
	case m.Kind != jsonrpc.Notification:
		o.calls.Answered(m.ID)
		if task, late := o.tasks.named(m.ID, m.Result); late {
			o.cancelTask(task)
		}
		return
	case m.Method == mcp.NoteCancelled:
		o.asking.withdraw(rawjson.Get(m.Params, "requestId"))
		return
	case m.Method == mcp.NoteElicited:
		o.elicited.tell(m.Params)
		return
	case m.Method == mcp.NoteTaskStatus: // we wait for what comes of it
		return
	}
	ear := o.ear.Load()
	if era.OfNoCall(m.Method) {
		if ear != nil {
			ear.Hear(m)
		}
		return
	}
	if relay == nil {
		if of = o.belongs(m); of != nil {
			relay = era.Relay(of.Ctx, of.Call, of.ID())
		}
	}
	switch {
	case relay != nil:
		relay(m)
	case ear != nil:
		ear.Hear(m)
	}
}

// Close ends the connection and waits for questions and answers on their way.
func (o *Outbound) Close() error {
	o.asking.end()
	err := o.link.Conn.Close()
	o.asking.wait()
	return err
}
