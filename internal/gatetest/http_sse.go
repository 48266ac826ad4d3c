package gatetest

import (
	"crypto/rand"
	"net/http"
	"sync"
	"testing"
)

// StartSSE serves the script over the HTTP with SSE transport of 2024-11-05 and gives
// the URL of its stream.
func StartSSE(t testing.TB, s *Server) string {
	t.Helper()
	return s.start(t, "/sse", func(b *site) http.Handler {
		h := &streams{site: b, open: map[string]*conversation{}}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /sse", h.stream)
		mux.HandleFunc("POST /message", h.post)
		return mux
	})
}

type streams struct {
	*site
	mu   sync.Mutex
	open map[string]*conversation
}

// stream is a caller's whole conversation: it begins with the endpoint event and ends
// everything when it ends (2024-11-05, transports, HTTP with SSE).
func (h *streams) stream(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, "text/event-stream") {
		h.s.fault("GET without Accept: text/event-stream")
	}
	ctx, cancel := joined(r.Context(), h.ctx)
	defer cancel()
	v := h.s.converse(ctx, false, "sse")
	if v.only == "" {
		v.only = Oldest
	}
	defer v.end()
	id := rand.Text()
	h.mu.Lock()
	h.open[id] = v
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.open, id)
		h.mu.Unlock()
	}()
	h.s.add("streams", 1)
	openStream(w)
	if !sendEvent(w, "endpoint", item{raw: []byte("/message?sessionId=" + id)}) {
		return
	}
	for {
		i, ok := v.side.next(ctx)
		if !ok || !sendEvent(w, "message", i) {
			return
		}
	}
}

func (h *streams) post(w http.ResponseWriter, r *http.Request) {
	raw, ok := h.body(w, r)
	if !ok {
		return
	}
	h.mu.Lock()
	v := h.open[r.URL.Query().Get("sessionId")]
	h.mu.Unlock()
	if v == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	v.receive(raw, v.side)
	w.WriteHeader(http.StatusAccepted)
	w.Write([]byte("Accepted"))
}
