package streamable

import (
	"sync"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

const maxEvents = 256

// events is the bounded queue of what belongs to no call. Its last place is kept for the
// news that something was lost, so that it stands where the gap is and needs no later
// event to bring it.
type events struct {
	queue chan transport.Event

	mu     sync.Mutex
	told   bool // guarded by mu: the gap is in the queue, or behind it
	closed bool // guarded by mu
}

func newEvents() *events { return &events{queue: make(chan transport.Event, maxEvents+1)} }

// put queues a message, or drops it where nobody took the others in time. It never blocks.
func (e *events) put(m *jsonrpc.Message) { e.add(transport.Event{Message: m}) }

// gap tells that messages may have been lost before they came here.
func (e *events) gap() { e.add(transport.Event{Lost: true}) }

func (e *events) add(ev transport.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
	case len(e.queue) < maxEvents: // only takers run beside us, and they make room
		e.queue <- ev
		e.told = false
	case !e.told:
		e.queue <- transport.Event{Lost: true}
		e.told = true
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		close(e.queue)
	}
}
