package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
)

// A conversation is what a server has with one caller: a pipe or an SSE stream, a
// session, or, over stateless HTTP, one request.
type conversation struct {
	s         *Server
	stateless bool
	http      bool   // each request has a stream of its own
	binding   string // as Seen tells it
	only      string // the one revision it negotiates; empty: every stateful one
	side      *outbox
	ctx       context.Context
	cancel    context.CancelFunc
	over      chan struct{} // closed when it ends
	spoken    atomic.Pointer[string]

	mu        sync.Mutex
	ready     bool // notifications/initialized was seen
	caps      json.RawMessage
	level     string // of logging/setLevel
	calls     map[string]*Call
	listens   map[string]func()
	subs      map[string]bool
	inquiries map[string]*Inquiry // every one that was asked
	unwatch   func()
	finished  bool
	running   sync.WaitGroup
}

func (s *Server) converse(ctx context.Context, stateless bool, binding string) *conversation {
	v := &conversation{
		s: s, stateless: stateless, http: binding == "streamable", binding: binding, only: s.Revision, side: newOutbox(), over: make(chan struct{}),
		calls: map[string]*Call{}, listens: map[string]func(){}, subs: map[string]bool{}, inquiries: map[string]*Inquiry{},
	}
	v.side.sent = v.sent
	v.ctx, v.cancel = context.WithCancel(ctx)
	return v
}

// version is the stateful revision that was negotiated, empty before.
func (v *conversation) version() string {
	if p := v.spoken.Load(); p != nil {
		return *p
	}
	return ""
}

func (v *conversation) revision() string {
	if v.stateless {
		return Stateless
	}
	return v.version()
}

func (v *conversation) sent(i item) {
	v.s.log.add(Seen{Raw: i.raw, Sent: true, Binding: v.binding, Revision: v.revision(), Method: i.method})
}

func (v *conversation) saw(raw []byte, revision, method string) {
	v.s.log.add(Seen{Raw: raw, Binding: v.binding, Revision: revision, Method: method})
}

// end cancels what is open. When it returns, no goroutine of the conversation is left.
func (v *conversation) end() {
	v.mu.Lock()
	if !v.finished {
		close(v.over)
	}
	v.finished = true
	open := v.calls
	v.calls = map[string]*Call{}
	stops := []func(){}
	for _, stop := range v.listens {
		stops = append(stops, stop)
	}
	v.listens = map[string]func(){}
	if v.unwatch != nil {
		stops = append(stops, v.unwatch)
	}
	subs := v.subs
	v.subs = map[string]bool{}
	v.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	for uri := range subs {
		v.s.subscriber(uri, -1)
	}
	for _, c := range open {
		c.abort(false)
	}
	v.running.Wait()
	v.cancel()
}

// receive takes one message that came in; what answers it goes to the outbox.
func (v *conversation) receive(raw []byte, to *outbox) {
	if v.s.Silent {
		return
	}
	m, err := parse(raw)
	if err != nil {
		v.saw(raw, v.revision(), "")
		v.s.fault("%v: %.200s", err, raw)
		code := codeInvalid
		if errors.Is(err, errNotJSON) {
			code = codeParse
		}
		var id json.RawMessage
		if isID(m.id) {
			id = m.id
		}
		v.refuse(&message{id: id}, to, 400, errorObject(code, err.Error()))
		return
	}
	v.take(m, to)
}

func (v *conversation) take(m *message, to *outbox) {
	revision, method := v.revision(), m.method
	if m.method == "initialize" && revision == "" {
		revision, _ = text(field(m.params, "protocolVersion"))
	}
	if m.method == "" {
		method = v.asked(m.id)
	} else {
		v.s.add(m.method, 1)
	}
	v.saw(m.raw, revision, method)
	switch {
	case v.s.Silent:
	case m.note():
		v.notice(m)
	case !m.request() && v.stateless:
		// 2026-07-28, stdio, Sending Messages: the client writes no responses.
		v.s.fault("an answer to a question that was never asked: %.200s", m.raw)
	case !m.request():
		v.replied(m)
	case v.taken(m.id):
		v.s.fault("id %s is in use", m.id)
		v.refuse(m, to, 400, errorObject(codeInvalid, "the id is in use"))
	case v.stateless:
		v.requestStateless(m, to)
	default:
		v.requestStateful(m, to)
	}
}

func (v *conversation) taken(id []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[string(id)] != nil || v.listens[string(id)] != nil
}

func (v *conversation) refuse(m *message, to *outbox, status int, object string) {
	to.push(item{raw: []byte(failure(m.id, object)), last: true, status: status, method: m.method})
}

func (v *conversation) answer(m *message, to *outbox, raw string) {
	to.push(item{raw: []byte(result(m.id, raw)), last: true, method: m.method})
}

func (v *conversation) notice(m *message) {
	switch m.method {
	case "notifications/cancelled":
		if v.stateless && v.http {
			// 2026-07-28, streamable-http, Cancellation: closing the stream is the signal.
			v.s.fault("notifications/cancelled over stateless HTTP")
		}
		v.cancelRequest(field(m.params, "requestId"))
	case "notifications/initialized":
		if v.stateless {
			v.s.fault("notifications/initialized in the stateless era")
			return
		}
		v.mu.Lock()
		v.ready = true
		v.mu.Unlock()
	case "notifications/roots/list_changed":
		v.mu.Lock()
		declared := string(field(v.caps, "roots", "listChanged")) == "true"
		v.mu.Unlock()
		if v.stateless || !declared {
			v.s.fault("%s, which was not declared", m.method)
		}
	}
}

// cancelRequest ends a request without an answer (2026-07-28, patterns, Cancellation).
func (v *conversation) cancelRequest(id json.RawMessage) {
	v.mu.Lock()
	c, stop := v.calls[string(id)], v.listens[string(id)]
	delete(v.calls, string(id))
	delete(v.listens, string(id))
	v.mu.Unlock()
	if stop != nil {
		stop()
	}
	if c != nil {
		c.abort(true)
	}
}

func (v *conversation) forget(id []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.calls, string(id))
}
