package stateless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// Outbound speaks with a stateless server.
type Outbound struct {
	link    era.Link
	client  []byte // our clientInfo
	version []byte // the revision as a JSON string
	info    era.Info

	listening atomic.Pointer[subscription] // the newest one

	mirrors atomic.Pointer[map[string][]mirror] // by tool, as last listed; nil off HTTP
	listed  atomic.Pointer[era.ListBounds]      // of that listing
}

// ErrNotStateless is wrapped by what Connect returns when the server's answer shows that
// it speaks no stateless revision of ours.
var ErrNotStateless = errors.New("the server speaks no stateless revision")

// Connect asks the server what it is (2026-07-28, discovery). The connection stays the
// caller's to close where it fails. A refusal that is a state of the server, an HTTP
// status, is passed as it is.
func Connect(ctx context.Context, conn transport.Conn, self []byte) (*Outbound, error) {
	date := era.Newest(true).Date
	o := &Outbound{link: era.Link{Conn: conn, First: era.FirstStateless}, client: self, version: rawjson.AppendText(nil, date)}
	o.link.Header = []transport.Header{{Name: era.HeaderVersion, Value: date}}
	result, err := o.round(ctx, o.link.NextID(), mcp.Discover, nil, nil, nil)
	var remote *mcp.Remote
	if errors.As(err, &remote) {
		if remote.Number == era.UnsupportedVersion && speaks(rawjson.Get(rawjson.Get(remote.Raw, "data"), "supported")) {
			return nil, fmt.Errorf("server/discover: %w", err) // it does, and yet refuses: not a matter of eras
		}
		return nil, fmt.Errorf("server/discover: %w: %w", ErrNotStateless, err)
	}
	if err != nil {
		return nil, fmt.Errorf("server/discover: %w", err)
	}
	if !speaks(rawjson.Get(result, "supportedVersions")) {
		return nil, fmt.Errorf("server/discover: %w", ErrNotStateless)
	}
	o.info = readInfo(result, date)
	return o, nil
}

// speaks tells whether an array of dates names a stateless revision that we speak.
func speaks(list []byte) bool {
	for v := range rawjson.Elements(list) {
		if date, ok := rawjson.Text(v); ok && era.IsStateless(date) {
			return true
		}
	}
	return false
}

func readInfo(result []byte, date string) era.Info {
	info := era.Info{Revision: date, Stateless: true}
	if self := rawjson.Get(rawjson.Get(result, "_meta"), mcp.MetaServerInfo); self != nil && self[0] == '{' {
		info.ServerInfo = self
	}
	info.Instructions, _ = rawjson.Text(rawjson.Get(result, "instructions"))
	if tools := rawjson.Get(rawjson.Get(result, "capabilities"), "tools"); tools != nil {
		info.HasTools = true
		info.Announces = string(rawjson.Get(tools, "listChanged")) == "true"
	}
	return info
}

// Info is what the server said in its discovery.
func (o *Outbound) Info() era.Info { return o.info }

// Tools lists the server's tools. A server that declares none is not asked.
func (o *Outbound) Tools(ctx context.Context, b era.ListBounds) (*era.Listing, error) {
	if !o.info.HasTools {
		return &era.Listing{}, nil
	}
	l, err := era.Follow(ctx, "tools", b, func(ctx context.Context, cursor []byte) ([]byte, error) {
		params := []byte(nil)
		if cursor != nil {
			params = append(append([]byte(`{"cursor":`), cursor...), '}')
		}
		result, err := o.round(ctx, o.link.NextID(), mcp.ToolsList, params, nil, nil)
		if err == nil && resultType(result) != era.TypeComplete {
			return nil, errors.New("the answer to a list must be complete")
		}
		return result, err
	})
	if err == nil && o.link.Conn.OwnStream() {
		o.listed.Store(&b)
		o.readMirrors(l)
	}
	return l, err
}

// readMirrors notes which parameters go along as headers, and takes out the tools whose
// annotations break the rules, as an HTTP client must.
func (o *Outbound) readMirrors(l *era.Listing) {
	all := map[string][]mirror{}
	kept := l.Tools[:0:0]
	for _, tool := range l.Tools {
		name, _ := rawjson.Text(rawjson.Get(tool, "name"))
		mirrors, err := readMirrors(rawjson.Get(tool, "inputSchema"))
		if err != nil {
			l.Left = append(l.Left, fmt.Sprintf("tool %.80q: %s", name, err))
			continue
		}
		if mirrors != nil {
			all[name] = mirrors
		}
		kept = append(kept, tool)
	}
	l.Tools = kept
	o.mirrors.Store(&all)
}

// Check discovers the server again.
func (o *Outbound) Check(ctx context.Context) error {
	_, err := o.round(ctx, o.link.NextID(), mcp.Discover, nil, nil, nil)
	var remote *mcp.Remote
	if errors.As(err, &remote) && remote.Number != era.MethodNotFound && remote.Number != era.UnsupportedVersion {
		return nil // a sign of life; those two are a server's of the other era
	}
	return err
}

// round sends a request with params that have no _meta.
func (o *Outbound) round(ctx context.Context, id []byte, method string, params, capabilities []byte, on func(*jsonrpc.Message)) ([]byte, error) {
	params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: o.meta(nil, capabilities, nil)})
	return o.link.Round(ctx, id, method, params, o.headers(method, ""), on)
}

// meta makes the _meta of one request: the sender's own keys, and those of this hop.
func (o *Outbound) meta(sent, capabilities, token []byte) []byte {
	if capabilities == nil {
		capabilities = []byte("{}")
	}
	edits := []rawjson.Edit{
		{Key: mcp.MetaVersion, Value: o.version},
		{Key: mcp.MetaClientInfo, Value: o.client},
		{Key: mcp.MetaClientCaps, Value: capabilities},
	}
	if token != nil {
		edits = append(edits, rawjson.Edit{Key: mcp.MetaProgressToken, Value: token})
	}
	return era.CleanMeta(sent, edits...)
}

// headers mirrors the body (2026-07-28, Streamable HTTP, Standard Request Headers).
func (o *Outbound) headers(method, name string) []transport.Header {
	h := append(o.link.Header[:1:1], transport.Header{Name: era.HeaderMethod, Value: method})
	if name != "" {
		h = append(h, transport.Header{Name: era.HeaderName, Value: era.EncodeHeader(name)})
	}
	return h
}

// Handle sends a call to the server.
func (o *Outbound) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	result, err := o.call(ctx, c)
	if remote := era.AsRemote(err); remote != nil && remote.Number == era.HeaderMismatch && o.mirrors.Load() != nil && ctx.Err() == nil {
		// The tool's parameters may have changed since it was listed. The answer proves
		// that it did not run, so it goes once more (2026-07-28, Streamable HTTP, Client Behavior).
		if _, stale := o.Tools(ctx, *o.listed.Load()); stale == nil {
			result, err = o.call(ctx, c)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, handleError(c, err)
	}
	return readReply(c, result)
}

// call is one request of a call and its answer.
func (o *Outbound) call(ctx context.Context, c *mcp.Call) ([]byte, error) {
	id := o.link.NextID()
	var token []byte
	if c.Params.ProgressToken != nil {
		token = id
	}
	params := era.CallParams(c, o.meta(c.Params.Meta, bridged(c.From), token))
	header := o.headers(c.Method, c.Target.Origin)
	if all := o.mirrors.Load(); all != nil {
		if mirrors := (*all)[c.Target.Origin]; mirrors != nil {
			header = append(header, mirrored(mirrors, rawjson.Get(c.Params.Raw, "arguments"))...)
		}
	}
	result, err := o.link.Round(ctx, id, c.Method, params, header, era.Relay(ctx, c, id))
	if err != nil && ctx.Err() != nil && !o.link.Conn.OwnStream() { // elsewhere the closed stream has told it
		o.link.Cancel(id)
	}
	return result, err
}

func readReply(c *mcp.Call, result []byte) (*mcp.Reply, error) {
	switch t := resultType(result); t {
	case era.TypeComplete:
		return &mcp.Reply{Result: era.CleanResult(result)}, nil
	case era.TypeInputRequired:
		if !c.From.TakesRounds {
			return nil, mcp.Errorf(mcp.Internal, "input_required", "server %q asks for input that this client was not declared to give", c.Target.Server)
		}
		return &mcp.Reply{Kind: mcp.InputRequired, Result: era.CleanResult(result)}, nil
	default:
		// 2026-07-28, basic, ResultType: a type that nobody declared makes the result invalid.
		return nil, mcp.Errorf(mcp.Internal, "server_invalid", "server %q gave a result of unknown type %.40q", c.Target.Server, t)
	}
}

// resultType is complete where a result does not say.
func resultType(result []byte) string {
	raw := rawjson.Get(result, era.MemberType)
	if raw == nil {
		return era.TypeComplete
	}
	t, ok := rawjson.Text(raw)
	if !ok {
		return string(raw)
	}
	return t
}

// handleError keeps errors that speak of our hop, not the caller's, from passing as the
// server's own.
func handleError(c *mcp.Call, err error) error {
	var remote *mcp.Remote
	if errors.As(err, &remote) && (remote.Number == era.HeaderMismatch || remote.Number == era.UnsupportedVersion) {
		code := mcp.Internal
		if remote.Number == era.UnsupportedVersion {
			code = mcp.Unavailable // it is not the server that was discovered
		}
		return &mcp.Error{Code: code, Reason: "server_refused", Message: fmt.Sprintf("server %q refused the gateway's request", c.Target.Server), Err: err}
	}
	return era.Unavailable(c.Target.Server, err)
}

// bridged are the capabilities that a caller's rounds may use: what it declared, cut to
// what the gateway carries. Callers that take no rounds have none yet.
func bridged(from *mcp.Caller) []byte {
	if !from.TakesRounds || len(from.Capabilities) == 0 {
		return nil
	}
	var drop []rawjson.Edit
	for f := range rawjson.Members(from.Capabilities) {
		switch string(f.Key) {
		case `"elicitation"`, `"sampling"`, `"roots"`:
		default:
			if key, ok := rawjson.Text(f.Key); ok {
				drop = append(drop, rawjson.Edit{Key: key})
			}
		}
	}
	if drop == nil {
		return from.Capabilities
	}
	return rawjson.AppendEdited(nil, from.Capabilities, drop...)
}

// Run keeps one subscription of ours open, where the server announces changes, and waits
// for the end of the connection.
func (o *Outbound) Run(ctx context.Context, changed func()) error {
	ctx, stop := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer stop()
	lost := make(chan error, 1)
	if o.info.Announces {
		listener.Go(func() { lost <- o.subscribe(ctx, changed) })
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case e, open := <-o.link.Conn.Events():
			if !open {
				return o.link.Conn.Err()
			}
			if e.Lost {
				changed()
			} else {
				o.hear(ctx, e.Message)
			}
		}
	}
}

// hear takes what belongs to no call: the end of our subscription, which a server on a
// pipe announces (2026-07-28, cancellation), and requests, which this era's servers do not
// make; some do, and would wait.
func (o *Outbound) hear(ctx context.Context, m *jsonrpc.Message) {
	switch {
	case m.Method == mcp.NoteCancelled:
		if s := o.listening.Load(); s != nil && bytes.Equal(rawjson.Get(m.Params, "requestId"), s.id) {
			s.end()
		}
	case m.Kind == jsonrpc.Request && !o.link.Conn.OwnStream():
		object, _ := era.Render(mcp.Errorf(mcp.UnknownMethod, "method", "servers make no requests in this revision"))
		ctx, stop := context.WithTimeout(ctx, refusalTime)
		defer stop()
		_ = o.link.Conn.Send(ctx, transport.Message{Body: jsonrpc.AppendError(nil, m.ID, object)})
	}
}

// refusalTime is how long a server that asks may take to take the answer.
const refusalTime = 2 * time.Second

// Bounds of the subscription's back-off.
const (
	minRelisten  = time.Second
	maxRelisten  = 60 * time.Second
	lostAfter    = 3 // listens in a row that never were acknowledged
	longRelisten = 10 * time.Second
)

// subscribe listens, and listens again where the stream ends: a result, a cancellation and
// a lost stream all mean the same, that changes may have been missed. It gives up when the
// server cannot be reached any more.
func (o *Outbound) subscribe(ctx context.Context, changed func()) error {
	wait, failures := minRelisten, 0
	for {
		began := time.Now()
		acknowledged := false
		err := o.listenOnce(ctx, func() {
			acknowledged = true
			changed() // what changed between the last listing and now was told to nobody
		}, changed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if acknowledged {
			failures = 0
		} else if failures++; failures >= lostAfter && unreachable(err) {
			return fmt.Errorf("subscriptions/listen: %w", err)
		}
		if acknowledged && time.Since(began) > longRelisten {
			wait = minRelisten
		}
		if !era.Sleep(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, maxRelisten)
	}
}

func unreachable(err error) bool {
	var remote *mcp.Remote
	return err != nil && !errors.As(err, &remote)
}

// A subscription is one listen request of ours; end ends it.
type subscription struct {
	id  []byte
	end context.CancelFunc
}

// listenOnce holds one subscription until it ends.
func (o *Outbound) listenOnce(ctx context.Context, acknowledged, changed func()) error {
	id := o.link.NextID()
	held, end := context.WithCancel(ctx)
	defer end()
	o.listening.Store(&subscription{id, end})
	_, err := o.round(held, id, mcp.SubscriptionsListen, []byte(`{"notifications":{"toolsListChanged":true}}`), nil, func(m *jsonrpc.Message) {
		switch m.Method {
		case mcp.NoteAcknowledged:
			acknowledged()
		case mcp.NoteToolsListChanged:
			changed()
		}
	})
	if ctx.Err() != nil && !o.link.Conn.OwnStream() {
		o.link.Cancel(id)
	}
	return err
}

// Close ends the connection.
func (o *Outbound) Close() error { return o.link.Conn.Close() }
