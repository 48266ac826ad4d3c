package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// serveMCP is Streamable HTTP, of both eras.
func (l *Listener) serveMCP(w http.ResponseWriter, r *http.Request) {
	who, ok := l.admit(w, r)
	if !ok {
		return
	}
	to, ok := l.scope(w, r)
	if !ok {
		return
	}
	switch r.Method {
	case http.MethodPost:
		l.post(w, r, who, to)
	case http.MethodGet:
		l.get(w, r, who, to)
	case http.MethodDelete:
		l.delete(w, r, who, to)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		refuse(w, http.StatusMethodNotAllowed, "method", "this endpoint takes POST, GET and DELETE")
	}
}

// admit finds out who is calling.
func (l *Listener) admit(w http.ResponseWriter, r *http.Request) (string, bool) {
	who, ok := l.principal(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mcp-gateway"`)
		refuse(w, http.StatusUnauthorized, "unauthorized", "a bearer token for MCP clients is needed, one of gateway.auth.tokens in the gateway's config")
	}
	return who, ok
}

// refuse answers a request that the transport itself does not accept.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(era.Refuse(mcp.Errorf(mcp.InvalidRequest, reason, "%s", message), nil).Body)
}

// readBody reads a bounded JSON body. Where ok, release must be called once the request is
// dealt with.
func (l *Listener) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), ok bool) {
	if !IsJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, "content_type", "the body must be Content-Type: application/json")
		return nil, nil, false
	}
	tooLarge := fmt.Sprintf("the body is larger than gateway.limits.requestBody, which is %d bytes", l.p.Body)
	if r.ContentLength > int64(l.p.Body) {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestEntityTooLarge, "size", tooLarge)
		return nil, nil, false
	}
	counted := &counted{r: http.MaxBytesReader(w, r.Body, int64(l.p.Body)), load: &l.load}
	give := func() { l.load.add(-counted.n) }
	defer func() {
		if !ok {
			give()
		}
	}()
	body, err := collect(counted, r.ContentLength)
	if errors.Is(err, errFull) {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusServiceUnavailable, "overloaded", "the gateway holds as much for its clients as it may; try again later")
		return nil, nil, false
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestEntityTooLarge, "size", tooLarge)
		return nil, nil, false
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusBadRequest, "body", "the body did not arrive whole")
		return nil, nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, give, true
}

var errFull = errors.New("clients make us hold as much as they may")

// counted is a body whose bytes count while its request lives.
type counted struct {
	r    io.Reader
	load *load
	n    int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	c.load.add(n)
	if c.load.full() {
		return n, errFull
	}
	return n, err
}

// firstBytes is how much room a body gets before it has shown that it comes.
const firstBytes = 16 << 10

// collect reads a body. What its sender says of its length is a claim: room grows with what
// arrives.
func collect(r io.Reader, claim int64) ([]byte, error) {
	if claim < 0 || claim > firstBytes {
		claim = firstBytes
	}
	b := bytes.NewBuffer(make([]byte, 0, claim+bytes.MinRead))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// IsJSON tells whether a request says that its body is JSON in UTF-8.
func IsJSON(r *http.Request) bool {
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset, named := params["charset"]
	return err == nil && kind == "application/json" && (!named || strings.EqualFold(charset, "utf-8"))
}

// accepts tells whether the Accept header covers every one of the kinds.
func accepts(r *http.Request, kinds ...string) bool {
	given := map[string]bool{}
	for _, v := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(v, ",") {
			kind, _, _ := strings.Cut(part, ";")
			given[strings.ToLower(strings.TrimSpace(kind))] = true
		}
	}
	for _, k := range kinds {
		family, _, _ := strings.Cut(k, "/")
		if !given[k] && !given[family+"/*"] && !given["*/*"] {
			return false
		}
	}
	return true
}

func (l *Listener) post(w http.ResponseWriter, r *http.Request, who string, to mcp.Scope) {
	if !accepts(r, "application/json", "text/event-stream") {
		refuse(w, http.StatusNotAcceptable, "accept", "the Accept header must list application/json and text/event-stream")
		return
	}
	body, release, ok := l.readBody(w, r)
	if !ok {
		return
	}
	defer release()
	if era.IsBatch(body) {
		l.postBatch(w, r, who, to, body)
		return
	}
	m, err := jsonrpc.Parse(body, l.p.Limits)
	if err != nil {
		bad, id := era.FromParse(err)
		if spoiled(body, err, l.p.Store.Find(r.Header.Get(era.HeaderSession), who)) {
			id = nil
		}
		writeAnswer(w, era.Refuse(bad, id))
		return
	}
	in := &era.Incoming{Message: m, Principal: who, Scope: to, Header: r.Header.Values, Headers: func(prefix string) []string { return named(r.Header, prefix) }}
	if era.StatelessMessage(m, r.Header.Get(era.HeaderVersion)) {
		l.p.First()
		ctx, stop := context.WithCancel(r.Context()) // a client that closes the stream cancels
		defer stop()
		s := newStream(w, &l.load, stop)
		in.Out = s
		s.finish(l.p.Edges.Stateless.Serve(ctx, in))
		return
	}
	if m.Method != mcp.Initialize || m.Kind != jsonrpc.Request {
		if in.Session, ok = l.session(w, r, who, to); !ok {
			return
		}
	}
	l.p.First()
	l.answerStateful(w, r, in)
}

// answerStateful serves one message of a session. A client that goes away does not cancel
// its call (2025-11-25, transports, Sending Messages to the Server, 6).
func (l *Listener) answerStateful(w http.ResponseWriter, r *http.Request, in *era.Incoming) {
	s := newStream(w, &l.load, nil)
	in.Out = s
	if in.Session == nil || in.Message.Kind != jsonrpc.Request {
		s.finish(l.p.Edges.Stateful.Serve(r.Context(), in))
		return
	}
	defer in.Session.Use()()
	s.keep(in.Session, true)
	s.finish(l.serveCall(in))
}

// serveCall serves a request so that it can be cancelled by its id.
func (l *Listener) serveCall(in *era.Incoming) era.Answer {
	call := in.Session.Calls.Begin(in.Session.Context(), in.Message.ID)
	if call == nil {
		return era.Refuse(mcp.Errorf(mcp.InvalidRequest, "id", "the id %.100s belongs to a request in flight", in.Message.ID), in.Message.ID)
	}
	a := l.p.Edges.Stateful.Serve(call.Context, in)
	if !call.Finish() {
		a.Dropped = true
	}
	return a
}

// session finds the session that a request names.
func (l *Listener) session(w http.ResponseWriter, r *http.Request, who string, to mcp.Scope) (*session.Session, bool) {
	ids := r.Header.Values(era.HeaderSession)
	if len(ids) != 1 {
		refuse(w, http.StatusBadRequest, "session", "the Mcp-Session-Id header is missing; initialize opens a session")
		return nil, false
	}
	s := l.p.Store.Find(ids[0], who)
	if s == nil || s.Scope != to { // a session belongs to the endpoint that it was opened on
		refuse(w, http.StatusNotFound, "session", "no such session; initialize opens one")
		return nil, false
	}
	return s, true
}

func (l *Listener) postBatch(w http.ResponseWriter, r *http.Request, who string, to mcp.Scope, body []byte) {
	var s *session.Session
	version := r.Header.Get(era.HeaderVersion)
	stateful := version == "" || era.IsStateful(version) // others have no session, and no batches
	if ids := r.Header.Values(era.HeaderSession); stateful && len(ids) > 0 {
		var ok bool
		if s, ok = l.session(w, r, who, to); !ok {
			return
		}
	}
	messages, bad := l.splitBatch(body, s)
	if bad != nil {
		writeAnswer(w, era.Refuse(bad, nil))
		return
	}
	l.p.First()
	defer s.Use()()
	out := newStream(w, &l.load, nil)
	out.keep(s, true)
	answer := batch(messages, func(raw []byte) []byte {
		m, err := jsonrpc.Parse(raw, l.p.Limits)
		if err != nil {
			if spoiled(raw, err, s) {
				return nil
			}
			bad, id := era.FromParse(err)
			return era.Refuse(bad, id).Body
		}
		in := &era.Incoming{Message: m, Principal: who, Scope: to, Header: r.Header.Values, Out: out, Session: s}
		if m.Kind != jsonrpc.Request {
			return l.p.Edges.Stateful.Serve(r.Context(), in).Body
		}
		a := l.serveCall(in)
		if a.Dropped {
			return nil
		}
		return a.Body
	})
	status := http.StatusOK
	if answer == nil {
		status = http.StatusAccepted
	}
	out.finish(era.Answer{Status: status, Body: answer})
}

func writeAnswer(w http.ResponseWriter, a era.Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// get opens the stream for what belongs to no call.
func (l *Listener) get(w http.ResponseWriter, r *http.Request, who string, to mcp.Scope) {
	if len(r.Header.Values(era.HeaderSession)) == 0 {
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, "session", "this is an MCP endpoint; point an MCP client at it. GET needs the session of a client")
		return
	}
	if !accepts(r, "text/event-stream") {
		refuse(w, http.StatusNotAcceptable, "accept", "the Accept header must list text/event-stream")
		return
	}
	s, ok := l.session(w, r, who, to)
	if !ok {
		return
	}
	release, ok := l.stream(w, who)
	if !ok {
		return
	}
	defer release()
	defer s.Use()()
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a body's time does not bound a stream's
	if id := r.Header.Get(headerLastEvent); id != "" && resumes(s) {
		l.resume(r.Context(), w, s, id)
		return
	}
	ctx, stop := l.whileOpen(r.Context())
	defer stop()
	out := newStream(w, &l.load, stop)
	out.keep(s, false)
	out.begin()
	l.p.Edges.Stateful.Stream(ctx, s, out)
	out.detach()
	out.end()
}

// stream takes a place among the open streams.
func (l *Listener) stream(w http.ResponseWriter, who string) (release func(), ok bool) {
	if l.p.Streams.Take(who) != nil {
		refuse(w, http.StatusServiceUnavailable, "streams", "too many streams are open")
		return nil, false
	}
	return func() { l.p.Streams.Give(who) }, true
}

// whileOpen ends with ctx, and when the listener closes.
func (l *Listener) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	undo := context.AfterFunc(l.closing, stop)
	return ctx, func() { undo(); stop() }
}

// delete ends a session.
func (l *Listener) delete(w http.ResponseWriter, r *http.Request, who string, to mcp.Scope) {
	if len(r.Header.Values(era.HeaderSession)) == 0 {
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, "session", "DELETE needs a session")
		return
	}
	s, ok := l.session(w, r, who, to)
	if !ok {
		return
	}
	l.p.Store.End(s)
	w.WriteHeader(http.StatusNoContent)
}
