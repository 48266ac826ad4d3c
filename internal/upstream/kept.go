package upstream

import (
	"context"
	"errors"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// Bounds of what is remembered of clients that have no connection. Of one that is forgotten, what
// it sees is fetched again, and how often its connection failed is not known.
const (
	maxKept      = 1024
	maxKeptBytes = 32 << 20 // of definitions that are listed to some and not to all
)

// A kept is what is remembered of one client beyond its connection, which may be lost or
// ended while the client does nothing. All but watched is guarded by clients.mu.
type kept struct {
	watched   *watchers
	restoring bool            // its lost connection is being made again
	ended     <-chan struct{} // closed when its session ends; nil for none
	met       time.Time       // when it last wanted a connection

	part *catalog.Part // what the server lists to it; nil where that is not known

	back   backoff
	until  time.Time // no connection is made before
	failed error     // why
}

// keep finds what is remembered of a client. It is called with mu held.
func (k *clients) keep(key string, from *mcp.Caller) *kept {
	one := k.kept[key]
	if one == nil {
		if len(k.kept) >= maxKept {
			k.sweep()
		}
		one = &kept{watched: newWatchers(k.s.p.Watches), ended: from.Ended}
		k.kept[key] = one
	}
	one.met = time.Now()
	return one
}

// sweep forgets the clients whose session is over, and one of the others: that which did
// nothing for longest. It is called with mu held.
func (k *clients) sweep() {
	oldest := ""
	for key, one := range k.kept {
		switch {
		case k.byKey[key] != nil || one.restoring || one.watched.any():
		case era.IsClosed(one.ended):
			delete(k.kept, key)
		case oldest == "" || one.met.Before(k.kept[oldest].met):
			oldest = key
		}
	}
	if len(k.kept) >= maxKept {
		delete(k.kept, oldest)
	}
}

// lose notes that a connection was lost or did not come up; nil: neither. After that the next
// one waits, as a server does that is started again.
func (o *kept) lose(err error, now time.Time) {
	if err == nil {
		return
	}
	_, wait := o.back.next(err, now)
	o.until, o.failed = now.Add(wait), err
}

// Own is what the server lists to this caller; nil where that is not known.
func (s *Server) Own(from *mcp.Caller) *catalog.Part {
	if !s.p.PerClient {
		return nil
	}
	k := s.clients
	key := clientKey(from)
	k.mu.Lock()
	defer k.mu.Unlock()
	if one := k.kept[key]; one != nil {
		return one.part
	}
	return nil
}

// WaitOwn waits until it is known what the server lists to this caller, or cannot be, but only
// for so long after the caller's connection was begun. It begins one where that is not known;
// nobody's makes room for it.
func (s *Server) WaitOwn(ctx context.Context, from *mcp.Caller, most time.Duration) {
	if !s.p.PerClient {
		return
	}
	if ob, err := s.current(); err != nil || ob.Info().Stateless {
		return
	}
	if s.Own(from) != nil {
		s.clients.ask(from)
		return
	}
	c, err := s.clients.enter(from, toList)
	if err != nil {
		return
	}
	defer s.clients.leave(c)
	ctx, stop := context.WithDeadline(ctx, c.began.Add(most))
	defer stop()
	select {
	case <-c.listed:
	case <-ctx.Done():
	}
}

// mute tells whether a server could not ask the caller for its roots now, outside of calls,
// as servers do right after the handshake. Few ask again.
func mute(from *mcp.Caller) bool {
	return era.MayAsk(from.Capabilities, mcp.RootsList, nil) == nil && (from.Back == nil || !era.IsClosed(from.Back.Open()))
}

// ask tells the client's connection, if there is one, that the client listed.
func (k *clients) ask(from *mcp.Caller) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.byKey[clientKey(from)]; c != nil {
		poke(c.asked)
	}
}

// errUnlisted is why a connection that was for the list alone was of no use.
var errUnlisted = errors.New("it could not be listed")

// list keeps what the server lists to one client: it lists at once, when the server tells of a
// change, when the client lists and it is stale, and again where it could not.
func (k *clients) list(ctx context.Context, c *client, from *mcp.Caller) {
	var all lists
	var missed kindSet
	var again makeUp
	first, news := true, false
	for kinds := everyKind; ; {
		began := time.Now()
		if len(kinds) > 0 {
			err := k.s.fetch(ctx, c.ob, kinds, &all)
			if missed.set(kinds, err != nil); err != nil {
				k.s.p.Log.Debug("could not be listed for one client", "err", err)
			} else {
				news = k.see(c, all)
			}
			again.plan(missed.with(nil) != nil)
		}
		if first {
			close(c.listed)
		} else if news {
			k.s.p.Renewed()
		}
		goesOn := era.Sleep(ctx, refetch-time.Since(began))
		if first && news { // whoever waited for it has listed by now, and hears of nothing twice
			k.s.p.Renewed()
		}
		if !goesOn {
			return
		}
		if first && mute(from) && k.brief(c) {
			return
		}
		first, news = false, false
		select {
		case <-ctx.Done():
			return
		case <-c.changed.some:
			kinds = c.changed.take()
		case <-c.asked:
			kinds = missed.with(all.stale(c.ob.Info(), time.Now()))
		case <-again.due:
			again.due, kinds = nil, missed.with(nil)
		}
	}
}

// brief ends a connection that was for the list alone. The client's first call makes another, and
// carries what the server asks at its beginning.
func (k *clients) brief(c *client) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.brief {
		if c.part == nil { // or the next list would begin one more
			c.lose(errUnlisted, time.Now())
		}
		k.drop(c)
		c.gone()
	}
	return c.brief
}

// see notes what the server lists to a client, and tells whether the client sees a difference.
// Clients to whom it lists the same share one part.
func (k *clients) see(c *client, all lists) (news bool) {
	part, _ := k.s.part(c.ob.Info(), all)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := c.part
	if was == nil {
		was = k.base
	}
	c.part = k.shared(part)
	k.spare()
	return was == nil || !was.Same(part)
}

// spare forgets what clients without a connection see where that is too much in all. It is called
// with mu held.
func (k *clients) spare() {
	bytes := 0
	counted := map[*catalog.Part]bool{k.base: true}
	for _, one := range k.kept {
		if one.part != nil && !counted[one.part] {
			counted[one.part] = true
			bytes += one.part.Bytes()
		}
	}
	if bytes <= maxKeptBytes {
		return
	}
	for key, one := range k.kept {
		if k.byKey[key] == nil {
			one.part = nil
		}
	}
}

// shared gives the part that is known already and shows the same. It is called with mu held.
func (k *clients) shared(part *catalog.Part) *catalog.Part {
	if k.base != nil && k.base.Same(part) {
		return k.base
	}
	for _, one := range k.kept {
		if one.part != nil && one.part.Same(part) {
			return one.part
		}
	}
	return part
}

// publish notes what the server lists to all. Where that changed, nobody knows whether what is
// remembered of clients without a connection still holds.
func (k *clients) publish(part *catalog.Part) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.base != nil && k.base.Same(part) {
		return
	}
	k.base = part
	for key, one := range k.kept {
		if k.byKey[key] == nil {
			one.part = nil
		}
	}
}
