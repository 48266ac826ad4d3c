package gatetest

import (
	"encoding/json"
	"sync"
)

// A Call is one tools/call on its way to an answer. Its methods may be called from any
// goroutine; what comes after the answer or a cancel is dropped.
type Call struct {
	Server    *Server
	Name      string
	Arguments json.RawMessage // the sender's bytes; nil where there are none
	Params    json.RawMessage
	Meta      json.RawMessage
	Token     json.RawMessage // progress token; nil where there is none
	Stateless bool
	Canceled  <-chan struct{} // closed when the caller cancels or its connection ends

	id       json.RawMessage
	to       *outbox
	answered func()

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

// Result answers with these bytes. A stateless server adds the resultType that its
// revision demands, where the result has none (2026-07-28, basic, Result Responses).
func (c *Call) Result(raw string) {
	if c.Stateless {
		raw = string(missing([]byte(raw), "resultType", `"complete"`))
	}
	c.finish(item{raw: []byte(result(c.id, raw)), last: true})
}

// Error answers with this error object.
func (c *Call) Error(object string) {
	status := 0
	if code := string(field([]byte(object), "code")); code == codeCapability {
		status = 400
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
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		return
	}
	c.done = true
	c.to.push(i)
	c.mu.Unlock()
	c.Server.add("answers", 1)
	c.answered()
}

// abort ends the call without an answer and says whether it was still open.
func (c *Call) abort() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return false
	}
	c.done = true
	close(c.cancel)
	c.to.push(item{last: true})
	return true
}

func notification(method, params string) string {
	if params == "" {
		return `{"jsonrpc":"2.0","method":` + quote(method) + `}`
	}
	return `{"jsonrpc":"2.0","method":` + quote(method) + `,"params":` + params + `}`
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

// Error numbers (2026-07-28, basic, Error Codes).
const (
	codeParse      = "-32700"
	codeInvalid    = "-32600"
	codeMethod     = "-32601"
	codeParams     = "-32602"
	codeHeader     = "-32020"
	codeCapability = "-32021"
	codeVersion    = "-32022"
)
