// Package stateful speaks the revisions 2024-11-05 to 2025-11-25: initialize opens a
// session, and what was negotiated there holds until it ends. Inbound faces clients,
// Outbound faces servers. It knows nothing of the stateless revisions.
package stateful

import (
	"context"
	"net/http"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

// Inbound answers stateful clients.
type Inbound struct {
	p     era.Params
	store *session.Store // nil where there is no HTTP
	lists era.Memo
}

// NewInbound makes the edge that faces stateful clients. store keeps the sessions that
// HTTP clients open; a pipe brings its own.
func NewInbound(p era.Params, store *session.Store) *Inbound {
	return &Inbound{p: p, store: store}
}

// Serve answers one message.
func (b *Inbound) Serve(ctx context.Context, in *era.Incoming) era.Answer {
	m := in.Message
	switch m.Kind {
	case jsonrpc.Response, jsonrpc.Failure: // of a question that was withdrawn or never asked
		return era.Answer{Status: http.StatusAccepted}
	case jsonrpc.Notification:
		notice(in)
		return era.Answer{Status: http.StatusAccepted}
	}
	c, bad := era.NewCall(m)
	if bad != nil {
		return era.Refuse(bad, m.ID)
	}
	switch m.Method {
	case mcp.Initialize:
		return b.initialize(in)
	case mcp.Ping:
		return complete(m.ID, []byte("{}"))
	}
	if in.Session == nil || in.Session.Revision() == "" {
		return era.Refuse(mcp.Errorf(mcp.InvalidRequest, "session", "the first request must be initialize, or each must name its protocol version in _meta"), m.ID)
	}
	c.From = in.Session.Caller()
	switch m.Method {
	case mcp.ToolsList, mcp.ToolsCall:
		return b.call(ctx, in, c)
	}
	return failure(m.ID, mcp.Errorf(mcp.UnknownMethod, "method", "method %q is not known", m.Method))
}

func (b *Inbound) call(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	back := &era.CallerBack{Out: in.Out}
	c.Back = back
	reply, err := b.p.Handler.Handle(ctx, c)
	back.Close()
	if err != nil {
		return failure(in.Message.ID, err)
	}
	if era.IsList(c.Method) {
		in.Session.Tell(reply.Seen)
		return complete(in.Message.ID, b.lists.Get(reply.Result, projectTools))
	}
	return complete(in.Message.ID, projectResult(reply.Result, c.Target.Definition))
}

func notice(in *era.Incoming) {
	if in.Session == nil {
		return
	}
	switch in.Message.Method {
	case mcp.NoteInitialized:
		in.Session.SetReady()
	case mcp.NoteCancelled:
		if id := rawjson.Get(in.Message.Params, "requestId"); id != nil {
			in.Session.Calls.Cancel(id)
		}
	}
}

// initialize settles the revision (2025-11-25, lifecycle, Version Negotiation): the one
// asked for if it is a stateful one that we speak, else our newest.
func (b *Inbound) initialize(in *era.Incoming) era.Answer {
	m := in.Message
	asked, ok := rawjson.Text(rawjson.Get(m.Params, "protocolVersion"))
	if !ok {
		return failure(m.ID, mcp.Errorf(mcp.InvalidParams, "params", `"protocolVersion" must be a string`))
	}
	capabilities := rawjson.Get(m.Params, "capabilities")
	if capabilities != nil && capabilities[0] != '{' {
		return failure(m.ID, mcp.Errorf(mcp.InvalidParams, "params", `"capabilities" must be an object`))
	}
	revision, ok := era.Find(asked)
	if !ok || revision.Stateless {
		revision = era.Newest(false)
	}
	s, opened := in.Session, ""
	if in.Header != nil {
		if s = b.store.New(in.Principal); s == nil {
			return failure(m.ID, mcp.Errorf(mcp.Overloaded, "sessions", "too many sessions are open; end one or try again later"))
		}
		opened, s.Scope = s.ID, in.Scope
	}
	seen, _ := b.p.Feed.Tools(&mcp.Caller{Principal: in.Principal, Capabilities: capabilities, Scope: s.Scope})
	if !s.Open(revision.Date, capabilities, seen) {
		return failure(m.ID, mcp.Errorf(mcp.InvalidRequest, "session", "initialize was already called here"))
	}
	answer := complete(m.ID, b.initializeResult(revision, s.Scope))
	answer.Session = opened
	return answer
}

func (b *Inbound) initializeResult(r era.Revision, s mcp.Scope) []byte {
	out := rawjson.AppendText([]byte(`{"protocolVersion":`), r.Date)
	out = append(out, `,"capabilities":{"tools":{"listChanged":true}},"serverInfo":`...)
	self := b.p.Presence.Self(s)
	if !r.Titles {
		self = rawjson.AppendEdited(nil, self, rawjson.Edit{Key: "title"})
	}
	out = append(out, self...)
	if text := b.p.Presence.Instructions(s); text != "" {
		out = rawjson.AppendText(append(out, `,"instructions":`...), text)
	}
	return append(out, '}')
}

// Stream tells the session of what belongs to no call, for as long as ctx and the session
// live. list_changed goes out only when the session's own view changed, at most once a
// second, and the last change is never lost.
func (b *Inbound) Stream(ctx context.Context, s *session.Session, out era.Outlet) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.Context(), stop)()
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return
	}
	caller := s.Caller()
	for {
		seen, changed := b.p.Feed.Tools(caller)
		if s.Tell(seen) {
			out.Notify(jsonrpc.AppendNotification(nil, mcp.NoteToolsListChanged, nil))
			if !era.Sleep(ctx, time.Second) {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// AcceptsBatches tells whether the session's revision allows a batch from the client.
func AcceptsBatches(s *session.Session) bool {
	r, ok := era.Find(s.Revision())
	return ok && r.Batches
}

func complete(id, result []byte) era.Answer {
	return era.Answer{Status: http.StatusOK, Body: jsonrpc.AppendResult(nil, id, result)}
}

// failure is the answer to a call that failed. On HTTP it is a success that carries an
// error: stateful revisions give errors of calls no status of their own.
func failure(id []byte, err error) era.Answer {
	if remote := era.AsRemote(err); remote != nil {
		return era.Answer{Status: http.StatusOK, Body: jsonrpc.AppendError(nil, id, remoteObject(remote))}
	}
	object, status := era.Render(err)
	if status == http.StatusBadRequest {
		status = http.StatusOK
	}
	return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
}

// remoteObject passes a server's error, but for the codes that only the stateless
// revisions define: a stateful client must not take them for its own hop's.
func remoteObject(r *mcp.Remote) []byte {
	if r.Number == era.MissingCapability || r.Number == era.HeaderMismatch || r.Number == era.UnsupportedVersion {
		text, _ := rawjson.Text(rawjson.Get(r.Raw, "message"))
		data := append(append([]byte(`{"reason":"server_error","error":`), r.Raw...), '}')
		return era.AppendErrorObject(nil, era.InternalError, text, data)
	}
	return r.Raw
}
