package listen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// A deafWriter takes nothing until let go.
type deafWriter struct {
	*httptest.ResponseRecorder
	begun chan struct{}
	let   chan struct{}
}

func newDeaf() *deafWriter {
	return &deafWriter{httptest.NewRecorder(), make(chan struct{}, 100), make(chan struct{})}
}

func (w *deafWriter) Write(b []byte) (int, error) {
	w.begun <- struct{}{}
	<-w.let
	return len(b), nil
}

// TestWhatWaitsForAClientCounts, a question like an answer, for as long as the client does not
// take it: new requests are refused meanwhile, on HTTP and on a pipe.
func TestWhatWaitsForAClientCounts(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Bytes = 64 << 10 })
	p := f.pipe()
	p.login(newest)
	large := []byte(`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"` + strings.Repeat("x", 100<<10) + `"}}`)
	for what, wait := range map[string]func(*stream){
		"a question":        func(s *stream) { s.Ask([]byte("1"), large); s.end() },
		"a notification":    func(s *stream) { s.Notify(large); s.end() },
		"an answer":         func(s *stream) { s.finish(era.Answer{Status: http.StatusOK, Body: large}) },
		"a stream's answer": func(s *stream) { s.begin(); s.finish(era.Answer{Status: http.StatusOK, Body: large}) },
	} {
		w := newDeaf()
		s := newStream(w, &f.l.load, nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			wait(s)
		}()
		soon(t, "a write", w.begun)
		eventually(t, what+" to count", func() bool { return f.l.load.full() })
		if g := f.post(ask("1", mcp.Tools.List(), ""), mirror(mcp.Tools.List(), "")...); g.status != http.StatusServiceUnavailable || !strings.Contains(g.body, "overloaded") {
			t.Errorf("while %s waits: %s", what, g)
		}
		p.send(request("1", mcp.Tools.List(), ""))
		if line := p.next(); !strings.Contains(line, "overloaded") {
			t.Errorf("while %s waits: %s", what, line)
		}
		f.untouched()
		close(w.let)
		soon(t, "the end of the stream", done)
		if g := f.post(ask("1", mcp.Tools.List(), ""), mirror(mcp.Tools.List(), "")...); g.status != http.StatusOK {
			t.Errorf("after %s: %s", what, g)
		}
		f.hits.Store(0)
	}
	eventually(t, "everything to be given back", func() bool { return f.l.load.held.Load() == 0 })
}

// TestWhatIsDroppedCountsNoMore: progress that newer takes the place of, and what nobody takes.
func TestWhatIsDroppedCountsNoMore(t *testing.T) {
	s := newStuck(roomy())
	s.hold(t)
	first := s.load.held.Load()
	for i := range 2 * maxPending {
		s.Notify(note("1", i, ""))
	}
	if got := s.load.held.Load() - first; got != int64(s.bytes) || s.pending != maxPending {
		t.Errorf("%d bytes count where %d notifications of %d bytes wait", got, s.pending, s.bytes)
	}
	s.abandon()
	s.release()
	if got := s.load.held.Load(); got != 0 || len(s.took) != 1 {
		t.Errorf("%d bytes count of a client that is gone and took %d messages", got, len(s.took))
	}
}

// TestAFullHouseKeepsLittleForEach client that does not read, and the newest of it. One that
// reads loses nothing.
func TestAFullHouseKeepsLittleForEach(t *testing.T) {
	full := &load{most: 1}
	s := newStuck(full)
	s.hold(t)
	const last = 2 * maxPending
	for i := range last + 1 {
		s.Notify(note("1", i, ""))
	}
	if s.bytes > fewBytes || s.bytes < fewBytes/2 {
		t.Errorf("%d bytes wait", s.bytes)
	}
	reads := newStuck(full)
	close(reads.let)
	for i := range 100 {
		reads.Notify(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/x","params":{"n":%d}}`, i))
		soon(t, "a write", reads.begun)
	}
	reads.close()
	if len(reads.took) != 100 {
		t.Errorf("a client that reads got %d of 100", len(reads.took))
	}
	s.release()
	if got := string(s.took[len(s.took)-1]); got != string(note("1", last, "")) {
		t.Errorf("the last is %s", got)
	}
}

// TestARequestCountsUntilItsCallIsOver: on a 2024-11-05 stream, where its POST was answered long
// before, alone and in a batch, and on stdio.
func TestARequestCountsUntilItsCallIsOver(t *testing.T) {
	f := newFront(t)
	began, ended := f.waiting()
	stream := f.sse()
	stream.send(hello("0", batches))
	stream.next()
	p := f.pipe()
	p.login(newest)
	large := func(id string) string {
		return request(id, mcp.ToolsCall, `"name":"a","arguments":{"a":"`+strings.Repeat("x", 100<<10)+`"}`)
	}
	for what, send := range map[string]func(string){
		"SSE":        func(body string) { stream.send(body) },
		"SSE, batch": func(body string) { stream.send("[" + body + "]") },
		"stdio":      func(body string) { p.send(body) },
	} {
		eventually(t, "everything to be given back before "+what, func() bool { return f.l.load.held.Load() == 0 })
		send(large("1"))
		soon(t, "the call", began)
		if got := f.l.load.held.Load(); got < 100<<10 {
			t.Errorf("%s: %d bytes count while the call runs", what, got)
		}
		if what == "stdio" {
			p.send(cancelled("1"))
		} else {
			stream.send(cancelled("1"))
		}
		soon(t, "the end of the call", ended)
	}
	eventually(t, "everything to be given back", func() bool { return f.l.load.held.Load() == 0 })
}
