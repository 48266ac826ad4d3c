package gatetest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// StartStateful serves the script over Streamable HTTP of 2025-11-25 with sessions and
// gives the URL of its endpoint. It also negotiates the earlier revisions.
func StartStateful(t testing.TB, s *Server) string {
	t.Helper()
	return s.start(t, "/mcp", func(b *site) http.Handler {
		h := &sessions{site: b, open: map[string]*conversation{}}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /mcp", h.post)
		mux.HandleFunc("GET /mcp", h.get)
		mux.HandleFunc("DELETE /mcp", h.delete)
		t.Cleanup(h.endAll)
		s.mu.Lock()
		s.drops = append(s.drops, h.endAll)
		s.mu.Unlock()
		return mux
	})
}

type sessions struct {
	*site
	mu   sync.Mutex
	open map[string]*conversation
}

// endAll ends every session; their ids are unknown from now on.
func (h *sessions) endAll() {
	h.mu.Lock()
	open := h.open
	h.open = map[string]*conversation{}
	h.mu.Unlock()
	for _, v := range open {
		v.end()
	}
}

// DropSessions makes the server forget its sessions: each is answered with 404 from now
// on (2025-11-25, transports, Session Management).
func (s *Server) DropSessions() {
	s.mu.Lock()
	drops := slices.Clone(s.drops)
	s.mu.Unlock()
	for _, drop := range drops {
		drop()
	}
}

// find gives the session that a request names; false if the request was answered.
func (h *sessions) find(w http.ResponseWriter, r *http.Request) (*conversation, bool) {
	id := r.Header.Get("Mcp-Session-Id")
	if id == "" {
		http.Error(w, "Mcp-Session-Id is required", http.StatusBadRequest)
		return nil, false
	}
	h.mu.Lock()
	v := h.open[id]
	h.mu.Unlock()
	if v == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return nil, false
	}
	negotiated := v.version()
	version := r.Header.Get("MCP-Protocol-Version")
	switch {
	case version == "" && negotiated >= "2025-06-18":
		h.s.fault("no MCP-Protocol-Version after %s was negotiated", negotiated)
	case version != "" && !slices.Contains(statefulRevisions, version):
		h.s.fault("MCP-Protocol-Version %q within a session of %s", version, negotiated)
		http.Error(w, "unsupported MCP-Protocol-Version", http.StatusBadRequest)
		return nil, false
	case version != "" && version != negotiated:
		h.s.fault("MCP-Protocol-Version %q within a session of %s", version, negotiated)
	}
	return v, true
}

func (h *sessions) post(w http.ResponseWriter, r *http.Request) {
	raw, ok := h.body(w, r, both...)
	if !ok {
		return
	}
	m, err := parse(raw)
	box := newOutbox()
	box.header = r.Header
	ctx, cancel := joined(r.Context(), h.ctx)
	defer cancel()
	if err == nil && m.method == "initialize" && m.request() {
		h.initialize(w, r, m, box)
		return
	}
	if h.s.Silent {
		h.respond(ctx, w, box, false)
		return
	}
	if err == nil && m.method == "server/discover" && r.Header.Get("Mcp-Session-Id") == "" {
		// A probe. 400, because its version header names no revision known here
		// (2025-11-25, transports, Protocol Version Header).
		box.push(item{raw: []byte(failure(m.id, errorObject(codeMethod, "Method not found"))), last: true, status: 400})
		h.respond(ctx, w, box, false)
		return
	}
	v, ok := h.find(w, r)
	if !ok {
		return
	}
	box.sent = v.sent
	if err == nil && !m.request() {
		v.take(m, box)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	both, cancel := joined(ctx, v.ctx)
	defer cancel()
	v.receive(raw, box)
	// A client that goes away cancels nothing: the call goes on and its answer is lost
	// (2025-11-25, transports, Sending Messages, 6).
	h.respond(both, w, box, false)
}

func (h *sessions) initialize(w http.ResponseWriter, r *http.Request, m *message, box *outbox) {
	if r.Header.Get("Mcp-Session-Id") != "" {
		h.s.fault("initialize with a session id")
	}
	v := h.s.converse(h.ctx, false, "streamable")
	box.sent = v.sent
	v.take(m, box)
	id := rand.Text()
	if v.version() != "" {
		h.mu.Lock()
		h.open[id] = v
		h.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", id)
		h.s.add("sessions", 1)
	} else {
		v.end()
	}
	h.respond(r.Context(), w, box, false)
}

func (h *sessions) get(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, "text/event-stream") {
		h.s.fault("GET without Accept: text/event-stream")
		http.Error(w, "Not Acceptable", http.StatusNotAcceptable)
		return
	}
	v, ok := h.find(w, r)
	if !ok {
		return
	}
	ctx, cancel := joined(r.Context(), v.ctx)
	defer cancel()
	h.s.add("streams", 1)
	openStream(w)
	// Several streams share one outbox: each message goes out on one of them
	// (2025-11-25, transports, Multiple Connections).
	for {
		i, ok := v.side.next(ctx)
		if !ok || !sendEvent(w, "message", i) {
			return
		}
	}
}

func (h *sessions) delete(w http.ResponseWriter, r *http.Request) {
	v, ok := h.find(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	delete(h.open, r.Header.Get("Mcp-Session-Id"))
	h.mu.Unlock()
	v.end()
	h.s.add("deleted", 1)
	w.WriteHeader(http.StatusOK)
}
