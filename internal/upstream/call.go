package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

const (
	maxQueued = 1024            // calls that wait for room at one server
	maxQueue  = 5 * time.Second // how long each may
)

var (
	errIdle = errors.New("no answer and no progress within the call's time")
	errLong = errors.New("the call took longer than any call may")
)

// Handle sends a call to the server, in its turn and within its time.
func (s *Server) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	reply, err := s.send(ctx, c)
	var e *mcp.Error
	if errors.As(err, &e) && e.Reason == "server_down" && s.leaving() {
		return nil, &mcp.Error{Code: mcp.Unavailable, Reason: "server_down", Message: fmt.Sprintf("server %q was removed before it answered", s.p.Name), Err: e.Err}
	}
	return reply, err
}

func (s *Server) send(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	ob, done, err := s.connection(ctx, c.From)
	if err != nil {
		return nil, err
	}
	defer done()
	if c.Target.Kind == "task" && !ob.Info().Stateless {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_task", "there is no such task") // it was another server's
	}
	timed, clock := startClock(ctx, s.p.CallTimeout, s.p.CallMax)
	defer clock.stop()
	own := *c
	name := s.nameFor(c.From)
	own.Back = &watched{Back: c.Back, clock: clock, server: name, lines: s.lines}
	reply, err := ob.Handle(timed, &own)
	if err == nil {
		if reply.Kind == mcp.InputRequired || c.Method == mcp.TasksGet {
			reply.Result = attributedRounds(name, reply.Result)
		}
		return reply, nil
	}
	if cause := context.Cause(timed); ctx.Err() == nil && (errors.Is(cause, errIdle) || errors.Is(cause, errLong)) {
		return nil, &mcp.Error{Code: mcp.TimedOut, Reason: "timeout", Message: "server \"" + s.p.Name + "\" did not answer in time", Err: cause}
	}
	var e *mcp.Error
	if errors.As(err, &e) && e.Code == mcp.Unavailable {
		poke(s.suspect)
	}
	return nil, err
}

// enter admits a call: into flight, or into the queue for a while.
func (s *Server) enter(ctx context.Context) error {
	s.mu.Lock()
	if !s.admits {
		s.mu.Unlock()
		return s.unavailable("is being removed")
	}
	if s.room.TryAcquire(1) {
		s.open++
		s.mu.Unlock()
		return nil
	}
	if s.queued >= maxQueued {
		s.mu.Unlock()
		return mcp.Errorf(mcp.Overloaded, "overloaded", "server %q has too many calls waiting; try again later", s.p.Name)
	}
	s.queued++
	s.mu.Unlock()
	wait, stop := context.WithTimeout(ctx, maxQueue)
	err := s.room.Acquire(wait, 1)
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued--
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return mcp.Errorf(mcp.Overloaded, "overloaded", "server %q had no room for the call within %s; try again later", s.p.Name, maxQueue)
	case !s.admits:
		s.room.Release(1)
		return s.unavailable("is being removed")
	}
	s.open++
	return nil
}

// leaving tells whether the server is being removed.
func (s *Server) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.admits
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.Release(1)
	s.open--
	if s.open == 0 && s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

func (s *Server) current() (era.Outbound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ob == nil {
		return nil, s.unavailable("is " + string(s.status.State))
	}
	return s.ob, nil
}

func (s *Server) unavailable(how string) error {
	return mcp.Errorf(mcp.Unavailable, "server_down", "server %q %s; the gateway's own messages and GET /servers say why", s.p.Name, how)
}

// Drain lets no more calls in and waits until those in flight are done, or ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.set(Draining, "")
	s.mu.Lock()
	s.admits = false
	var done chan struct{}
	if s.open > 0 {
		if s.drained == nil {
			s.drained = make(chan struct{})
		}
		done = s.drained
	}
	s.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// A clock ends a call that is silent for too long, or takes too long in all.
type clock struct {
	idle   time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time   // guarded by mu
	timer *time.Timer // guarded by mu
	over  bool        // guarded by mu
	held  int         // guarded by mu: questions that are open
	since time.Time   // guarded by mu: when the first of them was put
}

func startClock(ctx context.Context, idle, most time.Duration) (context.Context, *clock) {
	k := &clock{idle: idle, until: time.Now().Add(most)}
	ctx, k.cancel = context.WithCancelCause(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(min(idle, most), k.expire)
	return ctx, k
}

func (k *clock) expire() {
	k.mu.Lock()
	held, until := k.held > 0, k.until
	k.mu.Unlock()
	if held { // it was put an instant before
		return
	}
	if time.Now().Before(until) {
		k.cancel(errIdle)
	} else {
		k.cancel(errLong)
	}
}

// sign notes a sign of life.
func (k *clock) sign() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || k.held > 0 {
		return
	}
	left := time.Until(k.until)
	if left <= 0 {
		k.cancel(errLong)
		return
	}
	k.timer.Reset(min(k.idle, left))
}

func (k *clock) stop() {
	k.mu.Lock()
	k.over = true
	k.timer.Stop()
	k.mu.Unlock()
	k.cancel(nil)
}

// hold stops the clock: the server waits for a person. release lets it run on.
func (k *clock) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == 0 {
		k.since = time.Now()
		k.timer.Stop()
	}
	k.held++
}

func (k *clock) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held--; k.held > 0 {
		return
	}
	k.until = k.until.Add(time.Since(k.since))
	if !k.over {
		k.timer.Reset(min(k.idle, time.Until(k.until)))
	}
}
