package streamable

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuiteEventStream(t *testing.T) { suite(t, false) }

func TestSuiteJSON(t *testing.T) { suite(t, true) }

func suite(t *testing.T, plain bool) {
	transporttest.Run(t, func(t *testing.T, s transporttest.Server) transport.Dialer {
		h := &scripted{script: s.New(), plain: plain, tells: make(chan string, 1000)}
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return New(Params{URL: srv.URL + "/mcp", MaxAnswer: transporttest.MaxAnswer})
	})
}

// scripted plays a script of the suite over Streamable HTTP.
type scripted struct {
	script transporttest.Script
	plain  bool // a single reply is JSON
	tells  chan string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		s.stream(w, r)
		return
	case http.MethodDelete:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m, err := jsonrpc.Parse(body, jsonrpc.ServerLimits)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := &peer{s: s, w: w, gone: r.Context().Done(), plain: s.plain}
	if m.Kind != jsonrpc.Request {
		s.script(m, p)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.script(m, p)
	p.end()
}

func (s *scripted) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", eventStream)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case raw := <-s.tells:
			_, _ = w.Write(jsonrpc.AppendEvent(nil, "message", "", []byte(raw)))
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// peer is the sender of one POST.
type peer struct {
	s    *scripted
	gone <-chan struct{}

	mu    sync.Mutex
	w     http.ResponseWriter // guarded by mu
	plain bool                // guarded by mu: hold the first reply, it may be the only one
	held  []string            // guarded by mu
	began bool                // guarded by mu
}

func (p *peer) Gone() <-chan struct{} { return p.gone }

func (p *peer) Tell(raw string) { p.s.tells <- raw }

func (p *peer) Reply(raw string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plain && len(p.held) == 0 {
		p.held = append(p.held, raw)
		return
	}
	p.plain = false
	p.event(append(p.held, raw)...)
	p.held = nil
}

func (p *peer) event(raws ...string) {
	if !p.began {
		p.began = true
		p.w.Header().Set("Content-Type", eventStream)
	}
	for _, raw := range raws {
		_, _ = p.w.Write(jsonrpc.AppendEvent(nil, "", "", []byte(raw)))
	}
	_ = http.NewResponseController(p.w).Flush()
}

func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.held) == 1:
		p.w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(p.w, p.held[0])
	case !p.began:
		p.event()
	}
}
