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
	*Inbox // news for the client that belong to none of its calls

	ID        string
	Principal string
	Scope     mcp.Scope // of the endpoint that it was opened on
	Calls     *Calls
	Questions Questions
	Watches   Watches
	Events    *Events // nil for a pipe, which has nothing to resume

	ctx     context.Context
	cancel  context.CancelFunc
	ready   chan struct{}
	streams streams

	mu       sync.Mutex
	revision string      // guarded by mu; empty before initialize
	caller   *mcp.Caller // guarded by mu; set by Open
	back     mcp.Line    // guarded by mu
	isReady  bool        // guarded by mu
	seen     mcp.Seen    // guarded by mu: what the client was last told of
	busy     int         // guarded by mu: open streams and calls
	used     time.Time   // guarded by mu: when busy last fell to 0

	told map[string]time.Time // guarded by mu: when the client was last told that a list changed, by notification
}

// New makes a session that belongs to a pipe; it lives until End or the end of ctx.
func New(ctx context.Context, principal string, to mcp.Scope) *Session {
	s := &Session{ID: rand.Text(), Principal: principal, Scope: to, Inbox: NewInbox(maxNews, maxNewsBytes), ready: make(chan struct{}), used: time.Now()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.Calls = NewCalls()
	return s
}

// SetBack says how the client is reached outside of its calls; before Open.
func (s *Session) SetBack(back mcp.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back = back
}

// Open records what initialize settled. It may be called once; later calls return false.
func (s *Session) Open(revision string, capabilities []byte, seen mcp.Seen) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revision != "" {
		return false
	}
	s.revision, s.seen = revision, seen
	s.caller = &mcp.Caller{Principal: s.Principal, Capabilities: append([]byte(nil), capabilities...), Session: s.ID, Scope: s.Scope,
		Inbox: s, Back: s.back, Ended: s.ctx.Done()}
	return true
}

// SetLevel says from now on which log lines the client wants. Calls in flight keep theirs.
func (s *Session) SetLevel(level string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *s.caller
	c.LogLevel = level
	s.caller = &c
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

// Tell records that the client has been shown this view of a kind, and whether that is news
// to it.
func (s *Session) Tell(kind mcp.Kind, fingerprint string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.seen[kind] != fingerprint
	s.seen[kind] = fingerprint
	return news
}

// quiet is the time between two notifications that the same list changed.
const quiet = time.Second

// Changed records that the client is told of what it now sees, and gives the notifications
// that tell it. Where one is not due yet, since the client was just told, again is after what
// time to ask once more. Of several streams of one session only one wins each news.
func (s *Session) Changed(now mcp.Seen) (methods []string, again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range mcp.Kinds {
		if now[k] == s.seen[k] {
			continue
		}
		name := k.Changed()
		if at, told := s.told[name]; told {
			if wait := time.Until(at.Add(quiet)); wait > 0 {
				if again == 0 || wait < again {
					again = wait
				}
				continue
			}
		}
		if s.told == nil {
			s.told = map[string]time.Time{}
		}
		s.told[name] = time.Now()
		methods = append(methods, name)
		for other := range mcp.Kinds { // one notification speaks of each kind that shares it
			if other.Changed() == name {
				s.seen[other] = now[other]
			}
		}
	}
	return methods, again
}

// Context ends with the session.
func (s *Session) Context() context.Context { return s.ctx }

// End ends the session: its calls are cancelled and its streams close.
func (s *Session) End() {
	s.Calls.CancelAll() // before the context ends, which would have each call answered with an error
	s.cancel()
	s.Questions.end()
	s.Watches.end()
	s.Events.end()
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
