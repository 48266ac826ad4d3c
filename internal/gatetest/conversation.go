package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
)

// A conversation is what a server has with one caller: a pipe or an SSE stream, a
// session, or, over stateless HTTP, one request.
type conversation struct {
	s         *Server
	stateless bool
	http      bool   // each request has a stream of its own
	only      string // the one revision it negotiates; empty: every stateful one
	side      *outbox
	ctx       context.Context
	cancel    context.CancelFunc

	mu       sync.Mutex
	version  string // negotiated
	ready    bool   // notifications/initialized was seen
	calls    map[string]*Call
	listens  map[string]func()
	unwatch  func()
	finished bool
	running  sync.WaitGroup
}

func (s *Server) converse(ctx context.Context, stateless bool) *conversation {
	v := &conversation{s: s, stateless: stateless, side: newOutbox(), calls: map[string]*Call{}, listens: map[string]func(){}}
	v.ctx, v.cancel = context.WithCancel(ctx)
	return v
}

// end cancels what is open. When it returns, no goroutine of the conversation is left.
func (v *conversation) end() {
	v.mu.Lock()
	v.finished = true
	open := v.calls
	v.calls = map[string]*Call{}
	stops := []func(){}
	for _, stop := range v.listens {
		stops = append(stops, stop)
	}
	if v.unwatch != nil {
		stops = append(stops, v.unwatch)
	}
	v.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	for _, c := range open {
		c.abort()
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
	switch {
	case v.s.Silent:
	case m.note():
		v.notice(m)
	case !m.request():
		// 2026-07-28, stdio, Sending Messages: the client writes no responses. This
		// server asks nothing in the other era either.
		v.s.fault("an answer to a question that was never asked: %.200s", m.raw)
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
	to.push(item{raw: []byte(failure(m.id, object)), last: true, status: status})
}

func (v *conversation) answer(m *message, to *outbox, raw string) {
	to.push(item{raw: []byte(result(m.id, raw)), last: true})
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
	if c != nil && c.abort() {
		v.s.add("cancelled", 1)
	}
}

func (v *conversation) requestStateful(m *message, to *outbox) {
	v.mu.Lock()
	version, ready := v.version, v.ready
	v.mu.Unlock()
	switch {
	case m.method == "initialize":
		v.initialize(m, to)
	case m.method == "ping":
		v.answer(m, to, `{}`)
	case version == "" && m.method != "server/discover":
		// 2025-11-25, basic, Lifecycle: initialization is the first interaction.
		v.s.fault("%s before initialize", m.method)
		v.refuse(m, to, 400, errorObject(codeInvalid, "not initialized"))
	case m.method == "tools/list" || m.method == "tools/call":
		if !ready {
			v.s.fault("%s before notifications/initialized", m.method)
		}
		v.tools(m, to)
	default:
		v.refuse(m, to, 0, errorObject(codeMethod, "Method not found"))
	}
}

func (v *conversation) initialize(m *message, to *outbox) {
	want, ok := text(field(m.params, "protocolVersion"))
	_, caps := fields(field(m.params, "capabilities"))
	_, named := text(field(m.params, "clientInfo", "name"))
	if !ok || !caps || !named {
		v.s.fault("initialize lacks protocolVersion, capabilities or clientInfo: %.200s", m.params)
		v.refuse(m, to, 400, errorObject(codeParams, "initialize lacks a member"))
		return
	}
	version := v.only
	if version == "" {
		if version = Stateful; slices.Contains(statefulRevisions, want) {
			version = want
		}
	}
	v.mu.Lock()
	again := v.version != ""
	v.version = version
	if v.unwatch == nil && !v.finished {
		v.unwatch = v.s.watch(func(what string) {
			if what != endOfListen {
				v.side.push(item{raw: []byte(notification(what, ""))})
			}
		})
	}
	v.mu.Unlock()
	if again {
		v.s.fault("initialize twice")
	}
	v.answer(m, to, `{"protocolVersion":`+quote(version)+`,"capabilities":{"tools":{"listChanged":true}},"serverInfo":`+v.s.info()+v.instructions()+`}`)
}

func (v *conversation) instructions() string {
	if v.s.Instructions == "" {
		return ""
	}
	return `,"instructions":` + quote(v.s.Instructions)
}

func (v *conversation) requestStateless(m *message, to *outbox) {
	if r := v.judgeMeta(m); r != nil {
		v.refuse(m, to, r.status, r.object)
		return
	}
	// 2026-07-28, utilities, Caching: discover and lists carry hints.
	tail := `,"resultType":"complete","ttlMs":` + strconv.Itoa(v.s.TTL) + `,"cacheScope":"public","_meta":{"` + metaServerInfo + `":` + v.s.info() + `}}`
	switch m.method {
	case "server/discover":
		v.answer(m, to, `{"supportedVersions":["`+Stateless+`"],"capabilities":{"tools":{"listChanged":true}}`+v.instructions()+tail)
	case "subscriptions/listen":
		v.listen(m, to)
	case "tools/list", "tools/call":
		v.tools(m, to)
	default:
		// 2026-07-28, streamable-http, Protocol Version Header: 404 for an unknown method.
		v.refuse(m, to, 404, errorObject(codeMethod, "Method not found"))
	}
}

func (v *conversation) tools(m *message, to *outbox) {
	if m.method == "tools/call" {
		v.call(m, to)
		return
	}
	list, ok := v.s.list(field(m.params, "cursor"))
	if !ok {
		v.refuse(m, to, 0, errorObject(codeParams, "Invalid cursor"))
		return
	}
	if v.stateless {
		list = list[:len(list)-1] + `,"resultType":"complete","ttlMs":` + strconv.Itoa(v.s.TTL) +
			`,"cacheScope":"public","_meta":{"` + metaServerInfo + `":` + v.s.info() + `}}`
	}
	v.answer(m, to, list)
}

func (v *conversation) call(m *message, to *outbox) {
	name, ok := text(field(m.params, "name"))
	args := field(m.params, "arguments")
	_, object := fields(args)
	if !ok || args != nil && !object {
		v.s.fault("tools/call with a wrong name or arguments: %.200s", m.params)
		v.refuse(m, to, 0, errorObject(codeParams, "name or arguments of a wrong type"))
		return
	}
	if v.s.tool(name) == nil {
		v.refuse(m, to, 0, errorObject(codeParams, "Unknown tool: "+name))
		return
	}
	meta := field(m.params, "_meta")
	token := field(meta, "progressToken")
	if token != nil && !isID(token) {
		v.s.fault("progressToken is %s", token)
		token = nil
	}
	canceled := make(chan struct{})
	c := &Call{
		Server: v.s, Name: name, Arguments: args, Params: m.params, Meta: meta, Token: token, Stateless: v.stateless,
		Canceled: canceled, cancel: canceled, id: m.id, to: to,
	}
	c.answered = func() { v.forget(m.id) }
	v.mu.Lock()
	if v.finished {
		v.mu.Unlock()
		return
	}
	v.calls[string(m.id)] = c
	v.running.Add(1)
	v.mu.Unlock()
	v.s.add("calls", 1)
	go func() {
		defer v.running.Done()
		v.s.Call(c)
	}()
}

func (v *conversation) forget(id []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.calls, string(id))
}

// listen opens a subscription: the acknowledgment first, then what it agreed to
// (2026-07-28, patterns, Subscriptions).
func (v *conversation) listen(m *message, to *outbox) {
	filter, ok := fields(field(m.params, "notifications"))
	if !ok {
		v.s.fault("subscriptions/listen without notifications: %.200s", m.params)
		v.refuse(m, to, 0, errorObject(codeParams, `"notifications" must be an object`))
		return
	}
	wants := string(filter["toolsListChanged"]) == "true"
	agreed := `{}`
	if wants {
		agreed = `{"toolsListChanged":true}`
	}
	meta := `"_meta":{"` + metaSubscription + `":` + string(m.id) + `}`
	to.push(item{raw: []byte(notification("notifications/subscriptions/acknowledged", `{`+meta+`,"notifications":`+agreed+`}`))})
	v.s.add("listens", 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.finished {
		return
	}
	v.listens[string(m.id)] = v.s.watch(func(what string) {
		switch {
		case what == endOfListen:
			if !v.http {
				// 2026-07-28, patterns, Cancellation: a server that tears a subscription
				// down says so; over HTTP the end of the stream is enough.
				to.push(item{raw: []byte(notification("notifications/cancelled", `{"requestId":`+string(m.id)+`,`+meta+`}`))})
			}
			to.push(item{raw: []byte(result(m.id, `{"resultType":"complete",`+meta+`}`)), last: true})
		case wants:
			to.push(item{raw: []byte(notification(what, `{`+meta+`}`))})
		}
	})
}
