package era_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	discovered  = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"Do \u00e4.","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n"}}}}`
	initialized = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"n"},"instructions":"Do \u00e4."}}`
	unknown     = `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`
	empty       = `{"jsonrpc":"2.0","id":%s,"result":{}}`
)

// A wire is a connection to a scripted server, either on lines or with a stream for each
// call, and all that went over it.
type wire struct {
	t      *testing.T
	says   string                                          // to initialize or server/discover; empty for the usual
	script func(m *jsonrpc.Message, say func(line string)) // say answers, with %s for the id
	fail   func(m *jsonrpc.Message) error                  // with streams: what Do gives instead
	told   func(m *jsonrpc.Message)                        // hears notifications; may be nil

	events chan transport.Event // with streams: what the GET stream brings

	mu      sync.Mutex
	awaits  map[string]func(*jsonrpc.Message) // guarded by mu: by the id of a question of the server
	got     []string                          // guarded by mu
	headers [][]transport.Header              // guarded by mu; with streams
	ended   []string                          // guarded by mu; with streams: methods whose caller left
}

func (w *wire) note(raw []byte) *jsonrpc.Message {
	m, err := jsonrpc.Parse(raw, jsonrpc.ClientLimits)
	if err != nil {
		w.t.Errorf("the server got %s: %v", raw, err)
		return &jsonrpc.Message{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, string(m.Raw))
	return m
}

func (w *wire) answer(m *jsonrpc.Message, say func(string)) {
	switch {
	case m.Kind == jsonrpc.Response || m.Kind == jsonrpc.Failure:
		w.mu.Lock()
		f := w.awaits[string(m.ID)]
		delete(w.awaits, string(m.ID))
		w.mu.Unlock()
		if f != nil {
			f(m)
		}
	case m.Kind != jsonrpc.Request:
		if w.told != nil {
			w.told(m)
		}
	case m.Method == mcp.Discover && w.says != "":
		say(w.says)
	case m.Method == mcp.Initialize && w.says != "":
		say(w.says)
	case m.Method == mcp.Discover:
		say(discovered)
	case m.Method == mcp.Initialize:
		say(initialized)
	case w.script != nil:
		w.script(m, say)
	}
}

// await has then hear the answer to the server's question with this id.
func (w *wire) await(id string, then func(*jsonrpc.Message)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.awaits == nil {
		w.awaits = map[string]func(*jsonrpc.Message){}
	}
	w.awaits[id] = then
}

// last gives the last n messages that the server got.
func (w *wire) last(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got[max(0, len(w.got)-n):])
}

func (w *wire) lines() transport.Conn {
	conn, err := pipe.New(pipe.Params{Serve: func(_ context.Context, r io.Reader, out io.Writer) error {
		lines := jsonrpc.NewLineReader(r, 1<<24)
		for {
			line, err := lines.Next()
			if err != nil {
				return err
			}
			m := w.note(line)
			w.answer(m, func(line string) { _, _ = io.WriteString(out, filled(line, m)+"\n") })
		}
	}}).Dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func filled(line string, m *jsonrpc.Message) string {
	if strings.Contains(line, "%s") {
		return fmt.Sprintf(line, m.ID)
	}
	return line
}

func (w *wire) streams() transport.Conn {
	w.events = make(chan transport.Event, 10)
	return &streamConn{w: w, events: w.events}
}

type streamConn struct {
	w      *wire
	events chan transport.Event
}

func (c *streamConn) Do(ctx context.Context, sent transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	w := c.w
	m := w.note(sent.Body)
	w.mu.Lock()
	w.headers = append(w.headers, sent.Header)
	w.mu.Unlock()
	if w.fail != nil {
		if err := w.fail(m); err != nil {
			return nil, err
		}
	}
	said := make(chan *jsonrpc.Message, 64)
	w.answer(m, func(line string) {
		p, err := jsonrpc.Parse([]byte(filled(line, m)), jsonrpc.ServerLimits)
		if err != nil {
			w.t.Error(err)
			return
		}
		said <- p
	})
	for {
		select {
		case p := <-said:
			if p.Kind == jsonrpc.Response || p.Kind == jsonrpc.Failure {
				return p, nil
			}
			if on != nil {
				on(p)
			}
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, m.Method)
			return nil, ctx.Err()
		}
	}
}

func (c *streamConn) Send(_ context.Context, m transport.Message) error {
	c.w.answer(c.w.note(m.Body), nil)
	return nil
}
func (c *streamConn) Listen()                        {}
func (c *streamConn) Events() <-chan transport.Event { return c.events }
func (c *streamConn) Err() error                     { return nil }
func (c *streamConn) OwnStream() bool                { return true }
func (c *streamConn) Close() error                   { return nil }

var self = era.Implementation("gw", "", "9")

// A kind is an era over a way of transport.
type kind struct {
	stateless, streams bool
}

var kinds = []kind{{false, false}, {false, true}, {true, false}, {true, true}}

func (k kind) String() string { return fmt.Sprintf("stateless=%v,streams=%v", k.stateless, k.streams) }

func (k kind) connect(t *testing.T, w *wire) era.Outbound {
	t.Helper()
	w.t = t
	conn := w.lines
	if k.streams {
		conn = w.streams
	}
	var ob era.Outbound
	var err error
	if k.stateless {
		ob, err = stateless.Connect(t.Context(), conn(), stateless.Params{Self: self})
	} else {
		ob, err = stateful.Connect(t.Context(), conn(), stateful.Params{Self: self})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ob.Close() })
	return ob
}

// each runs a test in each kind, in a bubble.
func each(t *testing.T, only func(kind) bool, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		if only == nil || only(k) {
			t.Run(k.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, k) }) })
		}
	}
}

func isStateless(k kind) bool { return k.stateless }

// notes is the caller's side of a call: what it was told, and how it answers questions.
type notes struct {
	mu    sync.Mutex
	got   []string
	asked []string
	ask   func(ctx context.Context, method string, params []byte) ([]byte, error) // nil: it takes none
}

func (n *notes) Notify(_ context.Context, method string, params []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, method+" "+string(params))
	return nil
}

func (n *notes) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	n.mu.Lock()
	n.asked = append(n.asked, method+" "+string(params))
	n.mu.Unlock()
	if n.ask == nil {
		return nil, mcp.Errorf(mcp.UnknownMethod, "capability", "the client takes no questions")
	}
	return n.ask(ctx, method, params)
}

func (n *notes) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *notes) told() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

// hear runs ob until the test ends, and gives what it told.
func hear(t *testing.T, ob era.Outbound) *told {
	n := &told{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	ear := era.Ear{
		Changed: func(k mcp.Kind) { n.add("changed " + k.Member()) },
		Updated: func(params []byte) { n.add("updated " + string(params)) },
		Note:    func(method string, params []byte) { n.add(method + " " + string(params)) },
	}
	go func() { defer close(done); _ = ob.Run(ctx, ear) }()
	t.Cleanup(func() { stop(); <-done })
	return n
}

// told is what an ear heard.
type told struct {
	mu  sync.Mutex
	got []string
}

func (n *told) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, s)
}

// take gives what came since the last time, once nothing moves any more.
func (n *told) take() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

func call(raw string) *mcp.Call {
	c := &mcp.Call{
		Method: mcp.ToolsCall, Name: "s.t", From: &mcp.Caller{Principal: "local"}, Back: &notes{},
		Target: mcp.Target{Server: "s", Kind: "tool", Canonical: "s.t", Origin: "t"},
		Params: mcp.Params{Raw: []byte(raw)},
	}
	c.Params.Meta = rawjson.Get(c.Params.Raw, "_meta")
	c.Params.ProgressToken = rawjson.Get(c.Params.Meta, "progressToken")
	return c
}

const hop = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"gw","version":"9"},"io.modelcontextprotocol/clientCapabilities":`
