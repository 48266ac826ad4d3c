package listen

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// TestInitializeNegotiates (2025-11-25, lifecycle, Version Negotiation): a stateful revision
// that we speak, else our newest one, also for the stateless date.
func TestInitializeNegotiates(t *testing.T) {
	f := newFront(t)
	for asked, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": newest, "1900-01-01": newest, "2099-01-01": newest, "": newest, "nonsense": newest, "2025-11-25 ": newest,
	} {
		for _, header := range [][]string{nil, {era.HeaderVersion, newest}, {era.HeaderVersion, asked}} {
			g := f.post(hello("1", asked), header...)
			p := f.pipe()
			p.send(hello("1", asked))
			s := f.sse()
			s.send(hello("1", asked))
			for name, body := range map[string]string{"HTTP": g.body, "pipe": p.next(), "sse": s.next()} {
				title := ""
				if want == newest || want == "2025-06-18" { // Implementation has no title before
					title = `"title":"Front",`
				}
				exact := `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"` + want + `","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"front",` + title + `"version":"1"},"instructions":"use it"}}`
				if body != exact {
					t.Errorf("%s, asked for %q: %s", name, asked, body)
				}
			}
			if g.status != http.StatusOK || g.header.Get(era.HeaderSession) == "" {
				t.Errorf("asked for %q: %d %v", asked, g.status, g.header)
			}
		}
	}
	f.untouched()
}

// TestInitializeNeedsAVersion: without one nothing is opened.
func TestInitializeNeedsAVersion(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	for _, params := range []string{``, `"protocolVersion":7`, `"protocolVersion":null`, `"protocolVersion":"` + newest + `","capabilities":[]`} {
		g := f.post(request("7", mcp.Initialize, params))
		wantError(t, g.body, era.InvalidParams, "7")
		if g.header.Get(era.HeaderSession) != "" {
			t.Errorf("%s opens a session", params)
		}
		p.send(request("7", mcp.Initialize, params))
		wantError(t, p.next(), era.InvalidParams, "7")
	}
	p.send(`{"jsonrpc":"2.0","id":7,"method":"initialize"}`)
	wantError(t, p.next(), era.InvalidParams, "7")
	p.login(newest)
}

// TestInitializeTwice: a pipe has one session; over HTTP each one opens another.
func TestInitializeTwice(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	p.login("2025-06-18")
	p.send(hello("7", newest))
	wantError(t, p.next(), era.InvalidRequest, "7")
	p.canary()
	s := f.sse()
	s.send(hello("1", newest))
	s.next()
	s.send(hello("7", newest))
	wantError(t, s.next(), era.InvalidRequest, "7")

	one := f.login(newest)
	two := f.post(hello("1", newest), era.HeaderSession, one).header.Get(era.HeaderSession)
	if two == "" || one == two {
		t.Error("the second initialize opens no session")
	}
	for _, id := range []string{one, two} {
		if g := f.post(request("1", mcp.Tools.List(), ""), era.HeaderSession, id); g.status != http.StatusOK {
			t.Error(g)
		}
	}
}

// TestBeforeInitialize: ping is answered on a pipe, all else refused; over HTTP a session is
// needed for either.
func TestBeforeInitialize(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	p.canary()
	p.send(initialized)
	for _, method := range []string{mcp.Tools.List(), mcp.ToolsCall, "foo"} {
		p.send(request("7", method, `"name":"a"`))
		wantError(t, p.next(), era.InvalidRequest, "7")
		wantRefusal(t, f.post(request("7", method, `"name":"a"`)), http.StatusBadRequest)
	}
	wantRefusal(t, f.post(request("7", mcp.Ping, "")), http.StatusBadRequest)
	wantRefusal(t, f.post(initialized), http.StatusBadRequest)
	wantRefusal(t, f.post(`{"jsonrpc":"2.0","method":"initialize"}`), http.StatusBadRequest)
	p.login(newest)
	p.send(request("8", mcp.Tools.List(), ""))
	if e := open(t, p.next()); e.Result == nil {
		t.Errorf("%+v", e)
	}
	f.hits.Store(0)

	g := f.post(hello("1", newest)) // and before it is initialized
	id := g.header.Get(era.HeaderSession)
	if g := f.post(request("2", mcp.Ping, ""), era.HeaderSession, id); g.status != 200 || g.body != `{"jsonrpc":"2.0","id":2,"result":{}}` {
		t.Error(g)
	}
}

// TestSessionsOfOthersLookUnknown: the same bytes as for one that never was, whatever is
// asked, and the owner notices nothing.
func TestSessionsOfOthersLookUnknown(t *testing.T) {
	const alice, bob = "Bearer alice-has-this-token-of-32-bytes", "Bearer bob-has-this-other-token-of-32-b"
	f := newFront(t, func(s *setup) { s.Tokens = []Token{{"alice", alice[7:]}, {"bob", bob[7:]}} })
	id := f.login(newest, "Authorization", alice)
	for _, c := range []struct{ method, body string }{
		{"POST", request("1", mcp.Tools.List(), "")}, {"POST", initialized}, {"POST", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`}, {"POST", "[" + request("1", mcp.Tools.List(), "") + "]"},
		{"GET", ""}, {"DELETE", ""},
	} {
		others := f.send(c.method, "/mcp", c.body, era.HeaderSession, id, "Authorization", bob)
		unknown := f.send(c.method, "/mcp", c.body, era.HeaderSession, "NEVERWASNEVERWASNEVERWAS12", "Authorization", bob)
		wantRefusal(t, others, http.StatusNotFound)
		others.header.Del("Date")
		unknown.header.Del("Date")
		if others.body != unknown.body || fmt.Sprint(others.header) != fmt.Sprint(unknown.header) {
			t.Errorf("%s: %s %v, unknown is %s %v", c.method, others, others.header, unknown, unknown.header)
		}
		f.untouched()
	}
	if g := f.post(request("1", mcp.Tools.List(), ""), era.HeaderSession, id, "Authorization", alice); g.status != http.StatusOK {
		t.Error(g)
	}
	for _, id := range []string{"", "x", id + "x", id[:len(id)-1]} {
		want := http.StatusNotFound
		if id == "" {
			want = http.StatusBadRequest
		}
		wantRefusal(t, f.post(request("1", mcp.Tools.List(), ""), era.HeaderSession, id, "Authorization", alice), want)
	}
	wantRefusal(t, f.post(request("1", mcp.Tools.List(), ""), era.HeaderSession, id, era.HeaderSession, id, "Authorization", alice), http.StatusBadRequest)
}

// TestStreamsOfOthersLookUnknown: a message finds an event stream by its full id only, and
// only its owner does.
func TestStreamsOfOthersLookUnknown(t *testing.T) {
	const alice, bob = "Bearer alice-has-this-token-of-32-bytes", "Bearer bob-has-this-other-token-of-32-b"
	f := newFront(t, func(s *setup) { s.Tokens = []Token{{"alice", alice[7:]}, {"bob", bob[7:]}} })
	s := f.sse("Authorization", alice)
	list := request("1", mcp.Tools.List(), "")
	for path, want := range map[string]int{
		"/messages": 400, "/messages?sessionId=": 400, "/messages?sessionid=x": 400, "/messages?sessionId=wrong": 404, s.endpoint + "x": 404,
		s.endpoint[:len(s.endpoint)-1]: 404,
	} {
		wantRefusal(t, f.send("POST", path, list, "Authorization", alice), want)
	}
	others, unknown := s.send(list, "Authorization", bob), f.send("POST", "/messages?sessionId=wrong", list, "Authorization", bob)
	wantRefusal(t, others, http.StatusNotFound)
	if others.body != unknown.body {
		t.Errorf("%s, unknown is %s", others, unknown)
	}
	f.untouched()
	s.send(hello("1", "2024-11-05"), "Authorization", alice)
	if e := open(t, s.next()); e.Result == nil {
		t.Error(e)
	}
	// An id of one transport opens nothing on the other.
	wantRefusal(t, f.post(list, era.HeaderSession, s.endpoint[len("/messages?sessionId="):], "Authorization", alice), http.StatusNotFound)
	s.close()
	eventually(t, "the end of the session", func() bool { return s.send(list, "Authorization", alice).status == http.StatusNotFound })
}

// TestSessionBounds: at a bound the one that is idle longest ends, and its id is unknown then.
func TestSessionBounds(t *testing.T) {
	const alice, bob = "Bearer alice-has-this-token-of-32-bytes", "Bearer bob-has-this-other-token-of-32-b"
	f := newFront(t, func(s *setup) {
		s.Tokens = []Token{{"alice", alice[7:]}, {"bob", bob[7:]}}
		s.Bounds.PerPrincipal, s.Bounds.All = 2, 3
	})
	alive := func(id, who string) bool {
		return f.post(request("1", mcp.Ping, ""), era.HeaderSession, id, "Authorization", who).status == http.StatusOK
	}
	b := f.login(newest, "Authorization", bob)
	one, two := f.login(newest, "Authorization", alice), f.login(newest, "Authorization", alice)
	three := f.login(newest, "Authorization", alice) // alice's bound, and that of all
	if alive(one, alice) || !alive(two, alice) || !alive(three, alice) || !alive(b, bob) {
		t.Error("the wrong session ended")
	}
	wantRefusal(t, f.post(request("1", mcp.Ping, ""), era.HeaderSession, one, "Authorization", alice), http.StatusNotFound)
	// A session with a stream is not idle.
	f.listen(two, "Authorization", alice)
	f.login(newest, "Authorization", alice)
	if !alive(two, alice) || alive(three, alice) {
		t.Error("a session in use ended")
	}
}

// TestEverySessionInUse: then no more are opened, and it is said.
func TestEverySessionInUse(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Bounds.All = 1 })
	id := f.login(newest)
	s := f.listen(id)
	g := f.post(hello("7", newest))
	if g.status != http.StatusServiceUnavailable || g.header.Get(era.HeaderSession) != "" {
		t.Error(g)
	}
	wantError(t, g.body, era.InternalError, "7")
	began, ended := f.waiting() // a call is use as well
	answer := f.background(request("1", mcp.ToolsCall, `"name":"a"`), era.HeaderSession, id)
	soon(t, "the call", began)
	s.close()
	for range 20 {
		if g := f.post(hello("7", newest)); g.status != http.StatusServiceUnavailable {
			t.Fatal(g)
		}
	}
	f.post(cancelled("1"), era.HeaderSession, id)
	soon(t, "the end of the call", ended)
	soon(t, "the end of the request", answer)
	eventually(t, "a place", func() bool { return f.post(hello("7", newest)).status == http.StatusOK })
}

// waiting makes the house wait for the end of each call, which it tells.
func (f *front) waiting() (began chan *mcp.Call, ended chan error) {
	began, ended = make(chan *mcp.Call, 64), make(chan error, 64)
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		began <- c
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	return began, ended
}

func cancelled(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `,"reason":"r"}}`
}

// background sends a request that is answered later.
func (f *front) background(body string, header ...string) chan got {
	answer := make(chan got, 1)
	go func() {
		g, err := f.try(context.Background(), http.MethodPost, "/mcp", body, header...)
		if err != nil {
			g.body = err.Error()
		}
		answer <- g
	}()
	return answer
}

// TestDeleteEndsCalls of the session, and nothing more is said about them.
func TestDeleteEndsCalls(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	id, other := f.login(newest), f.login(newest)
	call := request("7", mcp.ToolsCall, `"name":"a"`)
	mine, others := f.background(call, era.HeaderSession, id), f.background(call, era.HeaderSession, other)
	soon(t, "a call", began)
	soon(t, "a call", began)
	stream := f.listen(id)
	if g := f.send("DELETE", "/mcp", "", era.HeaderSession, id); g.status != http.StatusNoContent || g.body != "" {
		t.Error(g)
	}
	soon(t, "the end of the call", ended)
	if g := soon(t, "the end of the request", mine); g.status != http.StatusOK || g.header.Get("Content-Type") != "text/event-stream" || strings.Contains(g.body, "data: {") {
		t.Errorf("%q %v", g.body, g.header) // a slow call's stream has begun, with an event that says nothing
	}
	stream.end()
	for _, method := range []string{"POST", "GET", "DELETE"} {
		wantRefusal(t, f.send(method, "/mcp", call, era.HeaderSession, id), http.StatusNotFound)
	}
	f.post(cancelled("7"), era.HeaderSession, other)
	soon(t, "the end of the other call", ended)
	soon(t, "the end of the other request", others)
}

// TestCancelEndsOneCall: the house is told, nothing is answered, and other calls go on.
func TestCancelEndsOneCall(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	id, other := f.login(newest), f.login(newest)
	call := func(id string) string { return request(id, mcp.ToolsCall, `"name":"a"`) }
	first := f.background(call(`"x"`), era.HeaderSession, id)
	soon(t, "a call", began)
	second := f.background(call("2"), era.HeaderSession, id)
	soon(t, "a call", began)
	for _, c := range []struct{ session, token string }{{other, `"x"`}, {id, `"y"`}, {id, "3"}, {id, `"2"`}, {id, "null"}} {
		f.post(cancelled(c.token), era.HeaderSession, c.session)
	}
	if len(ended) != 0 {
		t.Error("a call ended that was not meant")
	}
	f.post(cancelled(`"x"`), era.HeaderSession, id)
	soon(t, "the end of the call", ended)
	if g := soon(t, "the end of the request", first); g.status != http.StatusOK || g.body != "" {
		t.Errorf("%d %q", g.status, g.body)
	}
	f.post(cancelled(`"x"`), era.HeaderSession, id) // again: nothing
	f.post(cancelled("2"), era.HeaderSession, id)
	soon(t, "the end of the other call", ended)
	soon(t, "the end of the other request", second)
}

// TestCancelOnAPipe, in both eras: the canary is the next thing that is said.
func TestCancelOnAPipe(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	p := f.pipe()
	p.login(newest)
	for _, body := range []string{request("7", mcp.ToolsCall, `"name":"a"`), ask("7", mcp.ToolsCall, `"name":"a"`)} {
		p.send(body)
		c := soon(t, "a call", began)
		p.send(cancelled("7"))
		soon(t, "the end of the call", ended)
		if err := c.Back.Notify(context.Background(), mcp.NoteProgress, []byte(`{}`)); err != nil {
			t.Error(err)
		}
		eventually(t, "the end of the request", func() bool { // its id is free
			p.send(request("7", mcp.Ping, ""))
			return p.next() == `{"jsonrpc":"2.0","id":7,"result":{}}`
		})
		p.canary()
	}
}

// TestAnIDInFlightIsTaken: the second request is refused, the first goes on.
func TestAnIDInFlightIsTaken(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	id := f.login(newest)
	call := request("7", mcp.ToolsCall, `"name":"a"`)
	first := f.background(call, era.HeaderSession, id)
	soon(t, "a call", began)
	g := f.post(call, era.HeaderSession, id)
	if g.status != http.StatusBadRequest {
		t.Error(g)
	}
	wantError(t, g.body, era.InvalidRequest, "7")
	f.post(cancelled("7"), era.HeaderSession, id)
	soon(t, "the end of the call", ended)
	soon(t, "the end of the request", first)

	p := f.pipe()
	p.login(newest)
	for _, body := range []string{request("7", mcp.ToolsCall, `"name":"a"`), ask("7", mcp.ToolsCall, `"name":"a"`)} {
		p.send(call)
		soon(t, "a call", began)
		p.send(body)
		wantError(t, p.next(), era.InvalidRequest, "7")
		p.send(cancelled("7"))
		soon(t, "the end of the call", ended)
	}
}

// TestAStatefulClientMayLeave: its call goes on (2025-11-25, transports, Sending Messages
// to the Server, 6). A stateless one's does not (2026-07-28, Streamable HTTP, Cancellation).
func TestAStatefulClientMayLeave(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	id := f.login(newest)
	leave := func(body string, header ...string) {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = f.try(ctx, http.MethodPost, "/mcp", body, header...)
		}()
		soon(t, "a call", began)
		stop()
		<-done
	}
	leave(request("7", mcp.ToolsCall, `"name":"a"`), era.HeaderSession, id)
	leave(ask("8", mcp.ToolsCall, `"name":"a"`), mirror(mcp.ToolsCall, "a")...)
	soon(t, "the end of the stateless call", ended)
	if len(ended) != 0 {
		t.Error("the stateful call ended with its client")
	}
	f.post(cancelled("7"), era.HeaderSession, id)
	soon(t, "the end of the stateful call", ended)
}
