package upstream

import (
	"context"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// How long after a loss a client's connection is made again on which resources are watched.
const (
	restoreFirst = time.Second
	restoreMost  = time.Minute
)

// earOf hears what belongs to no call on the connection of one client: changes of what that
// client watches and of what it sees, and log lines for it.
func (k *clients) earOf(ctx context.Context, c *client, from *mcp.Caller) era.Ear {
	e := k.s.quietEar()
	e.Changed, e.Updated = c.changed.add, c.watched.updated
	if from.Back == nil {
		return e
	}
	quiet := e.Note
	e.Note = func(method string, params []byte) {
		switch {
		case method != mcp.NoteMessage:
			quiet(method, params)
		case k.s.lines.admit():
			_ = from.Back.Notify(ctx, method, era.CleanResult(params))
		}
	}
	return e
}

// current gives the connection, which is up.
func (c *client) current() (era.Outbound, error) { return c.ob, nil }

// watchNow tells the server of a client's connection what that client watches now.
func (k *clients) watchNow(ctx context.Context, c *client) {
	ctx, stop := context.WithTimeout(ctx, noteTime)
	defer stop()
	if err := c.watched.tellServer(ctx, c.current); err != nil {
		k.s.p.Log.Debug("was not told what a client watches", "err", err)
	}
}

// restore makes a connection again on which a client watches resources, with back-off, until
// it is up, or nobody watches.
func (k *clients) restore(from *mcp.Caller, of *kept) {
	for wait := restoreFirst; ; wait = min(2*wait, restoreMost) {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-from.Ended:
		case <-k.ctx.Done():
		}
		timer.Stop()
		if k.ctx.Err() == nil && !era.IsClosed(from.Ended) && of.watched.any() {
			if _, err := k.s.current(); err != nil { // the shared one is down as well
				continue
			}
			_, leave, err := k.up(k.ctx, from) // which tells the server, and the client
			if err != nil {
				continue
			}
			leave()
		}
		if k.restored(from, of) {
			return
		}
	}
}

// restored tells whether nothing is left to be made again.
func (k *clients) restored(from *mcp.Caller, of *kept) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := clientKey(from)
	over := era.IsClosed(from.Ended)
	if k.byKey[key] == nil && !k.closed && !over && of.watched.any() { // it was lost once more
		return false
	}
	of.restoring = false
	if over && k.kept[key] == of && k.byKey[key] == nil {
		delete(k.kept, key)
	}
	return true
}

// named is a client whose questions outside of calls bear the server's name, as those within
// do.
func (s *Server) named(from *mcp.Caller) *mcp.Caller {
	if from.Back == nil {
		return from
	}
	own := *from
	own.Back = &namedLine{from.Back, s.nameFor(from)}
	return &own
}

type namedLine struct {
	mcp.Line
	server string // empty where the client knows whom it speaks with
}

func (l *namedLine) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	return l.Line.Ask(ctx, method, era.Attributed(l.server, method, params))
}
