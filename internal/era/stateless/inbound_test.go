package stateless

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
)

// A view is the feed, as a test sets it.
type view struct {
	mu      sync.Mutex
	now     mcp.Seen
	changed chan struct{}
	watch   func(ctx context.Context, uri string, inbox mcp.Inbox) (func(), error)
	tasks   func(ctx context.Context, ids []string, inbox mcp.Inbox) ([]string, func())
	notes   []string
}

func newView() *view { return &view{now: mcp.Seen{mcp.Tools: "F0"}, changed: make(chan struct{})} }

func (v *view) Seen(*mcp.Caller) (mcp.Seen, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now, v.changed
}

func (v *view) Watch(ctx context.Context, _ *mcp.Caller, uri string, inbox mcp.Inbox) (func(), error) {
	return v.watch(ctx, uri, inbox)
}

func (v *view) WatchTasks(ctx context.Context, _ *mcp.Caller, ids []string, inbox mcp.Inbox) ([]string, func()) {
	return v.tasks(ctx, ids, inbox)
}

func (v *view) Notify(_ *mcp.Caller, method string, params []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, method+" "+string(params))
}

func (v *view) set(tools string) { v.setKind(mcp.Tools, tools) }

func (v *view) setKind(k mcp.Kind, now string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.changed)
	v.now[k], v.changed = now, make(chan struct{})
}

// told notes what a client is told, and when.
type told struct {
	mu    sync.Mutex
	began time.Time
	all   []string
}

func (o *told) Notify(raw []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, time.Since(o.began).String()+" "+string(raw))
}

func (o *told) Deliver(raw []byte) { o.Notify(raw) }

func (o *told) Ask(_, raw []byte) bool { o.Notify(raw); return true }
func (o *told) Recall([]byte) bool     { return false }

// lines are the messages alone.
func (o *told) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for _, s := range o.all {
		_, raw, _ := strings.Cut(s, " ")
		out = append(out, raw)
	}
	return out
}

// methods are the times and methods.
func (o *told) methods() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for _, s := range o.all {
		at, raw, _ := strings.Cut(s, " ")
		m, _ := jsonrpc.Parse([]byte(raw), jsonrpc.ClientLimits)
		out = append(out, at+" "+m.Method)
	}
	return out
}

const inMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func incoming(t *testing.T, method, params string, out era.Outlet) *era.Incoming {
	t.Helper()
	if params != "" {
		params += ","
	}
	m, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":{`+params+inMeta+`}}`), jsonrpc.ClientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return &era.Incoming{Message: m, Principal: "local", Out: out}
}

func inbound(h mcp.HandlerFunc, v *view) *Inbound {
	return NewInbound(era.Params{Handler: h, Feed: v, Presence: presence{`{"name":"n","version":"1"}`, ""}, Streams: quota.New(100, 100)})
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestListeningIsCoalesced: the acknowledgement comes first; then at most one change a
// second, the last one never lost, and only what changed this view.
func TestListeningIsCoalesced(t *testing.T) {
	const ack, change = " notifications/subscriptions/acknowledged", " notifications/tools/list_changed"
	synctest.Test(t, func(t *testing.T) {
		v, out := newView(), &told{began: time.Now()}
		b := inbound(nil, v)
		ctx, stop := context.WithCancel(t.Context())
		end := make(chan era.Answer, 1)
		in := incoming(t, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true}`, out)
		go func() { end <- b.Serve(ctx, in) }()
		same(t, out.methods(), "0s"+ack)
		time.Sleep(time.Minute)
		v.set("F0")
		same(t, out.methods(), "0s"+ack)
		v.set("F1")
		same(t, out.methods(), "0s"+ack, "1m0s"+change)
		for range 100 {
			time.Sleep(5 * time.Millisecond)
			v.set("F" + time.Now().String())
		}
		same(t, out.methods(), "0s"+ack, "1m0s"+change)
		time.Sleep(time.Hour)
		same(t, out.methods(), "0s"+ack, "1m0s"+change, "1m1s"+change)
		stop()
		if a := <-end; !a.Dropped || a.Body != nil {
			t.Errorf("a subscription that its client ended is answered: %s", a.Body)
		}
	})
}

// TestChangesDuringTheAcknowledgementAreTold: the view is read before it.
func TestChangesDuringTheAcknowledgementAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView()
		b := inbound(nil, v)
		out := &told{began: time.Now()}
		end := make(chan era.Answer, 1)
		in := incoming(t, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true}`, hook{out, func() { v.set("F1") }})
		go func() { end <- b.Serve(t.Context(), in) }()
		same(t, out.methods(), "0s notifications/subscriptions/acknowledged", "0s notifications/tools/list_changed")
		b.Close()
		b.Close()
		if a := <-end; a.Status != 200 || !strings.Contains(string(a.Body), `"resultType":"complete"`) {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// A hook acts when the acknowledgement is sent.
type hook struct {
	*told
	act func()
}

func (h hook) Notify(raw []byte) {
	if strings.Contains(string(raw), "acknowledged") {
		h.act()
	}
	h.told.Notify(raw)
}

// TestResultsBearTheirMembers: type and server always, hints on lists, and the rest of a
// result is the answering side's bytes.
func TestResultsBearTheirMembers(t *testing.T) {
	const self = `"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}`
	for _, c := range []struct{ method, result, want string }{
		{mcp.ToolsCall, `{"content":[1.0]}`, `{"content":[1.0],"resultType":"complete","_meta":{` + self + `}}`},
		{mcp.ToolsCall, `{"resultType":"complete","x":1e400}`, `{"resultType":"complete","x":1e400,"_meta":{` + self + `}}`},
		{mcp.ToolsCall, `{"resultType":"input_required","inputRequests":{},"requestState":"s"}`, `{"resultType":"input_required","inputRequests":{},"requestState":"s","_meta":{` + self + `}}`},
		{mcp.ToolsCall, `{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"theirs"},"com.example/x":1.0},"content":[]}`, `{"_meta":{` + self + `,"com.example/x":1.0},"content":[],"resultType":"complete"}`},
		{mcp.Tools.List(), `{"tools":[{"name":"a"}]}`, `{"tools":[{"name":"a"}],"resultType":"complete","cacheScope":"private","_meta":{` + self + `},"ttlMs":0}`},
		{mcp.ResourcesRead, `{"contents":[]}`, `{"contents":[],"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{` + self + `}}`},
		{mcp.ResourcesRead, `{"contents":[],"ttlMs":7,"cacheScope":"public"}`, `{"contents":[],"ttlMs":7,"cacheScope":"public","resultType":"complete","_meta":{` + self + `}}`},
		{mcp.Completion, `{"completion":{}}`, `{"completion":{},"resultType":"complete","_meta":{` + self + `}}`},
	} {
		b := inbound(func(context.Context, *mcp.Call) (*mcp.Reply, error) { return &mcp.Reply{Result: []byte(c.result)}, nil }, newView())
		for range 2 { // the second list comes from memory
			a := b.Serve(t.Context(), incoming(t, c.method, `"name":"a","uri":"a:b","ref":{"type":"ref/prompt","name":"a"}`, &told{}))
			if want := `{"jsonrpc":"2.0","id":7,"result":` + c.want + `}`; string(a.Body) != want || a.Status != 200 {
				t.Errorf("%d %s\nwant %s", a.Status, a.Body, want)
			}
		}
	}
}

// TestAPipeNeedsNoHeaders, but all of _meta.
func TestAPipeNeedsNoHeaders(t *testing.T) {
	hits := 0
	b := inbound(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		hits++
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	}, newView())
	for meta, code := range map[string]string{
		inMeta: "", `"_meta":{}`: "-32602", `"a":1`: "-32602",
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`:                                                 "-32602",
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":1}`:  "-32602",
		`"_meta":{"io.modelcontextprotocol/protocolVersion":7,"io.modelcontextprotocol/clientCapabilities":{}}`:            "-32602",
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}`: "-32022",
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/ProtocolVersion":"x"}`:   "-32600",
	} {
		m, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{`+meta+`}}`), jsonrpc.ClientLimits)
		if err != nil {
			t.Fatal(err)
		}
		a := b.Serve(t.Context(), &era.Incoming{Message: m, Out: &told{}})
		if (code == "") != (a.Status == 200) || !strings.Contains(string(a.Body), code) {
			t.Errorf("%s: %d %s, want %s", meta, a.Status, a.Body, code)
		}
	}
	if hits != 1 {
		t.Errorf("%d calls reached the house", hits)
	}
}

type presence struct{ self, says string }

func (p presence) Self(mcp.Scope) []byte         { return []byte(p.self) }
func (p presence) Instructions(mcp.Scope) string { return p.says }

func (p presence) Capabilities(mcp.Scope) []byte {
	return []byte(`{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{},"logging":{}}`)
}
