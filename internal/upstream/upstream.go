// Package upstream keeps one server usable: it connects, finds out the server's era,
// lists, hears of changes, connects again with back-off, and drains. It knows no other
// server and no client.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"

	"golang.org/x/sync/semaphore"
)

// Params are what a Server is made of.
type Params struct {
	Name      string
	Transport string // for people
	Protocol  string // Auto, Stateful or Stateless
	Dialer    transport.Dialer
	// Older is tried where Dialer's transport is not what the server speaks; nil for none.
	Older          transport.Dialer
	OlderTransport string
	Self           []byte  // our Implementation object, as servers see it
	Via            string  // our id, by which a request that comes back to us is known; empty for none
	PerClient      bool    // each client has a connection of its own, where the server is stateful
	Clients        int     // of those at most
	Roots          []byte  // raw array of the roots that we name ourselves; nil for none
	Instructions   bool    // what the server says of itself is shown
	Prefix         *string // before the names of its entries in place of Name; nil for Name
	StartTimeout   time.Duration
	CallTimeout    time.Duration // without an answer or progress
	CallMax        time.Duration // in all
	InFlight       int
	List           era.ListBounds
	Catalog        catalog.Bounds
	Grace          time.Duration   // how long the last list of a server that is down stays
	Stderr         func() []string // last lines, for a server that has them; may be nil
	// Publish hands over what the server contributes; nil for nothing any more. It must
	// not call back into the Server. It is called from one goroutine at a time.
	Publish func(*catalog.Part)
	// Renewed is called when what Own gives changed, from any goroutine. It must not block; nil
	// for nobody.
	Renewed func()
	Watches *Watches // what clients watch of the servers of this name; nil for none before this one
	Log     *slog.Logger
}

// A Server is one server that is kept usable. Run is its supervisor.
type Server struct {
	p     Params
	found string          // the era found last time; only Run's goroutine touches it
	older bool            // it speaks the older transport; likewise
	exits bool            // it ended on the probe and without it; likewise
	left  []io.Closer     // connections that ended, to be closed once that is known; likewise
	lacks map[string]bool // what was warned of the last lists; likewise

	room    *semaphore.Weighted
	suspect chan struct{} // holds one: a call failed, see whether the server is still there
	asked   chan struct{} // holds one: a client listed, see whether our list is stale
	tried   chan struct{}
	watched *watchers
	clients *clients
	lines   *lines

	taskTools stateful.TaskTools

	mu      sync.Mutex
	ob      era.Outbound     // guarded by mu; not nil while ready
	dialer  transport.Dialer // guarded by mu: what ob came from
	status  Status           // guarded by mu
	admits  bool             // guarded by mu: new calls are let in
	open    int              // guarded by mu: calls in flight
	queued  int              // guarded by mu
	drained chan struct{}    // guarded by mu; closed when open falls to 0 while draining
	isTried bool             // guarded by mu
	shown   bool             // guarded by mu: what was published last was a list
	lists   lists            // guarded by mu: what was listed last
	missed  kindSet          // guarded by mu: kinds that could not be fetched when they were to be
	fell    time.Time        // guarded by mu: the end of the last connection that was up
}

// New makes a Server; Run starts it.
func New(p Params) *Server {
	if p.Watches == nil {
		p.Watches = NewWatches()
	}
	s := &Server{
		p:       p,
		room:    semaphore.NewWeighted(int64(p.InFlight)),
		suspect: make(chan struct{}, 1),
		asked:   make(chan struct{}, 1),
		tried:   make(chan struct{}),
		watched: newWatchers(p.Watches),
		lines:   newLines(p.Log),
		admits:  true,
		status:  Status{Name: p.Name, Transport: p.Transport, State: Idle, Since: time.Now()},
	}
	if s.p.Renewed == nil {
		s.p.Renewed = func() {}
	}
	s.clients = newClients(s)
	p.Watches.take(s.watched)
	return s
}

// Name is the server's name.
func (s *Server) Name() string { return s.p.Name }

// Tried is closed once the first attempt to connect and list has ended, either way.
func (s *Server) Tried() <-chan struct{} { return s.tried }

// Asked tells that some client listed: a list that the server does not announce changes of is
// fetched again once it is stale, and so is one that could not be fetched when it changed.
func (s *Server) Asked() {
	if s.staleKinds() != nil {
		poke(s.asked)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run supervises the server until ctx ends. When it returns, the connection is closed and
// every goroutine it started has exited. It is called once.
func (s *Server) Run(ctx context.Context) {
	defer s.setTried()
	defer s.set(Stopped, "")
	defer s.clients.close()
	b, told := backoff{}, ""
	for ctx.Err() == nil {
		s.set(Starting, "")
		err := s.life(ctx, &b)
		if ctx.Err() != nil {
			s.tidy()
			return
		}
		state, wait := b.next(err, time.Now())
		why := reason(err)
		s.set(state, why)
		s.setTried() // after the state, which whoever waited looks at
		s.tidy()
		level := slog.LevelWarn
		if why == told {
			level = slog.LevelDebug // the same again tells nobody anything
		}
		told = why
		if errors.Is(err, transport.ErrHopeless) {
			s.p.Log.Warn(fmt.Sprintf("is %s: %s", state, why))
			<-ctx.Done()
			return
		}
		s.p.Log.Log(ctx, level, fmt.Sprintf("is %s: %s; trying again in %s", state, why, wait.Round(100*time.Millisecond)))
		if !s.rest(ctx, wait) {
			return
		}
		s.mu.Lock()
		s.status.Restarts++
		s.mu.Unlock()
	}
}

// tidy closes what has ended. A process that does not obey takes its time to end.
func (s *Server) tidy() {
	for _, c := range s.left {
		_ = c.Close()
	}
	s.left = nil
}

// life is one connection, from the dial to its end. It returns why it ended.
func (s *Server) life(ctx context.Context, b *backoff) error {
	start, stop := context.WithTimeoutCause(ctx, s.p.StartTimeout, fmt.Errorf("it did not answer within its start time of %s", s.p.StartTimeout))
	defer stop()
	kept := s.expire()
	ob, err := s.connect(start)
	kept()
	if err != nil {
		return late(start, err)
	}
	err = s.serve(ctx, start, ob, b)
	s.mu.Lock()
	if s.ob != nil {
		s.ob, s.fell = nil, time.Now()
	}
	s.mu.Unlock()
	s.left = append(s.left, ob)
	return err
}

// late says in a person's words that a start took too long.
func late(start context.Context, err error) error {
	if start.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(start)
	}
	return err
}

// serve lists, and then hears the server until the connection ends.
func (s *Server) serve(ctx, start context.Context, ob era.Outbound, b *backoff) error {
	ctx, stop := context.WithCancel(ctx)
	changed, ended := newChanges(), make(chan error, 1)
	var run sync.WaitGroup
	run.Go(func() { ended <- ob.Run(ctx, s.ear(changed)) })
	defer run.Wait()
	defer stop()
	select {
	case <-s.suspect: // of the connection before
	default:
	}
	s.settle(ob)
	again := s.watched.any() // of the connection before, or of the server before
	if err := s.list(start, ob, everyKind); err != nil {
		err = late(start, err)
		select {
		case <-ctx.Done():
		case why := <-ended: // tells more than the failed listing
			return errors.Join(why, err)
		default:
		}
		return err
	}
	s.ready()
	b.up(time.Now())
	if again {
		if err := s.watch(ctx); err != nil {
			s.p.Log.Warn("does not tell of resources that clients watch", "err", err)
		}
		s.watched.all()
	}
	return s.attend(ctx, ob, changed, ended)
}

// refetch is the least time between two listings.
const refetch = time.Second

// attend hears of changes until the connection ends.
func (s *Server) attend(ctx context.Context, ob era.Outbound, changed *changes, ended <-chan error) error {
	var again makeUp
	for {
		var kinds []mcp.Kind
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case <-s.suspect:
			check, stop := context.WithTimeout(ctx, 10*time.Second)
			err := ob.Check(check)
			stop()
			if err != nil {
				return fmt.Errorf("a call failed and so did a check: %w", err)
			}
			continue
		case <-s.watched.rewatch:
			if err := s.watch(ctx); err != nil {
				s.p.Log.Debug("was not told what is watched", "err", err)
			}
			continue
		case <-changed.some:
			kinds = changed.take()
		case <-s.asked:
			if kinds = s.staleKinds(); kinds == nil { // they were fetched while somebody asked
				continue
			}
		case <-again.due:
			again.due, kinds = nil, s.missedKinds()
		}
		began := time.Now()
		err := s.list(ctx, ob, kinds)
		if errors.Is(err, era.ErrLoop) { // it may lead back to us since its servers changed
			s.withdraw()
			return err
		}
		if err != nil && ctx.Err() == nil {
			level := slog.LevelWarn
			if again.wait > 0 {
				level = slog.LevelDebug // it was told when it began
			}
			s.p.Log.Log(ctx, level, "could not be listed again; the last list stays", "err", err)
			poke(s.suspect)
		}
		again.plan(s.missedKinds() != nil)
		pause := time.NewTimer(refetch - time.Since(began))
		select {
		case <-pause.C:
		case <-ctx.Done():
		case err := <-ended:
			pause.Stop()
			return err
		}
	}
}

// withdraw takes the list back.
func (s *Server) withdraw() {
	s.mu.Lock()
	s.shown, s.status.Entries = false, [mcp.Kinds]int{}
	s.mu.Unlock()
	s.p.Publish(nil)
}

// ready tells that calls reach the server.
func (s *Server) ready() {
	st := s.set(Ready, "")
	s.setTried()
	s.p.Log.Info(fmt.Sprintf("ready: %s, %s, %s", st.Has(), s.p.Transport, st.Info.Revision))
}

// rest waits before the next attempt.
func (s *Server) rest(ctx context.Context, wait time.Duration) bool {
	defer s.expire()()
	return era.Sleep(ctx, wait)
}

// expire takes the list of a server that is down back when its grace is over, unless stop
// comes first. Once stop has returned, nothing is taken back any more.
func (s *Server) expire() (stop func()) {
	s.mu.Lock()
	left, shown := time.Until(s.fell.Add(s.p.Grace)), s.shown
	s.mu.Unlock()
	if !shown {
		return func() {}
	}
	done := make(chan struct{})
	timer := time.AfterFunc(left, func() {
		defer close(done)
		s.withdraw()
	})
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}

func (s *Server) setTried() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isTried {
		s.isTried = true
		close(s.tried)
	}
}
