package listen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/config"
	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
	"mcpgateway/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guardTime is how long a test waits for what must come.
const guardTime = 5 * time.Second

const (
	newest  = "2025-11-25"
	batches = "2025-03-26"
	ahead   = "2026-07-28"
)

// A front is the gateway's side that faces clients, on a real port, with a fake house
// behind it that counts the calls that reach it.
type front struct {
	t     *testing.T
	l     *Listener
	edges Edges
	store *session.Store
	feed  *fakeFeed
	top   http.Handler // the guard and all routes
	srv   Server
	url   string
	addr  string
	http  *http.Client
	hits  atomic.Int64
	house atomic.Pointer[mcp.HandlerFunc]
}

// A setup is what a test may change before the front is made.
type setup struct {
	Params
	Guard
	session.Bounds
}

func newFront(t *testing.T, changes ...func(*setup)) *front {
	t.Helper()
	f := &front{t: t, feed: newFeed("F0")}
	log := slog.New(slog.DiscardHandler)
	s := setup{
		Params: Params{Limits: jsonrpc.ClientLimits, Body: 4 << 20, Requests: 64, Streams: quota.New(200, 2000), Bytes: 1 << 30, Log: log, First: func() {}},
		Guard:  Guard{Loopback: true, Bind: "127.0.0.1"},
		Bounds: session.Bounds{PerPrincipal: 100, All: 1000, Idle: time.Hour},
	}
	for _, change := range changes {
		change(&s)
	}
	f.answer(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		if c.Method == mcp.Tools.List() {
			seen, _ := f.feed.Seen(c.From)
			return &mcp.Reply{Result: []byte(`{"tools":[]}`), Seen: seen[mcp.Tools]}, nil
		}
		return &mcp.Reply{Result: []byte(`{"content":[{"type":"text","text":"fine"}]}`)}, nil
	})
	p := era.Params{Handler: mcp.HandlerFunc(f.handle), Feed: f.feed, Log: log,
		Presence: presence{string(era.Implementation("front", "Front", "1")), "use it"}, Streams: s.Params.Streams}
	f.store = session.NewStore(s.Bounds)
	f.edges = Edges{Stateful: stateful.NewInbound(p, f.store), Stateless: stateless.NewInbound(p)}
	s.Params.Edges, s.Params.Store = f.edges, f.store
	f.l = New(s.Params)
	mux := http.NewServeMux()
	f.l.Routes(mux)
	admin.New(admin.Params{Gateway: noServers{}, Token: strings.Repeat("a", 40), MaxBody: 1 << 20, IsBearer: HasBearer, IsJSON: IsJSON, Log: log}).Routes(mux)
	f.top = s.Guard.Wrap(mux)
	f.srv = NewServer(f.top, context.Background())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts := &httptest.Server{Listener: &patient{Listener: ln}, Config: f.srv.Server}
	ts.Start()
	f.url, f.addr = ts.URL, ln.Addr().String()
	f.http = &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(func() {
		f.edges.Stateless.Close()
		f.l.Close()
		f.store.Close()
		f.http.CloseIdleConnections()
		ts.Close()
	})
	return f
}

func (f *front) handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	f.hits.Add(1)
	return (*f.house.Load())(ctx, c)
}

// answer sets what the house behind does.
func (f *front) answer(h mcp.HandlerFunc) { f.house.Store(&h) }

// untouched makes sure that no call reached the house since the last time it was asked.
func (f *front) untouched() {
	f.t.Helper()
	if n := f.hits.Swap(0); n != 0 {
		f.t.Errorf("%d calls reached the house, want none", n)
	}
}

// A fakeFeed is the view of the tools, as a test sets it.
type fakeFeed struct {
	mu      sync.Mutex
	now     string
	changed chan struct{}
}

func newFeed(now string) *fakeFeed { return &fakeFeed{now: now, changed: make(chan struct{})} }

func (f *fakeFeed) Seen(*mcp.Caller) (mcp.Seen, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return mcp.Seen{mcp.Tools: f.now}, f.changed
}

func (f *fakeFeed) Watch(context.Context, *mcp.Caller, string, mcp.Inbox) (func(), error) {
	return nil, mcp.Errorf(mcp.NotFound, "resource", "no such resource")
}

func (f *fakeFeed) WatchTasks(context.Context, *mcp.Caller, []string, mcp.Inbox) ([]string, func()) {
	return nil, func() {}
}

func (f *fakeFeed) Notify(*mcp.Caller, string, []byte) {}

// set swaps the view; the same one again is a change of something else.
func (f *fakeFeed) set(now string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.now, f.changed = now, make(chan struct{})
}

// noServers is an admin.Gateway that has none and takes none.
type noServers struct{}

func (noServers) Servers() []admin.Server                          { return nil }
func (noServers) Tools() []admin.Tool                              { return nil }
func (noServers) Parse([]byte) ([]config.Server, []config.Problem) { return nil, nil }
func (noServers) Add([]config.Server) error                        { return nil }
func (noServers) WaitTried(context.Context, ...string)             {}
func (noServers) Remove(context.Context, string) error             { return admin.ErrUnknown }
func (noServers) Ready() bool                                      { return true }
func (noServers) Waiting() []string                                { return nil }

// A got is an answer over HTTP.
type got struct {
	status int
	header http.Header
	body   string
}

func (g got) String() string { return fmt.Sprintf("%d %s", g.status, g.body) }

// send sends a request; header values follow their names, and an empty one takes a header out.
func (f *front) send(method, path, body string, header ...string) got {
	f.t.Helper()
	g, err := f.try(context.Background(), method, path, body, header...)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *front) try(ctx context.Context, method, path, body string, header ...string) (got, error) {
	res, err := f.open(ctx, method, path, body, header...)
	if err != nil {
		return got{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return got{res.StatusCode, res.Header, string(b)}, err
}

func (f *front) open(ctx context.Context, method, path, body string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	set := map[string]bool{}
	for i := 0; i < len(header); i += 2 {
		k := http.CanonicalHeaderKey(header[i])
		if !set[k] {
			r.Header.Del(k)
		}
		set[k] = true
		if header[i+1] != "" {
			r.Header.Add(k, header[i+1])
		}
	}
	return f.http.Do(r)
}

// post sends one message to /mcp.
func (f *front) post(body string, header ...string) got {
	f.t.Helper()
	return f.send(http.MethodPost, "/mcp", body, header...)
}

const ownMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + ahead + `","io.modelcontextprotocol/clientCapabilities":{}}`

// request writes a request; params is the inside of the object, without _meta.
func request(id, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s}}`, id, method, params)
}

// ask writes a stateless request.
func ask(id, method, params string) string {
	if params != "" {
		params += ","
	}
	return request(id, method, params+ownMeta)
}

// mirror are the headers that a stateless request needs.
func mirror(method, name string) []string {
	h := []string{era.HeaderVersion, ahead, era.HeaderMethod, method}
	if name != "" {
		h = append(h, era.HeaderName, name)
	}
	return h
}

// hello writes an initialize.
func hello(id, revision string) string {
	return request(id, mcp.Initialize, `"protocolVersion":"`+revision+`","capabilities":{},"clientInfo":{"name":"c","version":"1"}`)
}

const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

// login opens a session and finishes its handshake.
func (f *front) login(revision string, header ...string) (id string) {
	f.t.Helper()
	g := f.post(hello("0", revision), header...)
	id = g.header.Get(era.HeaderSession)
	if g.status != http.StatusOK || id == "" {
		f.t.Fatalf("initialize gave %s, session %q", g, id)
	}
	if g := f.post(initialized, append([]string{era.HeaderSession, id}, header...)...); g.status != http.StatusAccepted {
		f.t.Fatalf("initialized gave %s", g)
	}
	return id
}

// An envelope is an answer's JSON.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

func open(t *testing.T, body string) envelope {
	t.Helper()
	var e envelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %.300q", err, body)
	}
	return e
}

// wantError holds an answer against a code and an id; an empty id means none.
func wantError(t *testing.T, body string, code int, id string) {
	t.Helper()
	e := open(t, body)
	switch {
	case e.Error == nil:
		t.Errorf("want error %d, got %.300s", code, body)
	case e.Error.Code != code:
		t.Errorf("want error %d, got %.300s", code, body)
	case string(e.ID) != id:
		t.Errorf("want id %q, got %.300s", id, body)
	}
}

// soon fails where ch has nothing in time.
func soon[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(guardTime):
		t.Fatalf("%s did not come", what)
	}
	panic("unreachable")
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(guardTime); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

type presence struct{ self, says string }

func (p presence) Self(mcp.Scope) []byte         { return []byte(p.self) }
func (p presence) Instructions(mcp.Scope) string { return p.says }
func (p presence) Capabilities(mcp.Scope) []byte { return []byte(`{"tools":{"listChanged":true}}`) }
