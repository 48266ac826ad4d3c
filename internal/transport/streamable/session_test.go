package streamable

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

// journal notes what reaches a server: method, session, version, Last-Event-ID.
type journal struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (j *journal) note(r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := r.Method + " session=" + r.Header.Get(sessionHeader) + " version=" + r.Header.Get("Mcp-Protocol-Version")
	if last := r.Header.Get(lastEvent); last != "" {
		line += " last=" + last
	}
	j.lines = append(j.lines, line)
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

func opens() transport.Message {
	m := request("1")
	m.Opens = true
	return m
}

func TestSessions(t *testing.T) {
	var j journal
	opened := 0
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		j.note(r)
		switch {
		case r.Method == "GET":
			w.Header().Set("Content-Type", eventStream)
			_, _ = w.Write(jsonrpc.AppendEvent(nil, "", "", fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"%s"}`, r.Header.Get(sessionHeader))))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			r.Method = "end of GET"
			j.note(r)
		case r.Method == "DELETE":
			w.WriteHeader(405)
		case r.Header.Get(sessionHeader) == "":
			opened++
			w.Header().Set(sessionHeader, fmt.Sprintf("s%d", opened))
			writes(200, "Content-Type: application/json", answer)(w, r)
		case r.Header.Get(sessionHeader) == fmt.Sprintf("s%d", opened):
			w.Header().Set(sessionHeader, "ignored")
			writes(200, "Content-Type: application/json", answer)(w, r)
		default:
			w.WriteHeader(404)
		}
	}, func(t *testing.T, conn *Conn) {
		do := func(m transport.Message) error {
			_, err := conn.Do(minutes(t, 1), m, nil)
			return err
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			got := j.take()
			slices.Sort(got) // what ends and what begins may cross on the wire
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("the server got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		event := func(want string) {
			t.Helper()
			if ev := <-conn.Events(); ev.Message == nil || ev.Message.Method != want {
				t.Fatalf("event %+v, want %s", ev, want)
			}
		}
		if err := errors.Join(do(opens()), conn.Send(minutes(t, 1), note()), do(request("1"))); err != nil {
			t.Fatal(err)
		}
		expect("POST session= version=", "POST session=s1 version=2025-11-25", "POST session=s1 version=")
		conn.Listen()
		conn.Listen()
		event("s1")
		expect("GET session=s1 version=2025-11-25")

		opened++ // the server forgets the session
		var status *transport.Status
		if err := do(request("1")); !errors.As(err, &status) || status.Code != 404 || !status.Session {
			t.Fatalf("%v", err)
		}
		if err := do(opens()); err != nil {
			t.Fatal(err)
		}
		expect("POST session=s1 version=", "POST session= version=", "end of GET session=s1 version=2025-11-25")
		if err := errors.Join(conn.Send(minutes(t, 1), note()), do(request("1"))); err != nil {
			t.Fatal(err)
		}
		event("s3")
		expect("POST session=s3 version=2025-11-25", "GET session=s3 version=2025-11-25", "POST session=s3 version=")
		_ = conn.Close()
		expect("end of GET session=s3 version=2025-11-25", "DELETE session=s3 version=2025-11-25")
	})
}

func TestNoSessionNeedsNoDelete(t *testing.T) {
	var j journal
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		j.note(r)
		writes(200, "Content-Type: application/json", answer)(w, r)
	}, func(t *testing.T, conn *Conn) {
		if _, err := conn.Do(minutes(t, 1), opens(), nil); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got := j.take(); len(got) != 1 {
			t.Errorf("the server got %q", got)
		}
	})
}

func TestCloseWaitsNotLongForDelete(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "DELETE" {
			<-r.Context().Done()
			return
		}
		w.Header().Set(sessionHeader, "s")
		writes(200, "Content-Type: application/json", answer)(w, r)
	}, func(t *testing.T, conn *Conn) {
		if _, err := conn.Do(minutes(t, 1), opens(), nil); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		_ = conn.Close()
		if took := time.Since(before); took != deleteTime {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestBadSessionIDs(t *testing.T) {
	for _, id := range []string{"a b", "ü", strings.Repeat("x", 1025)} {
		bubble(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(sessionHeader, id)
			writes(200, "Content-Type: application/json", answer)(w, r)
		}, func(t *testing.T, conn *Conn) {
			if _, err := conn.Do(minutes(t, 1), opens(), nil); !errors.Is(err, jsonrpc.ErrAnswer) {
				t.Errorf("%.20q: %v", id, err)
			}
		})
	}
}

// A refusal whose body never ends is told without it.
func TestRefusalDoesNotWaitForItsBody(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(t *testing.T, conn *Conn) {
		before := time.Now()
		_, err := conn.Do(minutes(t, 5), request("1"), nil)
		var status *transport.Status
		if !errors.As(err, &status) || status.Code != 503 || status.Session || time.Since(before) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}
