package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// helloAsked is an initialize of a client that answers questions.
func helloAsked(revision string) string {
	return request("0", mcp.Initialize, `"protocolVersion":"`+revision+`","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}`)
}

// curious makes the house ask for the roots during each call, and answer with what it got.
func curious(f *front) {
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		answer, err := c.Back.Ask(ctx, mcp.RootsList, []byte(`{}`))
		var remote *mcp.Remote
		switch {
		case errors.As(err, &remote):
			answer = remote.Raw
		case err != nil:
			answer = fmt.Appendf(nil, "%q", err)
		}
		return &mcp.Reply{Result: append(append([]byte(`{"got":`), answer...), '}')}, nil
	})
}

// question is what a client gets first.
func question(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"roots/list","params":{}}`
}

// Answers of clients, and what of them comes back to the tool. spoiled ones are no messages.
var answers = []struct {
	rest    string
	got     string
	spoiled bool
}{
	{`"result":{"roots":[]}`, `{"roots":[]}`, false},
	{`"error":{"code":-7,"message":"no"}`, `{"code":-7,"message":"no"}`, false},
	{`"result":[]`, "not acceptable", true},
	{`"result":null`, "not acceptable", true},
	{`"result":{"roots":[],"roots":[]}`, "not acceptable", true},
	{`"result":{"roots":[],"a":"` + "\\ud800" + `"}`, "not acceptable", true},
	{`"result":{"roots":[]`, "not acceptable", true}, // cut off, so that only its id can be found
}

// TestQuestionsOnAPipe: on stdio and on a 2024-11-05 stream a question, its answer, and other
// requests share the channel.
func TestQuestionsOnAPipe(t *testing.T) {
	for name, open := range map[string]func(*front) (send func(string), next func() string){
		"stdio": func(f *front) (func(string), func() string) {
			p := f.pipe()
			return func(s string) { p.send(s) }, p.next
		},
		"sse": func(f *front) (func(string), func() string) {
			s := f.sse()
			return func(body string) { s.send(body) }, s.next
		},
	} {
		f := newFront(t)
		curious(f)
		send, next := open(f)
		want := func(wanted string) {
			t.Helper()
			if got := next(); got != wanted {
				t.Errorf("%s: %s\nwant %s", name, got, wanted)
			}
		}
		send(helloAsked("2024-11-05"))
		next()
		send(initialized)
		for i, a := range answers {
			id := fmt.Sprint(i + 1)
			send(request("1", mcp.ToolsCall, `"name":"a"`)) // the ids of both sides may be the same
			want(question(id))
			send(request("2", mcp.Ping, ""))
			want(`{"jsonrpc":"2.0","id":2,"result":{}}`)
			send(`{"jsonrpc":"2.0","id":"` + id + `","result":{}}`) // to nothing
			send(`{"jsonrpc":"2.0","id":` + id + `,` + a.rest + `}`)
			if got := next(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":{"got":`) || !strings.Contains(got, a.got) {
				t.Errorf("%s: after the answer %s came %s", name, a.rest, got)
			}
			send(`{"jsonrpc":"2.0","id":` + id + `,"result":{"roots":[]}}`) // twice
			send(request("3", mcp.Ping, ""))
			want(`{"jsonrpc":"2.0","id":3,"result":{}}`)
		}
	}
}

// TestQuestionsOverHTTP go out on the stream of the call; the answer is a POST of its own, of
// the same session.
func TestQuestionsOverHTTP(t *testing.T) {
	f := newFront(t)
	curious(f)
	login := func() string {
		id := f.post(helloAsked(newest)).header.Get(era.HeaderSession)
		f.post(initialized, era.HeaderSession, id)
		return id
	}
	one, other := login(), login()
	for i, a := range answers {
		call := f.stream(http.MethodPost, "/mcp", request("1", mcp.ToolsCall, `"name":"a"`), era.HeaderSession, one)
		id := fmt.Sprint(i + 1)
		if got := call.next(); got != question(id) {
			t.Errorf("asked %s", got)
		}
		answer := `{"jsonrpc":"2.0","id":` + id + `,` + a.rest + `}`
		f.post(answer, era.HeaderSession, other)
		status := http.StatusAccepted
		if a.spoiled {
			status = http.StatusBadRequest
		}
		g := f.post(answer, era.HeaderSession, one)
		if g.status != status {
			t.Errorf("the answer %s gave %s", a.rest, g)
		}
		if g.body != "" {
			if e := open(t, g.body); len(e.ID) != 0 {
				t.Errorf("the error bears the question's id: %s", g)
			}
		}
		if got := call.next(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":{"got":`) || !strings.Contains(got, a.got) {
			t.Errorf("after the answer %s came %s", a.rest, got)
		}
		call.end()
	}
	if n := f.store.Find(other, mcp.Local).Questions.Strays(); n == 0 {
		t.Error("answers to nothing are not counted")
	}
}

// TestAnswersInABatch settle their questions as well.
func TestAnswersInABatch(t *testing.T) {
	f := newFront(t)
	curious(f)
	p := f.pipe()
	p.send(helloAsked(batches))
	p.next()
	p.send(initialized, `[`+request("1", mcp.ToolsCall, `"name":"a"`)+`,`+request("2", mcp.ToolsCall, `"name":"a"`)+`]`)
	p.next()
	p.next()
	p.send(`[{"jsonrpc":"2.0","id":1,"result":{"roots":[]}},{"jsonrpc":"2.0","id":2,"result":[]}]`)
	line := p.next()
	if strings.Count(line, `{"got":{"roots":[]}}`) != 1 || strings.Count(line, "not acceptable") != 1 {
		t.Error(line)
	}
	p.canary()
}

// TestQuestionsAreTakenBackFromWhoDoesNotRead: a server that asks and withdraws without end makes
// nothing wait for a stdio client, which hears of none of it.
func TestQuestionsAreTakenBackFromWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *Listener
		var most int64
		ended := make(chan bool)
		house := mcp.HandlerFunc(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
			defer close(ended)
			_ = c.Back.Notify(ctx, "notifications/x", []byte(`{}`))
			time.Sleep(time.Second) // it is being written
			large := []byte(`{"message":"` + strings.Repeat("x", 100<<10) + `"}`)
			for range 200 {
				asking, stop := context.WithTimeout(ctx, time.Second)
				if _, err := c.Back.Ask(asking, mcp.Elicit, large); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				stop()
				most = max(most, l.load.held.Load())
			}
			return &mcp.Reply{Result: []byte(`{}`)}, nil
		})
		edge := stateful.NewInbound(era.Params{Handler: house, Feed: newFeed("F0"), Presence: presence{`{"name":"f","version":"1"}`, ""}}, nil)
		l = New(Params{Edges: Edges{Stateful: edge}, Limits: jsonrpc.ClientLimits, Body: 4 << 20, Requests: 64, Bytes: 1 << 30, First: func() {}})
		in, send := io.Pipe()
		read, out := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- l.ServeStdio(t.Context(), in, out) }()
		lines := bufio.NewScanner(read)
		say := func(text string) { _, _ = io.WriteString(send, text+"\n") }
		say(strings.Replace(helloAsked(newest), "roots", "elicitation", 1))
		lines.Scan()
		say(initialized)
		say(request("1", mcp.ToolsCall, `"name":"a"`))
		<-ended
		if most > 1000 {
			t.Errorf("%d bytes waited", most)
		}
		for _, want := range []string{`{"jsonrpc":"2.0","method":"notifications/x","params":{}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`} {
			if lines.Scan(); lines.Text() != want {
				t.Errorf("the client read %.100s", lines.Text())
			}
		}
		send.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestARecalledQuestionIsNotResumed: it leaves the session's events with the queue, and others stay.
func TestARecalledQuestionIsNotResumed(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	w := newDeaf()
	s := newStream(w, &f.l.load, nil)
	s.keep(f.store.Find(id, mcp.Local), true)
	s.Notify([]byte(`{"params":{"x":"1"}}`))
	soon(t, "a write", w.begun)
	for _, q := range []string{"7", "8"} {
		if !s.Ask([]byte(q), []byte(`{"method":"m","params":{"x":"`+q+`"}}`)) {
			t.Error("there is room")
		}
	}
	if !s.Recall([]byte("7")) {
		t.Error("it was not on its way")
	}
	close(w.let)
	s.finish(era.Answer{Status: http.StatusOK, Body: []byte(`{"id":1,"result":{}}`)})
	e := f.again(id, f.event(id, 2))
	if got := e.hear(2); got != "8 =1" {
		t.Error(got)
	}
	e.end()
}
