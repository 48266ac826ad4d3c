package stateless

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

const (
	quietList   = time.Second            // a client is told of a list's changes no more often
	quietUpdate = 100 * time.Millisecond // and of changed resources
	maxURIs     = 1024                   // of one listen request
	maxNews     = 8 << 20                // bytes that wait for one, since tasks tell their results
	maxWatchers = 16                     // that ask for its resources at one time
	watchTime   = 1500 * time.Millisecond
)

// A listening is one subscriptions/listen while it is open.
type listening struct {
	b      *Inbound
	in     *era.Incoming
	from   *mcp.Caller
	meta   []byte // what each of its notifications bears
	filter filter

	seen    mcp.Seen
	changed <-chan struct{}
	news    [len(lists)]bool      // the list was another since it was last told of, though it may be the old one again
	told    [len(lists)]time.Time // when
	updates *session.Inbox
	updated time.Time // when resources were told of
}

// listen serves subscriptions/listen until the client or the gateway ends it
// (2026-07-28, subscriptions): first the acknowledgement with what is honoured, then a
// notification whenever the caller's own view changed, at most once a second.
func (b *Inbound) listen(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	wanted, bad := readFilter(rawjson.Get(c.Params.Raw, "notifications"))
	if bad != nil {
		return era.Refuse(bad, in.Message.ID)
	}
	if len(wanted.tasks) > 0 && !takesTasks(c.From) {
		return b.failure(c, in.Message.ID, errNoTasks)
	}
	if b.p.Streams.Take(in.Principal) != nil {
		return b.failure(c, in.Message.ID, mcp.Errorf(mcp.Overloaded, "streams", "too many streams are open"))
	}
	defer b.p.Streams.Give(in.Principal)
	l := &listening{b: b, in: in, from: c.From, updates: session.NewInbox(2*maxURIs, maxNews)}
	l.meta = append(append([]byte(`{"`+mcp.MetaSubscription+`":`), in.Message.ID...), '}')
	for i, list := range lists {
		announces := rawjson.Get(rawjson.Get(b.p.Presence.Capabilities(in.Scope), list.capability), "listChanged")
		l.filter.lists[i] = wanted.lists[i] && string(announces) == "true"
	}
	l.seen, l.changed = b.p.Feed.Seen(c.From)
	defer l.watchAll(ctx, wanted)()
	l.tell(mcp.NoteAcknowledged, append(l.filter.append([]byte(`{"notifications":`)), '}'))
	if l.filter.lists == [len(lists)]bool{} {
		l.changed = nil
	}
	return l.serve(ctx)
}

func (l *listening) serve(ctx context.Context) era.Answer {
	for {
		var again <-chan time.Time
		if wait := l.report(time.Now()); wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return era.Answer{Dropped: true}
		case <-l.b.closing:
			return l.teardown()
		case <-again:
		case <-l.updates.Woken():
		case <-l.changed:
			var now mcp.Seen
			now, l.changed = l.b.p.Feed.Seen(l.from)
			for i, list := range lists {
				l.news[i] = l.news[i] || l.filter.lists[i] && slices.ContainsFunc(list.kinds, func(k mcp.Kind) bool { return now[k] != l.seen[k] })
			}
			l.seen = now
		}
	}
}

// report tells the client what it may be told now, and gives the time until there is more;
// 0 where there is nothing.
func (l *listening) report(now time.Time) (wait time.Duration) {
	later := func(d time.Duration) {
		if wait == 0 || d < wait {
			wait = d
		}
	}
	for i, list := range lists {
		if !l.news[i] {
			continue
		}
		if d := l.told[i].Add(quietList).Sub(now); d > 0 {
			later(d)
			continue
		}
		l.news[i], l.told[i] = false, now
		l.tell(list.kinds[0].Changed(), nil)
	}
	if d := l.updated.Add(quietUpdate).Sub(now); d > 0 && l.updates.HasNews() {
		later(d)
		return wait
	}
	for _, n := range l.updates.TakeNews() {
		l.updated = now
		l.tell(n.Method, n.Params)
	}
	return wait
}

// tell sends a notification of this subscription.
func (l *listening) tell(method string, params []byte) {
	meta := rawjson.Get(params, "_meta")
	if len(meta) > 0 && meta[0] == '{' {
		meta = era.CleanMeta(meta, rawjson.Edit{Key: mcp.MetaSubscription, Value: l.in.Message.ID})
	} else {
		meta = l.meta
	}
	l.in.Out.Notify(jsonrpc.AppendNotification(nil, method, rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: meta})))
}

// teardown ends a subscription on our initiative: the request's result, and before it, on
// a pipe, the cancellation that a server must send (2026-07-28, cancellation).
func (l *listening) teardown() era.Answer {
	id := l.in.Message.ID
	if l.in.Header == nil {
		params := append(append([]byte(`{"requestId":`), id...), '}')
		l.in.Out.Notify(jsonrpc.AppendNotification(nil, mcp.NoteCancelled, params))
	}
	meta := rawjson.AppendEdited(nil, l.meta, rawjson.Edit{Key: mcp.MetaServerInfo, Value: l.b.p.Presence.Self(l.in.Scope)})
	return ok(id, append(append([]byte(`{"resultType":"complete","_meta":`), meta...), '}'))
}

// watchAll asks for resources and tasks, and keeps which are honoured.
func (l *listening) watchAll(ctx context.Context, wanted filter) (stop func()) {
	unfollow := func() {}
	var asking sync.WaitGroup
	if len(wanted.tasks) > 0 {
		asking.Go(func() {
			ctx, stop := context.WithTimeout(ctx, watchTime)
			defer stop()
			l.filter.tasks, unfollow = l.b.p.Feed.WatchTasks(ctx, l.from, wanted.tasks, l.updates)
		})
	}
	var unwatch func()
	l.filter.uris, unwatch = l.watch(ctx, wanted.uris)
	asking.Wait()
	return func() { unfollow(); unwatch() }
}

// watch asks for the resources, some at a time, and gives those that are honoured in the time
// that an acknowledgement may take. stop ends it all and waits.
func (l *listening) watch(ctx context.Context, uris []string) (honoured []string, stop func()) {
	if len(uris) == 0 {
		return nil, func() {}
	}
	asking, cancel := context.WithCancel(ctx)
	w := watching{stops: make([]func(), len(uris)), all: make(chan struct{})}
	w.left.Store(int64(len(uris)))
	for range min(maxWatchers, len(uris)) {
		w.workers.Go(func() {
			for i := int(w.next.Add(1)) - 1; i < len(uris); i = int(w.next.Add(1)) - 1 {
				if asking.Err() == nil {
					undo, err := l.b.p.Feed.Watch(asking, l.from, uris[i], l.updates)
					w.took(i, undo, err)
				}
				if w.left.Add(-1) == 0 {
					close(w.all)
				}
			}
		})
	}
	t := time.NewTimer(watchTime)
	defer t.Stop()
	select {
	case <-w.all:
	case <-t.C:
	case <-ctx.Done():
	}
	stops := w.close()
	cancel() // what has not been said by now is not honoured
	for i, undo := range stops {
		if undo != nil {
			honoured = append(honoured, uris[i])
		}
	}
	return honoured, func() {
		for _, undo := range stops {
			if undo != nil {
				undo()
			}
		}
		w.workers.Wait()
	}
}

// watching is the asking for resources while it lasts.
type watching struct {
	workers sync.WaitGroup
	next    atomic.Int64
	left    atomic.Int64
	all     chan struct{} // closed once every one has been asked for

	mu     sync.Mutex
	closed bool     // guarded by mu
	stops  []func() // guarded by mu: by place of the URI; nil where it is not honoured
}

func (w *watching) took(i int, undo func(), err error) {
	if err != nil {
		return
	}
	w.mu.Lock()
	late := w.closed
	if !late {
		w.stops[i] = undo
	}
	w.mu.Unlock()
	if late {
		undo()
	}
}

func (w *watching) close() []func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.stops
}
