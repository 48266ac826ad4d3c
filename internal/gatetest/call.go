package gatetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// A Call is one request on its way to an answer, most often a tools/call. Its methods may
// be called from any goroutine; what comes after the answer or a cancel is dropped.
type Call struct {
	Server    *Server
	Method    string
	Name      string          // params.name, else params.uri
	Arguments json.RawMessage // the sender's bytes; nil where there are none
	Params    json.RawMessage
	Meta      json.RawMessage
	Token     json.RawMessage // progress token; nil where there is none
	Stateless bool
	Revision  string
	Header    http.Header     // of the HTTP request that brought it; nil elsewhere
	Canceled  <-chan struct{} // closed when the caller cancels or its connection ends

	// Capabilities are those that the client declared, for the session or with this
	// request, raw.
	Capabilities json.RawMessage

	// What a retry carries (stateless), raw; nil where there is none.
	InputResponses json.RawMessage
	RequestState   json.RawMessage

	v        *conversation
	id       json.RawMessage
	to       *outbox
	answered func()
	memory   *memory // of Questions

	mu     sync.Mutex
	done   bool
	cancel chan struct{}
}

// Progress sends a progress notification with these members and the caller's token; it
// does nothing where the caller gave no token.
func (c *Call) Progress(members string) {
	if c.Token == nil {
		return
	}
	c.Notify("notifications/progress", `{"progressToken":`+string(c.Token)+`,`+members[1:])
}

// Notify sends a notification that belongs to this call.
func (c *Call) Notify(method, params string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.to.push(item{raw: []byte(notification(method, params))})
	}
}

// Elsewhere sends a notification on the stream that belongs to no call: the GET stream,
// or the one that all share.
func (c *Call) Elsewhere(method, params string) {
	c.v.side.push(item{raw: []byte(notification(method, params))})
}

// Log sends a log line with raw data, where the caller asked for its level: with
// logging/setLevel, or in _meta of this request.
func (c *Call) Log(level, data string) {
	want, _ := text(field(c.Meta, metaLogLevel))
	if !c.Stateless {
		c.v.mu.Lock()
		want = c.v.level
		c.v.mu.Unlock()
	}
	if want == "" || slices.Index(logLevels, level) < slices.Index(logLevels, want) {
		return
	}
	c.Notify("notifications/message", `{"level":`+quote(level)+`,"logger":`+quote(c.Server.Name)+`,"data":`+data+`}`)
}

// Result answers with these bytes. A stateless server adds what its revision demands
// where the result has none: resultType (2026-07-28, basic, Result Responses) and, for
// resources/read, the hints (utilities, Caching).
func (c *Call) Result(raw string) {
	if c.Stateless {
		all := missing([]byte(raw), "resultType", `"complete"`)
		if kind, _ := text(field(all, "resultType")); kind == "complete" && c.Method == "resources/read" {
			all = missing(missing(all, "ttlMs", strconv.Itoa(c.Server.TTL)), "cacheScope", `"public"`)
		}
		raw = string(all)
	}
	c.finish(item{raw: []byte(result(c.id, raw)), last: true})
}

// Input answers that input is required: requests is a raw object of questions by key,
// state the text of requestState; either may be empty.
func (c *Call) Input(requests, state string) {
	raw := `{"resultType":"input_required"`
	if requests != "" {
		raw += `,"inputRequests":` + requests
	}
	if state != "" {
		raw += `,"requestState":` + quote(state)
	}
	c.Result(raw + "}")
}

// Error answers with this error object.
func (c *Call) Error(object string) {
	status := 0
	switch string(field([]byte(object), "code")) {
	case codeCapability:
		status = 400
	case codeMethod:
		if c.Stateless {
			status = 404
		}
	}
	c.finish(item{raw: []byte(failure(c.id, object)), last: true, status: status})
}

// Text answers with one block of text.
func (c *Call) Text(s string) {
	c.Result(`{"content":[{"type":"text","text":` + quote(s) + `}]}`)
}

// Raw sends bytes as they are, whatever the rules say: a line of its own on a line
// binding, an event on a stream.
func (c *Call) Raw(message string) { c.to.push(item{raw: []byte(message)}) }

// Die sends bytes without a frame and breaks the connection, or ends the process.
func (c *Call) Die(partial string) {
	c.finish(item{raw: []byte(partial), last: true, die: true})
}

func (c *Call) finish(i item) {
	i.method = c.Method
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		return
	}
	c.done = true
	if c.Method == "tools/call" {
		c.Server.add("answers", 1) // before the caller has it, and may look
	}
	c.to.push(i)
	c.mu.Unlock()
	c.answered()
}

// abort ends the call without an answer, if it is still open; told says that its caller
// cancelled it in words.
func (c *Call) abort(told bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.done = true
	if told {
		c.Server.add("cancelled", 1) // before the call knows
	}
	close(c.cancel)
	c.to.push(item{last: true})
}

func notification(method, params string) string {
	if params == "" {
		return `{"jsonrpc":"2.0","method":` + quote(method) + `}`
	}
	return `{"jsonrpc":"2.0","method":` + quote(method) + `,"params":` + params + `}`
}

func request(id, method, params string) string {
	if params != "" {
		params = `,"params":` + params
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"method":` + quote(method) + params + `}`
}

func result(id []byte, raw string) string {
	return `{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + raw + `}`
}

func failure(id []byte, object string) string {
	if id == nil {
		return `{"jsonrpc":"2.0","error":` + object + `}`
	}
	return `{"jsonrpc":"2.0","id":` + string(id) + `,"error":` + object + `}`
}

func errorObject(code, message string) string {
	return `{"code":` + code + `,"message":` + quote(message) + `}`
}

// Error numbers (2026-07-28, basic, Error Codes; -32002 of the stateful revisions).
const (
	codeParse      = "-32700"
	codeInvalid    = "-32600"
	codeMethod     = "-32601"
	codeParams     = "-32602"
	codeInternal   = "-32603"
	codeResource   = "-32002"
	codeHeader     = "-32020"
	codeCapability = "-32021"
	codeVersion    = "-32022"
)
