// Package session holds what is remembered about a stateful client: who it is, what was
// negotiated, which of its calls are in flight. It never speaks on a wire.
package session

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"mcpgateway/internal/mcp"
)

// A Session is one stateful client's, or one pipe's, memory. Its context ends with it.
type Session struct {
	ID        string
	Principal string
	Scope     mcp.Scope // of the endpoint that it was opened on; set before Open
	Calls     *Calls

	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{}

	mu       sync.Mutex
	revision string      // guarded by mu; empty before initialize
	caller   *mcp.Caller // guarded by mu; set by Open
	isReady  bool        // guarded by mu
	seen     string      // guarded by mu: fingerprint of the tools the client was last told of
	busy     int         // guarded by mu: open streams and calls
	used     time.Time   // guarded by mu: when busy last fell to 0
}

// New makes a session that belongs to a pipe; it lives until End or the end of ctx.
func New(ctx context.Context, principal string) *Session {
	s := &Session{ID: rand.Text(), Principal: principal, ready: make(chan struct{}), used: time.Now()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.Calls = NewCalls()
	return s
}

// Open records what initialize settled. It may be called once; later calls return false.
func (s *Session) Open(revision string, capabilities []byte, seen string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revision != "" {
		return false
	}
	s.revision, s.seen = revision, seen
	s.caller = &mcp.Caller{Principal: s.Principal, Capabilities: append([]byte(nil), capabilities...), Session: s.ID, Scope: s.Scope}
	return true
}

// Revision is the negotiated one, empty before initialize.
func (s *Session) Revision() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Caller is whom calls of this session come from; nil before initialize.
func (s *Session) Caller() *mcp.Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.caller
}

// SetReady marks the handshake as over.
func (s *Session) SetReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isReady && s.revision != "" {
		s.isReady = true
		close(s.ready)
	}
}

// Ready is closed once the handshake is over.
func (s *Session) Ready() <-chan struct{} { return s.ready }

// Tell records that the client is told of this view, and whether that is news to it. Of
// several streams of one session only one wins each news.
func (s *Session) Tell(fingerprint string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.seen != fingerprint
	s.seen = fingerprint
	return news
}

// Context ends with the session.
func (s *Session) Context() context.Context { return s.ctx }

// End ends the session: its calls are cancelled and its streams close.
func (s *Session) End() {
	s.Calls.CancelAll() // before the context ends, which would have each call answered with an error
	s.cancel()
}

// Use keeps the session from being idle until the returned function is called.
func (s *Session) Use() (done func()) {
	s.mu.Lock()
	s.busy++
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.busy--
		s.used = time.Now()
		s.mu.Unlock()
	})
}

// idleSince is when the session was last in use; ok is false while it is in use.
func (s *Session) idleSince() (t time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.busy == 0
}
