package listen

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// TestTheEndOfInputAnswersWhatIsInFlight, and ends what would never end by itself.
func TestTheEndOfInputAnswersWhatIsInFlight(t *testing.T) {
	f := newFront(t)
	began, release := make(chan bool, 1), make(chan struct{})
	f.answer(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		began <- true
		<-release
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	})
	p := f.pipe()
	p.login(newest)
	p.send(ask("1", mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true}`))
	p.next()
	p.send(request("2", mcp.ToolsCall, `"name":"a"`))
	soon(t, "the call", began)
	p.in.Close()
	close(release)
	if line := p.next(); line != `{"jsonrpc":"2.0","id":2,"result":{}}` {
		t.Error(line)
	}
	if err := soon(t, "the end", p.ended); err != nil {
		t.Error(err)
	}
	if line, more := <-p.lines; more {
		t.Errorf("after it came %s", line)
	}
}

// TestAnUnfinishedLastLineIsAMessage: files do not always end in a newline.
func TestAnUnfinishedLastLineIsAMessage(t *testing.T) {
	f := newFront(t)
	var out strings.Builder
	in := hello("1", newest) + "\r\n" + initialized + "\r\n\r\n" + request("2", mcp.Ping, "")
	if err := f.l.ServeStdio(context.Background(), strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || lines[1] != `{"jsonrpc":"2.0","id":2,"result":{}}` || lines[2] != "" {
		t.Errorf("%q", lines)
	}
}

// TestABrokenInputIsTold, and calls in flight end.
func TestABrokenInputIsTold(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	p := f.pipe()
	p.login(newest)
	p.send(request("1", mcp.ToolsCall, `"name":"a"`))
	soon(t, "the call", began)
	broken := errors.New("broken")
	p.in.CloseWithError(broken)
	soon(t, "the end of the call", ended)
	if err := soon(t, "the end", p.ended); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestAClientThatDoesNotTakeAnswers ends its calls.
func TestAClientThatDoesNotTakeAnswers(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	in, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- f.l.ServeStdio(context.Background(), in, failing{}) }()
	wrote := make(chan struct{})
	go func() { // which blocks where nobody reads any more
		defer close(wrote)
		_, _ = io.WriteString(w, hello("0", newest)+"\n")
		_, _ = io.WriteString(w, request("1", mcp.ToolsCall, `"name":"a"`)+"\n")
	}()
	select { // the write may have failed before the call was read
	case <-began:
		soon(t, "the end of the call", ended)
	case err := <-done:
		done <- err
	}
	w.Close()
	soon(t, "the end", done)
	in.Close()
	<-wrote
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestMessagesWhileAStreamEnds: each is taken or refused, and nothing is left running.
func TestMessagesWhileAStreamEnds(t *testing.T) {
	f := newFront(t)
	for range 20 {
		s := f.sse()
		s.send(hello("0", batches))
		s.next()
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 4 {
			body := []string{request("1", mcp.Tools.List(), ""), request("2", mcp.Ping, ""), "[" + request("3", mcp.Tools.List(), "") + "]", initialized}[i]
			wg.Go(func() {
				<-start
				for range 5 {
					g, err := f.try(context.Background(), "POST", s.endpoint, body)
					if err != nil || (g.status != http.StatusAccepted && g.status != http.StatusNotFound) {
						t.Error(g, err)
					}
				}
			})
		}
		close(start)
		s.close()
		wg.Wait()
	}
}

// TestTheSSEStreamAnswers: on the stream, and only a stateful era is there.
func TestTheSSEStreamAnswers(t *testing.T) {
	f := newFront(t)
	s := f.sse()
	s.send(hello("1", "2024-11-05"))
	if e := open(t, s.next()); string(e.ID) != "1" || e.Result == nil {
		t.Errorf("%+v", e)
	}
	s.send(initialized)
	for i, c := range []struct{ body, want string }{
		{request("2", mcp.Tools.List(), ""), `{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}`},
		{request("3", mcp.ToolsCall, `"name":"a"`), `{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"fine"}]}}`},
		{ask("4", mcp.Tools.List(), ""), `{"jsonrpc":"2.0","id":4,"result":{"tools":[]}}`}, // no resultType
	} {
		if g := s.send(c.body); g.status != http.StatusAccepted || g.body != "" {
			t.Errorf("%d: %s", i, g)
		}
		if got := s.next(); got != c.want {
			t.Errorf("%d: %s", i, got)
		}
	}
	s.send(ask("5", mcp.Discover, ""))
	wantError(t, s.next(), era.MethodNotFound, "5")
}

// TestStreamsOfTwoClientsAreApart though both use the same ids.
func TestStreamsOfTwoClientsAreApart(t *testing.T) {
	f := newFront(t)
	f.answer(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		return &mcp.Reply{Result: []byte(`{"echo":"` + c.Name + `"}`)}, nil
	})
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		s := f.sse()
		p := f.pipe()
		wg.Go(func() {
			s.send(hello("0", "2024-11-05"))
			s.next()
			p.send(hello("0", newest))
			p.next()
			for range 50 {
				body := request("1", mcp.ToolsCall, `"name":"`+name+`"`)
				s.send(body)
				p.send(body)
				want := `{"jsonrpc":"2.0","id":1,"result":{"echo":"` + name + `"}}`
				if one, two := s.next(), p.next(); one != want || two != want {
					t.Errorf("%s got %s and %s", name, one, two)
				}
			}
		})
	}
	wg.Wait()
}

// TestPipeRequestsAreBounded: over the bound a request is refused at once.
func TestPipeRequestsAreBounded(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Requests = 2 })
	began, ended := f.waiting()
	p := f.pipe()
	p.login(newest)
	for _, id := range []string{"1", "2"} {
		p.send(request(id, mcp.ToolsCall, `"name":"a"`))
		soon(t, "a call", began)
	}
	p.send(request("3", mcp.ToolsCall, `"name":"a"`))
	line := p.next()
	wantError(t, line, era.InternalError, "3")
	var data struct{ Reason string }
	_ = json.Unmarshal(open(t, line).Error.Data, &data)
	if data.Reason != "overloaded" {
		t.Error(line)
	}
	p.send(cancelled("1"))
	soon(t, "the end of a call", ended)
	eventually(t, "a place", func() bool {
		p.send(request("4", mcp.Ping, ""))
		return open(t, p.next()).Error == nil
	})
}

// TestAClosedPipeTakesNothing: what arrives too late starts nothing that nobody waits for.
func TestAClosedPipeTakesNothing(t *testing.T) {
	f := newFront(t)
	out := newQueue(&f.l.load, func([]item) error { return nil }, nil)
	p := f.l.newPipe(context.Background(), "local", mcp.Scope{}, out, f.edges.of)
	p.receive([]byte(hello("0", batches)), func() {})
	p.close()
	for _, body := range []string{request("1", mcp.Tools.List(), ""), ask("2", mcp.Tools.List(), ""), "[" + request("3", mcp.Tools.List(), "") + "]"} {
		released := 0
		if p.receive([]byte(body), func() { released++ }); released != 1 {
			t.Errorf("the body was given back %d times", released)
		}
	}
	p.wg.Wait()
	out.close()
	f.untouched()
}
