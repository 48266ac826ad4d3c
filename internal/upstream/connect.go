package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/transport"
)

// How a server's era is found.
const (
	Auto      = "auto"
	Stateful  = "stateful"
	Stateless = "stateless"
)

// How long a server may be silent on server/discover before it is asked the other way as
// well. On a pipe an unknown method before initialize is often met with silence.
const (
	pipeSilence = 5 * time.Second
	httpSilence = 10 * time.Second
)

// connect gives a connection to the server. Where the config does not say which of the two
// HTTP transports it speaks, Streamable HTTP is tried first, and the older one where a server
// of that one would have answered so (2025-11-25, transports, Backwards Compatibility).
func (s *Server) connect(ctx context.Context) (era.Outbound, error) {
	if s.p.Older == nil {
		return s.reach(ctx, s.p.Dialer, s.p.Protocol)
	}
	if s.older {
		ob, err := s.reach(ctx, s.p.Older, Stateful)
		s.older = err == nil
		return ob, err
	}
	first, stop := context.WithTimeout(ctx, s.p.StartTimeout*2/3)
	ob, err := s.reach(first, s.p.Dialer, s.p.Protocol)
	silent := first.Err() != nil && ctx.Err() == nil
	stop()
	if err == nil || !silent && !era.MayBeOlder(err) {
		return ob, err
	}
	older, failed := s.reach(ctx, s.p.Older, Stateful)
	if failed != nil {
		return nil, fmt.Errorf("over Streamable HTTP: %w; over HTTP+SSE: %w", err, failed)
	}
	s.older = true
	s.mu.Lock()
	s.status.Transport = s.p.OlderTransport
	s.mu.Unlock()
	return older, nil
}

// reach dials the server and finds out its era (2026-07-28, versioning, Backward
// Compatibility): by its pin, by what was found last time, or by the probe. Where what was
// found last time fails, the next connect probes again.
func (s *Server) reach(ctx context.Context, dialer transport.Dialer, mode string) (era.Outbound, error) {
	conn, err := dialer.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if mode == Auto && s.found != "" {
		mode = s.found
	}
	if mode == Auto && s.exits { // so it is started once at each attempt, not twice
		mode = Stateful
	}
	var ob era.Outbound
	switch mode {
	case Stateful:
		ob, err = outbound(stateful.Connect(ctx, conn, s.hello(nil)))
	case Stateless:
		ob, err = outbound(stateless.Connect(ctx, conn, stateless.Params{Self: s.p.Self, Via: s.p.Via}))
	default:
		ob, conn, err = s.probe(ctx, dialer, conn)
	}
	if err != nil {
		s.found = ""
		s.exits = s.exits && conn != nil && conn.Err() != nil
		if conn != nil {
			s.left = append(s.left, conn)
		}
		return nil, err
	}
	s.mu.Lock()
	s.dialer = dialer
	s.mu.Unlock()
	s.exits = false
	s.found = Stateful
	if ob.Info().Stateless {
		s.found = Stateless
	}
	return ob, nil
}

// outbound keeps a nil pointer from becoming an interface that is not nil.
func outbound[T era.Outbound](ob T, err error) (era.Outbound, error) {
	if err != nil {
		return nil, err
	}
	return ob, nil
}

type found struct {
	ob  era.Outbound
	err error
}

// probe asks server/discover first. Any answer but a discovery, and silence, lead to
// initialize, whose success decides; a discovery that comes late still wins while
// initialize has not succeeded, for a package that is still being downloaded is silent too.
// A server that ends on the unknown method, before or after it answered, is started again
// without one. probe returns the connection to use or to close, which may be a new one.
func (s *Server) probe(ctx context.Context, dialer transport.Dialer, conn transport.Conn) (era.Outbound, transport.Conn, error) {
	ctx, stop := context.WithCancel(ctx)
	discovered := async(func() (era.Outbound, error) {
		return outbound(stateless.Connect(ctx, conn, stateless.Params{Self: s.p.Self, Via: s.p.Via}))
	})
	defer func() { stop(); discovered.wait() }()
	silence := time.NewTimer(pipeSilence)
	if conn.OwnStream() {
		silence.Reset(httpSilence)
	}
	defer silence.Stop()
	select {
	case f := <-discovered.done:
		switch {
		case f.err == nil:
			return f.ob, conn, nil
		case settles(ctx, f.err):
			return nil, conn, f.err
		case conn.Err() != nil:
			return s.withoutProbe(ctx, dialer, conn)
		}
		ob, err := outbound(stateful.Connect(ctx, conn, s.hello(nil)))
		if err != nil && conn.Err() != nil {
			return s.withoutProbe(ctx, dialer, conn)
		}
		return ob, conn, err
	case <-silence.C:
	}
	initialized := async(func() (era.Outbound, error) { return outbound(stateful.Connect(ctx, conn, s.hello(nil))) })
	defer func() { stop(); initialized.wait() }()
	var first error
	for range 2 {
		var f found
		select {
		case f = <-initialized.done:
		case f = <-discovered.done:
		}
		if f.err == nil {
			return f.ob, conn, nil
		}
		if first == nil || errors.Is(first, stateless.ErrNotStateless) {
			first = f.err
		}
	}
	if conn.Err() != nil {
		return s.withoutProbe(ctx, dialer, conn)
	}
	return nil, conn, first
}

// withoutProbe starts a server again that ended while it was probed.
func (s *Server) withoutProbe(ctx context.Context, dialer transport.Dialer, ended transport.Conn) (era.Outbound, transport.Conn, error) {
	_ = ended.Close()
	conn, err := dialer.Dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	ob, err := outbound(stateful.Connect(ctx, conn, s.hello(nil)))
	s.exits = err != nil && conn.Err() != nil
	return ob, conn, err
}

// settles tells whether a failed discovery says something about the server whatever its
// era: it cannot be reached, it wants credentials, it has no time, or ours is over.
func settles(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, transport.ErrUnreachable) || era.IsServerState(err)
}

// A pending outcome comes on done; wait returns once its goroutine has exited.
type pending struct {
	done  chan found
	ended chan struct{}
}

func (p pending) wait() { <-p.ended }

func async(f func() (era.Outbound, error)) pending {
	p := pending{done: make(chan found, 1), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		ob, err := f()
		p.done <- found{ob, err}
	}()
	return p
}
