package listen

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// Bounds on how a client may talk HTTP.
const (
	maxHeader  = 32 << 10
	headerTime = 5 * time.Second
	bodyTime   = 30 * time.Second
	idleTime   = 120 * time.Second
)

// NewServer makes the HTTP server for a handler, bounded against slow and greedy clients.
func NewServer(h http.Handler, base context.Context) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != http.NoBody { // whoever reads it whole lifts the deadline; net/http reads what a handler leaves
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
			}
			h.ServeHTTP(w, r)
		}),
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
}

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
		refuse(w, http.StatusUnauthorized, "unauthorized", "a bearer token of this gateway is needed")
	}
	return who, ok
}

// refuse answers a request that the transport itself does not accept.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(era.Refuse(mcp.Errorf(mcp.InvalidRequest, reason, "%s", message), nil).Body)
}

// readBody reads a bounded JSON body.
func readBody(w http.ResponseWriter, r *http.Request, most int) ([]byte, bool) {
	if !IsJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, "content_type", "the body must be Content-Type: application/json")
		return nil, false
	}
	if r.ContentLength > int64(most) {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestEntityTooLarge, "size", "the body is too large")
		return nil, false
	}
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestEntityTooLarge, "size", "the body is too large")
		return nil, false
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusBadRequest, "body", "the body did not arrive whole")
		return nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, true
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
	body, ok := readBody(w, r, l.p.Body)
	if !ok {
		return
	}
	if era.IsBatch(body) {
		l.postBatch(w, r, who, to, body)
		return
	}
	m, err := jsonrpc.Parse(body, l.p.Limits)
	if err != nil {
		bad, id := era.FromParse(err)
		writeAnswer(w, era.Refuse(bad, id))
		return
	}
	in := &era.Incoming{Message: m, Principal: who, Scope: to, Header: r.Header.Values}
	if era.StatelessMessage(m, r.Header.Get(era.HeaderVersion)) {
		l.p.First()
		ctx, stop := context.WithCancel(r.Context()) // a client that closes the stream cancels
		defer stop()
		s := newStream(w, stop)
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
	s := newStream(w, nil)
	in.Out = s
	if in.Session == nil || in.Message.Kind != jsonrpc.Request {
		s.finish(l.p.Edges.Stateful.Serve(r.Context(), in))
		return
	}
	defer in.Session.Use()()
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
	out := newStream(w, nil)
	answer := batch(messages, func(raw []byte) []byte {
		m, err := jsonrpc.Parse(raw, l.p.Limits)
		if err != nil {
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
		refuse(w, http.StatusMethodNotAllowed, "session", "GET needs a session; the stateless revisions have no GET stream")
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
	release, ok := l.stream(w)
	if !ok {
		return
	}
	defer release()
	defer s.Use()()
	ctx, stop := l.whileOpen(r.Context())
	defer stop()
	out := newStream(w, stop)
	out.Notify(comment)
	l.p.Edges.Stateful.Stream(ctx, s, out)
	out.end()
}

// stream takes a place among the open streams.
func (l *Listener) stream(w http.ResponseWriter) (release func(), ok bool) {
	if l.streams.Add(1) > maxStreams {
		l.streams.Add(-1)
		refuse(w, http.StatusServiceUnavailable, "streams", "too many streams are open")
		return nil, false
	}
	return func() { l.streams.Add(-1) }, true
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
