package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const guard = 5 * time.Second

// ids are raw tokens; that some look alike is the point.
var ids = []string{`1`, `"1"`, `-1`, `10`, `"a"`, `"\u0061"`, `"A"`, `9007199254740993`, `9007199254740992`}

type ended struct {
	answer *Message
	err    error
}

// A ledger is the model that a Duplex is compared with.
type ledger struct {
	t       *rapid.T
	d       *Duplex
	written chan string
	open    map[string]*openCall
	shut    error
	late    int64
	skipped int64
	events  int
	n       int // makes each answer another one
}

type openCall struct {
	cancel context.CancelFunc
	ended  chan ended
	heard  int // notifications, on the reader's goroutine
}

func newLedger(t *rapid.T) *ledger {
	l := &ledger{t: t, written: make(chan string, 1), open: map[string]*openCall{}}
	l.d = NewDuplex(func(_ context.Context, body []byte) error { l.written <- string(body); return nil })
	return l
}

func (l *ledger) id() string { return rapid.SampledFrom(ids).Draw(l.t, "id") }

// begin makes a call; one with an id that is open must fail and leave the other alone.
func (l *ledger) begin(*rapid.T) {
	id := l.id()
	ctx, cancel := context.WithCancel(context.Background())
	c := &openCall{cancel: cancel, ended: make(chan ended, 2)}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"m"}`, id)
	go func() {
		answer, err := l.d.Do(ctx, []byte(id), []byte(body), func(*Message) { c.heard++ })
		c.ended <- ended{answer, err}
	}()
	if l.shut != nil || l.open[id] != nil {
		e := l.wait(c)
		cancel()
		if e.err == nil || l.shut != nil && e.err != l.shut {
			l.t.Fatalf("a call that cannot be: %v", e.err)
		}
		return
	}
	select {
	case got := <-l.written:
		if got != body {
			l.t.Fatalf("wrote %s", got)
		}
	case <-time.After(guard):
		l.t.Fatal("nothing was written")
	}
	l.open[id] = c
}

func (l *ledger) wait(c *openCall) ended {
	select {
	case e := <-c.ended:
		return e
	case <-time.After(guard):
		l.t.Fatal("a call waits on")
		panic("unreachable")
	}
}

// settled checks that the call with this id, where one is open, has just ended as ok says,
// and tells whether there was one.
func (l *ledger) settled(id string, ok func(ended) bool) bool {
	c := l.open[id]
	if c == nil {
		return false
	}
	delete(l.open, id)
	e := l.wait(c)
	c.cancel()
	if !ok(e) {
		l.t.Fatalf("call %s ended with %+v", id, e)
	}
	return true
}

func (l *ledger) message(id string) (line string, ok func(ended) bool) {
	l.n++
	if l.n%2 == 0 {
		line = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"n":%d}}`, id, l.n)
	} else {
		line = fmt.Sprintf(`{"id":%s,"error":{"code":%d,"message":""},"jsonrpc":"2.0"}`, id, l.n)
	}
	return line, func(e ended) bool { return e.err == nil && string(e.answer.Raw) == line && string(e.answer.ID) == id }
}

func (l *ledger) answer(*rapid.T) {
	id := l.id()
	line, ok := l.message(id)
	l.d.Receive([]byte(line))
	if !l.settled(id, ok) {
		l.late++
	}
}

func (l *ledger) answerTwice(t *rapid.T) {
	id := l.id()
	line, ok := l.message(id)
	second, _ := l.message(id)
	l.d.Receive([]byte(line))
	l.d.Receive([]byte(second))
	l.late++
	if !l.settled(id, ok) {
		l.late++
	}
}

func (l *ledger) batch(*rapid.T) {
	var lines []string
	var expect []func()
	seen := map[string]bool{}
	for range rapid.IntRange(0, 6).Draw(l.t, "size") {
		id := l.id()
		line, ok := l.message(id)
		lines = append(lines, line)
		if seen[id] || l.open[id] == nil {
			l.late++
		} else {
			expect = append(expect, func() { l.settled(id, ok) })
		}
		seen[id] = true
	}
	if rapid.Bool().Draw(l.t, "junk") {
		lines = append(lines, `7`)
		l.skipped++
	}
	l.d.Receive([]byte(" [" + strings.Join(lines, ", ") + "]"))
	for _, f := range expect {
		f()
	}
}

func (l *ledger) unacceptable(*rapid.T) {
	id := l.id()
	shapes := []string{
		`{"jsonrpc":"2.0","id":%s,"result":{"a":}}`, `{"jsonrpc":"2.0","id":%s}`, `{"jsonrpc":"2.0","id":%s,"result":{},"error":{}}`,
		`{"jsonrpc":"2.0","id":%s,"result":7}`, `{"id":%s,"result":{}}`, `{"jsonrpc":"2.0","id":%s,"result":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","id":%s,"result":{"a":"` + "\xff" + `"}}`, "",
	}
	shape := rapid.SampledFrom(shapes).Draw(l.t, "shape")
	if shape == "" {
		l.d.TooLong([]byte(id))
	} else {
		l.d.Receive(fmt.Appendf(nil, shape, id))
	}
	if !l.settled(id, func(e ended) bool { return errors.Is(e.err, ErrAnswer) }) {
		l.skipped++
	}
}

func (l *ledger) cancel(*rapid.T) {
	id := l.id()
	if c := l.open[id]; c != nil {
		c.cancel()
		l.settled(id, func(e ended) bool { return errors.Is(e.err, context.Canceled) })
	}
}

func (l *ledger) progress(*rapid.T) {
	id := l.id()
	c := l.open[id]
	before := 0
	if c == nil {
		l.late++
	} else {
		before = c.heard
	}
	l.d.Receive(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s}}`, id))
	if c != nil && c.heard != before+1 {
		l.t.Fatalf("call %s heard %d notifications", id, c.heard-before)
	}
}

func (l *ledger) noise(*rapid.T) {
	switch line := rapid.SampledFrom([]string{"Server running", "null", `{"jsonrpc":"2.0","id":true,"result":{}}`, `{"jsonrpc":"2.0","method":"note"}`, `{"jsonrpc":"2.0","id":1,"method":"ask"}`, `{"jsonrpc":"2.0","id":null,"error":{}}`, `[`}).Draw(l.t, "line"); {
	case strings.Contains(line, "method"):
		l.d.Receive([]byte(line))
		if l.shut == nil {
			l.events++
		}
	case strings.Contains(line, "null,"):
		l.d.Receive([]byte(line))
		l.late++
	default:
		l.d.Receive([]byte(line))
		l.skipped++
	}
}

func (l *ledger) end(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(l.t, "end") > 0 && l.shut == nil {
		return
	}
	l.close()
}

func (l *ledger) close() {
	err := fmt.Errorf("%w: %d", ErrClosed, l.n)
	l.d.Shut(err)
	if l.shut == nil {
		l.shut = err
	}
	for id := range l.open {
		l.settled(id, func(e ended) bool { return e.err == l.shut })
	}
}

// check holds between any two steps: nobody ended who should not have.
func (l *ledger) check(*rapid.T) {
	l.d.mu.Lock()
	n := len(l.d.calls)
	l.d.mu.Unlock()
	if n != len(l.open) {
		l.t.Fatalf("%d calls are in the ledger, %d are open", n, len(l.open))
	}
	for id, c := range l.open {
		if len(c.ended) != 0 {
			l.t.Fatalf("call %s ended: %+v", id, <-c.ended)
		}
	}
	if l.d.Late() != l.late || l.d.Skipped() != l.skipped {
		l.t.Fatalf("late %d and skipped %d, want %d and %d", l.d.Late(), l.d.Skipped(), l.late, l.skipped)
	}
	if l.d.Err() != l.shut {
		l.t.Fatalf("Err is %v", l.d.Err())
	}
}

// TestExactlyOneAnswer: whatever comes in whatever order, each call ends once, by what is
// its own.
func TestExactlyOneAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t)
		t.Repeat(map[string]func(*rapid.T){
			"begin": l.begin, "begin more": l.begin, "answer": l.answer, "answer twice": l.answerTwice, "batch": l.batch,
			"unacceptable": l.unacceptable, "cancel": l.cancel, "progress": l.progress, "noise": l.noise, "end": l.end, "": l.check,
		})
		l.close()
		l.check(t)
		n := 0
		for e := range l.d.Events() {
			if e.Lost {
				t.Fatal("an event was lost")
			}
			n++
		}
		if n != l.events && l.events <= maxEvents {
			t.Fatalf("%d events, want %d", n, l.events)
		}
	})
}
