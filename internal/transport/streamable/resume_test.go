package streamable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

func event(id, data string) string { return string(jsonrpc.AppendEvent(nil, "", id, []byte(data))) }

func TestBrokenStreamIsResumed(t *testing.T) {
	var j journal
	var requests times
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		j.note(r)
		if r.Method == "DELETE" {
			return
		}
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set(sessionHeader, "s1")
		progress := func(n int) string { return fmt.Sprintf(`{"jsonrpc":"2.0","method":"n%d"}`, n) }
		body := ""
		switch n := requests.now(); n {
		case 1:
			body = "id: e1\nretry: 3000\ndata:\n\n"
		case 2:
			body = event("e2", progress(2)) + event("", progress(3))
		case 3:
			w.WriteHeader(503)
		case 4:
			w.WriteHeader(502)
		case 5: // broken in the middle of an event, which therefore does not count
			body = event("e5", progress(5)) + "id: e6\ndata: {"
		case 6:
			body = event("e7", answer)
		}
		_, _ = w.Write([]byte(body))
	}, func(t *testing.T, conn *Conn) {
		var notes []string
		m := opens()
		m.Header = note().Header
		got, err := conn.Do(minutes(t, 5), m, func(m *jsonrpc.Message) { notes = append(notes, m.Method) })
		if err != nil || string(got.Raw) != answer {
			t.Fatalf("%+v, %v", got, err)
		}
		if !slices.Equal(notes, []string{"n2", "n3", "n5"}) {
			t.Errorf("notes %q", notes)
		}
		const rest = "session=s1 version=2025-11-25 last="
		want := []string{"POST session= version=2025-11-25", "GET " + rest + "e1", "GET " + rest + "e2", "GET " + rest + "e2", "GET " + rest + "e2", "GET " + rest + "e5"}
		if lines := j.take(); !slices.Equal(lines, want) {
			t.Errorf("the server got\n%s", strings.Join(lines, "\n"))
		}
		s := time.Second
		if waits := requests.waits(); !slices.Equal(waits, []time.Duration{3 * s, 3 * s, 6 * s, 12 * s, 3 * s}) {
			t.Errorf("waits %v", waits)
		}
	})
}

func TestStreamWithoutIDsIsNotResumed(t *testing.T) {
	var requests times
	bubble(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.now()
		w.Header().Set("Content-Type", eventStream)
		_, _ = w.Write([]byte("retry: 1\n\n" + event("", `{"jsonrpc":"2.0","method":"n"}`)))
	}, func(t *testing.T, conn *Conn) {
		_, err := conn.Do(minutes(t, 5), request("1"), nil)
		if !errors.Is(err, transport.ErrClosed) || len(requests.all()) != 1 {
			t.Errorf("%v after %d requests", err, len(requests.all()))
		}
	})
}

// A server that refuses to resume did not refuse the call, which may have run.
func TestRefusedResumeIsNoRefusalOfTheCall(t *testing.T) {
	for _, code := range []int{404, 405, 400, 200} {
		bubble(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				writes(code, "Content-Type: application/json", answer)(w, r)
				return
			}
			w.Header().Set("Content-Type", eventStream)
			_, _ = w.Write([]byte(event("e", "")))
		}, func(t *testing.T, conn *Conn) {
			_, err := conn.Do(minutes(t, 5), request("1"), nil)
			var status *transport.Status
			if !errors.Is(err, transport.ErrClosed) || errors.As(err, &status) {
				t.Errorf("%d: %v", code, err)
			}
		})
	}
}

func TestResumingIsBounded(t *testing.T) {
	for _, retry := range []string{"0", "1", "99999999999"} {
		var connects times
		bubble(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				connects.now()
			}
			w.Header().Set("Content-Type", eventStream)
			_, _ = w.Write([]byte("id: e\nretry: " + retry + "\n\n"))
		}, func(t *testing.T, conn *Conn) {
			before := time.Now()
			_, err := conn.Do(minutes(t, 10), request("1"), nil)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 10*time.Minute {
				t.Errorf("%v after %v", err, time.Since(before))
			}
			if n := most(connects.all()); n > 10 || len(connects.all()) < 9 || slices.Min(connects.waits()) < retryFloor {
				t.Errorf("retry %s: %d connects in a minute, waits %v", retry, n, connects.waits())
			}
		})
	}
}

func TestCloseEndsResuming(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		_, _ = w.Write([]byte("id: e\nretry: 50000\n\n"))
	}, func(t *testing.T, conn *Conn) {
		failed := make(chan error)
		go func() {
			_, err := conn.Do(minutes(t, 10), request("1"), nil)
			failed <- err
		}()
		time.Sleep(20 * time.Second)
		before := time.Now()
		_ = conn.Close()
		if err := <-failed; !errors.Is(err, transport.ErrClosed) || time.Since(before) != 0 {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}

func TestUnusableEventIDsAreNotSent(t *testing.T) {
	var j journal
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		j.note(r)
		w.Header().Set("Content-Type", eventStream)
		if r.Method == "GET" {
			_, _ = w.Write([]byte(event("", answer)))
			return
		}
		_, _ = w.Write([]byte("id: good\n\nid: a\x01b\n\nid: " + strings.Repeat("x", 5000) + "\n\n"))
	}, func(t *testing.T, conn *Conn) {
		if _, err := conn.Do(minutes(t, 1), request("1"), nil); err != nil {
			t.Fatal(err)
		}
		if got := j.take(); len(got) != 2 || !strings.HasSuffix(got[1], "last=good") {
			t.Errorf("the server got %q", got)
		}
	})
}
