package upstream

import (
	"context"
	"errors"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// reachFor connects for one client, in the way that the shared connection was made. own
// tells whether each call has a stream of its own.
func (s *Server) reachFor(ctx context.Context, from *mcp.Caller) (ob era.Outbound, own bool, err error) {
	s.mu.Lock()
	dialer := s.dialer
	s.mu.Unlock()
	conn, err := dialer.Dial(ctx)
	if err != nil {
		return nil, false, err
	}
	ob, err = outbound(stateful.Connect(ctx, conn, s.hello(from)))
	if err != nil {
		return nil, false, errors.Join(err, conn.Close())
	}
	return ob, conn.OwnStream(), nil
}

// hello is what we say of ourselves in the handshake of a stateful revision: for the client
// that the connection belongs to, or nil for the shared one.
func (s *Server) hello(from *mcp.Caller) stateful.Params {
	p := stateful.Params{Self: s.p.Self, Via: s.p.Via, TaskTools: &s.taskTools, Report: s.report}
	switch {
	case from != nil:
		p.PerClient = true
		p.From = s.named(from)
		p.Capabilities = era.Bridged(from.Capabilities, false)
		if roots := rawjson.Get(p.Capabilities, "roots"); roots != nil { // where nobody could tell them, we have the server ask again
			listens := rawjson.Edit{Key: "listChanged", Value: []byte("true")}
			p.Capabilities = rawjson.AppendEdited(nil, p.Capabilities, rawjson.Edit{Key: "roots", Value: rawjson.AppendEdited(nil, roots, listens)})
		}
	case s.p.Roots != nil:
		p.Capabilities, p.Roots = []byte(era.AllQuestionsAndRoots), s.p.Roots
	case s.p.PerClient: // it lists for all: what only some clients can use as well
		p.Capabilities, p.Roots = []byte(era.AllQuestionsAndRoots), []byte("[]")
	default:
		p.Capabilities = []byte(era.AllQuestions)
	}
	return p
}

// report keeps what operators should know of the server's questions.
func (s *Server) report(advice string) {
	s.mu.Lock()
	news := s.status.Advice != advice
	s.status.Advice = advice
	s.mu.Unlock()
	if news {
		s.p.Log.Warn(advice)
	}
}
