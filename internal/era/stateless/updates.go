package stateless

import (
	"sync"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// updates is the inbox of one subscription: changed resources and tasks, each once, the newest
// word of it.
type updates struct {
	woken chan struct{} // yields when there may be some

	mu      sync.Mutex
	order   []string        // guarded by mu
	waiting map[string]news // guarded by mu: by what it is of
	bytes   int             // guarded by mu: of the params that wait
}

type news struct {
	method string
	params []byte
}

// maxNews bounds what waits of tasks, which tell their results.
const maxNews = 8 << 20

// newsOf is the member that says what a notification is about.
var newsOf = map[string]string{mcp.NoteUpdated: "uri", mcp.NoteTask: mcp.MemberTaskID}

// Put implements mcp.Inbox.
func (u *updates) Put(method string, params []byte) {
	about := rawjson.Get(params, newsOf[method])
	if about == nil {
		return
	}
	key := method + " " + string(about)
	u.mu.Lock()
	before, known := u.waiting[key]
	size := u.bytes + len(params) - len(before.params)
	if !known && len(u.order) == 2*maxURIs || method == mcp.NoteTask && size > maxNews {
		u.mu.Unlock() // a caller is told of what it asked for, which is no more
		return
	}
	if !known {
		if u.waiting == nil {
			u.waiting = map[string]news{}
		}
		u.order = append(u.order, key)
	}
	u.waiting[key], u.bytes = news{method, params}, size
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
func (u *updates) take() []news {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []news
	for _, key := range u.order {
		out = append(out, u.waiting[key])
	}
	u.order, u.waiting, u.bytes = nil, nil, 0
	return out
}
