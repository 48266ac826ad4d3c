package upstream

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Answers of scripted servers; %s is the id.
const (
	discovered     = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}}`
	discoveredLive = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private"}}`
	initialized    = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}`
	initializedNew = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}}`
	oneTool        = `{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`
	empty          = `{"jsonrpc":"2.0","id":%s,"result":{}}`
	unknownMethod  = `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`
)

// A wire is one connection of a scripted server.
type wire struct {
	n   int // 1 for the first connection
	ctx context.Context
	w   io.Writer
}

// say writes one line; a %s in it is the id of m.
func (w *wire) say(m *jsonrpc.Message, line string) {
	if strings.Contains(line, "%s") {
		line = fmt.Sprintf(line, m.ID)
	}
	_, _ = io.WriteString(w.w, line+"\n")
}

// in says a line a while later, unless the connection ends before.
func (w *wire) in(d time.Duration, m *jsonrpc.Message, line string) {
	go func() {
		if era.Sleep(w.ctx, d) {
			w.say(m, line)
		}
	}()
}

// A peer is a scripted server on a pipe. script is called for each message, one after the
// other; an error ends the connection as an exit does. A nil script answers as a plain
// stateful server.
type peer struct {
	script func(w *wire, m *jsonrpc.Message) error
	refuse func(n int) error // what Dial answers, where not nil

	slowEnd time.Duration // how long a connection takes to close

	mu    sync.Mutex
	dials []time.Time // guarded by mu
	got   []string    // guarded by mu: "1 initialize"
	raw   []string    // guarded by mu
}

func (p *peer) Dial(ctx context.Context) (transport.Conn, error) {
	p.mu.Lock()
	p.dials = append(p.dials, time.Now())
	n := len(p.dials)
	p.mu.Unlock()
	if p.refuse != nil {
		if err := p.refuse(n); err != nil {
			return nil, err
		}
	}
	return pipe.New(pipe.Params{Serve: func(ctx context.Context, r io.Reader, w io.Writer) error {
		return p.serve(&wire{n, ctx, &locked{w: w}}, r)
	}}).Dial(ctx)
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (p *peer) serve(w *wire, r io.Reader) error {
	defer time.Sleep(p.slowEnd)
	lines := jsonrpc.NewLineReader(r, 1<<24)
	for {
		line, err := lines.Next()
		if err != nil {
			return err
		}
		m, err := jsonrpc.Parse(line, jsonrpc.ServerLimits)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.got = append(p.got, fmt.Sprint(w.n, " ", m.Method))
		p.raw = append(p.raw, string(m.Raw))
		p.mu.Unlock()
		script := p.script
		if script == nil {
			script = plain
		}
		if err := script(w, m); err != nil {
			return err
		}
	}
}

// plain is a stateful server with one tool, whose calls are answered at once.
func plain(w *wire, m *jsonrpc.Message) error {
	switch m.Method {
	case mcp.Discover:
		w.say(m, unknownMethod)
	case mcp.Initialize:
		w.say(m, initialized)
	case mcp.Tools.List():
		w.say(m, oneTool)
	case mcp.ToolsCall, mcp.Ping:
		w.say(m, empty)
	}
	return nil
}

func (p *peer) methods() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *peer) count(method string) (n int) {
	for _, m := range p.methods() {
		if strings.HasSuffix(m, " "+method) {
			n++
		}
	}
	return n
}

func (p *peer) dialed() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dials)
}

// A stream is a scripted HTTP server: each call has a stream of its own.
type stream struct {
	answer func(ctx context.Context, m *jsonrpc.Message, on func(*jsonrpc.Message)) (line string, err error)

	mu    sync.Mutex
	dials int      // guarded by mu
	got   []string // guarded by mu
}

func (s *stream) Dial(context.Context) (transport.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	return &streamConn{s: s, n: s.dials, end: make(chan struct{}), events: make(chan transport.Event)}, nil
}

func (s *stream) methods() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *stream) dialed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

type streamConn struct {
	s      *stream
	n      int
	once   sync.Once
	end    chan struct{}
	events chan transport.Event
}

func (c *streamConn) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	p, err := jsonrpc.Parse(m.Body, jsonrpc.ClientLimits)
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	c.s.got = append(c.s.got, fmt.Sprint(c.n, " ", p.Method))
	c.s.mu.Unlock()
	line, err := c.s.answer(ctx, p, on)
	if err != nil {
		return nil, err
	}
	if strings.Contains(line, "%s") {
		line = fmt.Sprintf(line, p.ID)
	}
	return jsonrpc.Parse([]byte(line), jsonrpc.ServerLimits)
}

func (c *streamConn) Send(context.Context, transport.Message) error { return nil }
func (c *streamConn) Listen()                                       {}
func (c *streamConn) OwnStream() bool                               { return true }
func (c *streamConn) Events() <-chan transport.Event                { return c.events }

func (c *streamConn) Err() error {
	select {
	case <-c.end:
		return transport.ErrClosed
	default:
		return nil
	}
}

func (c *streamConn) Close() error {
	c.once.Do(func() { close(c.end); close(c.events) })
	return nil
}

// A shown is what was published, and when after the start.
type shown struct {
	at    time.Duration
	tools int // -1 for nothing
	part  *catalog.Part
}

// A rig is a Server under test and what it published.
type rig struct {
	*Server
	began time.Time
	stop  context.CancelFunc

	mu    sync.Mutex
	shown []shown // guarded by mu
}

func params(d transport.Dialer) Params {
	return Params{
		Name: "s", Transport: "pipe", Protocol: Auto, Dialer: d, Self: era.Implementation("gw", "", "1"),
		StartTimeout: 30 * time.Second, CallTimeout: 10 * time.Minute, CallMax: time.Hour, InFlight: 64,
		List:    era.ListBounds{Pages: 100, Entries: 2000, Time: 10 * time.Second},
		Catalog: catalog.Bounds{ToolsPerServer: 2000, ToolBytes: 256 << 10, CatalogBytes: 32 << 20},
		Grace:   5 * time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

// start runs a Server until the test ends. Every goroutine has exited then: it is a bubble.
func start(t *testing.T, p Params) *rig {
	t.Helper()
	r := &rig{began: time.Now()}
	p.Publish = func(part *catalog.Part) {
		r.mu.Lock()
		defer r.mu.Unlock()
		s := shown{at: time.Since(r.began), tools: -1, part: part}
		if part != nil {
			s.tools = len(part.Entries[mcp.Tools])
		}
		r.shown = append(r.shown, s)
	}
	r.Server = New(p)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.stop = func() { stop(); <-done }
	t.Cleanup(func() {
		r.stop()
		if st := r.Status(); st.State != Stopped {
			t.Errorf("after Run the state is %s", st.State)
		}
	})
	return r
}

func (r *rig) published() []shown {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.shown)
}

// after lets the virtual clock run until d after the start, and everything come to rest.
func (r *rig) after(d time.Duration) Status {
	time.Sleep(time.Until(r.began.Add(d)))
	synctest.Wait()
	return r.Status()
}

// readyAt waits for the first attempt and tells how long it took.
func (r *rig) readyAt(t *testing.T) time.Duration {
	t.Helper()
	<-r.Tried()
	synctest.Wait()
	if st := r.Status(); st.State != Ready {
		t.Fatalf("state %s: %s", st.State, st.Reason)
	}
	return r.published()[0].at
}

// A listener is a caller's Back that keeps what it is told.
type listener struct {
	mu  sync.Mutex
	got []string // guarded by mu
}

func (l *listener) Notify(_ context.Context, method string, params []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, method+" "+string(params))
	return nil
}

func (l *listener) Ask(context.Context, string, []byte) ([]byte, error) {
	panic("nobody asks")
}

// call makes a call of the tool t.
func call(s *Server, token string) *mcp.Call {
	c := &mcp.Call{
		Method: mcp.ToolsCall, Name: "s.t", From: &mcp.Caller{Principal: "local"}, Back: &listener{},
		Target: mcp.Target{Server: "s", Kind: "tool", Canonical: "s.t", Origin: "t", Handler: s},
		Params: mcp.Params{Raw: []byte(`{"name":"s.t","arguments":{}}`)},
	}
	if token != "" {
		c.Params.Meta = []byte(`{"progressToken":` + token + `}`)
		c.Params.Raw = []byte(`{"name":"s.t","_meta":{"progressToken":` + token + `}}`)
		c.Params.ProgressToken = []byte(token)
	}
	return c
}
