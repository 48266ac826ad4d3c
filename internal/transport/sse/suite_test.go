package sse

import (
	"fmt"
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

func TestSuite(t *testing.T) {
	transporttest.Run(t, func(t *testing.T, s transporttest.Server) transport.Dialer {
		srv := httptest.NewServer(&scripted{script: s.New(), streams: map[string]*stream{}})
		t.Cleanup(srv.Close)
		return New(Params{URL: srv.URL + "/sse", MaxAnswer: transporttest.MaxAnswer})
	})
}

// scripted plays a script of the suite over HTTP+SSE.
type scripted struct {
	script transporttest.Script

	mu      sync.Mutex
	streams map[string]*stream // guarded by mu
}

// stream is one client's.
type stream struct {
	out  chan string
	gone chan struct{}
}

func (s *stream) Reply(raw string) { s.Tell(raw) }

func (s *stream) Tell(raw string) {
	select {
	case s.out <- raw:
	case <-s.gone:
	}
}

func (s *stream) Gone() <-chan struct{} { return s.gone }

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/sse" && r.Method == http.MethodGet {
		s.serve(w, r)
		return
	}
	s.mu.Lock()
	to := s.streams[r.URL.Query().Get("session")]
	s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if to == nil || err != nil {
		http.NotFound(w, r)
		return
	}
	m, err := jsonrpc.Parse(body, jsonrpc.ServerLimits)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	go s.script(m, to) // ends with the stream, which each test closes
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "Accepted")
}

func (s *scripted) serve(w http.ResponseWriter, r *http.Request) {
	me := &stream{out: make(chan string), gone: make(chan struct{})}
	defer close(me.gone)
	s.mu.Lock()
	id := fmt.Sprint(len(s.streams) + 1)
	s.streams[id] = me
	s.mu.Unlock()
	w.Header().Set("Content-Type", eventStream)
	_, _ = w.Write(jsonrpc.AppendEvent(nil, "endpoint", "", []byte("/messages?session="+id)))
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case raw := <-me.out:
			_, _ = w.Write(jsonrpc.AppendEvent(nil, "message", "", []byte(raw)))
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}
