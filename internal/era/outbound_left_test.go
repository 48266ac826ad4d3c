package era_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/mcp"
)

// TestACancelledCallStopsCounting a minute after the server was told, towards calls of the
// client whose call it was. Towards any other it counts until it is answered.
func TestACancelledCallStopsCounting(t *testing.T) {
	mine := &mcp.Caller{Principal: "p", Session: "A", Client: []byte(`{"name":"x"}`)}
	for name, tt := range map[string]struct {
		other mcp.Caller
		same  bool
	}{
		"the same client":   {mcp.Caller{Principal: "p", Session: "A", Client: []byte(`{"name":"x"}`)}, true},
		"another session":   {mcp.Caller{Principal: "p", Session: "B", Client: []byte(`{"name":"x"}`)}, false},
		"without a session": {mcp.Caller{Principal: "p", Client: []byte(`{"name":"x"}`)}, false},
		"another principal": {mcp.Caller{Principal: "q", Session: "A", Client: []byte(`{"name":"x"}`)}, false},
		"another program":   {mcp.Caller{Principal: "p", Session: "A", Client: []byte(`{"name":"y"}`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, isPipe, func(t *testing.T, k kind) {
				s := newScene(t, k, false)
				left := s.beginFrom(t, "left", mine)
				s.cancels["left"]()
				synctest.Wait()
				b := s.beginFrom(t, "b", &tt.other)
				is := func(want string) {
					t.Helper()
					if got := s.ask(t); got == "" || !strings.HasPrefix(got, want) {
						t.Errorf("the server got %q, want %s", got, want)
					}
				}
				is(lingers)
				time.Sleep(time.Minute - time.Millisecond)
				is(lingers)
				time.Sleep(time.Millisecond)
				if tt.same {
					is("b")
				} else {
					is(lingers)
					time.Sleep(24 * time.Hour)
					is(lingers)
				}
				c := s.beginFrom(t, "c", &tt.other) // open calls count as ever
				is(several)
				s.finish(c)
				s.finish(left) // late
				is("b")
				s.finish(b)
				if n := len(s.backs["left"].questions()); n != 0 {
					t.Errorf("the call that was cancelled was asked %d times", n)
				}
			})
		})
	}
}

// TestATimedOutCallStopsCounting as well.
func TestATimedOutCallStopsCounting(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newScene(t, k, false)
		s.begin(t, "left")
		time.Sleep(time.Hour) // the minute counts from the end
		s.cancels["left"]()
		b := s.begin(t, "b")
		if got := s.ask(t); !strings.HasPrefix(got, lingers) {
			t.Errorf("the server got %q", got)
		}
		time.Sleep(time.Minute)
		if got := s.ask(t); got != "b" {
			t.Errorf("the server got %q", got)
		}
		s.finish(b)
	})
}

// TestACallThatWasNeverSent does not count: its caller left while the server was told what it logs.
func TestACallThatWasNeverSent(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		s := newSceneOf(t, k, &wire{says: strings.Replace(initialized, `"tools"`, `"logging":{},"tools"`, 1)}, false)
		ctx, leave := context.WithCancel(t.Context())
		c := call(`{"name":"s.t"}`)
		c.From = &mcp.Caller{Principal: "a", LogLevel: "debug"}
		done := make(chan error, 1)
		go func() { _, err := s.ob.Handle(ctx, c); done <- err }()
		synctest.Wait() // logging/setLevel has no answer
		leave()
		if err := <-done; err != context.Canceled {
			t.Error(err)
		}
		for _, raw := range s.last(100) {
			if strings.Contains(raw, mcp.ToolsCall) || strings.Contains(raw, mcp.NoteCancelled) {
				t.Errorf("the server got %s", raw)
			}
		}
		b := s.beginFrom(t, "b", &mcp.Caller{Principal: "b"})
		if got := s.ask(t); got != "b" {
			t.Errorf("the server got %q", got)
		}
		s.finish(b)
	})
}
