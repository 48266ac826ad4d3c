package era

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

// An Inbound turns one message of a client into a call and the reply into bytes. Serve
// returns when the message is dealt with; it may be called from any number of goroutines.
type Inbound interface {
	Serve(ctx context.Context, in *Incoming) Answer
}

// An Incoming is one message of a client with what its binding knows about it.
type Incoming struct {
	Message   *jsonrpc.Message
	Header    func(name string) []string   // nil off HTTP
	Headers   func(prefix string) []string // the names of those that begin so, as Header takes them; nil off HTTP
	Principal string
	Scope     mcp.Scope        // of the endpoint it came to
	Out       Outlet           // for what the client is told before the answer; never nil
	Session   *session.Session // the pipe's, or the one that an HTTP request names; nil for none
}

// An Outlet takes whole messages for the client.
type Outlet = session.Outlet

// An Answer is what the binding sends back: on HTTP with this status, on a pipe just the
// body. A nil body is no answer at all: a notification, or a call that was cancelled.
type Answer struct {
	Status  int
	Body    []byte
	Session string // id of a session that this answer opens
	Dropped bool   // the call was cancelled: nothing may be said about it any more
}

// Implementation is the raw Implementation object that names a program to its peers.
func Implementation(name, title, version string) []byte {
	dst := rawjson.AppendText([]byte(`{"name":`), name)
	if title != "" {
		dst = rawjson.AppendText(append(dst, `,"title":`...), title)
	}
	dst = rawjson.AppendText(append(dst, `,"version":`...), version)
	return append(dst, '}')
}

// A Presence is how the gateway shows itself on its endpoints.
type Presence interface {
	// Self is the raw Implementation object. Each scope has a name of its own, since
	// clients keep what they know of a server by it.
	Self(s mcp.Scope) []byte
	// Instructions are for the model that uses the endpoint; empty for none.
	Instructions(s mcp.Scope) string
	// Capabilities is the raw object of what the endpoint offers. Its extensions are shown to
	// clients of the stateless revisions only.
	Capabilities(s mcp.Scope) []byte
}

// Params are what both inbound eras are made of.
type Params struct {
	Handler  mcp.Handler
	Feed     Feed
	Presence Presence
	Streams  *quota.Quota // open subscriptions
	Log      *slog.Logger

	Via          string        // our own id among gateways; a message that has passed it is refused
	ParkedOwn    int           // calls of one principal that may wait for its answers; 0 is 16
	Parked       int           // of all; 0 is 1,024
	QuestionTime time.Duration // how long a client may take to answer a question; 0 is DefaultQuestionTime
}

// DefaultQuestionTime is for people, who may have to look something up.
const DefaultQuestionTime = 10 * time.Minute

// A Feed is what goes between a caller and the house outside of calls.
type Feed interface {
	// Seen is what the caller sees of each kind, and a channel that is closed at the next
	// change of anything.
	Seen(c *mcp.Caller) (mcp.Seen, <-chan struct{})
	// Watch has inbox told, by notifications/resources/updated with the URI that the caller
	// used, when a resource changes, until stop is called. It fails with a *mcp.Error where no
	// server has such a resource, or its server cannot tell of changes.
	Watch(ctx context.Context, c *mcp.Caller, uri string, inbox mcp.Inbox) (stop func(), err error)
	// WatchTasks has inbox told, by notifications/tasks with the id that the caller used, when
	// one of these tasks changes, until stop is called. It gives those of which it is told; what
	// is not agreed when ctx ends is not among them.
	WatchTasks(ctx context.Context, c *mcp.Caller, ids []string, inbox mcp.Inbox) (agreed []string, stop func())
	// Notify passes a notification of the caller on to whom it concerns: the servers that
	// have a connection for this caller alone, or the one server of the caller's scope. It
	// does not block.
	Notify(c *mcp.Caller, method string, params []byte)
}

// NewCall reads what the house must know from a message's params: where _meta and the
// progress token lie, and the name or URI that is asked for. It refuses duplicate and
// look-alike members where we decide.
func NewCall(m *jsonrpc.Message) (*mcp.Call, *mcp.Error) {
	c := &mcp.Call{Method: m.Method, Notice: m.Kind == jsonrpc.Notification, Params: mcp.Params{Raw: m.Params}}
	if m.Params == nil {
		return c, nil
	}
	if err := rawjson.CheckMembers(m.Params, "name", "uri", "ref", "level", "arguments", "_meta", "cursor", mcp.MemberInputResponses, mcp.MemberRequestState, mcp.MemberTaskID); err != nil {
		return c, memberError(err, "params")
	}
	for f := range rawjson.Members(m.Params) {
		switch string(f.Key) {
		case `"name"`:
			if m.Method != mcp.ToolsCall && m.Method != mcp.PromptsGet {
				continue
			}
			name, ok := rawjson.Text(f.Value)
			if !ok {
				return c, mcp.Errorf(mcp.InvalidParams, "params", `"name" must be a string`)
			}
			c.Name = name
		case `"uri"`:
			if m.Method != mcp.ResourcesRead && m.Method != mcp.Subscribe && m.Method != mcp.Unsubscribe {
				continue
			}
			uri, ok := rawjson.Text(f.Value)
			if !ok {
				return c, mcp.Errorf(mcp.InvalidParams, "params", `"uri" must be a string`)
			}
			c.Name = uri
		case `"ref"`:
			if m.Method != mcp.Completion {
				continue
			}
			if err := readRef(c, f.Value); err != nil {
				return c, err
			}
		case `"arguments"`:
			if (m.Method == mcp.ToolsCall || m.Method == mcp.PromptsGet) && f.Value[0] != '{' {
				return c, mcp.Errorf(mcp.InvalidParams, "params", `"arguments" must be an object`)
			}
		case `"_meta"`:
			if err := readMeta(c, f.Value); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// readRef reads what a completion is for.
func readRef(c *mcp.Call, ref []byte) *mcp.Error {
	if ref[0] != '{' {
		return mcp.Errorf(mcp.InvalidParams, "params", `"ref" must be an object`)
	}
	if err := rawjson.CheckMembers(ref, "type", "name", "uri"); err != nil {
		return memberError(err, "params.ref")
	}
	_, name, bad := mcp.Reference(c.Params.Raw)
	c.Name = name
	return bad
}

func readMeta(c *mcp.Call, meta []byte) *mcp.Error {
	if meta[0] != '{' {
		return mcp.Errorf(mcp.InvalidParams, "params", `"_meta" must be an object`)
	}
	if err := rawjson.CheckMembers(meta, mcp.HopMeta[:]...); err != nil {
		return memberError(err, "params._meta")
	}
	c.Params.Meta = meta
	token := rawjson.Get(meta, mcp.MetaProgressToken)
	if token == nil {
		return nil
	}
	if jsonrpc.ValidID(token, jsonrpc.ClientLimits) != nil {
		return mcp.Errorf(mcp.InvalidParams, "params", `"progressToken" must be a string or an integer`)
	}
	c.Params.ProgressToken = token
	return nil
}

// memberError says in which part of the message the members stand: offsets count from there.
func memberError(err error, part string) *mcp.Error {
	var e *rawjson.Error
	code, reason := mcp.InvalidRequest, "lookalike"
	if ok := asRaw(err, &e); ok && e.Reason == rawjson.Duplicate {
		code, reason = mcp.Malformed, "duplicate"
	}
	return mcp.Errorf(code, reason, "%s of %s", err, part)
}

// CallerBack is the Back of one call over an Outlet, as far as the eras are the same: each
// asks in its own way. After Close, and once the call is cancelled, it is silent.
type CallerBack struct {
	Out  Outlet
	From *mcp.Caller // never nil

	mu     sync.Mutex
	closed bool // guarded by mu
}

// Notify appends one notification to the outlet. Of log lines the caller is told those that
// it wants.
func (b *CallerBack) Notify(ctx context.Context, method string, params []byte) error {
	if method == mcp.NoteMessage && !WantsLine(b.From, params) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && ctx.Err() == nil {
		b.Out.Notify(jsonrpc.AppendNotification(nil, method, params))
	}
	return nil
}

// Close silences the Back, since the call is answered.
func (b *CallerBack) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}

// Memo keeps the outcomes of a costly rewriting of lists. A list is the same slice until the
// catalog changes, and each scope has its own.
type Memo struct {
	mu   sync.Mutex
	kept map[*byte][]byte // guarded by mu: by the first byte of the list
}

// maxMemo bounds what is kept, since old lists are never asked for again.
const maxMemo = 16

// Get gives f(in), computed once for as long as in stays the same slice.
func (m *Memo) Get(in []byte, f func([]byte) []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if out := m.kept[&in[0]]; out != nil {
		return out
	}
	if m.kept == nil || len(m.kept) >= maxMemo {
		m.kept = map[*byte][]byte{}
	}
	out := f(in)
	m.kept[&in[0]] = out
	return out
}

// StatelessMessage tells the era of a client's message (2026-07-28, versioning, Backward
// Compatibility): stateless if _meta names a protocol version, or if the HTTP header names
// one that is no stateful revision and the method is not initialize. header is empty where
// there is none.
func StatelessMessage(m *jsonrpc.Message, header string) bool {
	if meta := rawjson.Get(m.Params, "_meta"); meta != nil && rawjson.Get(meta, mcp.MetaVersion) != nil {
		return true
	}
	return header != "" && !IsStateful(header) && m.Method != mcp.Initialize
}

// IsBatch tells whether bytes that a client sent are a JSON array.
func IsBatch(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '['
}
