package stateless

import (
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
	via     string     // our id among gateways
	calls   era.Ledger // calls of clients
	watch   watch
	ear     atomic.Pointer[era.Ear] // nil before Run

	mirrors atomic.Pointer[map[string][]mirror] // by tool, as last listed; nil off HTTP
	listed  atomic.Pointer[era.ListBounds]      // of that listing
}

// ErrNotStateless is wrapped by what Connect returns when the server's answer shows that
// it speaks no stateless revision of ours.
var ErrNotStateless = errors.New("the server speaks no stateless revision")

// Params say who we are to a server.
type Params struct {
	Self []byte // our Implementation object
	Via  string // our id among gateways; empty for none
}

// Connect asks the server what it is (2026-07-28, discovery). The connection stays the
// caller's to close where it fails. A refusal that is a state of the server, an HTTP
// status, is passed as it is.
func Connect(ctx context.Context, conn transport.Conn, p Params) (*Outbound, error) {
	date := era.Newest(true).Date
	o := &Outbound{link: era.Link{Conn: conn, First: era.FirstStateless}, client: p.Self, via: p.Via, version: rawjson.AppendText(nil, date)}
	o.watch = watch{held: -1, changed: make(chan struct{}, 1), waiting: map[chan<- error]int{}, open: map[string]*subscription{}}
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
	info.ReadCapabilities(rawjson.Get(result, "capabilities"))
	info.Tasks = isObject(rawjson.Get(rawjson.Get(info.Capabilities, "extensions"), mcp.ExtensionTasks))
	return info
}

// Info is what the server said in its discovery.
func (o *Outbound) Info() era.Info { return o.info }

// List lists one kind. A server that declares none of it is not asked.
func (o *Outbound) List(ctx context.Context, kind mcp.Kind, b era.ListBounds) (*era.Listing, error) {
	if !o.info.Has[kind] {
		return &era.Listing{}, nil
	}
	l, err := era.Follow(ctx, kind, b, func(ctx context.Context, params []byte) ([]byte, error) {
		result, err := o.round(ctx, o.link.NextID(), kind.List(), params, []byte(era.AllOfLists), nil)
		if err == nil && resultType(result) != era.TypeComplete {
			return nil, errors.New("the answer to a list must be complete")
		}
		return result, err
	})
	if err == nil && kind == mcp.Tools && o.link.Conn.OwnStream() {
		o.listed.Store(&b)
		o.readMirrors(l)
	}
	return l, err
}

// readMirrors notes which parameters go along as headers, and takes out the tools whose
// annotations break the rules, as an HTTP client must.
func (o *Outbound) readMirrors(l *era.Listing) {
	all := map[string][]mirror{}
	kept := l.Entries[:0:0]
	for _, tool := range l.Entries {
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
	l.Entries = kept
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
	params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: o.meta(nil, capabilities, nil, "")})
	return o.link.Round(ctx, id, method, params, o.headers(method, ""), on)
}

// meta makes the _meta of one request: the sender's own keys, and those of this hop.
func (o *Outbound) meta(sent, capabilities, token []byte, level string) []byte {
	if capabilities == nil {
		capabilities = []byte("{}")
	}
	edits := append(era.Via(sent, o.via),
		rawjson.Edit{Key: mcp.MetaVersion, Value: o.version},
		rawjson.Edit{Key: mcp.MetaClientInfo, Value: o.client},
		rawjson.Edit{Key: mcp.MetaClientCaps, Value: capabilities})
	if token != nil {
		edits = append(edits, rawjson.Edit{Key: mcp.MetaProgressToken, Value: token})
	}
	if level != "" {
		edits = append(edits, rawjson.Edit{Key: mcp.MetaLogLevel, Value: rawjson.AppendText(nil, level)})
	}
	return era.CleanMeta(sent, edits...)
}

// headers mirrors the body (2026-07-28, Streamable HTTP, Standard Request Headers).
func (o *Outbound) headers(method, name string) []transport.Header {
	h := append(o.link.Header[:1:1], transport.Header{Name: era.HeaderMethod, Value: method})
	if named(method) && name != "" {
		h = append(h, transport.Header{Name: era.HeaderName, Value: era.EncodeHeader(name)})
	}
	return h
}

// named tells whether a header bears the name that the request is about.
func named(method string) bool {
	switch method {
	case mcp.ToolsCall, mcp.PromptsGet, mcp.ResourcesRead, mcp.TasksGet, mcp.TasksUpdate, mcp.TasksCancel:
		return true
	}
	return false
}

// Handle sends a call to the server. A caller that takes rounds is given each of them; for
// another they are made here.
func (o *Outbound) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if !c.From.TakesRounds {
		return o.handleRounds(ctx, c)
	}
	result, err := o.send(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	reply, err := readReply(c, result)
	if err == nil && reply.Kind == mcp.InputRequired {
		err = checkRound(c, result)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// send is one round of a call.
func (o *Outbound) send(ctx context.Context, c *mcp.Call, round []rawjson.Edit) ([]byte, error) {
	result, err := o.call(ctx, c, round)
	if remote := era.AsRemote(err); remote != nil && remote.Number == era.HeaderMismatch && o.mirrors.Load() != nil && ctx.Err() == nil {
		// The tool's parameters may have changed since it was listed. The answer proves
		// that it did not run, so it goes once more (2026-07-28, Streamable HTTP, Client Behavior).
		if _, stale := o.List(ctx, mcp.Tools, *o.listed.Load()); stale == nil {
			result, err = o.call(ctx, c, round)
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, handleError(c, err)
	}
	return result, nil
}

// call is one request of a call and its answer.
func (o *Outbound) call(ctx context.Context, c *mcp.Call, round []rawjson.Edit) ([]byte, error) {
	id := o.link.NextID()
	var token []byte
	if c.Params.ProgressToken != nil {
		token = id
	}
	params := era.CallParams(c, o.meta(c.Params.Meta, bridged(c.From), token, c.From.LogLevel))
	if round != nil {
		params = rawjson.AppendEdited(nil, params, round...)
	}
	header := o.headers(c.Method, c.Target.Origin)
	if all := o.mirrors.Load(); all != nil && c.Method == mcp.ToolsCall {
		if mirrors := (*all)[c.Target.Origin]; mirrors != nil {
			header = append(header, mirrored(mirrors, rawjson.Get(c.Params.Raw, "arguments"))...)
		}
	}
	if o.link.Conn.OwnStream() {
		header = append(header, aside(c.Aside, header)...)
	}
	of := o.calls.Begin(ctx, c, id)
	result, err := o.link.Round(ctx, id, c.Method, params, header, o.during(of, id))
	o.calls.End(of, err)
	if err != nil && ctx.Err() != nil && !o.link.Conn.OwnStream() && o.link.Cancel(id) { // elsewhere the closed stream has told it
		o.calls.Told(id)
	}
	return result, err
}

// during hears what the server says while a call runs.
func (o *Outbound) during(of *era.Open, id []byte) func(*jsonrpc.Message) {
	relay := era.Relay(of.Ctx, of.Call, id)
	return func(m *jsonrpc.Message) {
		if ear := o.ear.Load(); ear != nil && era.OfNoCall(m.Method) {
			ear.Hear(m)
			return
		}
		relay(m)
	}
}

// Notify sends a notification of a client to the server, but for those that only earlier revisions
// have.
func (o *Outbound) Notify(ctx context.Context, method string, params []byte) error {
	if method == mcp.NoteRootsListChanged || method == mcp.NoteTaskStatus {
		return nil
	}
	return o.link.Conn.Send(ctx, transport.Message{Body: jsonrpc.AppendNotification(nil, method, era.NoteParams(params, o.via)), Header: o.headers(method, "")})
}

// Run keeps one subscription of ours open, where the server tells of changes, and waits for
// the end of the connection.
func (o *Outbound) Run(ctx context.Context, ear era.Ear) error {
	o.ear.Store(&ear)
	if shared, ok := o.link.Conn.(transport.Shared); ok {
		shared.Hear(o.hear)
		defer shared.Hear(nil)
	}
	ctx, stop := context.WithCancel(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer stop()
	lost := make(chan error, 1)
	if o.info.Subscribes || o.filters(nil) != nil {
		listening.Go(func() { lost <- o.subscribe(ctx, &ear, &listening) })
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case e, open := <-o.link.Conn.Events():
			switch {
			case !open:
				return o.link.Conn.Err()
			case e.Lost:
				uris, _ := o.watch.wanted()
				ear.Missed(o.info.Announces, uris)
			case !o.hear(e.Message) && !o.link.Conn.OwnStream():
				o.refuse(ctx, e.Message)
			}
		}
	}
}

// refuse answers a request, which this era's servers do not make; some do, and would wait.
func (o *Outbound) refuse(ctx context.Context, m *jsonrpc.Message) {
	object, _ := era.Render(mcp.Errorf(mcp.UnknownMethod, "method", "servers make no requests in this revision"))
	ctx, stop := context.WithTimeout(ctx, refusalTime)
	defer stop()
	_ = o.link.Conn.Send(ctx, transport.Message{Body: jsonrpc.AppendError(nil, m.ID, object)})
}

// refusalTime is how long a server that asks may take to take the answer.
const refusalTime = 2 * time.Second

// Close ends the connection.
func (o *Outbound) Close() error { return o.link.Conn.Close() }
