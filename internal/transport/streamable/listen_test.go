package streamable

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
)

// times notes when something happened.
type times struct {
	mu sync.Mutex
	at []time.Time // guarded by mu
}

func (t *times) now() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = append(t.at, time.Now())
	return len(t.at)
}

func (t *times) all() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.at)
}

// waits are the times between.
func (t *times) waits() (waits []time.Duration) {
	all := t.all()
	for i := range len(all) - 1 {
		waits = append(waits, all[i+1].Sub(all[i]))
	}
	return waits
}

func TestStreamThatEndsAtOnceForever(t *testing.T) {
	const min, max = retryFloor, retryCap
	tests := []struct {
		name, body string
		status     int
		abort      bool
		shortest   time.Duration
		longest    time.Duration
	}{
		{name: "empty", shortest: time.Second, longest: max},
		{name: "comment", body: ": bye\n\n", shortest: time.Second, longest: max},
		{name: "retry 0", body: "retry: 0\n\n", shortest: min, longest: max},
		{name: "retry 1", body: "retry: 1\n\n", shortest: min, longest: max},
		{name: "retry 99999999999", body: "retry: 99999999999\n\n", shortest: max, longest: max},
		{name: "retry 7000", body: "retry: 7000\ndata: {}\n\n", shortest: 7 * time.Second, longest: 7 * time.Second},
		{name: "503", status: 503, shortest: time.Second, longest: max},
		{name: "broken off", abort: true, shortest: time.Second, longest: max},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var connects times
			bubble(t, func(w http.ResponseWriter, _ *http.Request) {
				connects.now()
				if tt.abort {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Content-Type", eventStream)
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				_, _ = w.Write([]byte(tt.body))
			}, func(t *testing.T, conn *Conn) {
				conn.Listen()
				time.Sleep(20 * time.Minute)
				waits := connects.waits()
				if n := most(connects.all()); n > 10 || len(waits) < 15 {
					t.Errorf("%d connects in a minute, %d in all", n, len(waits)+1)
				}
				if len(waits) == 0 || slices.Min(waits) < tt.shortest || slices.Max(waits) > tt.longest {
					t.Errorf("waits %v", waits)
				}
			})
		})
	}
}

func TestNoStreamIsNotAskedForAgain(t *testing.T) {
	for _, h := range []http.HandlerFunc{
		writes(405, "A: b", ""), writes(404, "A: b", ""), writes(400, "A: b", ""), writes(401, "A: b", ""),
		writes(302, "Location: /x", ""), writes(200, "Content-Type: text/html", "hi"), writes(204, "A: b", ""),
	} {
		var connects times
		bubble(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				w.WriteHeader(202)
				return
			}
			connects.now()
			h(w, r)
		}, func(t *testing.T, conn *Conn) {
			conn.Listen()
			time.Sleep(time.Hour)
			conn.Listen()
			if err := conn.Send(minutes(t, 1), note()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
			if n := len(connects.all()); n != 1 {
				t.Errorf("%d connects", n)
			}
		})
	}
}

func TestStreamGoesOnAfterItsLastEvent(t *testing.T) {
	var j journal
	var connects times
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		j.note(r)
		n := connects.now()
		w.Header().Set("Content-Type", eventStream)
		id := ""
		if n == 2 || n == 3 {
			id = fmt.Sprintf("e%d", n)
		}
		_, _ = w.Write(jsonrpc.AppendEvent(nil, "", id, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"n%d"}`, n)))
		_, _ = w.Write(jsonrpc.AppendEvent(nil, "", "", []byte(answer)))  // none of ours
		_, _ = w.Write(jsonrpc.AppendEvent(nil, "", "", []byte("hello"))) // none at all
		_ = http.NewResponseController(w).Flush()
		if n == 5 {
			<-r.Context().Done()
		}
	}, func(t *testing.T, conn *Conn) {
		conn.Listen()
		// Before the stream numbered its events, nobody knows what was lost in between.
		for _, want := range []string{"n1", "lost", "n2", "n3", "n4", "n5"} {
			ev := <-conn.Events()
			if ev.Lost != (want == "lost") || !ev.Lost && ev.Message.Method != want {
				t.Fatalf("event %+v, want %s", ev, want)
			}
		}
		synctest.Wait()
		const get = "GET session= version="
		if got := j.take(); !slices.Equal(got, []string{get, get, get + " last=e2", get + " last=e3", get + " last=e3"}) {
			t.Errorf("the server got %q", got)
		}
		if conn.Late() != 5 || conn.Skipped() != 5 {
			t.Errorf("%d late, %d skipped", conn.Late(), conn.Skipped())
		}
		if waits := connects.waits(); slices.Min(waits) != time.Second || slices.Max(waits) != time.Second {
			t.Errorf("waits %v", waits)
		}
	})
}

func TestEventsNobodyTakesAreToldAsLost(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		for i := range 1000 {
			_, _ = w.Write(jsonrpc.AppendEvent(nil, "", "", fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"n%d"}`, i)))
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(t *testing.T, conn *Conn) {
		conn.Listen()
		synctest.Wait()
		for i := range maxEvents {
			if ev := <-conn.Events(); ev.Message == nil || ev.Message.Method != fmt.Sprintf("n%d", i) {
				t.Fatalf("event %d: %+v", i, ev)
			}
		}
		if ev := <-conn.Events(); !ev.Lost {
			t.Fatalf("%+v instead of the news that some were lost", ev)
		}
		select {
		case ev := <-conn.Events():
			t.Errorf("%+v after it", ev)
		default:
		}
	})
}

func TestEventsAfterAGap(t *testing.T) {
	e := newEvents()
	m := func(s string) *jsonrpc.Message { return &jsonrpc.Message{Method: s} }
	for range maxEvents + 5 {
		e.put(m("a"))
	}
	for range 10 {
		<-e.queue
	}
	for range 20 {
		e.put(m("b"))
	}
	e.close()
	e.put(m("c"))
	e.close()
	var got strings.Builder
	for ev := range e.queue {
		if ev.Lost {
			got.WriteByte('!')
		} else {
			got.WriteString(ev.Message.Method)
		}
	}
	if want := strings.Repeat("a", maxEvents-10) + "!" + strings.Repeat("b", 9) + "!"; got.String() != want {
		t.Errorf("got %s", got.String())
	}
}
