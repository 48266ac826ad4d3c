package listen

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// wantRefusal holds an answer against a status; its body is always a JSON-RPC error
// without an id.
func wantRefusal(t *testing.T, g got, status int) {
	t.Helper()
	if g.status != status || g.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s (%s), want %d", g, g.header.Get("Content-Type"), status)
		return
	}
	wantError(t, g.body, era.InvalidRequest, "")
}

// TestBodiesMustBeJSON: what a browser can send without asking is refused.
func TestBodiesMustBeJSON(t *testing.T) {
	f := newFront(t)
	s := f.sse()
	body := ask("1", mcp.Tools.List(), "")
	for kind, ok := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=UTF-8": true, `application/json; charset="utf-8"`: true,
		"": false, "text/plain": false, "application/json;charset=utf-16": false, "application/json; charset=latin1": false,
		"multipart/form-data; boundary=x": false, "application/x-www-form-urlencoded": false, "text/json": false,
		"application/jsonx": false, "application/json, text/plain": false, "text/plain; application/json": false, ";": false,
	} {
		g := f.post(body, append(mirror(mcp.Tools.List(), ""), "Content-Type", kind)...)
		if ok {
			if g.status != http.StatusOK || f.hits.Swap(0) != 1 {
				t.Errorf("%q: %s", kind, g)
			}
			continue
		}
		wantRefusal(t, g, http.StatusUnsupportedMediaType)
		wantRefusal(t, s.send(body, "Content-Type", kind), http.StatusUnsupportedMediaType)
		f.untouched()
	}
	wantRefusal(t, f.post(body, append(mirror(mcp.Tools.List(), ""), "Content-Type", "application/json", "Content-Type", "text/plain")...), http.StatusUnsupportedMediaType)
	f.untouched()
}

// TestAcceptMustListBothKinds, so that we are free to choose (2026-07-28, Streamable HTTP,
// Sending Messages, 2).
func TestAcceptMustListBothKinds(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	for accept, ok := range map[string]bool{
		"application/json, text/event-stream": true, "text/event-stream,application/json": true, "*/*": true, "application/*, text/*": true,
		"Application/JSON;q=0.5, TEXT/event-stream": true, "text/html, */*;q=0.1": true, "application/json, */*": true,
		"": false, "application/json": false, "text/event-stream": false, "text/html": false, "application/*": false, "application/json, text/html": false,
	} {
		g := f.post(ask("1", mcp.Tools.List(), ""), append(mirror(mcp.Tools.List(), ""), "Accept", accept)...)
		if (g.status == http.StatusOK) != ok {
			t.Errorf("%q: %s", accept, g)
		}
		if !ok {
			wantRefusal(t, g, http.StatusNotAcceptable)
		}
		if n := f.hits.Swap(0); (n == 1) != ok {
			t.Errorf("%q: %d hits", accept, n)
		}
	}
	g := f.post(ask("1", mcp.Tools.List(), ""), append(mirror(mcp.Tools.List(), ""), "Accept", "application/json", "Accept", "text/event-stream")...)
	if g.status != http.StatusOK {
		t.Errorf("two lines: %s", g)
	}
	for _, accept := range []string{"", "application/json", "text/html"} {
		wantRefusal(t, f.send("GET", "/mcp", "", era.HeaderSession, id, "Accept", accept), http.StatusNotAcceptable)
	}
	for _, accept := range []string{"application/json", "text/html"} {
		wantRefusal(t, f.send("GET", "/sse", "", "Accept", accept), http.StatusNotAcceptable)
	}
}

// TestMethodsAreTold: 405 names what is taken.
func TestMethodsAreTold(t *testing.T) {
	f := newFront(t)
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/mcp", "GET, POST, DELETE"}, {"PATCH", "/mcp", "GET, POST, DELETE"}, {"OPTIONS", "/mcp", "GET, POST, DELETE"},
		{"HEAD", "/mcp", "GET, POST, DELETE"}, {"CONNECTED", "/mcp", "GET, POST, DELETE"},
		{"POST", "/sse", "GET"}, {"DELETE", "/sse", "GET"}, {"PUT", "/sse", "GET"},
		{"GET", "/messages", "POST"}, {"DELETE", "/messages?sessionId=x", "POST"},
		// There is no GET stream and nothing to end without a session (PROTOCOL: 405).
		{"GET", "/mcp", "POST"}, {"DELETE", "/mcp", "POST"},
	} {
		g := f.send(c.method, c.path, "")
		if g.status != http.StatusMethodNotAllowed || g.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q", c.method, c.path, g, g.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/servers", "/tools", "/health", "/ready", "/servers/a"} {
		if g := f.send("PUT", path, ""); g.status != http.StatusMethodNotAllowed || g.header.Get("Allow") == "" {
			t.Errorf("PUT %s: %s", path, g)
		}
	}
	for _, path := range []string{"/", "/mcp/", "/metrics", "/nothing", "/sse/x"} {
		if g := f.send("GET", path, ""); g.status != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, g)
		}
	}
	f.untouched()
}

// TestLargeBodiesAreRefusedUnread: by what they announce, with the connection closed.
func TestLargeBodiesAreRefusedUnread(t *testing.T) {
	f := newFront(t)
	s := f.sse()
	for _, path := range []string{"/mcp", s.endpoint} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := f.dial()
		_ = w.write("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: 104857600\r\n\r\n", path)
		g := w.read() // not one byte of the body was sent
		runtime.ReadMemStats(&after)
		wantRefusal(t, g, http.StatusRequestEntityTooLarge)
		if g.header.Get("Connection") != "close" {
			t.Errorf("%s: the connection stays: %v", path, g.header)
		}
		w.closed()
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", path, grown)
		}
	}
	f.untouched()
}

// TestEndlessBodiesAreCut one byte over the bound.
func TestEndlessBodiesAreCut(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Body = 64 << 10 })
	w := f.dial()
	_ = w.write("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\r\n")
	stop := make(chan struct{})
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		chunk := "1000\r\n" + strings.Repeat(" ", 4096) + "\r\n"
		for w.write("%s", chunk) == nil {
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	g := w.read()
	wantRefusal(t, g, http.StatusRequestEntityTooLarge)
	if g.header.Get("Connection") != "close" || !strings.Contains(g.body, "gateway.limits.requestBody, which is 65536 bytes") {
		t.Errorf("the connection stays, or the bound is not named: %v %s", g.header, g.body)
	}
	close(stop)
	w.conn.Close()
	<-wrote
	f.untouched()
}

// TestTheBoundIsExact: a body of just the bound is read, announced or in chunks.
func TestTheBoundIsExact(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Body = 4096 })
	for _, size := range []int{4096, 4097} {
		body := ask("1", mcp.Tools.List(), "")
		body += strings.Repeat(" ", size-len(body))
		for _, chunked := range []bool{false, true} {
			r, _ := http.NewRequest("POST", f.url+"/mcp", io.NopCloser(strings.NewReader(body)))
			if !chunked {
				r.ContentLength = int64(size)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "*/*")
			r.Header.Set(era.HeaderVersion, ahead)
			r.Header.Set(era.HeaderMethod, mcp.Tools.List())
			res, err := f.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if want := map[int]int{4096: 200, 4097: 413}[size]; res.StatusCode != want {
				t.Errorf("%d bytes, chunked %v: %d, want %d", size, chunked, res.StatusCode, want)
			}
		}
	}
}

// TestExpectIsAnsweredFirst: who asks before sending too much is told before sending it;
// for others the body is asked for.
func TestExpectIsAnsweredFirst(t *testing.T) {
	f := newFront(t)
	const head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nAccept: */*\r\nExpect: 100-continue\r\n" +
		"Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\nContent-Length: %d\r\n\r\n"
	w := f.dial()
	_ = w.write(head, "application/json", 100<<20)
	wantRefusal(t, w.read(), http.StatusRequestEntityTooLarge)
	w.closed()
	w = f.dial()
	_ = w.write(head, "text/plain", 10)
	wantRefusal(t, w.read(), http.StatusUnsupportedMediaType)
	w.conn.Close() // net/http would yet take the body, until bodyTime
	f.untouched()

	w = f.dial()
	body := ask("1", mcp.Tools.List(), "")
	_ = w.write(head, "application/json", len(body))
	if g := w.read(); g.status != http.StatusContinue {
		t.Fatal(g)
	}
	_ = w.write("%s", body)
	if g := w.read(); g.status != http.StatusOK {
		t.Error(g)
	}
}

// TestHalfABodyIsNoMessage, though what came of it would be one.
func TestHalfABodyIsNoMessage(t *testing.T) {
	f := newFront(t)
	w := f.dial()
	body := ask("1", mcp.Tools.List(), "")
	_ = w.write("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s", len(body)+10, body)
	if half, ok := w.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		t.Fatal("no half close")
	}
	wantRefusal(t, w.read(), http.StatusBadRequest)
	f.untouched()
	if s := f.dial(); s.write("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s", len(body)+10, body) == nil {
		s.conn.Close() // goleak sees whether the handler ends
	}
}

// TestSmuggledRequestsAreRefused, with the connection closed (RFC 9112, section 6).
func TestSmuggledRequestsAreRefused(t *testing.T) {
	f := newFront(t)
	for name, c := range map[string]struct {
		head string
		want int
	}{
		"length and chunked":   {"Content-Length: 3\r\nTransfer-Encoding: xchunked", 501},
		"two lengths":          {"Content-Length: 3\r\nContent-Length: 4", 400},
		"odd encoding":         {"Transfer-Encoding: xchunked", 501},
		"negative length":      {"Content-Length: -1", 400},
		"space before colon":   {"Content-Length : 3", 400},
		"a control character":  {"Mcp-Name: a\x01b", 400},
		"a NUL":                {"Mcp-Name: a\x00b", 400},
		"headers without end":  {"X: " + strings.Repeat("y", 40<<10), 431},
		"a header of 1 MB":     {"Mcp-Session-Id: " + strings.Repeat("y", 1<<20), 431},
		"ten thousand headers": {strings.TrimSpace(strings.Repeat("X: y\r\n", 10_000)), 431},
	} {
		t.Run(name, func(t *testing.T) {
			w := f.dial()
			go func() {
				_ = w.write("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n%s\r\n\r\n{}", c.head)
			}()
			res, err := http.ReadResponse(w.r, nil)
			if err != nil {
				return // it had enough and closed
			}
			res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("%d, want %d", res.StatusCode, c.want)
			}
		})
	}
	f.untouched()
}

// TestTheServerIsBounded: against slow and greedy clients, and streams have no end.
func TestTheServerIsBounded(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), context.Background())
	if s.MaxHeaderBytes != 32<<10 || s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != 120*time.Second {
		t.Errorf("headers %d in %s, idle %s", s.MaxHeaderBytes, s.ReadHeaderTimeout, s.IdleTimeout)
	}
	if s.WriteTimeout != 0 || s.ReadTimeout != 0 {
		t.Errorf("streams would end after %s, %s", s.WriteTimeout, s.ReadTimeout)
	}
}

// A deadlineRecorder notes the deadline for reading.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadlineRecorder) SetReadDeadline(t time.Time) error { d.last = t; return nil }

// TestSlowBodiesAreCut on every route, also where the body is refused unread: net/http
// reads what is left of it before it answers.
func TestSlowBodiesAreCut(t *testing.T) {
	f := newFront(t)
	for _, path := range everyRoute {
		w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader("x"))
		r.Header.Set("Content-Type", "text/plain")
		f.srv.Handler.ServeHTTP(w, r)
		if left := time.Until(w.last); left <= 0 || left > 30*time.Second {
			t.Errorf("POST %s answers %d; the rest of its body may take %s", path, w.Code, left)
		}
	}
	w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "http://localhost/mcp", strings.NewReader(ask("1", mcp.Tools.List(), "")))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "*/*")
	f.srv.Handler.ServeHTTP(w, r)
	if !w.last.IsZero() {
		t.Error("a call may take no longer than its body")
	}
}

// TestTokensLetIn: with tokens configured every MCP route needs one, and nothing is told
// about why one is refused.
func TestTokensLetIn(t *testing.T) {
	const alice, bob = "alice-has-this-token-of-32-bytes", "bob-has-this-other-token-of-32-b"
	f := newFront(t, func(s *setup) { s.Tokens = []Token{{"alice", alice}, {"bob", bob}} })
	body := ask("1", mcp.Tools.List(), "")
	bodies := map[string]bool{}
	for name, header := range map[string][]string{
		"none":       {},
		"wrong":      {"Authorization", "Bearer nonsense"},
		"prefix":     {"Authorization", "Bearer " + alice[:31]},
		"longer":     {"Authorization", "Bearer " + alice + "x"},
		"name":       {"Authorization", "Bearer alice"},
		"empty":      {"Authorization", "Bearer "},
		"basic":      {"Authorization", "Basic " + alice},
		"no scheme":  {"Authorization", alice},
		"two":        {"Authorization", "Bearer " + alice, "Authorization", "Bearer " + bob},
		"cookie":     {"Cookie", "token=" + alice},
		"operator's": {"Authorization", "Bearer " + strings.Repeat("a", 40)},
	} {
		for _, route := range []struct{ method, path string }{{"POST", "/mcp"}, {"GET", "/mcp"}, {"DELETE", "/mcp"}, {"GET", "/sse"}, {"POST", "/messages?sessionId=x"}, {"PUT", "/mcp"}} {
			g := f.send(route.method, route.path, body, append(mirror(mcp.Tools.List(), ""), header...)...)
			wantRefusal(t, g, http.StatusUnauthorized)
			if !strings.HasPrefix(g.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: %v", name, g.header)
			}
			bodies[g.body] = true
		}
	}
	if len(bodies) != 1 {
		t.Errorf("the refusals differ: %v", bodies)
	}
	f.untouched()
	who := make(chan string, 1)
	f.answer(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		who <- c.From.Principal
		return &mcp.Reply{Result: []byte(`{"tools":[]}`)}, nil
	})
	for name, token := range map[string]string{"alice": alice, "bob": bob} {
		g := f.post(body, append(mirror(mcp.Tools.List(), ""), "Authorization", "bearer  "+token)...)
		if g.status != http.StatusOK || soon(t, "the call", who) != name {
			t.Error(g)
		}
	}
}

// TestAStalledClientIsCut: a client that does not read loses its stream, and the call ends.
func TestAStalledClientIsCut(t *testing.T) {
	w := &stuckWriter{ResponseRecorder: httptest.NewRecorder()}
	gone := make(chan struct{})
	s := newStream(w, roomy(), func() { close(gone) })
	s.Notify([]byte(`{"jsonrpc":"2.0","method":"a"}`))
	soon(t, "the end of the client", gone)
	s.writer.Wait()
	if left := time.Until(w.deadline); left <= 0 || left > writeTime {
		t.Errorf("a write may take %s", left)
	}
	s.finish(era.Answer{Status: 200, Body: []byte(`{}`)})
	if w.writes != 1 {
		t.Errorf("%d writes to a client that is gone", w.writes)
	}
}

type stuckWriter struct {
	*httptest.ResponseRecorder
	deadline time.Time
	writes   int
}

func (w *stuckWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }
func (w *stuckWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, errors.New("i/o timeout")
}
