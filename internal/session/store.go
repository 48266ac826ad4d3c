package session

import (
	"context"
	"sync"
	"time"

	"mcpgateway/internal/mcp"
)

// Bounds on the sessions that clients open over HTTP.
type Bounds struct {
	PerPrincipal int
	All          int
	Idle         time.Duration // a session without stream or call ends after it
	Events       int           // bytes of one session's events that are kept; 0 is the default
	AllEvents    int           // of all sessions'; 0 is the default
}

// Store keeps the sessions of HTTP clients. A session is found only by whoever opened it.
type Store struct {
	bounds Bounds
	events *eventPool
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	byID map[string]*Session // guarded by mu
}

// NewStore makes a store and starts its janitor, which Close waits for.
func NewStore(b Bounds) *Store {
	s := &Store{bounds: b, events: newEventPool(b.Events, b.AllEvents), byID: map[string]*Session{}, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.expire()
	return s
}

// Close ends every session and waits for the janitor.
func (s *Store) Close() {
	s.cancel()
	<-s.done
	s.mu.Lock()
	all := s.byID
	s.byID = map[string]*Session{}
	s.mu.Unlock()
	for _, one := range all {
		one.End()
	}
}

// New opens a session. At a bound the one that was idle longest ends for it; nil means
// that every session is in use.
func (s *Store) New(principal string, to mcp.Scope) *Session {
	one := New(s.ctx, principal, to)
	one.Events = s.events.newEvents()
	s.mu.Lock()
	mine := 0
	for _, x := range s.byID {
		if x.Principal == principal {
			mine++
		}
	}
	var victim *Session
	over := mine >= s.bounds.PerPrincipal && principal != mcp.Local
	if over || len(s.byID) >= s.bounds.All {
		victim = s.longestIdle(principal, over) // who is over the own bound takes no place of others
		if victim == nil {
			s.mu.Unlock()
			one.End()
			return nil
		}
		delete(s.byID, victim.ID)
	}
	s.byID[one.ID] = one
	s.mu.Unlock()
	if victim != nil {
		victim.End()
	}
	return one
}

// longestIdle is called with mu held.
func (s *Store) longestIdle(principal string, onlyMine bool) *Session {
	var best *Session
	var since time.Time
	for _, x := range s.byID {
		if onlyMine && x.Principal != principal {
			continue
		}
		if t, idle := x.idleSince(); idle && (best == nil || t.Before(since)) {
			best, since = x, t
		}
	}
	return best
}

// Find gives the session with this id if it belongs to principal, else nil: another's
// session and an unknown one look the same.
func (s *Store) Find(id, principal string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.byID[id]; x != nil && x.Principal == principal {
		return x
	}
	return nil
}

// End ends a session and forgets it.
func (s *Store) End(x *Session) {
	s.mu.Lock()
	delete(s.byID, x.ID)
	s.mu.Unlock()
	x.End()
}

// expire is the janitor.
func (s *Store) expire() {
	defer close(s.done)
	tick := time.NewTicker(max(s.bounds.Idle/10, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			for _, x := range s.idleBefore(now.Add(-s.bounds.Idle)) {
				s.End(x)
			}
		}
	}
}

func (s *Store) idleBefore(limit time.Time) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Session
	for _, x := range s.byID {
		if t, idle := x.idleSince(); idle && t.Before(limit) {
			out = append(out, x)
		}
	}
	return out
}
