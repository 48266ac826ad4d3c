// Package stateless speaks the revisions from 2026-07-28 on: no session, every request
// says all about itself in _meta, and change notifications come on subscriptions/listen.
// Inbound faces clients, Outbound faces servers. It knows nothing of the stateful revisions.
package stateless

import (
	"context"
	"net/http"
	"sync"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Inbound answers stateless clients.
type Inbound struct {
	p         era.Params
	lists     era.Memo
	closing   chan struct{}
	closeOnce sync.Once
}

// NewInbound makes the edge that faces stateless clients.
func NewInbound(p era.Params) *Inbound {
	return &Inbound{p: p, closing: make(chan struct{})}
}

// Close ends every subscriptions/listen with its result.
func (b *Inbound) Close() { b.closeOnce.Do(func() { close(b.closing) }) }

// Serve answers one message.
func (b *Inbound) Serve(ctx context.Context, in *era.Incoming) era.Answer {
	m := in.Message
	switch m.Kind {
	case jsonrpc.Response, jsonrpc.Failure:
		// 2026-07-28, Streamable HTTP, Sending Messages, 4: clients send no responses.
		return era.Refuse(mcp.Errorf(mcp.InvalidRequest, "message", "a client must not send responses"), nil)
	case jsonrpc.Notification:
		if m.Method == mcp.NoteCancelled && in.Session != nil {
			if id := rawjson.Get(m.Params, "requestId"); id != nil {
				in.Session.Calls.Cancel(id)
			}
		}
		return era.Answer{Status: http.StatusAccepted}
	}
	c, bad := era.NewCall(m)
	if bad != nil {
		return era.Refuse(bad, m.ID)
	}
	if refusal := checkRequest(in, c); refusal != nil {
		return *refusal
	}
	c.From = &mcp.Caller{Principal: in.Principal, Capabilities: rawjson.Get(c.Params.Meta, mcp.MetaClientCaps), TakesRounds: true, Scope: in.Scope}
	switch m.Method {
	case mcp.Discover:
		return b.discover(m.ID, in.Scope)
	case mcp.ToolsList, mcp.ToolsCall:
		return b.call(ctx, in, c)
	case mcp.SubscriptionsListen:
		return b.listen(ctx, in, c)
	}
	// 2026-07-28, Streamable HTTP, Protocol Version Header: 404 for an unknown method.
	unknown := mcp.Errorf(mcp.UnknownMethod, "method", "method %q is not known", m.Method)
	answer := b.failure(m.ID, unknown)
	answer.Status = http.StatusNotFound
	return answer
}

func (b *Inbound) call(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	back := &era.CallerBack{Out: in.Out}
	c.Back = back
	reply, err := b.p.Handler.Handle(ctx, c)
	back.Close()
	if err != nil {
		return b.failure(in.Message.ID, err)
	}
	if era.IsList(c.Method) {
		whole := func(r []byte) []byte {
			return b.complete(in.Scope, r, rawjson.Edit{Key: era.MemberTTL, Value: []byte("0")}, rawjson.Edit{Key: era.MemberScope, Value: []byte(`"private"`)})
		}
		if in.Scope.Server != "" { // a server's own account of itself may change without its list
			return ok(in.Message.ID, whole(reply.Result))
		}
		return ok(in.Message.ID, b.lists.Get(reply.Result, whole))
	}
	return ok(in.Message.ID, b.complete(in.Scope, reply.Result))
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
	out = append(out, `,"capabilities":{"tools":{"listChanged":true}}`...)
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

func (b *Inbound) failure(id []byte, err error) era.Answer {
	remote := era.AsRemote(err)
	if remote == nil {
		object, status := era.Render(err)
		return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
	}
	object, status := remoteObject(remote)
	return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
}

// remoteObject passes a server's error. Codes that the revision forbids us to emit, or that
// would speak of our own hop, become an internal error with the original inside
// (2026-07-28, basic, Error Codes).
func remoteObject(r *mcp.Remote) (object []byte, status int) {
	switch {
	case r.Number == era.MissingCapability:
		return r.Raw, http.StatusBadRequest
	case r.Number == era.ResourceNotFound, r.Number <= era.ReservedFirst && r.Number >= era.ReservedLast:
		text, _ := rawjson.Text(rawjson.Get(r.Raw, "message"))
		data := append(append([]byte(`{"reason":"server_error","error":`), r.Raw...), '}')
		return era.AppendErrorObject(nil, era.InternalError, text, data), http.StatusOK
	}
	return r.Raw, http.StatusOK
}
