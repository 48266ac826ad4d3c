// Package stateful speaks the revisions 2024-11-05 to 2025-11-25: initialize opens a
// session, and what was negotiated there holds until it ends. Inbound faces clients,
// Outbound faces servers. It knows nothing of the stateless revisions.
package stateful

import (
	"context"
	"net/http"
	"strings"
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
	case jsonrpc.Response, jsonrpc.Failure:
		if in.Session != nil {
			in.Session.Questions.Settle(m.ID, session.Answer{Result: m.Result, Error: m.Error})
		}
		return era.Answer{Status: http.StatusAccepted}
	case jsonrpc.Notification:
		b.notice(in)
		return era.Answer{Status: http.StatusAccepted}
	}
	c, bad := era.NewCall(m)
	if bad != nil {
		return era.Refuse(bad, m.ID)
	}
	if loop := era.Looped(c.Params.Meta, b.p.Via); loop != nil {
		return failure(m.ID, loop)
	}
	switch m.Method {
	case mcp.Initialize:
		return b.initialize(in)
	case mcp.Ping:
		return complete(m.ID, empty)
	}
	if in.Session == nil || in.Session.Revision() == "" {
		return era.Refuse(mcp.Errorf(mcp.InvalidRequest, "session", "the first request must be initialize, or each must name its protocol version in _meta"), m.ID)
	}
	c.From = in.Session.Caller()
	switch m.Method {
	case mcp.SetLevel:
		return b.setLevel(in)
	case mcp.Subscribe:
		return b.subscribe(ctx, in, c)
	case mcp.Unsubscribe:
		in.Session.Watches.Remove(c.Name)
		return complete(m.ID, empty)
	}
	if !b.passes(c) {
		return failure(m.ID, mcp.Errorf(mcp.UnknownMethod, "method", "method %q is not known", m.Method))
	}
	return b.call(ctx, in, c)
}

// empty is the result that says no more than that a request was done.
var empty = []byte("{}")

// passes tells whether a request goes into the house. On a server's own endpoint that server
// knows which methods there are, but for those that only stateless clients have.
func (b *Inbound) passes(c *mcp.Call) bool {
	_, list := mcp.Listed(c.Method)
	switch c.Method {
	case mcp.Discover, mcp.SubscriptionsListen:
		return false
	case mcp.ToolsCall, mcp.PromptsGet, mcp.ResourcesRead, mcp.Completion:
		return true
	}
	return list || c.From.Scope.Server != ""
}

func (b *Inbound) call(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	id := in.Message.ID
	back := newBack(ctx, in, c.From, b.p.QuestionTime)
	c.Back = back
	reply, err := b.p.Handler.Handle(ctx, c)
	back.Close()
	if remote := era.AsRemote(err); remote != nil && remote.Number == era.URLElicitation && !back.opensURLs() {
		return era.Answer{Status: http.StatusOK, Body: jsonrpc.AppendError(nil, id, era.Inside(remote))}
	}
	if err != nil {
		return failure(id, err)
	}
	if reply.Kind != mcp.Complete { // nobody asks a caller for rounds that it does not know
		return failure(id, mcp.Errorf(mcp.Internal, "rounds", "the server asks for what this client does not understand"))
	}
	kind, list := mcp.Listed(c.Method)
	if list && reply.Seen != "" {
		in.Session.Tell(kind, reply.Seen)
	}
	if list {
		result := reply.Result
		if kind == mcp.Tools {
			result = b.lists.Get(result, projectTools)
		}
		return complete(id, era.WithGateways(result, c, b.p.Via, reply.Gateways))
	}
	back.succeeded(reply.Result)
	return complete(id, projectReply(c, reply.Result, back.revision))
}

// notice takes a notification. One that has passed us before would go round for ever.
func (b *Inbound) notice(in *era.Incoming) {
	m := in.Message
	if in.Session == nil || era.Looped(rawjson.Get(m.Params, "_meta"), b.p.Via) != nil {
		return
	}
	switch m.Method {
	case mcp.NoteInitialized:
		in.Session.SetReady()
	case mcp.NoteCancelled:
		if id := rawjson.Get(m.Params, "requestId"); id != nil {
			in.Session.Calls.Cancel(id)
		}
	case mcp.NoteProgress: // of a question; its token was the server's, which the client did not get
	default:
		if from := in.Session.Caller(); from != nil {
			b.p.Feed.Notify(from, m.Method, m.Params)
		}
	}
}

// setLevel keeps which log lines the client wants (2025-11-25, logging, Setting Log Level).
func (b *Inbound) setLevel(in *era.Incoming) era.Answer {
	level, ok := rawjson.Text(rawjson.Get(in.Message.Params, "level"))
	if !ok || era.Severity(level) < 0 {
		return failure(in.Message.ID, mcp.Errorf(mcp.InvalidParams, "level", `"level" must be one of %s`, strings.Join(era.Levels[:], ", ")))
	}
	in.Session.SetLevel(level)
	return complete(in.Message.ID, empty)
}

// subscribe has the session told when a resource changes. Once is as good as twice.
func (b *Inbound) subscribe(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	if c.Name == "" {
		return failure(in.Message.ID, mcp.Errorf(mcp.InvalidParams, "params", `"uri" must name a resource`))
	}
	err := in.Session.Watches.Add(ctx, c.Name, func() (func(), error) {
		return b.p.Feed.Watch(ctx, c.From, c.Name, in.Session)
	})
	if err != nil {
		return failure(in.Message.ID, err)
	}
	return complete(in.Message.ID, empty)
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
		if s = b.store.New(in.Principal, in.Scope); s == nil {
			return failure(m.ID, mcp.Errorf(mcp.Overloaded, "sessions", "too many sessions are open; end one or try again later"))
		}
		opened = s.ID
	}
	seen, _ := b.p.Feed.Seen(&mcp.Caller{Principal: in.Principal, Session: s.ID, Capabilities: capabilities, Scope: s.Scope})
	s.SetBack(&line{b, s})
	if !s.Open(revision.Date, capabilities, seen) {
		return failure(m.ID, mcp.Errorf(mcp.InvalidRequest, "session", "initialize was already called here"))
	}
	answer := complete(m.ID, b.initializeResult(revision, s.Scope))
	answer.Session = opened
	return answer
}

func (b *Inbound) initializeResult(r era.Revision, s mcp.Scope) []byte {
	out := rawjson.AppendText([]byte(`{"protocolVersion":`), r.Date)
	out = append(append(out, `,"capabilities":`...), withoutExtensions(b.p.Presence.Capabilities(s))...)
	out = append(out, `,"serverInfo":`...)
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
// live: its news at once, and list_changed only when the session's own view changed, at most
// once a second, the last change never lost. Of several streams one tells each message
// (2025-11-25, transports, Multiple Connections).
func (b *Inbound) Stream(ctx context.Context, s *session.Session, out era.Outlet) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.Context(), stop)()
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return
	}
	defer s.Attach(out)()
	for {
		seen, changed := b.p.Feed.Seen(s.Caller())
		methods, again := s.Changed(seen)
		for _, method := range methods {
			out.Notify(jsonrpc.AppendNotification(nil, method, nil))
		}
		var later <-chan time.Time
		if again > 0 {
			later = time.After(again)
		}
		select {
		case <-changed:
		case <-later:
		case <-s.Woken():
			for _, n := range s.TakeNews() {
				if r, _ := era.Find(s.Revision()); n.Method == mcp.NoteElicited && !r.URLs {
					continue // the revision has no such message
				}
				out.Notify(jsonrpc.AppendNotification(nil, n.Method, n.Params))
			}
		case <-ctx.Done():
			return
		}
	}
}

// withoutExtensions are capabilities as these revisions have them: extensions came later.
func withoutExtensions(capabilities []byte) []byte {
	return rawjson.AppendEdited(nil, capabilities, rawjson.Edit{Key: "extensions"})
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
	object, status := era.RenderStateful(err)
	if status == http.StatusBadRequest {
		status = http.StatusOK
	}
	return era.Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
}

// remoteObject passes a server's error, but for the codes that only the stateless
// revisions define: a stateful client must not take them for its own hop's.
func remoteObject(r *mcp.Remote) []byte {
	if r.Number == era.MissingCapability || r.Number == era.HeaderMismatch || r.Number == era.UnsupportedVersion {
		return era.Inside(r)
	}
	return r.Raw
}
