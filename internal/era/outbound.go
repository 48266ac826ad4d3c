package era

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// An Outbound speaks with one server over one connection. Handle answers calls whose
// Target names an entry of the server; it may be used from any number of goroutines.
type Outbound interface {
	mcp.Handler
	// Info is what the server said about itself; it does not change.
	Info() Info
	// List lists one kind to the end. A server that declares none of it is not asked.
	List(ctx context.Context, kind mcp.Kind, b ListBounds) (*Listing, error)
	// Watch has the server tell when these resources change, and no others: the whole set of
	// what is wanted now. A server that does not offer it is not asked. The error is an
	// Unwatched where it is of some of them only.
	Watch(ctx context.Context, uris []string) error
	// Follow has told called with each change of these tasks of the server, for a caller that
	// declared the extension, until ctx ends or the server ends it; it returns why. began is
	// called before, with those that the server agreed to tell of. Neither may block.
	Follow(ctx context.Context, from *mcp.Caller, tasks []string, began func(tasks []string), told func(task string, params []byte)) error
	// Notify sends a notification of a client to the server.
	Notify(ctx context.Context, method string, params []byte) error
	// Check asks for a sign of life.
	Check(ctx context.Context) error
	// Run hears what belongs to no call until the connection or ctx ends, and tells ear. It
	// returns why the connection ended. When it returns, every goroutine it started has
	// exited. It is called once.
	Run(ctx context.Context, ear Ear) error
	// Close ends the connection.
	Close() error
}

// An Ear hears what belongs to no call. None of its functions may block; each may be called
// from any goroutine. None is nil.
type Ear struct {
	Changed func(kind mcp.Kind)                // the list of this kind may have changed; of Resources: of Templates as well
	Updated func(params []byte)                // of notifications/resources/updated
	Note    func(method string, params []byte) // any other notification: log lines that belong to no call, unknown ones
}

// Hear sorts a notification that belongs to no call.
func (e *Ear) Hear(m *jsonrpc.Message) {
	if m.Kind != jsonrpc.Notification {
		return
	}
	switch m.Method {
	case mcp.Tools.Changed():
		e.Changed(mcp.Tools)
	case mcp.Prompts.Changed():
		e.Changed(mcp.Prompts)
	case mcp.Resources.Changed():
		e.Changed(mcp.Resources)
	case mcp.NoteUpdated:
		e.Updated(CleanResult(m.Params))
	default:
		e.Note(m.Method, m.Params)
	}
}

// Info is a server's account of itself.
type Info struct {
	Revision     string
	Stateless    bool
	ServerInfo   []byte // raw Implementation; nil where it gave none
	Instructions string
	Capabilities []byte          // raw; nil where it gave none
	Has          [mcp.Kinds]bool // it lists the kind
	Announces    [mcp.Kinds]bool // it says when that list changes
	Subscribes   bool            // it says when a resource changes
	Logs         bool
	Tasks        bool // it has the tasks extension
}

// ReadCapabilities fills in what a server's capabilities say, which all revisions say alike.
func (i *Info) ReadCapabilities(raw []byte) {
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	i.Capabilities = raw
	for k, name := range [mcp.Kinds]string{mcp.Tools: "tools", mcp.Prompts: "prompts", mcp.Resources: "resources", mcp.Templates: "resources"} {
		if declared := rawjson.Get(raw, name); declared != nil {
			i.Has[k] = true
			i.Announces[k] = string(rawjson.Get(declared, "listChanged")) == "true"
		}
	}
	i.Subscribes = string(rawjson.Get(rawjson.Get(raw, "resources"), "subscribe")) == "true"
	i.Logs = rawjson.Get(raw, "logging") != nil
}

// A Listing is what a server listed of one kind.
type Listing struct {
	Entries  [][]byte      // raw definitions in the server's order
	Left     []string      // what the revision forbids to show, and why
	Partial  string        // why the list is not whole; empty where it is
	TTL      time.Duration // how long it says the list stays fresh; 0 where it does not say
	Gateways []string      // ids of the gateways whose entries are among it
}

// ListBounds end a listing that does not end by itself.
type ListBounds struct {
	Pages   int
	Entries int
	Time    time.Duration
}

// Link is what both outbound eras do over a connection: number requests, relay progress,
// tell the server of a cancelled call.
type Link struct {
	Conn   transport.Conn
	Header []transport.Header // on each message
	First  int64              // FirstStateful or FirstStateless
	sent   atomic.Int64
}

// Ids of the first request of each era. A probe asks in both ways over one connection, on
// which no id may be used twice (2025-11-25, basic, Requests): each takes every second one.
const (
	FirstStateless = 1
	FirstStateful  = 2
)

// NextID gives the id of the next request. It is also the progress token of its call.
func (l *Link) NextID() []byte { return strconv.AppendInt(nil, l.First+2*(l.sent.Add(1)-1), 10) }

// Round sends one request and waits for its answer: the result, a *mcp.Remote, or why
// there is none.
func (l *Link) Round(ctx context.Context, id []byte, method string, params []byte, header []transport.Header, on func(*jsonrpc.Message)) ([]byte, error) {
	if err := Unsent(ctx); err != nil {
		return nil, err
	}
	m := transport.Message{ID: id, Body: jsonrpc.AppendRequest(nil, id, method, params), Header: header}
	answer, err := l.Conn.Do(ctx, m, on)
	return ReadAnswer(answer, err)
}

// ReadAnswer takes an answer apart. A JSON-RPC error that came with an HTTP refusal counts
// as the server's answer.
func ReadAnswer(answer *jsonrpc.Message, err error) ([]byte, error) {
	var status *transport.Status
	if errors.As(err, &status) && status.Message != nil && status.Message.Kind == jsonrpc.Failure {
		return nil, &Refusal{Remote: ReadRemote(status.Message.Error), Status: status}
	}
	if err != nil {
		return nil, err
	}
	if answer.Kind == jsonrpc.Failure {
		return nil, ReadRemote(answer.Error)
	}
	return answer.Result, nil
}

// A Refusal is a server's error that came with an HTTP status.
type Refusal struct {
	Remote *mcp.Remote
	Status *transport.Status
}

func (r *Refusal) Error() string { return r.Status.Error() + ": " + r.Remote.Error() }

// Unwrap gives the two errors that it is.
func (r *Refusal) Unwrap() []error { return []error{r.Remote, r.Status} }

// Cancel tells the server that a call is not wanted any more, and whether that went out. The
// call's own context has ended, so this has a short one of its own.
func (l *Link) Cancel(id []byte) (told bool) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	params := append(append([]byte(`{"requestId":`), id...), '}')
	return l.Conn.Send(ctx, transport.Message{Body: jsonrpc.AppendNotification(nil, mcp.NoteCancelled, params), Header: l.Header}) == nil
}

// NoteParams are the params of a client's notification on its way to a server: with the _meta of
// the hop.
func NoteParams(params []byte, via string) []byte {
	params = CleanResult(params)
	meta := rawjson.Get(params, "_meta")
	if own := Via(meta, via); own != nil && (meta == nil || meta[0] == '{') {
		params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: rawjson.AppendEdited(nil, meta, own...)})
	}
	return params
}

// CallParams are the params of a call on its way to a server: with the origin name or URI,
// and the _meta of the hop.
func CallParams(c *mcp.Call, meta []byte) []byte {
	edits := make([]rawjson.Edit, 0, 2)
	if c.Target.Origin != c.Name {
		if e, ok := originEdit(c); ok {
			edits = append(edits, e)
		}
	}
	if meta != nil || c.Params.Meta != nil {
		edits = append(edits, rawjson.Edit{Key: "_meta", Value: meta})
	}
	if len(edits) == 0 {
		return c.Params.Raw
	}
	return rawjson.AppendEdited(nil, c.Params.Raw, edits...)
}

// originEdit puts the origin name or URI in the place where the method has it.
func originEdit(c *mcp.Call) (rawjson.Edit, bool) {
	origin := rawjson.AppendText(nil, c.Target.Origin)
	switch c.Method {
	case mcp.ToolsCall, mcp.PromptsGet:
		return rawjson.Edit{Key: "name", Value: origin}, true
	case mcp.ResourcesRead, mcp.Subscribe, mcp.Unsubscribe:
		return rawjson.Edit{Key: "uri", Value: origin}, true
	case mcp.TasksGet, mcp.TasksUpdate, mcp.TasksCancel:
		return rawjson.Edit{Key: mcp.MemberTaskID, Value: origin}, true
	case mcp.Completion:
		key, _, bad := mcp.Reference(c.Params.Raw)
		ref := rawjson.AppendEdited(nil, rawjson.Get(c.Params.Raw, "ref"), rawjson.Edit{Key: key, Value: origin})
		return rawjson.Edit{Key: "ref", Value: ref}, bad == nil
	}
	return rawjson.Edit{}, false
}

// Follow lists to the end: page gives the result for the params of a page, nil for the first
// one. An empty cursor is a cursor (2026-07-28, pagination). What came before a fault is kept. The
// entries are parts of the results, which is why those are bounded in all.
func Follow(ctx context.Context, kind mcp.Kind, b ListBounds, page func(ctx context.Context, params []byte) ([]byte, error)) (*Listing, error) {
	ctx, stop := context.WithTimeoutCause(ctx, b.Time, fmt.Errorf("the list took longer than %s", b.Time))
	defer stop()
	l := &Listing{}
	size, key := 0, kind.Member()
	var params []byte
	known := map[string]bool{}
	for n := 1; ; n++ {
		result, err := page(ctx, params)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
				err = context.Cause(ctx)
			}
			if n == 1 {
				return nil, fmt.Errorf("%s: %w", kind.List(), err)
			}
			l.Partial = fmt.Sprintf("page %d of the list did not come: %v", n, err)
			return l, nil
		}
		list := rawjson.Get(result, key)
		if len(list) == 0 || list[0] != '[' {
			if n == 1 {
				return nil, fmt.Errorf("the answer to %s has no array %q", kind.List(), key)
			}
			l.Partial = fmt.Sprintf("page %d of the list has no array %q", n, key)
			return l, nil
		}
		for entry := range rawjson.Elements(list) {
			if len(l.Entries) >= b.Entries {
				l.Partial = fmt.Sprintf("the list was cut at %d entries", b.Entries)
				return l, nil
			}
			l.Entries = append(l.Entries, entry)
		}
		l.note(result)
		l.TTL = shorter(l.TTL, rawjson.Get(result, MemberTTL))
		cursor := rawjson.Get(result, "nextCursor")
		if cursor == nil || string(cursor) == "null" {
			return l, nil
		}
		if known[string(cursor)] {
			l.Partial = fmt.Sprintf("the server repeated the cursor of page %d", n)
			return l, nil
		}
		known[string(cursor)] = true
		params = append(append([]byte(`{"cursor":`), cursor...), '}')
		if size += len(result); size >= maxListBytes {
			l.Partial = fmt.Sprintf("the list was cut at %d bytes", size)
			return l, nil
		}
		if n >= b.Pages {
			l.Partial = fmt.Sprintf("the list was cut at %d pages", b.Pages)
			return l, nil
		}
	}
}

const (
	maxTTL       = 24 * time.Hour // what a server says about freshness counts up to it
	maxListBytes = 32 << 20       // no page is fetched after so many bytes
)

// shorter is the smaller of two lifetimes, where 0 is unknown. ttl is in milliseconds;
// what is no positive integer counts for nothing (2026-07-28, caching).
func shorter(t time.Duration, ttl []byte) time.Duration {
	ms, err := strconv.ParseInt(string(ttl), 10, 64)
	if err != nil || ms <= 0 {
		return t
	}
	d := maxTTL
	if ms < int64(maxTTL/time.Millisecond) {
		d = time.Duration(ms) * time.Millisecond
	}
	if t == 0 || d < t {
		return d
	}
	return t
}

// Sleep waits for d. It is false where ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// IsClosed tells whether a channel that carries nothing is closed; nil is not.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// IsServerState tells whether an HTTP refusal is a state of the server, whatever revision
// it speaks: it wants credentials, or it has no time.
func IsServerState(err error) bool {
	var status *transport.Status
	if !errors.As(err, &status) {
		return false
	}
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests:
		return true
	}
	return false
}

// MayBeOlder tells whether an HTTP refusal is what a server of the HTTP+SSE transport gives
// to a POST: a client error that is no state of the server.
func MayBeOlder(err error) bool {
	var status *transport.Status
	return errors.As(err, &status) && status.Code >= 400 && status.Code < 500 && !IsServerState(err)
}

// Unavailable turns a transport's failure of a call whose own context lives into an error
// of ours. What is for the log stays inside it.
func Unavailable(server string, err error) error {
	var remote *mcp.Remote
	switch {
	case errors.As(err, &remote):
		return remote
	case errors.Is(err, jsonrpc.ErrAnswer):
		return &mcp.Error{Code: mcp.Internal, Reason: "server_invalid", Message: fmt.Sprintf("server %q gave an answer that is not acceptable", server), Err: err}
	}
	var status *transport.Status
	if errors.As(err, &status) {
		return &mcp.Error{Code: mcp.Unavailable, Reason: "server_refused", Message: fmt.Sprintf("server %q refused the call (HTTP status %d)", server, status.Code), Err: err}
	}
	return &mcp.Error{Code: mcp.Unavailable, Reason: "server_down", Message: fmt.Sprintf("the connection to server %q was lost", server), Err: err}
}
