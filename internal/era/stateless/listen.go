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
)

const (
	quietList   = time.Second            // a client is told of a list's changes no more often
	quietUpdate = 100 * time.Millisecond // and of changed resources
	maxURIs     = 1024                   // of one listen request
	maxWatchers = 16                     // that ask for its resources at one time
	watchTime   = 1500 * time.Millisecond
)

// lists are the kinds of lists that a client may hear of, by the field of the filter and the
// capability that stands for it (2026-07-28, subscriptions, Notification Filter).
var lists = [...]struct {
	field, capability string
	kinds             []mcp.Kind
}{
	{"toolsListChanged", "tools", []mcp.Kind{mcp.Tools}},
	{"promptsListChanged", "prompts", []mcp.Kind{mcp.Prompts}},
	{"resourcesListChanged", "resources", []mcp.Kind{mcp.Resources, mcp.Templates}},
}

const fieldURIs = "resourceSubscriptions"

// A filter is what a client wants to hear of, or what it will hear of.
type filter struct {
	lists [len(lists)]bool
	uris  []string
}

func readFilter(raw []byte) (filter, *mcp.Error) {
	var f filter
	if len(raw) == 0 || raw[0] != '{' {
		return f, badFilter(`"notifications" must be an object`)
	}
	if err := rawjson.CheckMembers(raw, lists[0].field, lists[1].field, lists[2].field, fieldURIs); err != nil {
		return f, badFilter(err.Error())
	}
	for i, l := range lists {
		switch v := rawjson.Get(raw, l.field); string(v) {
		case "true":
			f.lists[i] = true
		case "false", "":
		default:
			return f, badFilter(`"` + l.field + `" must be a boolean`)
		}
	}
	uris := rawjson.Get(raw, fieldURIs)
	if uris != nil && uris[0] != '[' {
		return f, badFilter(`"` + fieldURIs + `" must be an array of strings`)
	}
	known := map[string]bool{}
	for e := range rawjson.Elements(uris) {
		uri, ok := rawjson.Text(e)
		switch {
		case !ok:
			return f, badFilter(`"` + fieldURIs + `" must be an array of strings`)
		case known[uri]:
		case len(f.uris) == maxURIs:
			return f, mcp.Errorf(mcp.InvalidParams, "uris", "one subscriptions/listen may name %d resources at most", maxURIs)
		default:
			known[uri], f.uris = true, append(f.uris, uri)
		}
	}
	return f, nil
}

func badFilter(message string) *mcp.Error {
	return mcp.Errorf(mcp.InvalidParams, "params", "%s", message)
}

// append writes the filter as it stands in an acknowledgement.
func (f filter) append(dst []byte) []byte {
	first := len(dst)
	for i, l := range lists {
		if f.lists[i] {
			dst = append(append(append(dst, `,"`...), l.field...), `":true`...)
		}
	}
	if len(f.uris) > 0 {
		dst = append(dst, `,"`+fieldURIs+`":[`...)
		for i, uri := range f.uris {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = rawjson.AppendText(dst, uri)
		}
		dst = append(dst, ']')
	}
	if len(dst) > first {
		dst[first] = '{'
		return append(dst, '}')
	}
	return append(dst, '{', '}')
}

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
	updates updates
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
	if b.p.Streams.Take(in.Principal) != nil {
		return b.failure(c, in.Message.ID, mcp.Errorf(mcp.Overloaded, "streams", "too many streams are open"))
	}
	defer b.p.Streams.Give(in.Principal)
	l := &listening{b: b, in: in, from: c.From}
	l.meta = append(append([]byte(`{"`+mcp.MetaSubscription+`":`), in.Message.ID...), '}')
	l.updates.woken = make(chan struct{}, 1)
	for i, list := range lists {
		announces := rawjson.Get(rawjson.Get(b.p.Presence.Capabilities(in.Scope), list.capability), "listChanged")
		l.filter.lists[i] = wanted.lists[i] && string(announces) == "true"
	}
	l.seen, l.changed = b.p.Feed.Seen(c.From)
	var unwatch func()
	l.filter.uris, unwatch = l.watch(ctx, wanted.uris)
	defer unwatch()
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
		case <-l.updates.woken:
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
	if d := l.updated.Add(quietUpdate).Sub(now); d > 0 && l.updates.any() {
		later(d)
		return wait
	}
	for _, params := range l.updates.take() {
		l.updated = now
		l.tell(mcp.NoteUpdated, params)
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
					undo, err := l.b.p.Feed.Watch(asking, l.from, uris[i], &l.updates)
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

// updates is the inbox of one subscription: changed resources, each once, the newest word of
// it.
type updates struct {
	woken chan struct{} // yields when there may be some

	mu      sync.Mutex
	order   []string          // guarded by mu
	waiting map[string][]byte // guarded by mu: params, by raw URI
}

// Put implements mcp.Inbox.
func (u *updates) Put(method string, params []byte) {
	uri := rawjson.Get(params, "uri")
	if method != mcp.NoteUpdated || uri == nil {
		return
	}
	u.mu.Lock()
	if u.waiting[string(uri)] == nil {
		if len(u.order) == maxURIs { // a caller is told of what it asked for, which is no more
			u.mu.Unlock()
			return
		}
		if u.waiting == nil {
			u.waiting = map[string][]byte{}
		}
		u.order = append(u.order, string(uri))
	}
	u.waiting[string(uri)] = params
	u.mu.Unlock()
	select {
	case u.woken <- struct{}{}:
	default:
	}
}

func (u *updates) any() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.order) > 0
}

// take gives what waits, in the order that it came.
func (u *updates) take() [][]byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out [][]byte
	for _, uri := range u.order {
		out = append(out, u.waiting[uri])
	}
	u.order, u.waiting = nil, nil
	return out
}
