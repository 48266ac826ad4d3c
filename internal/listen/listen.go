// Package listen accepts clients: it bounds what they send, checks Host and Origin, finds
// out who is calling, picks the era and hands over. It serves HTTP (Streamable HTTP and the
// 2024-11-05 transport) and stdio. It never looks at what a message asks for.
package listen

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
	"mcpgateway/internal/session"
)

// Edges are the inbound eras of one endpoint.
type Edges struct {
	Stateful  *stateful.Inbound
	Stateless *stateless.Inbound
}

func (e Edges) of(isStateless bool) era.Inbound {
	if isStateless {
		return e.Stateless
	}
	return e.Stateful
}

// Params are what a Listener is made of.
type Params struct {
	Edges    Edges
	Store    *session.Store // nil without HTTP
	Limits   jsonrpc.Limits
	Body     int          // bytes of one message from a client
	Requests int          // in flight on one pipe
	Streams  *quota.Quota // open GET and SSE streams
	Bytes    int64        // of bodies, and of what waits for clients, in all; past it new requests are refused
	Tokens   []Token
	Names    mcp.Scope              // style of names where a client does not say
	Known    func(name string) bool // tells the servers that have an endpoint of their own; nil for none
	Log      *slog.Logger
	// First is called before the first message that needs servers; it may be called again.
	First func()
}

// A Listener serves clients until Close.
type Listener struct {
	p       Params
	load    load            // bodies, and what waits for clients
	closing context.Context // ends when streams shall end
	close   context.CancelFunc

	mu    sync.Mutex
	pipes map[string]*pipe // guarded by mu: open 2024-11-05 streams by session id
}

// New makes a Listener.
func New(p Params) *Listener {
	l := &Listener{p: p, load: load{most: p.Bytes}, pipes: map[string]*pipe{}}
	l.closing, l.close = context.WithCancel(context.Background())
	return l
}

// Close ends every open stream; calls in flight go on. HTTP handlers return soon after.
func (l *Listener) Close() { l.close() }

// Routes adds the MCP routes to a mux.
func (l *Listener) Routes(mux *http.ServeMux) {
	mux.HandleFunc("/mcp", l.serveMCP)
	mux.HandleFunc("/sse", l.serveSSE)
	mux.HandleFunc("/servers/{name}/mcp", l.serveMCP)
	mux.HandleFunc("/servers/{name}/sse", l.serveSSE)
	mux.HandleFunc("/messages", l.serveMessages)
}

// scope is what the endpoint of a request shows.
func (l *Listener) scope(w http.ResponseWriter, r *http.Request) (mcp.Scope, bool) {
	if name := r.PathValue("name"); name != "" {
		if l.p.Known == nil || !l.p.Known(name) {
			refuse(w, http.StatusNotFound, "server", "no server has this name")
			return mcp.Scope{}, false
		}
		return mcp.Scope{Server: name}, true
	}
	s := l.p.Names
	named := r.URL.Query()["names"]
	if len(named) > 1 {
		refuse(w, http.StatusBadRequest, "names", "names may be given once")
		return mcp.Scope{}, false
	}
	switch strings.Join(named, "") {
	case "":
	case "dotted":
		s.Safe = false
	case "safe":
		s.Safe = true
	default:
		refuse(w, http.StatusBadRequest, "names", "names must be dotted or safe")
		return mcp.Scope{}, false
	}
	return s, true
}

// A load is how many bytes all clients together make us hold.
type load struct {
	most int64
	held atomic.Int64
}

func (l *load) add(n int) { l.held.Add(int64(n)) }

// full tells whether it is as much as they may; new requests are then refused.
func (l *load) full() bool { return l.held.Load() > l.most }

// needsServers tells whether a message is anything but a client's look at what we are:
// clients probe with a disposable process, which should start nothing.
func needsServers(m *jsonrpc.Message) bool { return m.Method != mcp.Discover }

// batch answers each message of a batch and joins the answers (2025-03-26, transports,
// Sending Messages). one answers a single raw message; nil is no answer.
func batch(messages [][]byte, one func(raw []byte) []byte) []byte {
	answers := make([][]byte, len(messages))
	var wg sync.WaitGroup
	for i, raw := range messages {
		wg.Go(func() { answers[i] = one(raw) })
	}
	wg.Wait()
	out := []byte{'['}
	for _, a := range answers {
		if a == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, a...)
	}
	if len(out) == 1 {
		return nil
	}
	return append(out, ']')
}
