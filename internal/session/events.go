package session

import (
	"container/list"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
)

// Defaults of the bounds on kept events.
const (
	DefaultEvents    = 1 << 20
	DefaultAllEvents = 64 << 20
)

// eventCost is what an event is counted for beside its bytes: what we need to find it.
const eventCost = 256

var (
	// ErrNoEvent: the session never had an event with this id.
	ErrNoEvent = errors.New("the session has no event with this id")
	// ErrDropped: events after this id are no longer kept.
	ErrDropped = errors.New("events that followed this id are no longer kept")
)

// An eventPool bounds the events of all sessions. Those that are dropped first are the
// oldest, of the session that is over its bound, or of all.
type eventPool struct {
	own, all int

	mu    sync.Mutex // leaf: nothing else is locked, and nobody called, while it is held
	bytes int        // guarded by mu
	byAge list.List  // guarded by mu: of *kept, the oldest first
}

func newEventPool(own, all int) *eventPool {
	if own <= 0 {
		own = DefaultEvents
	}
	if all <= 0 {
		all = DefaultAllEvents
	}
	return &eventPool{own: own, all: all}
}

func (p *eventPool) newEvents() *Events { return &Events{pool: p} }

// Events is what one session keeps of its event streams, so that a client whose connection
// broke can resume (2025-11-25, transports, Resumability and Redelivery). It is empty until
// the first stream.
type Events struct {
	pool *eventPool

	tag   string          // guarded by pool.mu: names the session in ids, so that another session's are none of this one's
	last  uint64          // guarded by pool.mu: number of the newest stream
	logs  map[uint64]*Log // guarded by pool.mu
	byAge list.List       // guarded by pool.mu: of *kept, the oldest first
	bytes int             // guarded by pool.mu
	ended bool            // guarded by pool.mu
}

// A Log is one event stream of a session, over however many connections it goes. A position
// in it is the number of an event; the first is 1.
type Log struct {
	Call bool // it is the answer to a POST: whoever runs the call ends it

	events *Events
	number uint64
	prefix string // of its ids

	mu    sync.Mutex // held while an event goes to the store and to the taker; locked before pool.mu
	next  uint64     // guarded by mu: the last position given
	taker Taker      // guarded by mu: the connection that it goes over now; nil for none
	over  bool       // guarded by mu: nothing follows

	inUse   bool   // guarded by pool.mu: something may follow
	kept    int    // guarded by pool.mu: entries in the store
	dropped uint64 // guarded by pool.mu: the last position that is not kept
}

// A Taker is a connection that gets a stream's events as they come. Its methods are called
// one at a time and must neither block nor call the Log.
type Taker interface {
	// Take is false for a question that it has no room for.
	Take(e Event) bool
	// GiveBack takes out a question that is not on its way yet. It is false where it may be.
	GiveBack(question string) bool
	// Left is called once, at last: the stream is over, or another connection took its
	// place.
	Left(replaced bool)
}

// An Event is one of a stream. Its data may be empty, which only gives the client an id.
type Event struct {
	ID       string
	Data     []byte
	Note     bool   // a client that does not read may miss it
	Question string // the id of the question that it is, the first time it is taken; else empty
}

type kept struct {
	log  *Log
	at   uint64 // position; 0 is no event, but keeps the log known
	data []byte
	asks string // the id of the question that it is; else empty
	all  *list.Element
	own  *list.Element
}

func (k *kept) size() int { return cap(k.data) + eventCost }

// Open begins a stream, which goes to t. call tells the answer to a POST.
func (e *Events) Open(t Taker, call bool) *Log {
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.tag == "" {
		e.logs, e.tag = map[uint64]*Log{}, rand.Text()[:8]
	}
	e.last++
	l := &Log{Call: call, events: e, number: e.last, prefix: e.tag + "-" + strconv.FormatUint(e.last, 10) + "-", taker: t, inUse: true}
	if !e.ended {
		e.logs[l.number] = l
	}
	return l
}

// Find gives the stream that an id belongs to, and the event's position in it.
func (e *Events) Find(id string) (*Log, uint64, error) {
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	tag, rest, _ := strings.Cut(id, "-")
	stream, event, _ := strings.Cut(rest, "-")
	number, ok1 := count(stream)
	at, ok2 := count(event)
	if !ok1 || !ok2 || e.tag == "" || tag != e.tag || number > e.last {
		return nil, 0, ErrNoEvent
	}
	l := e.logs[number]
	if l == nil {
		return nil, 0, ErrDropped
	}
	return l, at, nil
}

// count reads a positive number as we write it.
func count(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// Add adds an event to the stream, whether a connection is there or not.
func (l *Log) Add(data []byte, note bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.add(Event{Data: data, Note: note})
	}
}

// Ask adds a question. It is false where the connection has no room for it.
func (l *Log) Ask(question string, data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over || l.add(Event{Data: data, Question: question})
}

// Recall takes out a question that is not on its way yet, for whoever resumes as well. It is
// false where the client may have it.
func (l *Log) Recall(question string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taker == nil || !l.taker.GiveBack(question) {
		return false
	}
	l.events.recall(l, question)
	return true
}

// add is called with mu held.
func (l *Log) add(e Event) bool {
	e.ID = l.id(l.next + 1)
	if l.taker != nil && !l.taker.Take(e) {
		return false
	}
	l.next++
	l.events.keep(&kept{log: l, at: l.next, data: e.Data, asks: e.Question})
	return true
}

func (l *Log) id(at uint64) string { return l.prefix + strconv.FormatUint(at, 10) }

// End ends the stream with its last event; nil is none.
func (l *Log) End(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	if data != nil {
		l.add(Event{Data: data})
	}
	l.over = true
	l.leave(false)
	l.release()
}

// leave is called with mu held.
func (l *Log) leave(replaced bool) {
	if t := l.taker; t != nil {
		l.taker = nil
		t.Left(replaced)
	}
}

// Rest is what Resume found.
type Rest int

const (
	None   Rest = iota // the client has all, and nothing follows
	Ended              // t got the rest, and nothing follows
	Follow             // t got the rest, and gets what follows
)

// Resume gives t the event at a position once more, without its data, and those after it.
// Where the stream is not over t also gets what follows, in place of the connection that it
// went over until now.
func (l *Log) Resume(after uint64, t Taker) (Rest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after > l.next {
		return None, ErrNoEvent
	}
	rest, err := l.after(after)
	if err != nil {
		return None, err
	}
	if len(rest) == 0 && l.over {
		return None, nil
	}
	l.leave(true)
	t.Take(Event{ID: l.id(after)})
	for _, e := range rest {
		t.Take(e)
	}
	if l.over {
		return Ended, nil
	}
	l.taker = t
	l.hold()
	return Follow, nil
}

// Detach takes the connection t out, if it is still the one that the stream goes over.
// What follows is kept. Where calm, nothing follows until somebody resumes the stream.
func (l *Log) Detach(t Taker, calm bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taker != t {
		return
	}
	l.taker = nil
	if !calm || l.over {
		return
	}
	if l.next > 0 {
		l.events.keep(&kept{log: l}) // whoever missed nothing can resume, though nothing of the stream is kept
	}
	l.release()
}

// after reads what is kept after a position. It is called with mu held.
func (l *Log) after(at uint64) ([]Event, error) {
	p := l.events.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.events.ended || at < l.dropped {
		return nil, ErrDropped
	}
	var out []Event
	for el := l.events.byAge.Front(); el != nil; el = el.Next() {
		if k := el.Value.(*kept); k.log == l && k.at > at {
			out = append(out, Event{ID: l.id(k.at), Data: k.data})
		}
	}
	return out, nil
}

// release tells the store that nothing follows for now.
func (l *Log) release() {
	p := l.events.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	l.inUse = false
	l.forget()
}

func (l *Log) hold() {
	p := l.events.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	l.inUse = true
	if !l.events.ended {
		l.events.logs[l.number] = l // it may have been forgotten since it was found
	}
}

// forget takes a stream out that nobody uses and of which nothing is kept. It is called
// with pool.mu held.
func (l *Log) forget() {
	if !l.inUse && l.kept == 0 {
		delete(l.events.logs, l.number)
	}
}

// keep stores an event, and drops the oldest where that passes a bound. One that alone
// passes it is not kept: the stream has a hole there.
func (e *Events) keep(k *kept) {
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	size := k.size()
	if e.ended || size > p.own || size > p.all {
		k.log.dropped = max(k.log.dropped, k.at)
		return
	}
	for e.bytes+size > p.own {
		p.drop(e.byAge.Front())
	}
	for p.bytes+size > p.all {
		p.drop(p.byAge.Front())
	}
	k.log.kept++
	e.bytes += size
	p.bytes += size
	k.own, k.all = e.byAge.PushBack(k), p.byAge.PushBack(k)
}

// recall takes a question out that no client was sent: whoever resumes the stream misses nothing.
func (e *Events) recall(l *Log, question string) {
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for el := e.byAge.Back(); el != nil; el = el.Prev() {
		if k := el.Value.(*kept); k.log == l && k.asks == question {
			p.remove(k)
			return
		}
	}
}

// drop takes the event of a list's element out: from then on it is missing. It is called with
// mu held.
func (p *eventPool) drop(el *list.Element) {
	k := el.Value.(*kept)
	k.log.dropped = max(k.log.dropped, k.at)
	p.remove(k)
}

// remove is called with mu held.
func (p *eventPool) remove(k *kept) {
	l := k.log
	e := l.events
	e.byAge.Remove(k.own)
	p.byAge.Remove(k.all)
	e.bytes -= k.size()
	p.bytes -= k.size()
	l.kept--
	l.forget()
}

// end frees what is kept, since the session is over.
func (e *Events) end() {
	if e == nil {
		return
	}
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	e.ended = true
	for el := e.byAge.Front(); el != nil; el = e.byAge.Front() {
		p.drop(el)
	}
	e.logs = nil
}
