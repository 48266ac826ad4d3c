package session

import (
	"sync"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds of the news that wait for a client without an open stream.
const (
	maxNews      = 1024
	maxNewsBytes = 1 << 20
	maxLines     = 256 // of them log lines, which must not push aside what matters more
)

// News is one notification that belongs to no call.
type News struct {
	Method string
	Params []byte
}

// An inbox keeps news until one of the session's streams takes them.
type inbox struct {
	mu    sync.Mutex
	items []News         // guarded by mu, in the order that they came
	known map[string]int // guarded by mu: place of each in items, by what makes it the same news
	bytes int            // guarded by mu
	lines int            // guarded by mu: log lines in items
}

// put keeps news, and is false where it waits already or there is no room. Of two that say
// the same about one resource the newer takes the older's place.
func (b *inbox) put(n News) bool {
	key := n.key()
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.known[key]; ok {
		b.bytes += len(n.Params) - len(b.items[at].Params)
		b.items[at] = n
		return false
	}
	line := n.Method == mcp.NoteMessage
	if len(b.items) >= maxNews || b.bytes+len(n.Params) > maxNewsBytes || line && b.lines >= maxLines {
		return false
	}
	if line {
		b.lines++
	}
	if b.known == nil {
		b.known = map[string]int{}
	}
	b.known[key] = len(b.items)
	b.items = append(b.items, n)
	b.bytes += len(n.Params)
	return true
}

// key is what two notifications that are the same news share.
func (n News) key() string {
	if n.Method == mcp.NoteUpdated {
		if uri := rawjson.Get(n.Params, "uri"); uri != nil {
			return n.Method + " " + string(uri)
		}
	}
	return n.Method + " " + string(n.Params)
}

func (b *inbox) take() []News {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.items
	b.items, b.known, b.bytes, b.lines = nil, nil, 0, 0
	return out
}

// Put implements mcp.Inbox: news for the client that belongs to none of its calls.
func (s *Session) Put(method string, params []byte) {
	if s.ctx.Err() == nil && s.inbox.put(News{method, params}) {
		s.wake()
	}
}

// TakeNews gives what has been put since the last time. Of several streams one gets it.
func (s *Session) TakeNews() []News { return s.inbox.take() }

// Woken yields when there may be something to tell the client. Of several streams one is
// woken; where none is open, the next one is.
func (s *Session) Woken() <-chan struct{} { return s.woken }

func (s *Session) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // somebody will be woken already
	}
}
