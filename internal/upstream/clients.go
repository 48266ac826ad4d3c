package upstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// firstTime is how long a server may take to answer a ping after the handshake, if calls wait for that.
const firstTime = 2 * time.Second

// clientIdle is when a connection that belongs to one client is ended, without a call.
const clientIdle = 5 * time.Minute

// clients are the connections to one server that belong to one client each.
type clients struct {
	s   *Server
	ctx context.Context // until close
	end context.CancelFunc
	wg  sync.WaitGroup

	mu      sync.Mutex
	byKey   map[string]*client // guarded by mu
	kept    map[string]*kept   // guarded by mu: by the same key
	base    *catalog.Part      // guarded by mu: what the server lists to all; nil before
	closing int                // guarded by mu: connections that are not among byKey any more, and not closed yet
	follows int                // guarded by mu: subscriptions to tasks
	notes   int                // guarded by mu: notifications on their way
	closed  bool               // guarded by mu
}

func newClients(s *Server) *clients {
	k := &clients{s: s, byKey: map[string]*client{}, kept: map[string]*kept{}}
	k.ctx, k.end = context.WithCancel(context.Background())
	return k
}

// A client is one connection for one client: of its session, or, where it has none, of its
// principal, its program and the capabilities that it declares.
type client struct {
	*kept
	key     string
	began   time.Time
	ready   chan struct{} // closed once ob or err is set
	ob      era.Outbound
	err     error
	turn    chan struct{} // holds one: a stateless caller's call on a connection without streams of calls; nil for others
	gone    context.CancelFunc
	changed *changes      // in what the server lists here
	asked   chan struct{} // holds one: the client listed
	listed  chan struct{} // closed once the server has listed here, or could not

	brief bool      // guarded by clients.mu: it ends once the server has listed
	users int       // guarded by clients.mu
	used  time.Time // guarded by clients.mu: when it was last seen in use
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
	c, leave, err := s.clients.up(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	if c.turn == nil {
		return c.ob, leave, nil
	}
	if err := s.await(ctx, c.turn); err != nil {
		leave()
		return nil, nil, err
	}
	return c.ob, func() { <-c.turn; leave() }, nil
}

// await waits for a call's turn, for as long as a call may be silent. The time of the call itself
// begins after it: a call is not to fail because of those before it took theirs.
func (s *Server) await(ctx context.Context, turn chan struct{}) error {
	wait := time.NewTimer(s.p.CallTimeout)
	defer wait.Stop()
	select {
	case turn <- struct{}{}:
		return nil
	case <-wait.C:
		return mcp.Errorf(mcp.Overloaded, "overloaded", "server %q takes one call of this client at a time, and the call did not come to its turn within %s; try again later", s.p.Name, s.p.CallTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// up gives the caller's own connection once it is up, and what is to be called after its use.
func (k *clients) up(ctx context.Context, from *mcp.Caller) (c *client, leave func(), err error) {
	c, err = k.enter(from, forUse)
	if err != nil {
		return nil, nil, err
	}
	leave = func() { k.leave(c) }
	select {
	case <-c.ready:
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
	if c.err != nil {
		leave()
		return nil, nil, k.unreached(c.err)
	}
	return c, leave, nil
}

// clientKey tells clients apart. Two programs of one principal have roots of their own.
func clientKey(from *mcp.Caller) string {
	if from.Session != "" {
		return "session " + from.Session
	}
	return fmt.Sprintf("%x %x %s", sha256.Sum256(from.Capabilities), sha256.Sum256(from.Client), from.Principal)
}

func (k *clients) unreached(err error) error {
	return &mcp.Error{Code: mcp.Unavailable, Reason: "server_down", Message: fmt.Sprintf("server %q could not be reached for this client", k.s.p.Name), Err: err}
}

// What a connection is wanted for.
type purpose bool

const (
	toList purpose = false // nobody's makes room for it
	forUse purpose = true  // one that is unused does
)

// enter finds the caller's connection, or begins to make one.
func (k *clients) enter(from *mcp.Caller, to purpose) (*client, error) {
	key := clientKey(from)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, k.s.unavailable("is stopping")
	}
	if c := k.byKey[key]; c != nil {
		c.users++
		c.brief = c.brief && to == toList
		return c, nil
	}
	if one := k.kept[key]; one != nil && time.Now().Before(one.until) {
		return nil, k.unreached(one.failed)
	}
	if len(k.byKey)+k.closing >= 2*k.s.p.Clients || len(k.byKey) >= k.s.p.Clients && (to == toList || !k.evict()) {
		return nil, mcp.Errorf(mcp.Overloaded, "clients", "server %q has a connection for each of %d clients, which is the most it may; try again later", k.s.p.Name, k.s.p.Clients)
	}
	ctx, gone := context.WithCancel(k.ctx)
	c := &client{kept: k.keep(key, from), key: key, began: time.Now(), ready: make(chan struct{}), gone: gone, users: 1, brief: to == toList && mute(from),
		changed: newChanges(), asked: make(chan struct{}, 1), listed: make(chan struct{})}
	k.byKey[key] = c
	k.wg.Go(func() { k.life(ctx, c, from) })
	return c, nil
}

// evict ends the connection that was unused longest. It is called with mu held.
func (k *clients) evict() bool {
	var oldest *client
	for _, c := range k.byKey {
		if c.users == 0 && !c.watched.any() && (oldest == nil || c.used.Before(oldest.used)) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	k.drop(oldest)
	oldest.gone()
	return true
}

// drop takes a connection out, which is then to be closed. It is called with mu held.
func (k *clients) drop(c *client) {
	if k.byKey[c.key] == c {
		delete(k.byKey, c.key)
		k.closing++
	}
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
	defer c.gone()
	start, stop := context.WithTimeout(ctx, k.s.p.StartTimeout)
	ob, own, err := k.s.reachFor(start, from)
	stop()
	c.ob, c.err = ob, err
	if from.Session == "" && !own {
		c.turn = make(chan struct{}, 1)
	}
	if err != nil {
		close(c.ready)
		close(c.listed)
		if ctx.Err() != nil { // nobody wants it any more
			err = nil
		} else {
			k.s.p.Log.Warn("could not be reached for one client", "err", err)
		}
		k.forget(c, from, err)
		k.shut()
		return
	}
	k.came(c)
	again := c.watched.any() // the connection before was lost
	ended := make(chan error, 1)
	var parts sync.WaitGroup
	parts.Go(func() { ended <- ob.Run(ctx, k.earOf(ctx, c, from)) })
	if mute(from) {
		k.hearFirst(ctx, ob)
	}
	close(c.ready)
	parts.Go(func() { k.list(ctx, c, from) })
	if again {
		parts.Go(func() {
			k.watchNow(ctx, c)
			c.watched.all()
		})
	}
	err = k.attend(ctx, c, from, ended)
	c.gone()
	parts.Wait()
	k.forget(c, from, err) // before a process that does not obey takes its time
	_ = ob.Close()
	k.shut()
}

// hearFirst waits until we have heard what the server asks right after the handshake, so that the
// first call brings it along.
func (k *clients) hearFirst(ctx context.Context, ob era.Outbound) {
	ctx, stop := context.WithTimeout(ctx, firstTime)
	defer stop()
	_ = ob.Check(ctx)
}

// errLost ends a connection that its server ended.
var errLost = errors.New("the connection ended")

// attend waits until a connection is over. The error is why it is lost; nil where it was not
// wanted any more.
func (k *clients) attend(ctx context.Context, c *client, from *mcp.Caller, ended <-chan error) error {
	tick := time.NewTicker(clientIdle / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-from.Ended:
			return nil
		case err := <-ended:
			if ctx.Err() != nil || era.IsClosed(from.Ended) {
				return nil
			}
			return errors.Join(errLost, err)
		case <-c.watched.rewatch:
			k.wg.Go(func() { k.watchNow(ctx, c) })
		case <-tick.C:
			if k.idle(c) {
				return nil
			}
		}
	}
}

// idle takes a connection out that nobody used for long.
func (k *clients) idle(c *client) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.users > 0 || c.watched.any() {
		c.used = time.Now() // whoever stops watching leaves it time to tell the server
	}
	if time.Since(c.used) < clientIdle {
		return false
	}
	k.drop(c)
	return true
}

// forget takes out a connection that ended, and notes why it is lost, if it is. What is
// watched there is watched on another one, unless the client has gone as well.
func (k *clients) forget(c *client, from *mcp.Caller, lost error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(c)
	c.lose(lost, time.Now())
	switch {
	case era.IsClosed(from.Ended):
		if k.kept[c.key] == c.kept {
			delete(k.kept, c.key)
		}
	case !k.closed && k.byKey[c.key] == nil && !c.restoring && c.watched.any():
		c.restoring = true
		k.wg.Go(func() { k.restore(from, c.kept) })
	}
}

// came notes that a connection is up.
func (k *clients) came(c *client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.back.up(time.Now())
}

// shut notes that one connection is closed.
func (k *clients) shut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closing--
}

// close ends every connection and waits for it.
func (k *clients) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.end()
	k.wg.Wait()
}

// count is how many clients have a connection, those that it is being made for included.
func (k *clients) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.byKey)
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
