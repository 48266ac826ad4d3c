package listen

import (
	"sync"

	"mcpgateway/internal/rawjson"
)

// Bounds of what waits for one client that does not read. Replies never count.
const (
	maxPending      = 4096
	maxPendingBytes = 4 << 20
)

// A queue hands messages to one client in order, from a goroutine that lives while there
// is something to write. Nobody who queues ever waits for the client.
type queue struct {
	write func(messages [][]byte) error // may block; one call at a time

	mu      sync.Mutex
	items   []item // guarded by mu
	pending int    // guarded by mu: notifications among items
	bytes   int    // guarded by mu: of those
	running bool   // guarded by mu
	closed  bool   // guarded by mu
	dead    bool   // guarded by mu: a write failed; nothing is written any more
	writer  sync.WaitGroup
}

type item struct {
	raw  []byte
	note bool
}

func newQueue(write func([][]byte) error) *queue {
	return &queue{write: write}
}

// Notify queues a notification. Where too much waits, progress takes the place of the
// oldest of its own call, a message that waits already is not queued twice, and the rest is
// dropped.
func (q *queue) Notify(raw []byte) { q.add(item{raw, true}) }

// reply queues a message that must arrive.
func (q *queue) reply(raw []byte) { q.add(item{raw, false}) }

func (q *queue) add(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.dead {
		return
	}
	if it.note {
		if (q.pending >= maxPending || q.bytes+len(it.raw) > maxPendingBytes) && !q.makeRoom(it.raw) {
			return
		}
		q.pending++
		q.bytes += len(it.raw)
	}
	q.push(it)
}

// push is called with mu held.
func (q *queue) push(it item) {
	q.items = append(q.items, it)
	if !q.running {
		q.running = true
		q.writer.Go(q.drain)
	}
}

// makeRoom takes out the oldest progress of the same call as raw. It is called with mu held.
func (q *queue) makeRoom(raw []byte) bool {
	token := progressToken(raw)
	for i, it := range q.items {
		if !it.note {
			continue
		}
		if token == nil {
			if string(it.raw) == string(raw) {
				return false // the same news waits already
			}
			continue
		}
		if string(progressToken(it.raw)) == string(token) {
			q.items = append(q.items[:i:i], q.items[i+1:]...)
			q.pending--
			q.bytes -= len(it.raw)
			return true
		}
	}
	return false
}

func progressToken(raw []byte) []byte {
	return rawjson.Get(rawjson.Get(raw, "params"), "progressToken")
}

// drain is the writer. It takes all that waits at once.
func (q *queue) drain() {
	for {
		q.mu.Lock()
		if len(q.items) == 0 || q.dead {
			q.items, q.running = nil, false
			q.mu.Unlock()
			return
		}
		batch := make([][]byte, len(q.items))
		for i, it := range q.items {
			batch[i] = it.raw
		}
		q.items, q.pending, q.bytes = nil, 0, 0
		q.mu.Unlock()
		if err := q.write(batch); err != nil {
			q.mu.Lock()
			q.dead = true
			q.mu.Unlock()
		}
	}
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

// close takes no more and waits for the writer.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.writer.Wait()
}
