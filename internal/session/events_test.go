package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mcpgateway/internal/mcp"
)

// A reader is a connection that notes what it gets.
type reader struct {
	mu       sync.Mutex
	events   []Event
	left     int
	replaced bool
	full     bool // it has no room for questions
}

func (r *reader) Take(e Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full && e.Question != "" {
		return false
	}
	r.events = append(r.events, e)
	return true
}

func (r *reader) GiveBack(question string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.events)
	r.events = slices.DeleteFunc(r.events, func(e Event) bool { return e.Question == question })
	return len(r.events) < n
}

func (r *reader) Left(replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left++
	r.replaced = replaced
}

func (r *reader) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		out = append(out, string(e.Data))
	}
	return strings.Join(out, " ")
}

// id is that of the nth event.
func (r *reader) id(n int) string { return r.events[n].ID }

func (e *Events) kept() (events, bytes, logs int) {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	return e.byAge.Len(), e.bytes, len(e.logs)
}

func (p *eventPool) sum() (events, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byAge.Len(), p.bytes
}

func find(t *testing.T, e *Events, id string) (*Log, uint64) {
	t.Helper()
	l, at, err := e.Find(id)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return l, at
}

func exactly(s string) []byte { return append(make([]byte, 0, len(s)), s...) }

// TestResumeGivesTheRestOnce: what followed on that stream and no other, then what comes.
func TestResumeGivesTheRestOnce(t *testing.T) {
	e := newEventPool(0, 0).newEvents()
	one, two, three := &reader{}, &reader{}, &reader{}
	log, other := e.Open(one, true), e.Open(two, true)
	for i := range 4 {
		log.Add(fmt.Appendf(nil, "a%d", i), true)
		other.Add(fmt.Appendf(nil, "b%d", i), true)
	}
	l, at := find(t, e, one.id(1))
	if l != log || at != 2 || !l.Call {
		t.Errorf("found %p at %d", l, at)
	}
	if rest, err := l.Resume(at, three); rest != Follow || err != nil {
		t.Error(rest, err)
	}
	if one.left != 1 || !one.replaced {
		t.Error("the connection before was not told")
	}
	log.Add([]byte("a4"), true)
	log.Detach(one, false) // it is out already
	log.End([]byte("end"))
	log.End([]byte("twice"))
	log.Add([]byte("late"), true)
	if got := three.said(); got != " a2 a3 a4 end" || three.id(0) != one.id(1) || three.left != 1 || three.replaced {
		t.Errorf("%q, left %d", got, three.left)
	}
	if one.said() != "a0 a1 a2 a3" || two.said() != "b0 b1 b2 b3" || two.left != 0 {
		t.Errorf("%q %q", one.said(), two.said())
	}
	four := &reader{}
	if rest, err := log.Resume(1, four); rest != Ended || err != nil || four.said() != " a1 a2 a3 a4 end" {
		t.Error(rest, err, four.said())
	}
	five := &reader{}
	if rest, err := log.Resume(6, five); rest != None || err != nil || five.events != nil {
		t.Error(rest, err, five.said())
	}
	if _, err := log.Resume(7, five); !errors.Is(err, ErrNoEvent) {
		t.Error(err)
	}
}

// TestEventsAreKeptWithoutAConnection.
func TestEventsAreKeptWithoutAConnection(t *testing.T) {
	e := newEventPool(0, 0).newEvents()
	one, two := &reader{}, &reader{}
	log := e.Open(one, true)
	log.Add([]byte("a"), true)
	log.Detach(one, false)
	log.Add([]byte("b"), true)
	log.End([]byte("end"))
	if one.said() != "a" || one.left != 0 {
		t.Error(one.said())
	}
	if rest, err := log.Resume(1, two); rest != Ended || err != nil || two.said() != " b end" {
		t.Error(rest, err, two.said())
	}
}

// TestUnknownIDs are those of no event of the session.
func TestUnknownIDs(t *testing.T) {
	p := newEventPool(0, 0)
	e, foreign := p.newEvents(), p.newEvents()
	if _, _, err := e.Find("-1-1"); !errors.Is(err, ErrNoEvent) {
		t.Error("an id is known before there is a stream", err)
	}
	r, f := &reader{}, &reader{}
	e.Open(r, true).Add(nil, false)
	foreign.Open(f, true).Add(nil, false)
	good := r.id(0)
	find(t, e, good)
	for _, id := range []string{"", "-", "--", f.id(0), good + "x", good + "-", "x" + good, strings.ToLower(good), good[:len(good)-1] + "0", good[:len(good)-1] + "+1", good[:len(good)-1] + "01",
		e.tag + "-2-1", e.tag + "-0-1", e.tag + "--1", e.tag + "-1", e.tag + "-18446744073709551617-1", "-1-1"} {
		if _, _, err := e.Find(id); !errors.Is(err, ErrNoEvent) {
			t.Errorf("%q: %v", id, err)
		}
	}
	l, at := find(t, e, good[:len(good)-1]+"2")
	if _, err := l.Resume(at, &reader{}); !errors.Is(err, ErrNoEvent) || r.left != 0 {
		t.Error("an event that was not yet is known", err)
	}
}

// TestTheOldestAreDropped of the session that is over its bound; past the hole no stream is
// resumed, after it any is.
func TestTheOldestAreDropped(t *testing.T) {
	p := newEventPool(4*(eventCost+10), 0)
	e, other := p.newEvents(), p.newEvents()
	r, quiet, o := &reader{}, &reader{}, &reader{}
	still := e.Open(quiet, true)
	still.Add(exactly("0123456789"), true)
	kept := other.Open(o, true)
	kept.Add(exactly("0123456789"), true)
	log := e.Open(r, true)
	for i := range 6 {
		log.Add(exactly(fmt.Sprintf("event %04d", i)), true)
	}
	if n, bytes, logs := e.kept(); n != 4 || bytes != 4*(eventCost+10) || logs != 2 {
		t.Errorf("%d events, %d bytes, %d streams", n, bytes, logs)
	}
	for at, want := range map[uint64]error{1: ErrDropped, 2: nil, 3: nil, 6: nil, 7: ErrNoEvent} {
		if _, err := log.Resume(at, &reader{}); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", at, err, want)
		}
	}
	// The client of the other stream missed nothing: what it has is what was dropped.
	if rest, err := still.Resume(1, &reader{}); rest != Follow || err != nil {
		t.Error(rest, err)
	}
	still.End(nil)
	log.End(nil)
	if _, _, err := e.Find(quiet.id(0)); !errors.Is(err, ErrDropped) {
		t.Error(err)
	}
	if rest, err := kept.Resume(1, &reader{}); rest != Follow || err != nil {
		t.Error("another session lost an event", rest, err)
	}
}

// TestTheBoundOnAllSessions drops the oldest of all.
func TestTheBoundOnAllSessions(t *testing.T) {
	p := newEventPool(10*(eventCost+1), 3*(eventCost+1))
	var all []*Events
	var logs []*Log
	var readers []*reader
	for range 5 {
		e, r := p.newEvents(), &reader{}
		l := e.Open(r, true)
		l.Add([]byte("x")[:1:1], true)
		l.End([]byte("y")[:1:1])
		all, logs, readers = append(all, e), append(logs, l), append(readers, r)
	}
	if n, bytes := p.sum(); n != 3 || bytes > 3*(eventCost+8) {
		t.Errorf("%d events, %d bytes", n, bytes)
	}
	if _, _, err := all[2].Find(readers[2].id(0)); !errors.Is(err, ErrDropped) {
		t.Error("the third is kept", err)
	}
	if rest, err := logs[3].Resume(1, &reader{}); rest != Ended || err != nil {
		t.Error(rest, err)
	}
	if rest, err := logs[4].Resume(1, &reader{}); rest != Ended || err != nil {
		t.Error(rest, err)
	}
}

// TestAnEventOverTheBound goes to who is there, drops nothing, and is a hole for others.
func TestAnEventOverTheBound(t *testing.T) {
	e := newEventPool(1000, 0).newEvents()
	r := &reader{}
	log := e.Open(r, true)
	log.Add(exactly("a"), true)
	log.Add(make([]byte, 2000), false)
	log.Add(exactly("b"), true)
	if len(r.events) != 3 || len(r.events[1].Data) != 2000 {
		t.Error("the connection misses it")
	}
	if n, _, _ := e.kept(); n != 2 {
		t.Errorf("%d are kept", n)
	}
	if _, err := log.Resume(1, &reader{}); !errors.Is(err, ErrDropped) {
		t.Error(err)
	}
	two := &reader{}
	if rest, err := log.Resume(2, two); rest != Follow || err != nil || two.said() != " b" {
		t.Error(rest, err, two.said())
	}
}

// TestAQuietStreamCanBeResumed though nothing of it is kept any more, but not for ever.
func TestAQuietStreamCanBeResumed(t *testing.T) {
	e := newEventPool(3*(eventCost+1), 0).newEvents()
	r, c := &reader{}, &reader{}
	quiet := e.Open(r, false)
	quiet.Add(nil, false)
	call := e.Open(c, true)
	flood := func() {
		for range 4 {
			call.Add(exactly("x"), true)
		}
	}
	flood()
	quiet.Detach(r, true)
	l, at := find(t, e, r.id(0))
	two := &reader{}
	if rest, err := l.Resume(at, two); rest != Follow || err != nil || l != quiet {
		t.Error(rest, err)
	}
	l.Add(exactly("y"), true)
	if two.said() != " y" {
		t.Error(two.said())
	}
	l.Detach(two, true)
	flood()
	if _, _, err := e.Find(r.id(0)); !errors.Is(err, ErrDropped) {
		t.Error(err)
	}
	if _, _, logs := e.kept(); logs != 1 {
		t.Errorf("%d streams are known", logs)
	}
}

// TestASessionsEndFrees what it kept; whoever is there gets what yet comes.
func TestASessionsEndFrees(t *testing.T) {
	inStore(t, Bounds{PerPrincipal: 1, All: 9}, func(t *testing.T, s *Store) {
		one := s.New("a", mcp.Scope{})
		r := &reader{}
		log := one.Events.Open(r, true)
		log.Add([]byte("x"), true)
		s.New("a", mcp.Scope{}) // in the place of the first
		if n, bytes := s.events.sum(); n != 0 || bytes != 0 {
			t.Errorf("%d events, %d bytes", n, bytes)
		}
		log.Add([]byte("y"), true)
		if _, err := log.Resume(1, &reader{}); !errors.Is(err, ErrDropped) {
			t.Error(err)
		}
		log.End([]byte("z"))
		late := one.Events.Open(r, false)
		late.Add([]byte("late"), true)
		late.Detach(r, true)
		if n, bytes := s.events.sum(); n != 0 || bytes != 0 || r.said() != "x y z late" {
			t.Errorf("%d events, %d bytes, %s", n, bytes, r.said())
		}
		s.End(one)
	})
}

// TestManyAtOnce: streams that come, are resumed and end from many goroutines stay within
// the bounds, each in order.
func TestManyAtOnce(t *testing.T) {
	p := newEventPool(20*eventCost, 50*eventCost)
	var wg sync.WaitGroup
	var all []*Events
	for range 5 {
		e := p.newEvents()
		all = append(all, e)
		for range 4 {
			wg.Go(func() {
				for range 20 {
					r := &reader{}
					log := e.Open(r, true)
					var inner sync.WaitGroup
					inner.Go(func() {
						for i := range 20 {
							log.Add(exactly(fmt.Sprintf("%02d", i)), true)
						}
						log.End(exactly("99"))
					})
					two := &reader{}
					inner.Go(func() { _, _ = log.Resume(1, two) })
					inner.Wait()
					for _, r := range []*reader{r, two} {
						last := ""
						for _, e := range r.events {
							if s := string(e.Data); s != "" && s <= last {
								t.Errorf("%s follows %s", s, last)
							} else {
								last = s
							}
						}
					}
				}
			})
		}
	}
	wg.Wait()
	if _, bytes := p.sum(); bytes > 50*eventCost {
		t.Errorf("%d bytes", bytes)
	}
	for _, e := range all {
		if _, bytes, logs := e.kept(); bytes > 20*eventCost || logs > 20 {
			t.Errorf("%d bytes, %d streams", bytes, logs)
		}
		e.end()
	}
	if n, bytes := p.sum(); n != 0 || bytes != 0 {
		t.Errorf("%d events, %d bytes are left", n, bytes)
	}
}
