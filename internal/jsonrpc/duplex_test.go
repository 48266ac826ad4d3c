package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDuplexUnderLoad: answers, duplicates, cancellations and the end race; nobody gets
// what is another's.
func TestDuplexUnderLoad(t *testing.T) {
	requests := make(chan string, 64)
	d := NewDuplex(func(ctx context.Context, body []byte) error {
		select {
		case requests <- string(body):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	var server sync.WaitGroup
	server.Go(func() { // answers out of order, and some twice
		var held []string
		for body := range requests {
			held = append(held, body)
			if len(held) < 16 && rand.IntN(8) > 0 {
				continue
			}
			rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			for _, h := range held {
				m, _ := Parse([]byte(h), ClientLimits)
				for range 1 + rand.IntN(2) {
					d.Receive(AppendResult(nil, m.ID, m.Params))
				}
			}
			held = nil
		}
	})
	var callers sync.WaitGroup
	var answered, cancelled sync.Map
	for caller := range 50 {
		callers.Go(func() {
			for i := range 200 {
				id := fmt.Append(nil, caller*1000+i)
				nonce := fmt.Sprintf(`{"nonce":"%d/%d"}`, caller, i)
				ctx, stop := context.WithTimeout(context.Background(), time.Duration(rand.IntN(2000))*time.Microsecond)
				m, err := d.Do(ctx, id, AppendRequest(nil, id, "m", []byte(nonce)), nil)
				stop()
				switch {
				case err == nil && string(m.Result) == nonce && string(m.ID) == string(id):
					answered.Store(nonce, true)
				case errors.Is(err, context.DeadlineExceeded):
					cancelled.Store(nonce, true)
				default:
					t.Errorf("%s ended with %v, %v", nonce, m, err)
				}
			}
		})
	}
	callers.Wait()
	close(requests)
	server.Wait()
	if len(d.calls) != 0 {
		t.Errorf("%d calls are left in the ledger", len(d.calls))
	}
	for name, m := range map[string]*sync.Map{"answered": &answered, "cancelled": &cancelled} {
		n := 0
		m.Range(func(any, any) bool { n++; return true })
		t.Logf("%d %s", n, name)
	}
}

// TestLostEventsAreTold, also where nothing follows them; those before are whole.
func TestLostEventsAreTold(t *testing.T) {
	d := NewDuplex(nil)
	note := func(i int) { d.Receive(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"n%d"}`, i)) }
	for i := range maxEvents + 10 {
		note(i)
	}
	take := func() string {
		e := <-d.Events()
		if e.Lost {
			return "lost"
		}
		return e.Message.Method
	}
	for i := range maxEvents {
		if got := take(); got != fmt.Sprintf("n%d", i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
	if got := take(); got != "lost" || len(d.events) != 0 {
		t.Errorf("then came %s, and %d more", got, len(d.events))
	}
	// A reader that keeps falling behind is told each time, and what is told stays in order.
	seen, next := map[string]int{}, 1000
	for range 50 {
		for range maxEvents {
			note(next)
			next++
		}
		for range rand.IntN(maxEvents) {
			seen[take()]++
		}
	}
	for len(d.events) > 0 {
		seen[take()]++
	}
	if seen["lost"] == 0 || len(seen)-1+0 >= next-1000 {
		t.Errorf("%d losses, %d messages of %d", seen["lost"], len(seen)-1, next-1000)
	}
	for m, n := range seen {
		if m != "lost" && n != 1 {
			t.Errorf("%s came %d times", m, n)
		}
	}
}

// TestBatches: 2025-03-26 lets a server send them; at most 50, never one in another, and a
// broken one says nothing.
func TestBatches(t *testing.T) {
	d := NewDuplex(nil)
	d.Receive([]byte("\r\n [" + `{"jsonrpc":"2.0","method":"a"},[{"jsonrpc":"2.0","method":"no"}],{"jsonrpc":"2.0","id":"q","method":"b"}` + "]"))
	if a, b := <-d.Events(), <-d.Events(); a.Message.Method != "a" || b.Message.Method != "b" || d.Skipped() != 1 {
		t.Errorf("%+v, %+v, skipped %d", a, b, d.Skipped())
	}
	for _, broken := range []string{`[{"jsonrpc":"2.0","method":"a"},]`, `[{"jsonrpc":"2.0","method":"a"}`, `[`} {
		d.Receive([]byte(broken))
	}
	d.Receive([]byte(`[]`))
	if len(d.events) != 0 || d.Skipped() != 4 {
		t.Errorf("%d events, skipped %d", len(d.events), d.Skipped())
	}
	d.Receive([]byte(`[` + strings.Repeat(`{"jsonrpc":"2.0","method":"a"},`, maxBatch+5) + `1]`))
	if len(d.events) != maxBatch || d.Skipped() != 5 {
		t.Errorf("%d events, skipped %d", len(d.events), d.Skipped())
	}
}

// TestCorrelation: a subscription's notifications go to its request; a progress token wins.
func TestCorrelation(t *testing.T) {
	d := NewDuplex(func(context.Context, []byte) error { return nil })
	var heard []string
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	started := make(chan struct{})
	d.write = func(context.Context, []byte) error { close(started); return nil }
	go func() {
		defer close(done)
		_, _ = d.Do(ctx, []byte("5"), nil, func(m *Message) { heard = append(heard, m.Method) })
	}()
	<-started
	for _, line := range []string{
		`{"jsonrpc":"2.0","method":"mine","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":5}}}`,
		`{"jsonrpc":"2.0","method":"as text","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"5"}}}`,
		`{"jsonrpc":"2.0","method":"other","params":{"progressToken":6,"_meta":{"io.modelcontextprotocol/subscriptionId":5}}}`,
		`{"jsonrpc":"2.0","method":"none","params":{"_meta":{}}}`,
	} {
		d.Receive([]byte(line))
	}
	stop()
	<-done
	if fmt.Sprint(heard) != "[mine]" || d.Late() != 2 || len(d.events) != 1 {
		t.Errorf("heard %q, late %d, %d events", heard, d.Late(), len(d.events))
	}
}

func TestWriteFails(t *testing.T) {
	broken := errors.New("broken pipe")
	d := NewDuplex(func(context.Context, []byte) error { return broken })
	if _, err := d.Do(t.Context(), []byte("1"), nil, nil); !errors.Is(err, broken) || len(d.calls) != 0 {
		t.Errorf("%v, %d calls", err, len(d.calls))
	}
	if err := d.Send(t.Context(), nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	d.Shut(ErrClosed)
	d.Shut(broken)
	if err := d.Send(t.Context(), nil); err != ErrClosed || d.Err() != ErrClosed {
		t.Errorf("%v", err)
	}
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"after"}`)) // does not panic
}

// TestHear: whoever hears gets what names no open call, and late answers, before the next
// answer is given; what it leaves becomes an Event.
func TestHear(t *testing.T) {
	written := make(chan struct{})
	d := NewDuplex(func(context.Context, []byte) error { written <- struct{}{}; return nil })
	var heard []string // without a lock: only the reader's goroutine hears, which is this one
	d.Hear(func(m *Message) bool {
		heard = append(heard, fmt.Sprint(m.Kind, m.Method, string(m.ID)))
		return m.Method != "left"
	})
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, err := d.Do(ctx, []byte("1"), nil, nil)
		done <- err
	}()
	<-written
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"log"}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","id":"q","method":"ask"}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"left"}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"progress","params":{"progressToken":1}}`)) // names the call
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.Receive([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","id":2,"result":7}`))              // an answer, though none that is accepted
	d.Receive([]byte(`{"jsonrpc":"2.0","id":3,"method":"x","params":7}`)) // a question that is none
	d.TooLong([]byte("4"))
	want := []string{fmt.Sprint(Notification, "log", ""), fmt.Sprint(Request, "ask", `"q"`), fmt.Sprint(Notification, "left", ""), fmt.Sprint(Response, "", "1"), fmt.Sprint(Failure, "", "2"), fmt.Sprint(Failure, "", "4")}
	if fmt.Sprint(heard) != fmt.Sprint(want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	if e := <-d.Events(); e.Message.Method != "left" || len(d.events) != 0 || d.Late() != 2 {
		t.Errorf("event %+v, %d more, %d late", e, len(d.events), d.Late())
	}
	heard = nil
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"p","params":{"progressToken":1}}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"left","params":{"progressToken":1}}`))
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"s","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}`))
	if got := strings.Join(heard, " "); got != fmt.Sprint(Notification, "p")+" "+fmt.Sprint(Notification, "left") || d.Late() != 4 {
		t.Errorf("after the answer %q was heard, %d were late", got, d.Late())
	}
	d.Hear(nil)
	d.Receive([]byte(`{"jsonrpc":"2.0","method":"log"}`))
	if e := <-d.Events(); e.Message.Method != "log" {
		t.Errorf("event %+v", e)
	}
}
