package listen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

func progress(token string, n int) string {
	return fmt.Sprintf(`{"progressToken":%s,"progress":%d}`, token, n)
}

// talkative makes the house tell progress n times before it answers.
func (f *front) talkative(n int) {
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		for i := range n {
			_ = c.Back.Notify(ctx, mcp.NoteProgress, []byte(progress(string(c.Params.ProgressToken), i)))
		}
		return &mcp.Reply{Result: []byte(`{"content":[]}`)}, nil
	})
}

// TestProgressComesInOrderBeforeTheReply, with the client's own token, on every binding.
func TestProgressComesInOrderBeforeTheReply(t *testing.T) {
	const n = 1000
	f := newFront(t)
	f.talkative(n)
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	s := f.sse()
	s.send(hello("0", "2024-11-05"))
	s.next()
	stateful := request("7", mcp.ToolsCall, `"name":"a","_meta":{"progressToken":"t\u0000"}`)
	stateless := strings.Replace(ask("7", mcp.ToolsCall, `"name":"a"`), `"_meta":{`, `"_meta":{"progressToken":"t\u0000",`, 1)
	over := func(body string, header ...string) func() (func() string, func()) {
		return func() (func() string, func()) {
			e := f.stream("POST", "/mcp", body, header...)
			if e.res.Header.Get("X-Accel-Buffering") != "no" || e.res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers are %v", e.res.Header)
			}
			return e.next, e.end
		}
	}
	silence := func() {}
	for name, start := range map[string]func() (func() string, func()){
		"stateful":          over(stateful, era.HeaderSession, id),
		"stateless":         over(stateless, mirror(mcp.ToolsCall, "a")...),
		"stateful on pipe":  func() (func() string, func()) { p.send(stateful); return p.next, silence },
		"stateless on pipe": func() (func() string, func()) { p.send(stateless); return p.next, silence },
		"sse":               func() (func() string, func()) { s.send(stateful); return s.next, silence },
	} {
		next, end := start()
		for i := range n {
			want := `{"jsonrpc":"2.0","method":"notifications/progress","params":` + progress(`"t\u0000"`, i) + `}`
			if got := next(); got != want {
				t.Fatalf("%s: %d is %s", name, i, got)
			}
		}
		if e := open(t, next()); string(e.ID) != "7" || e.Result == nil {
			t.Errorf("%s: %+v", name, e)
		}
		end()
	}
}

// TestAReplyThatComesFirstIsPlain JSON with a status of its own.
func TestAReplyThatComesFirstIsPlain(t *testing.T) {
	remote := func(code int) error {
		return &mcp.Remote{Raw: fmt.Appendf(nil, `{"code":%d,"message":"m","data":{"x":1e400}}`, code), Number: code}
	}
	f := newFront(t)
	id := f.post(request("0", mcp.Initialize, `"protocolVersion":"`+newest+`","capabilities":{"elicitation":{"url":{}}},"clientInfo":{"name":"c","version":"1"}`)).header.Get(era.HeaderSession)
	for name, c := range map[string]struct {
		err                 error
		stateless, stateful int // statuses
		code, statefulCode  int
	}{
		"unknown tool":      {mcp.Errorf(mcp.InvalidParams, "unknown_tool", "m"), 200, 200, era.InvalidParams, era.InvalidParams},
		"server is away":    {mcp.Errorf(mcp.Unavailable, "down", "m"), 200, 200, era.InternalError, era.InternalError},
		"timeout":           {mcp.Errorf(mcp.TimedOut, "timeout", "m"), 200, 200, era.InternalError, era.InternalError},
		"overload":          {mcp.Errorf(mcp.Overloaded, "overloaded", "m"), 503, 503, era.InternalError, era.InternalError},
		"a bug":             {errors.New("/etc/secret is open"), 200, 200, era.InternalError, era.InternalError},
		"server's error":    {remote(-32000), 200, 200, -32000, -32000},
		"server's code 1":   {remote(1), 200, 200, 1, 1},
		"lacks capability":  {remote(era.MissingCapability), 400, 200, era.MissingCapability, era.InternalError},
		"header mismatch":   {remote(era.HeaderMismatch), 200, 200, era.InternalError, era.InternalError},
		"another version":   {remote(era.UnsupportedVersion), 200, 200, era.InternalError, era.InternalError},
		"reserved":          {remote(-32050), 200, 200, era.InternalError, -32050},
		"no such resource":  {remote(era.ResourceNotFound), 200, 200, era.InternalError, era.ResourceNotFound},
		"url elicitation":   {remote(-32042), 200, 200, era.InternalError, -32042},
		"unknown to server": {remote(era.MethodNotFound), 200, 200, era.MethodNotFound, era.MethodNotFound},
	} {
		f.answer(func(context.Context, *mcp.Call) (*mcp.Reply, error) { return nil, c.err })
		for kind, g := range map[string]got{
			"stateless": f.post(ask("7", mcp.ToolsCall, `"name":"a"`), mirror(mcp.ToolsCall, "a")...),
			"stateful":  f.post(request("7", mcp.ToolsCall, `"name":"a"`), era.HeaderSession, id),
		} {
			status, code := c.stateless, c.code
			if kind == "stateful" {
				status, code = c.stateful, c.statefulCode
			}
			if g.status != status || g.header.Get("Content-Type") != "application/json" || strings.Contains(g.body, "secret") {
				t.Errorf("%s, %s: %s", name, kind, g)
			}
			wantError(t, g.body, code, "7")
			var r *mcp.Remote
			if errors.As(c.err, &r) && !strings.Contains(g.body, string(r.Raw)) {
				t.Errorf("%s, %s: the server's error is lost: %s", name, kind, g)
			}
		}
	}
}

// TestNothingFollowsTheReply, though the answering side goes on talking.
func TestNothingFollowsTheReply(t *testing.T) {
	f := newFront(t)
	backs := make(chan mcp.Back, 8)
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		backs <- c.Back
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	})
	p := f.pipe()
	p.login(newest)
	for _, body := range []string{request("7", mcp.ToolsCall, `"name":"a"`), ask("7", mcp.ToolsCall, `"name":"a"`)} {
		p.send(body)
		p.next()
		back := soon(t, "the call", backs)
		_ = back.Notify(context.Background(), mcp.NoteProgress, []byte(`{}`))
		p.canary()
		if _, err := back.Ask(context.Background(), "elicitation/create", nil); err == nil {
			t.Error("a question crosses")
		}
	}
}

const changedNote = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`

// TestChangesAreTold once, on every stream that a stateful client may have, and only if its
// own view changed.
func TestChangesAreTold(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	p.login(newest)
	s := f.sse()
	s.send(hello("0", "2024-11-05"))
	s.next()
	s.send(initialized)
	id := f.login(newest)
	g := f.listen(id)
	f.feed.set("F0") // something else changed
	p.canary()
	f.feed.set("F1")
	for name, next := range map[string]func() string{"pipe": p.next, "sse": s.next, "GET": g.next} {
		if got := next(); got != changedNote {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestOneStreamOfASessionIsTold: two GET streams never both get one message (2025-11-25,
// transports, Multiple Connections).
func TestOneStreamOfASessionIsTold(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	one, two := f.listen(id), f.listen(id)
	one.any() // the priming events
	two.any()
	f.feed.set("F1")
	select {
	case e := <-one.events:
		if string(e.Data) != changedNote {
			t.Errorf("%s", e.Data)
		}
	case e := <-two.events:
		if string(e.Data) != changedNote {
			t.Errorf("%s", e.Data)
		}
	case <-time.After(guardTime):
		t.Fatal("nobody is told")
	}
	f.l.Close()
	one.end()
	two.end()
}

// TestASessionSpeaksOnceItIsReady: nothing goes out before notifications/initialized, and
// what changed until then is told after it.
func TestASessionSpeaksOnceItIsReady(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	p.send(hello("1", newest))
	p.next()
	f.feed.set("F1")
	p.canary()
	p.send(initialized)
	if got := p.next(); got != changedNote {
		t.Error(got)
	}
}

// TestCloseEndsStreams and leaves calls in flight alone.
func TestCloseEndsStreams(t *testing.T) {
	f := newFront(t)
	release := make(chan struct{})
	began := make(chan bool, 1)
	f.answer(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		began <- true
		<-release
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	})
	id := f.login(newest)
	answer := f.background(request("7", mcp.ToolsCall, `"name":"a"`), era.HeaderSession, id)
	soon(t, "the call", began)
	g, s := f.listen(id), f.sse()
	f.l.Close()
	g.end()
	s.end()
	close(release)
	if g := soon(t, "the answer", answer); g.body != `{"jsonrpc":"2.0","id":7,"result":{}}` {
		t.Error(g)
	}
}

// TestSubscriptionOverHTTP: first what is honoured, then each change with the id of the
// subscription, at the end the result.
func TestSubscriptionOverHTTP(t *testing.T) {
	f := newFront(t)
	body := ask(`"sub\u0000"`, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///a"],"odd":1}`) // this house has tools alone
	e := f.stream("POST", "/mcp", body, mirror(mcp.SubscriptionsListen, "")...)
	const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":"sub\u0000"`
	if got := e.next(); got != `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},`+meta+`}}}` {
		t.Error(got)
	}
	f.feed.set("F0")
	f.feed.set("F1")
	if got := e.next(); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+meta+`}}}` {
		t.Error(got)
	}
	f.edges.Stateless.Close()
	if got := e.next(); got != `{"jsonrpc":"2.0","id":"sub\u0000","result":{"resultType":"complete",`+meta+`,"io.modelcontextprotocol/serverInfo":{"name":"front","title":"Front","version":"1"}}}}` {
		t.Error(got)
	}
	e.end()
	f.untouched()
}

// TestSubscriptionOnAPipe: at the end the cancellation, then the result; the client's own
// cancellation ends it silently.
func TestSubscriptionOnAPipe(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	for _, id := range []string{"1", "2"} {
		p.send(ask(id, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true}`))
		if got := p.next(); !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":`+id+`}`) {
			t.Error(got)
		}
	}
	p.send(cancelled("1"))
	eventually(t, "the end of the first", func() bool {
		p.send(request("1", mcp.Ping, ""))
		return open(t, p.next()).Error == nil
	})
	f.feed.set("F1")
	if got := p.next(); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}}` {
		t.Error(got)
	}
	f.edges.Stateless.Close()
	if got := p.next(); got != `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}` {
		t.Error(got)
	}
	if e := open(t, p.next()); string(e.ID) != "2" || !strings.Contains(string(e.Result), `"resultType":"complete"`) {
		t.Errorf("%+v", e)
	}
	p.canary()
}

// TestSubscriptionsHonourASubset: what we have not is not acknowledged, and is no error.
func TestSubscriptionsHonourASubset(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	for filter, honoured := range map[string]string{
		`{}`: `{}`, `{"promptsListChanged":true}`: `{}`, `{"toolsListChanged":false}`: `{}`,
		`{"toolsListChanged":true}`: `{"toolsListChanged":true}`,
	} {
		p.send(ask("1", mcp.SubscriptionsListen, `"notifications":`+filter))
		if got := p.next(); !strings.Contains(got, `"params":{"notifications":`+honoured+`,"_meta"`) {
			t.Errorf("%s: %s", filter, got)
		}
		p.send(cancelled("1"))
		eventually(t, "its end", func() bool {
			p.send(request("1", mcp.Ping, ""))
			return open(t, p.next()).Error == nil
		})
	}
	for _, params := range []string{``, `"notifications":[]`, `"notifications":null`, `"notifications":true`} {
		p.send(ask("7", mcp.SubscriptionsListen, params))
		wantError(t, p.next(), era.InvalidParams, "7")
		g := f.post(ask("7", mcp.SubscriptionsListen, params), mirror(mcp.SubscriptionsListen, "")...)
		if g.status != http.StatusBadRequest {
			t.Error(g)
		}
	}
}

// A noteWriter is an HTTP client that notes when each piece came.
type noteWriter struct {
	*httptest.ResponseRecorder
	mu    sync.Mutex
	began time.Time
	notes []string
}

func (w *noteWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf("%s %q", time.Since(w.began), b))
	return len(b), nil
}

func (w *noteWriter) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.notes, "\n")
}

// TestQuietStreamsAreKeptAlive: headers are held for ten seconds, then comments keep the
// stream open.
func TestQuietStreamsAreKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &noteWriter{ResponseRecorder: httptest.NewRecorder(), began: time.Now()}
		s := newStream(w, roomy(), nil)
		time.Sleep(9999 * time.Millisecond)
		synctest.Wait()
		if said := w.said(); said != "" || s.started.Load() {
			t.Errorf("too early: %s", said)
		}
		time.Sleep(31 * time.Second)
		s.finish(era.Answer{Status: http.StatusServiceUnavailable, Body: []byte(`{"id":1}`)})
		want := "10s \":\\n\\n\"\n25s \":\\n\\n\"\n40s \":\\n\\n\"\n40.999s \"event: message\\ndata: {\\\"id\\\":1}\\n\\n\""
		if said := w.said(); said != want {
			t.Errorf("%s\nwant\n%s", said, want)
		}
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		time.Sleep(time.Minute)
		if w.said() != want {
			t.Error("a comment follows the answer")
		}
	})
}

// TestAnAnswerWithinTenSecondsIsPlain.
func TestAnAnswerWithinTenSecondsIsPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &noteWriter{ResponseRecorder: httptest.NewRecorder(), began: time.Now()}
		s := newStream(w, roomy(), nil)
		time.Sleep(9 * time.Second)
		s.finish(era.Answer{Status: http.StatusNotFound, Body: []byte("{\n}"), Session: "abc"})
		if w.said() != "9s \"{\\n}\"" || w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/json" || w.Header().Get(era.HeaderSession) != "abc" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.said())
		}
	})
}

// TestLinesWithinMessagesDoNotSplitEvents.
func TestLinesWithinMessagesDoNotSplitEvents(t *testing.T) {
	f := newFront(t)
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		_ = c.Back.Notify(ctx, mcp.NoteProgress, []byte("{\r\n\"a\":\n1,\r\"b\":\"\\n\"}"))
		return &mcp.Reply{Result: []byte("{\n\n\"content\"\r\n:[]}")}, nil
	})
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	body := request("7", mcp.ToolsCall, `"name":"a"`)
	e := f.stream("POST", "/mcp", body, era.HeaderSession, id)
	p.send(body)
	for range 2 {
		if one, two := e.next(), p.next(); one != two || open(t, one).ID == nil && open(t, one).Method == "" {
			t.Errorf("%q, on the pipe %q", one, two)
		}
	}
	e.end()
	p.canary()
}
