package listen

import (
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds of the notifications that wait for one client that does not read; its questions have the
// same bound of bytes again. fewBytes holds where all clients together make us hold as much as
// they may: one that reads has less waiting, and loses nothing.
const (
	maxPending      = 4096
	maxPendingBytes = 4 << 20
	fewBytes        = 64 << 10
)

// A queue hands messages to one client in order, from a goroutine that lives while there
// is something to write. Nobody who queues ever waits for the client.
type queue struct {
	load  *load              // counts the bytes that wait
	write func([]item) error // may block; one call at a time
	gone  func()             // called once a write failed; may be nil

	mu      sync.Mutex
	items   []item // guarded by mu
	pending int    // guarded by mu: notifications among items
	bytes   int    // guarded by mu: of those
	asked   int    // guarded by mu: bytes of questions among items
	running bool   // guarded by mu
	closed  bool   // guarded by mu
	dead    bool   // guarded by mu: a write failed; nothing is written any more
	writer  sync.WaitGroup
}

type item struct {
	raw   []byte
	id    string // of the event that it is on a stream that can be resumed; else empty
	note  bool
	token []byte // of progress, once it was looked for
	known bool

	question string // the id of the question that it is; else empty
}

func newQueue(load *load, write func([]item) error, gone func()) *queue {
	return &queue{load: load, write: write, gone: gone}
}

// Notify queues a notification. Where too much waits, progress takes the place of the
// oldest of its own call, news takes the place of older news of the same, up to as much again,
// and the rest is dropped.
func (q *queue) Notify(raw []byte) { q.add(item{raw: raw, note: true}) }

// Ask queues a question to the client, which must arrive. It is false where too many bytes of
// questions wait; a single one is always taken.
func (q *queue) Ask(id, raw []byte) bool { return q.add(item{raw: raw, question: string(id)}) }

// Recall takes out a question that waits. It is false where none does: it is being written, or
// was.
func (q *queue) Recall(id []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropOldest(func(it *item) bool { return it.question == string(id) })
}

// Deliver queues word of a question that was withdrawn too late to take it out. It has no bound
// of its own: there is less of it than was written of questions.
func (q *queue) Deliver(raw []byte) { q.reply(raw) }

// reply queues a message that must arrive.
func (q *queue) reply(raw []byte) { q.add(item{raw: raw}) }

// add is false for a question that it does not take.
func (q *queue) add(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dead {
		return true
	}
	switch {
	case it.question != "":
		if q.asked > 0 && q.asked+len(it.raw) > q.room() {
			return false
		}
		q.asked += len(it.raw)
	case it.note:
		for q.pending > 0 && (q.pending >= maxPending || q.bytes+len(it.raw) > q.room()) {
			if q.makeRoom(&it) {
				continue
			}
			if !q.makeRoomForNews(&it) {
				return true
			}
			break
		}
		q.pending++
		q.bytes += len(it.raw)
	}
	q.push(it)
	return true
}

// room is how many bytes of notifications may wait, and how many of questions.
func (q *queue) room() int {
	if q.load.full() {
		return fewBytes
	}
	return maxPendingBytes
}

// push is called with mu held.
func (q *queue) push(it item) {
	q.load.add(len(it.raw))
	q.items = append(q.items, it)
	if !q.running {
		q.running = true
		q.writer.Go(q.drain)
	}
}

// makeRoom takes out the oldest progress of the same call. It is called with mu held.
func (q *queue) makeRoom(latest *item) bool {
	token := latest.progress()
	return token != nil && q.dropOldest(func(it *item) bool { return it.note && string(it.progress()) == string(token) })
}

// makeRoomForNews takes out older news of the same, and tells whether there is room beyond what
// other notifications may have. It is called with mu held.
func (q *queue) makeRoomForNews(latest *item) bool {
	about := latest.news()
	if about == "" {
		return false
	}
	q.dropOldest(func(it *item) bool { return it.note && it.news() == about })
	return q.pending < 2*maxPending && q.bytes+len(latest.raw) <= 2*q.room()
}

// dropOldest takes out the oldest of which f is true. It is called with mu held.
func (q *queue) dropOldest(f func(it *item) bool) bool {
	for i := range q.items {
		it := &q.items[i]
		if f(it) {
			if it.note {
				q.pending--
				q.bytes -= len(it.raw)
			} else {
				q.asked -= len(it.raw)
			}
			q.load.add(-len(it.raw))
			q.items = slices.Delete(q.items, i, i+1)
			return true
		}
	}
	return false
}

// news is the same for notifications of which the newest says all: that a list changed, or a
// resource, or what has become of a task or of an elicitation. Nothing says it again. It is empty
// for others.
func (it *item) news() string {
	method, _ := rawjson.Text(rawjson.Get(it.raw, "method"))
	switch method {
	case mcp.Tools.Changed(), mcp.Prompts.Changed(), mcp.Resources.Changed(), mcp.NoteUpdated, mcp.NoteElicited:
		return string(it.raw)
	case mcp.NoteTask: // each subscription is told
		params := rawjson.Get(it.raw, "params")
		return method + string(rawjson.Get(params, mcp.MemberTaskID)) + " " + string(rawjson.Get(rawjson.Get(params, "_meta"), mcp.MetaSubscription))
	}
	return ""
}

// progress is the token of a notification of progress; nil for others.
func (it *item) progress() []byte {
	if !it.known {
		it.token, it.known = rawjson.Get(rawjson.Get(it.raw, "params"), "progressToken"), true
	}
	return it.token
}

// drain is the writer. It takes all that waits at once.
func (q *queue) drain() {
	for {
		items, bytes := q.take()
		if items == nil {
			return
		}
		err := q.write(items)
		q.load.add(-bytes)
		if err == nil {
			continue
		}
		q.mu.Lock()
		q.dead = true
		q.mu.Unlock()
		if q.gone != nil {
			q.gone()
		}
	}
}

// take gives what waits, and how many bytes that is. It is nil where there is nothing, or
// nobody to write to, and the writer then ends.
func (q *queue) take() (items []item, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items = q.items
	for i := range items {
		bytes += len(items[i].raw)
	}
	q.items, q.pending, q.bytes, q.asked = nil, 0, 0, 0
	if q.dead || len(items) == 0 { // what waited may have been taken back
		q.load.add(-bytes)
		items = nil
	}
	q.running = items != nil
	return items, bytes
}

// last takes no more from now on. Where anything was queued or begun says that something
// was written, reply goes out as the last message, and last is true.
func (q *queue) last(reply []byte, begun func() bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if !q.running && !begun() {
		return false
	}
	if reply != nil && !q.dead {
		q.push(item{raw: reply})
	}
	return true
}

// closeWithin is close for a client whose channel has no deadline of its own: the writer is
// left to itself after that time, since nobody may be reading.
func (q *queue) closeWithin(most time.Duration) {
	done := make(chan struct{})
	go func() {
		q.close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(most):
	}
}

// abandon drops what waits and takes no more.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.dead = true, true
}

// close takes no more and waits for the writer.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.writer.Wait()
}
