package upstream

import (
	"context"
	"time"

	"mcpgateway/internal/mcp"
)

const (
	maxNotes = 64               // notifications of clients that one server has not taken yet
	noteTime = 10 * time.Second // how long a server may take to take one
)

// Notify passes a client's notification on to the connection that is this client's alone,
// or, where the client speaks with this server only, to the shared one. A change of roots
// concerns nobody on a shared connection. It does not wait for the server.
func (s *Server) Notify(from *mcp.Caller, method string, params []byte) {
	s.mu.Lock()
	ob := s.ob
	s.mu.Unlock()
	switch {
	case ob == nil:
		return
	case s.p.PerClient && !ob.Info().Stateless:
		ob = s.clients.find(from)
	case from.Scope.Server == "" || method == mcp.NoteRootsListChanged:
		return
	}
	if ob == nil {
		return
	}
	s.clients.note(func(ctx context.Context) { _ = ob.Notify(ctx, method, params) })
}

// note runs f, which writes a notification. Where the server takes none it is dropped.
func (k *clients) note(f func(ctx context.Context)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.notes >= maxNotes {
		return
	}
	k.notes++
	k.wg.Go(func() {
		ctx, stop := context.WithTimeout(k.ctx, noteTime)
		defer stop()
		f(ctx)
		k.mu.Lock()
		k.notes--
		k.mu.Unlock()
	})
}
