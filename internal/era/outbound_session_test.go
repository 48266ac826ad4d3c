package era_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// A sessions is an HTTP server that forgets its sessions: calls in a session that is not
// the present one are refused with 404.
type sessions struct {
	wire
	opened int // sessions so far
	takes  time.Duration
	refuse error          // what later initializes get; nil to open one
	ran    map[string]int // how often each call ran, by its id
}

// serve connects to it. A call is refused the first time where forgotten says so.
func (s *sessions) serve(t *testing.T, forgotten func() bool) *stateful.Outbound {
	s.ran = map[string]int{}
	var known sync.Map // ids of calls that were refused once
	s.t = t
	s.fail = func(m *jsonrpc.Message) error {
		switch m.Method {
		case mcp.Initialize:
			s.mu.Lock()
			s.opened++
			n := s.opened
			s.mu.Unlock()
			if n > 1 {
				time.Sleep(s.takes)
				return s.refuse
			}
		case mcp.ToolsCall, mcp.Ping:
			if _, again := known.LoadOrStore(string(m.ID), true); !again && forgotten() {
				return &transport.Status{Code: 404, Session: true}
			}
			s.mu.Lock()
			s.ran[string(m.ID)]++
			s.mu.Unlock()
		}
		return nil
	}
	s.script = func(_ *jsonrpc.Message, say func(string)) { say(empty) }
	ob, err := stateful.Connect(t.Context(), s.streams(), stateful.Params{Self: self})
	if err != nil {
		t.Fatal(err)
	}
	return ob
}

// TestLostSessionIsOpenedOnce: many calls meet the 404, one of them initializes, and each
// is sent once more, in the new session.
func TestLostSessionIsOpenedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sessions{takes: time.Second}
		ob := s.serve(t, func() bool {
			s.mu.Lock()
			old := s.opened == 1
			s.mu.Unlock()
			time.Sleep(time.Second) // until all of them are there
			return old
		})
		heard := hear(t, ob)
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		changes := len(heard.take())
		if s.opened != 2 || len(s.ran) != 50 {
			t.Errorf("%d sessions, %d calls", s.opened, len(s.ran))
		}
		for id, n := range s.ran {
			if n != 1 {
				t.Errorf("call %s ran %d times", id, n)
			}
		}
		if changes != 1 {
			t.Errorf("the list was said to have changed %d times", changes)
		}
	})
}

// TestSessionLostForEver: once more and no more, and what the server says to initialize is
// not taken for its answer to the call.
func TestSessionLostForEver(t *testing.T) {
	for name, refuse := range map[string]error{
		"refused":  &transport.Status{Code: 400, Message: &jsonrpc.Message{Kind: jsonrpc.Failure, Error: []byte(`{"code":-32000,"message":"no"}`)}},
		"accepted": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := &sessions{refuse: refuse}
			ob := s.serve(t, func() bool { return true })
			if refuse == nil { // it opens sessions and knows none
				s.fail = func(m *jsonrpc.Message) error {
					if m.Method == mcp.ToolsCall {
						return &transport.Status{Code: 404, Session: true}
					}
					return nil
				}
			}
			_, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`))
			var e *mcp.Error
			if !errors.As(err, &e) || e.Code != mcp.Unavailable || era.AsRemote(err) != nil {
				t.Errorf("%v", err)
			}
			sent := 0
			for _, m := range s.last(99) {
				if strings.Contains(m, `"tools/call"`) {
					sent++
				}
			}
			if want := map[bool]int{true: 1, false: 2}[refuse != nil]; sent != want {
				t.Errorf("the call was sent %d times, want %d", sent, want)
			}
		})
	}
}

// TestNothingElseIsSentAgain: silence, a reset and a refusal prove nothing.
func TestNothingElseIsSentAgain(t *testing.T) {
	for _, fault := range []error{
		fmt.Errorf("%w: reset", transport.ErrClosed), transport.ErrUnreachable, fmt.Errorf("%w: x", jsonrpc.ErrAnswer),
		&transport.Status{Code: 404}, &transport.Status{Code: 500, Session: true}, &transport.Status{Code: 503, Session: true}, &transport.Status{Code: 400, Session: true},
	} {
		each(t, func(k kind) bool { return k.streams }, func(t *testing.T, k kind) {
			sent := 0
			w := &wire{}
			ob := k.connect(t, w)
			w.fail = func(m *jsonrpc.Message) error {
				sent++
				return fault
			}
			_, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`))
			var e *mcp.Error
			if !errors.As(err, &e) || sent != 1 {
				t.Errorf("%v: sent %d times, %v", fault, sent, err)
			}
		})
	}
	each(t, nil, func(t *testing.T, k kind) { // silence
		w := &wire{}
		ob := k.connect(t, w)
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if _, err := ob.Handle(ctx, call(`{"name":"s.t"}`)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		sent := 0
		for _, m := range w.last(99) {
			if strings.Contains(m, `"tools/call"`) {
				sent++
			}
		}
		if sent != 1 {
			t.Errorf("sent %d times", sent)
		}
	})
}

// TestCallersDoNotWaitForAHangingInitialize beyond their own context, nor for ever.
func TestCallersDoNotWaitForAHangingInitialize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sessions{}
		ob := s.serve(t, func() bool { return true })
		answer := s.fail
		s.fail = func(m *jsonrpc.Message) error {
			if m.Method == mcp.Initialize {
				time.Sleep(40 * time.Second) // as good as for ever
				return context.DeadlineExceeded
			}
			return answer(m)
		}
		first := make(chan error, 1)
		go func() {
			_, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`))
			first <- err
		}()
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		if _, err := ob.Handle(ctx, call(`{"name":"s.t"}`)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		var e *mcp.Error
		if err := <-first; !errors.As(err, &e) || e.Code != mcp.Unavailable {
			t.Errorf("the first one: %v", err)
		}
	})
}

// TestHandshakesThatFail: what Connect refuses.
func TestHandshakesThatFail(t *testing.T) {
	for _, result := range []string{`{}`, `{"protocolVersion":"2026-07-28"}`, `{"protocolVersion":"1.0"}`, `{"protocolVersion":20251125}`} {
		w := &wire{t: t}
		w.fail = func(*jsonrpc.Message) error { return errors.New("unused") }
		conn := &fixed{streamConn: streamConn{w: w}, result: result}
		if _, err := stateful.Connect(t.Context(), conn, stateful.Params{Self: self}); err == nil || !strings.Contains(err.Error(), "revision") {
			t.Errorf("%s: %v", result, err)
		}
	}
	for _, date := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		conn := &fixed{streamConn: streamConn{w: &wire{t: t}}, result: `{"protocolVersion":"` + date + `","capabilities":{}}`}
		ob, err := stateful.Connect(t.Context(), conn, stateful.Params{Self: self})
		if err != nil || ob.Info().Revision != date || ob.Info().Has[mcp.Tools] || ob.Info().Stateless {
			t.Errorf("%s: %v", date, err)
			continue
		}
		if l, err := ob.List(t.Context(), mcp.Tools, era.ListBounds{}); err != nil || len(l.Entries) != 0 {
			t.Errorf("%s: %v", date, err)
		}
	}
}

// fixed answers each request with one result.
type fixed struct {
	streamConn
	result string
}

func (f *fixed) Do(_ context.Context, m transport.Message, _ func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	return jsonrpc.Parse(jsonrpc.AppendResult(nil, m.ID, []byte(f.result)), jsonrpc.ServerLimits)
}
