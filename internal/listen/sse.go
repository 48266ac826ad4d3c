package listen

import (
	"net/http"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
)

// The HTTP+SSE transport of 2024-11-05: one event stream down, one endpoint up.

func (l *Listener) serveSSE(w http.ResponseWriter, r *http.Request) {
	who, ok := l.admit(w, r)
	if !ok {
		return
	}
	to, ok := l.scope(w, r)
	if !ok {
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		refuse(w, http.StatusMethodNotAllowed, "method", "this endpoint takes GET; messages go to the one that its first event names")
		return
	}
	if len(r.Header.Values("Accept")) > 0 && !accepts(r, "text/event-stream") {
		refuse(w, http.StatusNotAcceptable, "accept", "the Accept header must list text/event-stream")
		return
	}
	release, ok := l.stream(w, who)
	if !ok {
		return
	}
	defer release()
	ctx, stop := l.whileOpen(r.Context())
	defer stop()
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a body's time does not bound a stream's
	out := newStream(w, &l.load, stop)
	p := l.newPipe(ctx, who, to, out.queue, func(bool) era.Inbound { return l.p.Edges.Stateful }) // no stateless revision has this transport

	l.mu.Lock()
	l.pipes[p.session.ID] = p
	l.mu.Unlock()
	endpoint := "/messages?sessionId=" + p.session.ID
	out.reply(jsonrpc.AppendEvent(nil, "endpoint", "", []byte(endpoint)))
	<-p.session.Context().Done()
	l.mu.Lock()
	delete(l.pipes, p.session.ID)
	l.mu.Unlock()
	p.close()
	out.end()
}

func (l *Listener) serveMessages(w http.ResponseWriter, r *http.Request) {
	who, ok := l.admit(w, r)
	if !ok {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, "method", "this endpoint takes POST")
		return
	}
	id := r.URL.Query().Get("sessionId")
	if id == "" {
		refuse(w, http.StatusBadRequest, "session", "the query must name the sessionId of an open event stream")
		return
	}
	l.mu.Lock()
	p := l.pipes[id]
	l.mu.Unlock()
	if p == nil || p.session.Principal != who {
		refuse(w, http.StatusNotFound, "session", "no such event stream is open")
		return
	}
	body, release, ok := l.readBody(w, r)
	if !ok {
		return
	}
	p.receive(body, release)
	w.WriteHeader(http.StatusAccepted)
}
