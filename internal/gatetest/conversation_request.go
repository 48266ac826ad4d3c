package gatetest

import (
	"slices"
	"strconv"
)

func (v *conversation) requestStateful(m *message, to *outbox) {
	v.mu.Lock()
	ready := v.ready
	v.mu.Unlock()
	switch {
	case m.method == "initialize":
		v.initialize(m, to)
	case m.method == "ping":
		v.answer(m, to, `{}`)
	case m.method == "server/discover":
		v.refuse(m, to, 0, errorObject(codeMethod, "Method not found"))
	case v.version() == "":
		// 2025-11-25, basic, Lifecycle: initialization is the first interaction.
		v.s.fault("%s before initialize", m.method)
		v.refuse(m, to, 400, errorObject(codeInvalid, "not initialized"))
	default:
		if !ready {
			v.s.fault("%s before notifications/initialized", m.method)
		}
		if need := needs(m.method); need != nil && !v.s.declares(need...) {
			// 2025-11-25, basic, Lifecycle, Operation: only what was negotiated.
			v.s.fault("%s, though %q is not declared", m.method, need)
		}
		v.serve(m, to)
	}
}

// needs is the capability that a server must declare for a method.
func needs(method string) []string {
	switch method {
	case "tools/list", "tools/call":
		return []string{"tools"}
	case "prompts/list", "prompts/get":
		return []string{"prompts"}
	case "resources/list", "resources/templates/list", "resources/read":
		return []string{"resources"}
	case "resources/subscribe", "resources/unsubscribe":
		return []string{"resources", "subscribe"}
	case "completion/complete":
		return []string{"completions"}
	case "logging/setLevel":
		return []string{"logging"}
	}
	return nil
}

func (v *conversation) initialize(m *message, to *outbox) {
	want, ok := text(field(m.params, "protocolVersion"))
	caps := field(m.params, "capabilities")
	_, named := text(field(m.params, "clientInfo", "name"))
	if !ok || !isObject(caps) || !named {
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
	if v.version() != "" {
		v.s.fault("initialize twice")
		v.refuse(m, to, 400, errorObject(codeInvalid, "initialized already"))
		return
	}
	v.mu.Lock()
	v.caps = caps
	v.mu.Unlock()
	v.spoken.Store(&version)
	unwatch := v.s.watch(func() {
		v.answer(m, to, `{"protocolVersion":`+quote(version)+`,"capabilities":`+v.s.capabilities()+`,"serverInfo":`+v.s.info()+v.instructions()+`}`)
	}, v.changed)
	v.mu.Lock()
	v.unwatch = unwatch
	finished := v.finished
	v.mu.Unlock()
	if finished {
		unwatch()
	}
}

// changed tells a session of a change; the server's lock is held.
func (v *conversation) changed(c change) {
	switch {
	case c.end || c.method == taskChanged:
		return
	case c.method == resourceUpdated:
		v.mu.Lock()
		wanted := false
		for uri := range v.subs {
			wanted = wanted || covers(uri, c.uri)
		}
		v.mu.Unlock()
		if !wanted {
			return
		}
	}
	params := ""
	if c.params != "" {
		params = "{" + c.params + "}"
	}
	v.side.push(item{raw: []byte(notification(c.method, params))})
}

func (v *conversation) instructions() string {
	if v.s.Instructions == "" {
		return ""
	}
	return `,"instructions":` + quote(v.s.Instructions)
}

// removed are the methods that the stateless revision does not have any more (2026-07-28,
// changelog).
var removed = []string{"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}

func (v *conversation) requestStateless(m *message, to *outbox) {
	if r := v.judgeMeta(m); r != nil {
		v.refuse(m, to, r.status, r.object)
		return
	}
	switch {
	case slices.Contains(removed, m.method):
		v.s.fault("%s is not part of %s", m.method, Stateless)
		v.refuse(m, to, 404, errorObject(codeMethod, "Method not found"))
	case m.method == "server/discover":
		v.answer(m, to, `{"supportedVersions":["`+Stateless+`"],"capabilities":`+v.s.capabilities()+v.instructions()+v.tail())
	case m.method == "subscriptions/listen":
		v.listen(m, to)
	default:
		v.serve(m, to)
	}
}

// tail ends a stateless result that carries hints: discover and lists (2026-07-28,
// utilities, Caching).
func (v *conversation) tail() string {
	return `,"resultType":"complete","ttlMs":` + strconv.Itoa(v.s.TTL) + `,"cacheScope":"public","_meta":{"` + metaServerInfo + `":` + v.s.info() + `}}`
}

// serve answers what both eras have.
func (v *conversation) serve(m *message, to *outbox) {
	need := needs(m.method)
	_, isList := listings[m.method]
	switch declared := need == nil || v.s.declares(need...); {
	case isList && declared:
		v.list(m, to)
	case m.method == "tools/call" && declared:
		v.call(m, to)
	case !isList && m.method != "tools/call" && (declared && need != nil || v.s.Handle != nil):
		v.open(v.newCall(m, to), v.s.handle)
	default:
		// 2026-07-28, streamable-http, Protocol Version Header: 404 for an unknown method.
		v.refuse(m, to, 404, errorObject(codeMethod, "Method not found"))
	}
}

// handle gives a request to the script, or to what a server does by itself.
func (s *Server) handle(c *Call) {
	if s.Handle != nil {
		s.Handle(c)
		return
	}
	c.Default()
}

func (v *conversation) list(m *message, to *outbox) {
	list, ok := v.s.list(m.method, field(m.params, "cursor"))
	if !ok {
		v.refuse(m, to, 0, errorObject(codeParams, "Invalid cursor"))
		return
	}
	if v.stateless {
		list = list[:len(list)-1] + v.tail()
	}
	v.answer(m, to, list)
}

func (v *conversation) call(m *message, to *outbox) {
	c := v.newCall(m, to)
	name, ok := text(field(m.params, "name"))
	if !ok || c.Arguments != nil && !isObject(c.Arguments) {
		v.s.fault("tools/call with a wrong name or arguments: %.200s", m.params)
		v.refuse(m, to, 0, errorObject(codeParams, "name or arguments of a wrong type"))
		return
	}
	if v.s.tool(name) == nil {
		v.refuse(m, to, 0, errorObject(codeParams, "Unknown tool: "+name))
		return
	}
	v.s.add("calls", 1)
	if v.s.Call == nil {
		v.open(c, (*Call).textName)
		return
	}
	v.open(c, v.s.Call)
}

func (v *conversation) newCall(m *message, to *outbox) *Call {
	name, ok := text(field(m.params, "name"))
	if !ok {
		name, _ = text(field(m.params, "uri"))
	}
	meta := field(m.params, "_meta")
	token := field(meta, "progressToken")
	if token != nil && !isID(token) {
		v.s.fault("progressToken is %s", token)
		token = nil
	}
	canceled := make(chan struct{})
	c := &Call{
		Server: v.s, Method: m.method, Name: name, Arguments: field(m.params, "arguments"), Params: m.params, Meta: meta, Token: token,
		Stateless: v.stateless, Revision: v.revision(), Header: to.header, Canceled: canceled, cancel: canceled, v: v, id: m.id, to: to,
	}
	c.answered = func() { v.forget(m.id) }
	if v.stateless {
		c.Capabilities = field(meta, metaCapabilities)
		c.InputResponses, c.RequestState = field(m.params, "inputResponses"), field(m.params, "requestState")
		v.judgeRetry(c)
	} else {
		v.mu.Lock()
		c.Capabilities = v.caps
		v.mu.Unlock()
	}
	return c
}

// judgeRetry holds the members of a retry to their types and places (2026-07-28,
// patterns, Multi Round-Trip Requests).
func (v *conversation) judgeRetry(c *Call) {
	_, state := text(c.RequestState)
	given := c.InputResponses != nil && c.Method != "tasks/update" || c.RequestState != nil // which has its own (SEP-2663)
	switch {
	case given && !slices.Contains(mayAsk, c.Method):
		v.s.fault("%s with inputResponses or requestState", c.Method)
	case c.InputResponses != nil && !isObject(c.InputResponses):
		v.s.fault("inputResponses is %.100s", c.InputResponses)
	case c.RequestState != nil && !state:
		v.s.fault("requestState is %.100s", c.RequestState)
	}
}

// mayAsk are the requests that input_required may answer.
var mayAsk = []string{"tools/call", "prompts/get", "resources/read"}

// open starts a request on its way.
func (v *conversation) open(c *Call, f func(*Call)) {
	v.mu.Lock()
	if v.finished {
		v.mu.Unlock()
		return
	}
	v.calls[string(c.id)] = c
	v.running.Add(1)
	v.mu.Unlock()
	go func() {
		defer v.running.Done()
		f(c)
	}()
}
