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

// An Inbox keeps news until somebody takes them: a session's, or those of one subscription.
type Inbox struct {
	most      int           // of news, log lines aside
	mostBytes int           // of their params; of resources that changed as many again, since those are told once
	woken     chan struct{} // holds one

	mu    sync.Mutex
	items []News         // guarded by mu, in the order that they came
	known map[string]int // guarded by mu: place of each in items, by what makes it the same news
	bytes [2]int         // guarded by mu: of resources that changed, and of all else
	lines int            // guarded by mu: log lines in items
}

// NewInbox makes an Inbox that holds so many news, and so many bytes of params.
func NewInbox(most, mostBytes int) *Inbox {
	return &Inbox{most: most, mostBytes: mostBytes, woken: make(chan struct{}, 1)}
}

// Put implements mcp.Inbox. Of two that say something of the same resource or task the newer
// takes the older's place. What there is no room for is dropped.
func (b *Inbox) Put(method string, params []byte) {
	n := News{method, params}
	key := n.key()
	b.mu.Lock()
	defer b.mu.Unlock()
	bytes := &b.bytes[1]
	if method == mcp.NoteUpdated {
		bytes = &b.bytes[0]
	}
	if at, known := b.known[key]; known {
		if size := *bytes + len(params) - len(b.items[at].Params); size <= b.mostBytes {
			*bytes, b.items[at] = size, n
		}
		return
	}
	line := method == mcp.NoteMessage
	switch {
	case *bytes+len(params) > b.mostBytes, line && b.lines >= maxLines, !line && len(b.items)-b.lines >= b.most:
		return
	case line:
		b.lines++
	}
	*bytes += len(params)
	if b.known == nil {
		b.known = map[string]int{}
	}
	b.known[key] = len(b.items)
	b.items = append(b.items, n)
	select {
	case b.woken <- struct{}{}:
	default: // somebody will be woken already
	}
}

// newsOf is the member that says what a notification is about, where a newer one makes an older
// one worthless.
var newsOf = map[string]string{mcp.NoteUpdated: "uri", mcp.NoteTask: mcp.MemberTaskID}

// key is what two notifications that are the same news share.
func (n News) key() string {
	if member, ok := newsOf[n.Method]; ok {
		if about := rawjson.Get(n.Params, member); about != nil {
			return n.Method + " " + string(about)
		}
	}
	return n.Method + " " + string(n.Params)
}

// TakeNews gives what has been put since the last time. Of several who ask one gets it.
func (b *Inbox) TakeNews() []News {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.items
	b.items, b.known, b.bytes, b.lines = nil, nil, [2]int{}, 0
	return out
}

// HasNews tells whether something waits.
func (b *Inbox) HasNews() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) > 0
}

// Woken yields when there may be news. Of several who wait one is woken; where nobody waits, the
// next one is.
func (b *Inbox) Woken() <-chan struct{} { return b.woken }

// Put implements mcp.Inbox: news for the client that belongs to none of its calls. A session
// that is over takes none.
func (s *Session) Put(method string, params []byte) {
	if s.ctx.Err() == nil {
		s.Inbox.Put(method, params)
	}
}
