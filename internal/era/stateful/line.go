package stateful

import (
	"context"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// A line reaches the client of a session outside of its calls: over its pipe, or the stream
// that it opened with GET (2025-11-25, transports, Listening for Messages from the Server).
type line struct {
	b *Inbound
	s *session.Session
}

// errNotListening: the client has no stream open.
var errNotListening = mcp.Errorf(mcp.Internal, "not_listening", "the client does not listen for questions outside of its calls")

// Open implements mcp.Line.
func (l *line) Open() <-chan struct{} { return l.s.Listening() }

// Ask implements mcp.Back. The question stays open where its stream breaks, for the client
// may resume that.
func (l *line) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	out := l.s.Outlet()
	if out == nil {
		return nil, errNotListening
	}
	back := newBack(l.s.Context(), &era.Incoming{Out: out, Session: l.s}, l.s.Caller(), l.b.p.QuestionTime)
	defer back.Close()
	return back.Ask(ctx, method, params)
}

// Notify implements mcp.Back. Of log lines the client is told those that it wants now.
func (l *line) Notify(_ context.Context, method string, params []byte) error {
	if method != mcp.NoteMessage || era.WantsLine(l.s.Caller(), params) {
		l.s.Put(method, params)
	}
	return nil
}
