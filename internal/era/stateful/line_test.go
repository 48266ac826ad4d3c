package stateful

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// greeted makes a session by a real initialize.
func greeted(t *testing.T, capabilities string) (*Inbound, *session.Session) {
	t.Helper()
	b := NewInbound(era.Params{Feed: newFeed(), Presence: presence{self: `{"name":"n"}`}}, nil)
	s := session.New(t.Context(), "local", mcp.Scope{})
	t.Cleanup(s.End)
	send(t, b, s, newTold(), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`}}`)
	if a := b.Serve(t.Context(), &era.Incoming{Message: message(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`), Session: s}); a.Status != http.StatusAccepted {
		t.Fatal(a.Status)
	}
	return b, s
}

func listens(s *session.Session) bool { return era.IsClosed(s.Caller().Back.Open()) }

func aside(s *session.Session, method, params string) <-chan asked {
	done := make(chan asked, 1)
	go func() {
		result, err := s.Caller().Back.Ask(context.Background(), method, []byte(params))
		done <- asked{string(result), err}
	}()
	return done
}

// TestTheClientIsReachedOutsideOfCalls over the stream that it opened last, and only while it
// has one.
func TestTheClientIsReachedOutsideOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := greeted(t, `{"roots":{}}`)
		if got := <-aside(s, mcp.RootsList, `{}`); got.err != errNotListening || listens(s) {
			t.Errorf("without a stream: %v", got.err)
		}
		first, second := newTold(), newTold()
		opened := s.Caller().Back.Open()
		stream(t, b, s, first)
		<-opened
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Stream(ctx, s, second)
		}()
		synctest.Wait()
		end := aside(s, mcp.RootsList, `{"_meta":{"progressToken":7}}`)
		synctest.Wait()
		second.want(t, asks(1, mcp.RootsList, `{}`))
		stop()
		<-ended
		send(t, b, s, first, `{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`) // the client resumed it, or not: its answer counts
		if got := <-end; got.err != nil || got.result != `{"roots":[]}` {
			t.Errorf("%+v", got)
		}
		end = aside(s, mcp.RootsList, `{}`)
		synctest.Wait()
		first.want(t, asks(2, mcp.RootsList, `{}`))
		s.End()
		if got := <-end; got.err == nil {
			t.Error("the question outlives its session")
		}
	})
}

// TestWhoCannotAnswerIsNotAskedOutsideOfCalls, and nobody waits for an answer for ever.
func TestWhoCannotAnswerIsNotAskedOutsideOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := greeted(t, `{"roots":{}}`)
		out := newTold()
		stream(t, b, s, out)
		synctest.Wait()
		if got := <-aside(s, mcp.Elicit, form); code(got.err) != mcp.UnknownMethod {
			t.Errorf("%v", got.err)
		}
		end := aside(s, mcp.RootsList, `{}`)
		synctest.Wait()
		time.Sleep(10 * time.Minute)
		if got := <-end; code(got.err) != mcp.TimedOut {
			t.Errorf("%v", got.err)
		}
		out.want(t, asks(1, mcp.RootsList, `{}`), withdrawn(1, "there was no answer in time"))
	})
}

// TestLogLinesOutsideOfCalls of the level that the client wants at that time.
func TestLogLinesOutsideOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := greeted(t, `{}`)
		out := newTold()
		back := s.Caller().Back
		line := func(level string) { _ = back.Notify(t.Context(), mcp.NoteMessage, []byte(`{"level":"`+level+`"}`)) }
		line("debug") // waits for a stream
		stream(t, b, s, out)
		synctest.Wait()
		send(t, b, s, out, `{"jsonrpc":"2.0","id":9,"method":"logging/setLevel","params":{"level":"warning"}}`)
		line("info")
		line("error")
		synctest.Wait()
		if got := strings.Join(out.messages(), " "); strings.Count(got, mcp.NoteMessage) != 2 || strings.Contains(got, "info") {
			t.Errorf("told %s", got)
		}
	})
}
