package session

import (
	"slices"
	"sync"
)

// An Outlet takes whole messages for the client. It never blocks and keeps order.
type Outlet interface {
	// Notify hands over a notification, which may be dropped where too much waits.
	Notify(raw []byte)
	// Ask hands over a question with this id, which must arrive. It is false where it was not
	// taken, since too much waits that the client has not read.
	Ask(id, raw []byte) bool
	// Recall takes back a question that is not on its way yet: the client never hears of it.
	// Where it is false the client may have it.
	Recall(id []byte) bool
	// Deliver hands over what must arrive: that a question is withdrawn.
	Deliver(raw []byte)
}

// streams are those of one session on which the client listens for what belongs to no call.
type streams struct {
	mu   sync.Mutex
	open []*attached   // guarded by mu, in the order that they were opened
	some chan struct{} // guarded by mu: closed while there are any; nil until asked for
}

type attached struct{ out Outlet }

// Attach enters a stream until the returned function is called.
func (s *Session) Attach(out Outlet) (detach func()) {
	a := &attached{out}
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 {
		t.init()
		close(t.some)
	}
	t.open = append(t.open, a)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		n := len(t.open)
		t.open = slices.DeleteFunc(t.open, func(x *attached) bool { return x == a })
		if n > 0 && len(t.open) == 0 {
			t.some = nil
		}
	}
}

// init is called with mu held.
func (t *streams) init() {
	if t.some == nil {
		t.some = make(chan struct{})
	}
}

// Outlet is the stream that the client opened last, which is the likeliest to live; nil where
// none is open.
func (s *Session) Outlet() Outlet {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 {
		return nil
	}
	return t.open[len(t.open)-1].out
}

// Listening gives a channel that is closed once a stream is open.
func (s *Session) Listening() <-chan struct{} {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	t.init()
	return t.some
}
