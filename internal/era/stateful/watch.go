package stateful

import (
	"context"
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// tellTime is for the server to take one subscription.
const tellTime = 10 * time.Second

// watch is what we are subscribed to at the server.
type watch struct {
	turn    chan struct{}   // holds one: whoever put it there may subscribe
	have    map[string]bool // guarded by turn
	session int64           // guarded by turn: the session in which have is true

	mu   sync.Mutex
	want []string // guarded by mu
}

func (w *watch) wanted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.want
}

// Watch has the server tell when these resources change, and no others. A server that does
// not offer it is not asked. What it refuses is asked for again with the next Watch.
func (o *Outbound) Watch(ctx context.Context, uris []string) error {
	if !o.info.Subscribes {
		return nil
	}
	o.watch.mu.Lock()
	o.watch.want = slices.Clone(uris)
	o.watch.mu.Unlock()
	return o.subscribe(ctx)
}

// subscribe tells the server the difference between what is wanted now and what it knows.
func (o *Outbound) subscribe(ctx context.Context) error {
	w := &o.watch
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if session := o.session.Load(); session != w.session {
		w.session, w.have = session, map[string]bool{}
	}
	want, wanted := w.wanted(), map[string]bool{}
	for _, uri := range want {
		wanted[uri] = true
	}
	for uri := range w.have {
		if !wanted[uri] {
			delete(w.have, uri)
			_ = o.tellWatch(ctx, mcp.Unsubscribe, uri)
		}
	}
	failed := era.Unwatched{}
	for _, uri := range want {
		if w.have[uri] {
			continue
		}
		if err := o.tellWatch(ctx, mcp.Subscribe, uri); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed[uri] = err
			continue
		}
		w.have[uri] = true
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

func (o *Outbound) tellWatch(ctx context.Context, method, uri string) error {
	ctx, stop := context.WithTimeout(ctx, tellTime)
	defer stop()
	params := append(rawjson.AppendText([]byte(`{"uri":`), uri), '}')
	_, err := o.round(ctx, o.link.NextID(), method, params, nil)
	return err
}

// watchAgain subscribes in a new session, and tells that what is watched may have changed
// meanwhile.
func (o *Outbound) watchAgain(ctx context.Context, ear *era.Ear) {
	if len(o.watch.wanted()) == 0 {
		return
	}
	timed, stop := context.WithTimeout(ctx, reopenTime) // others wait for their turn meanwhile
	defer stop()
	_ = o.subscribe(timed)
	ear.Missed([mcp.Kinds]bool{}, o.watch.wanted())
}

// Follow fails: these revisions have no such tasks (SEP-2663, Backward Compatibility).
func (o *Outbound) Follow(context.Context, *mcp.Caller, []string, func([]string), func(string, []byte)) error {
	return mcp.Errorf(mcp.UnknownMethod, "tasks", "a server of revision %s has no tasks to follow", o.info.Revision)
}
