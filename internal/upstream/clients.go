package upstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/mcp"
)

// Bounds of the connections that belong to one client each.
const (
	DefaultClients = 64              // of one server
	clientIdle     = 5 * time.Minute // without a call, such a connection is ended
)

// clients are the connections to one server that belong to one client each.
type clients struct {
	s   *Server
	ctx context.Context // until close
	end context.CancelFunc
	wg  sync.WaitGroup

	mu     sync.Mutex
	byKey  map[string]*client // guarded by mu
	closed bool               // guarded by mu
}

func newClients(s *Server) *clients {
	k := &clients{s: s, byKey: map[string]*client{}}
	k.ctx, k.end = context.WithCancel(context.Background())
	return k
}

// A client is one connection for one client: of its session, or, where it has none, of its
// principal and the capabilities that it declares.
type client struct {
	key   string
	ready chan struct{} // closed once ob or err is set
	ob    era.Outbound
	err   error
	turn  chan struct{} // holds one: a stateless caller's call on a connection without streams of calls; nil for others
	gone  context.CancelFunc

	users int       // guarded by clients.mu
	used  time.Time // guarded by clients.mu: when users fell to 0
}

// connection gives the connection that a call of this caller goes to, and what is to be
// called after it.
func (s *Server) connection(ctx context.Context, from *mcp.Caller) (era.Outbound, func(), error) {
	ob, err := s.current()
	if err != nil {
		return nil, nil, err
	}
	if !s.p.PerClient || ob.Info().Stateless { // each request to those says all about its caller
		return ob, func() {}, nil
	}
	c, err := s.clients.enter(from)
	if err != nil {
		return nil, nil, err
	}
	leave := func() { s.clients.leave(c) }
	select {
	case <-c.ready:
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
	if c.err != nil {
		leave()
		return nil, nil, &mcp.Error{Code: mcp.Unavailable, Reason: "server_down", Message: fmt.Sprintf("server %q could not be reached for this client", s.p.Name), Err: c.err}
	}
	if c.turn == nil {
		return c.ob, leave, nil
	}
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
	return c.ob, func() { <-c.turn; leave() }, nil
}

func clientKey(from *mcp.Caller) string {
	if from.Session != "" {
		return "session " + from.Session
	}
	return fmt.Sprintf("%x %s", sha256.Sum256(from.Capabilities), from.Principal)
}

// enter finds the caller's connection, or begins to make one.
func (k *clients) enter(from *mcp.Caller) (*client, error) {
	key := clientKey(from)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, k.s.unavailable("is stopping")
	}
	if c := k.byKey[key]; c != nil {
		c.users++
		return c, nil
	}
	if len(k.byKey) >= k.s.p.Clients && !k.evict() {
		return nil, mcp.Errorf(mcp.Overloaded, "clients", "server %q has a connection for each of %d clients, which is the most it may; try again later", k.s.p.Name, k.s.p.Clients)
	}
	ctx, gone := context.WithCancel(k.ctx)
	c := &client{key: key, ready: make(chan struct{}), gone: gone, users: 1}
	k.byKey[key] = c
	k.wg.Go(func() { k.life(ctx, c, from) })
	return c, nil
}

// evict ends the connection that was unused longest. It is called with mu held.
func (k *clients) evict() bool {
	var oldest *client
	for _, c := range k.byKey {
		if c.users == 0 && (oldest == nil || c.used.Before(oldest.used)) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	delete(k.byKey, oldest.key)
	oldest.gone()
	return true
}

func (k *clients) leave(c *client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.users--
	c.used = time.Now()
}

// life is one such connection, from the dial to its end: the end of the session, of the
// supervisor, of its use, or of the connection itself.
func (k *clients) life(ctx context.Context, c *client, from *mcp.Caller) {
	defer k.forget(c)
	start, stop := context.WithTimeout(ctx, k.s.p.StartTimeout)
	ob, own, err := k.s.reachFor(start, from)
	stop()
	c.ob, c.err = ob, err
	if from.Session == "" && !own {
		c.turn = make(chan struct{}, 1)
	}
	close(c.ready)
	if err != nil {
		k.s.p.Log.Warn("could not be reached for one client", "err", err)
		return
	}
	ended := make(chan struct{})
	k.wg.Go(func() {
		defer close(ended)
		_ = ob.Run(ctx, k.s.quietEar())
	})
	defer func() { c.gone(); <-ended; _ = ob.Close() }()
	tick := time.NewTicker(clientIdle / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-from.Ended:
			return
		case <-ended:
			return
		case <-tick.C:
			if k.idle(c) {
				return
			}
		}
	}
}

// idle takes a connection out that nobody used for long.
func (k *clients) idle(c *client) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.users > 0 || time.Since(c.used) < clientIdle {
		return false
	}
	if k.byKey[c.key] == c {
		delete(k.byKey, c.key)
	}
	return true
}

func (k *clients) forget(c *client) {
	c.gone()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byKey[c.key] == c {
		delete(k.byKey, c.key)
	}
}

// close ends every connection and waits for it.
func (k *clients) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.end()
	k.wg.Wait()
}

// find gives the connection of a caller's session, if there is one that is up.
func (k *clients) find(from *mcp.Caller) era.Outbound {
	k.mu.Lock()
	c := k.byKey[clientKey(from)]
	k.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.ready:
		return c.ob
	default:
		return nil
	}
}

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
	p := stateful.Params{Self: s.p.Self, Via: s.p.Via, Report: s.report}
	switch {
	case from != nil:
		p.PerClient = true
		p.Capabilities = era.Cut(from.Capabilities, "elicitation", "sampling", "roots")
	case s.p.Roots != nil:
		p.Capabilities, p.Roots = []byte(era.AllQuestionsAndRoots), s.p.Roots
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
	s.clients.wg.Go(func() {
		ctx, stop := context.WithTimeout(s.clients.ctx, noteTime)
		defer stop()
		_ = ob.Notify(ctx, method, params)
	})
}

// noteTime is how long a server may take to take a client's notification.
const noteTime = 10 * time.Second
