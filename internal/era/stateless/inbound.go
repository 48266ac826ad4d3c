// Package stateless speaks the revisions from 2026-07-28 on: no session, every request
// says all about itself in _meta, and change notifications come on subscriptions/listen.
// Inbound faces clients, Outbound faces servers. It knows nothing of the stateful revisions.
package stateless

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Inbound answers stateless clients.
type Inbound struct {
	p         era.Params
	lot       *lot
	states    *keeper
	lists     era.Memo
	closing   chan struct{}
	closeOnce sync.Once
}

// NewInbound makes the edge that faces stateless clients.
func NewInbound(p era.Params) *Inbound {
	if p.QuestionTime == 0 {
		p.QuestionTime = era.DefaultQuestionTime
	}
	return &Inbound{p: p, lot: newLot(p), states: newKeeper(), closing: make(chan struct{})}
}

// Drain ends the calls that wait for a retry of their client, which cannot come any more, and
// refuses questions from now on.
func (b *Inbound) Drain() { b.lot.drain() }

// Close ends every subscriptions/listen with its result, and every call during which clients
// may be asked. When it returns, every goroutine of such a call has exited.
func (b *Inbound) Close() {
	b.closeOnce.Do(func() { close(b.closing) })
	b.lot.close()
}

// Serve answers one message.
func (b *Inbound) Serve(ctx context.Context, in *era.Incoming) era.Answer {
	m := in.Message
	switch m.Kind {
	case jsonrpc.Response, jsonrpc.Failure:
		// 2026-07-28, Streamable HTTP, Sending Messages, 4: clients send no responses.
		return era.Refuse(mcp.Errorf(mcp.InvalidRequest, "message", "a client must not send responses"), nil)
	case jsonrpc.Notification:
		b.notice(in)
		return era.Answer{Status: http.StatusAccepted}
	}
	c, bad := era.NewCall(m)
	if bad != nil {
		return era.Refuse(bad, m.ID)
	}
	if refusal := checkRequest(in, c); refusal != nil {
		return *refusal
	}
	if looped := era.Looped(c.Params.Meta, b.p.Via); looped != nil {
		return era.Refuse(looped, m.ID)
	}
	c.From = caller(in, c)
	_, list := mcp.Listed(m.Method)
	switch {
	case m.Method == mcp.Discover:
		return b.discover(m.ID, in.Scope)
	case m.Method == mcp.SubscriptionsListen:
		return b.listen(ctx, in, c)
	case mcp.MayAsk(m.Method):
		return b.ask(ctx, in, c)
	case isTask(m.Method):
		if bad := checkTask(c); bad != nil {
			return b.failure(c, m.ID, bad)
		}
		return b.call(ctx, in, c)
	case list, m.Method == mcp.Completion, in.Scope.Server != "" && !removed(m.Method):
		return b.call(ctx, in, c)
	}
	return b.failure(c, m.ID, mcp.Errorf(mcp.UnknownMethod, "method", "method %.256q is not known", m.Method))
}

// caller is who a request comes from: all of it stands in the request.
func caller(in *era.Incoming, c *mcp.Call) *mcp.Caller {
	level, _ := rawjson.Text(rawjson.Get(c.Params.Meta, mcp.MetaLogLevel))
	return &mcp.Caller{Principal: in.Principal, Capabilities: rawjson.Get(c.Params.Meta, mcp.MetaClientCaps), TakesRounds: true, Scope: in.Scope, LogLevel: level,
		Client: rawjson.Get(c.Params.Meta, mcp.MetaClientInfo)}
}

func isTask(method string) bool {
	return method == mcp.TasksGet || method == mcp.TasksUpdate || method == mcp.TasksCancel
}

// removed tells the methods that earlier revisions had and this era does not, whatever a
// server behind us may have (2026-07-28, changelog).
func removed(method string) bool {
	switch method {
	case mcp.Initialize, mcp.Ping, mcp.SetLevel, mcp.Subscribe, mcp.Unsubscribe:
		return true
	}
	return false
}

// notice takes a notification. The revision has one of clients, on pipes; others are for the
// one server of a scope.
func (b *Inbound) notice(in *era.Incoming) {
	m := in.Message
	switch m.Method {
	case mcp.NoteCancelled:
		if id := rawjson.Get(m.Params, "requestId"); id != nil && in.Session != nil {
			in.Session.Calls.Cancel(id)
		}
		return
	case mcp.NoteInitialized, mcp.NoteRootsListChanged, mcp.NoteProgress: // of earlier revisions
		return
	}
	if in.Scope.Server == "" {
		return
	}
	c, bad := era.NewCall(m)
	if bad == nil && era.Looped(c.Params.Meta, b.p.Via) == nil {
		b.p.Feed.Notify(caller(in, c), m.Method, m.Params)
	}
}

// call serves a call during which nobody is asked.
func (b *Inbound) call(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	back := &era.CallerBack{Out: in.Out, From: c.From}
	c.Back = plainBack{back}
	reply, err := b.p.Handler.Handle(ctx, c)
	back.Close()
	return b.answer(in, c.From, c, reply, err)
}

// answer turns the outcome of a call into the answer to the request that carries it, whose
// caller is from.
func (b *Inbound) answer(in *era.Incoming, from *mcp.Caller, c *mcp.Call, reply *mcp.Reply, err error) era.Answer {
	id := in.Message.ID
	if err != nil {
		asks, refusal, isSuch := b.elicited(from, c, err)
		switch {
		case !isSuch:
			return b.failure(c, id, err)
		case refusal != nil:
			return b.failure(c, id, refusal)
		}
		return ok(id, b.complete(in.Scope, asks))
	}
	if reply.Kind == mcp.InputRequired {
		if !mcp.MayAsk(c.Method) {
			return b.failure(c, id, mcp.Errorf(mcp.Internal, "server_invalid", "server %q asks for input where it must not", c.Target.Server))
		}
		return ok(id, b.complete(in.Scope, reply.Result, b.wrapped(c, reply.Result)...))
	}
	if _, list := mcp.Listed(c.Method); list {
		return ok(id, era.WithGateways(b.list(in.Scope, reply), c, b.p.Via, reply.Gateways))
	}
	if c.Method == mcp.ResourcesRead {
		return ok(id, b.complete(in.Scope, reply.Result, hints(reply.Result)...))
	}
	return ok(id, b.complete(in.Scope, reply.Result))
}

// list is a list's result with how long it stays fresh, which is another at each time.
func (b *Inbound) list(s mcp.Scope, reply *mcp.Reply) []byte {
	private := rawjson.Edit{Key: era.MemberScope, Value: []byte(`"private"`)}
	whole := func(r []byte) []byte { return b.complete(s, r, rawjson.Edit{Key: era.MemberTTL}, private) }
	var out []byte
	if s.Server != "" { // a server's own account of itself may change without its list
		out = whole(reply.Result)
	} else {
		out = b.lists.Get(reply.Result, whole)
	}
	out = append(make([]byte, 0, len(out)+32), out[:len(out)-1]...)
	out = append(out, `,"`+era.MemberTTL+`":`...)
	return append(strconv.AppendInt(out, max(0, reply.TTL.Milliseconds()), 10), '}')
}

// hints are what the result of a read must say about caching, where its server did not
// (2026-07-28, caching, Cacheable Results).
func hints(result []byte) []rawjson.Edit {
	var out []rawjson.Edit
	if rawjson.Get(result, era.MemberTTL) == nil {
		out = append(out, rawjson.Edit{Key: era.MemberTTL, Value: []byte("0")})
	}
	if rawjson.Get(result, era.MemberScope) == nil {
		out = append(out, rawjson.Edit{Key: era.MemberScope, Value: []byte(`"private"`)})
	}
	return out
}

// complete is a result with what every result of this era must bear: its type, and
// who answered (2026-07-28, basic, Per-response protocol fields).
func (b *Inbound) complete(s mcp.Scope, result []byte, more ...rawjson.Edit) []byte {
	edits := make([]rawjson.Edit, 0, 4)
	if rawjson.Get(result, era.MemberType) == nil {
		edits = append(edits, rawjson.Edit{Key: era.MemberType, Value: []byte(`"complete"`)})
	}
	edits = append(edits, more...)
	meta := rawjson.Get(result, "_meta")
	if meta == nil || meta[0] == '{' {
		own := era.CleanMeta(meta, rawjson.Edit{Key: mcp.MetaServerInfo, Value: b.p.Presence.Self(s)})
		edits = append(edits, rawjson.Edit{Key: "_meta", Value: own})
	}
	return rawjson.AppendEdited(nil, result, edits...)
}

func (b *Inbound) discover(id []byte, s mcp.Scope) era.Answer {
	out := append([]byte(`{"resultType":"complete","supportedVersions":`), era.Dates()...)
	out = append(append(out, `,"capabilities":`...), b.p.Presence.Capabilities(s)...)
	if text := b.p.Presence.Instructions(s); text != "" {
		out = rawjson.AppendText(append(out, `,"instructions":`...), text)
	}
	out = append(out, `,"ttlMs":0,"cacheScope":"private","_meta":{"`+mcp.MetaServerInfo+`":`...)
	out = append(out, b.p.Presence.Self(s)...)
	return ok(id, append(out, '}', '}'))
}

func ok(id, result []byte) era.Answer {
	return era.Answer{Status: http.StatusOK, Body: jsonrpc.AppendResult(nil, id, result)}
}

// failure is the answer to a call that failed. A method that is known to nobody is 404
// (2026-07-28, Streamable HTTP, Protocol Version Header).
func (b *Inbound) failure(c *mcp.Call, id []byte, err error) era.Answer {
	if remote := era.AsRemote(err); remote != nil {
		object, status := remoteObject(c, remote)
		return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
	}
	object, status := era.Render(err)
	var own *mcp.Error
	if errors.As(err, &own) && own.Code == mcp.UnknownMethod {
		status = http.StatusNotFound
	}
	return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
}

// remoteObject passes a server's error. Codes that the revision forbids us to emit, or that
// would speak of our own hop, become an internal error with the original inside
// (2026-07-28, basic, Error Codes).
func remoteObject(c *mcp.Call, r *mcp.Remote) (object []byte, status int) {
	_, list := mcp.Listed(c.Method)
	switch {
	case r.Number == era.MissingCapability:
		return r.Raw, http.StatusBadRequest
	case r.Number == era.MethodNotFound && !list && !mcp.MayAsk(c.Method):
		return r.Raw, http.StatusNotFound
	case r.Number == era.ResourceNotFound && c.Method == mcp.ResourcesRead:
		// 2026-07-28, resources, Error Handling: it has another number in this era.
		number := strconv.AppendInt(nil, era.InvalidParams, 10)
		return rawjson.AppendEdited(nil, r.Raw, rawjson.Edit{Key: "code", Value: number}), http.StatusOK
	case r.Number == era.ResourceNotFound, r.Number <= era.ReservedFirst && r.Number >= era.ReservedLast:
		return era.Inside(r), http.StatusOK
	}
	return r.Raw, http.StatusOK
}
