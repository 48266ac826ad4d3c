package gatetest

import (
	"errors"
	"net/http"
	"testing"
)

// StartStateless serves the script over Streamable HTTP of 2026-07-28 and gives the URL
// of its endpoint. It turns down what the revision tells a server to turn down: it
// checks the headers against the body, and _meta for what is required.
func StartStateless(t testing.TB, s *Server) string {
	t.Helper()
	return s.start(t, "/mcp", func(b *site) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/mcp", b.stateless)
		return mux
	})
}

func (b *site) stateless(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		// 2026-07-28, streamable-http, Earlier Revisions: GET and DELETE are 405.
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	raw, ok := b.body(w, r, both...)
	if !ok {
		return
	}
	for _, gone := range []string{"Mcp-Session-Id", "Last-Event-ID"} {
		if r.Header.Get(gone) != "" {
			b.s.fault("header %s in the stateless era", gone)
		}
	}
	ctx, cancel := joined(r.Context(), b.ctx)
	defer cancel()
	v := b.s.converse(ctx, true, "streamable")
	// The end of the request, whichever it is, ends what it started: a client that goes
	// away cancels (2026-07-28, streamable-http, Cancellation).
	defer v.end()
	box := newOutbox()
	box.header, box.sent = r.Header, v.sent
	b.judge(v, w, r, raw, box)
}

func (b *site) judge(v *conversation, w http.ResponseWriter, r *http.Request, raw []byte, box *outbox) {
	m, err := parse(raw)
	switch {
	case err != nil || b.s.Silent:
		v.receive(raw, box)
	case m.note():
		v.take(m, box)
		w.WriteHeader(http.StatusAccepted)
		return
	case !m.request():
		v.take(m, box)
		http.Error(w, "a client sends no responses", http.StatusBadRequest)
		return
	default:
		if refused := v.judgeHeaders(r.Header, m); refused != nil {
			v.refuse(m, box, refused.status, refused.object)
		} else {
			v.take(m, box)
		}
	}
	if errors.Is(err, errNotObject) {
		// 2026-07-28, streamable-http, Sending Messages: one request or notification.
		b.s.fault("a body that is no single message: %.100s", raw)
	}
	b.respond(v.ctx, w, box, false)
}
