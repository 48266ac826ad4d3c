package route

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

var bounds = catalog.Bounds{ToolsPerServer: 100, ToolBytes: 1 << 16, CatalogBytes: 1 << 20}

func view(handler mcp.Handler, names ...string) *catalog.View {
	var tools [][]byte
	for _, n := range names {
		tools = append(tools, append(rawjson.AppendText([]byte(`{"name":`), n), `,"inputSchema":{"type":"object"}}`...))
	}
	return catalog.Merge([]*catalog.Part{catalog.Prepare("s", "Use with care.", catalog.Lists{mcp.Tools: {Entries: tools}}, handler, bounds)}, bounds)
}

// A waiting is a House that does something while it waits.
type waiting struct {
	handlers map[string]mcp.Handler
	watch    func(server, uri string, told func(string)) (stop func(), err error)
	follow   func(server string, tasks []string, told func(string, []byte)) (agreed func(context.Context) []string, stop func())
	notes    []string

	own      map[string][]*catalog.Part // by session
	wanted   []string                   // whose own lists were waited for, and for which name
	listsOwn func(from *mcp.Caller)

	waited, asked int
	server        string // waited for last
	meanwhile     func()
}

func (w *waiting) WaitListed(_ context.Context, server string) {
	w.server = server
	w.waited++
	if w.meanwhile != nil {
		w.meanwhile()
	}
}

func (w *waiting) Asked() { w.asked++ }

func (w *waiting) Own(from *mcp.Caller) []*catalog.Part { return w.own[from.Session] }

func (w *waiting) WaitOwn(_ context.Context, from *mcp.Caller, name string) {
	w.wanted = append(w.wanted, from.Session+" "+name)
	if w.listsOwn != nil {
		w.listsOwn(from)
	}
}

func (w *waiting) Handler(server string) mcp.Handler { return w.handlers[server] }

func (w *waiting) WatchResource(_ context.Context, server string, _ *mcp.Caller, uri string, told func(below string)) (func(), error) {
	return w.watch(server, uri, told)
}

func (w *waiting) FollowTasks(server string, _ *mcp.Caller, tasks []string, told func(string, []byte)) (func(context.Context) []string, func()) {
	return w.follow(server, tasks, told)
}

func (w *waiting) Notify(server string, _ *mcp.Caller, method string, params []byte) {
	w.notes = append(w.notes, server+" "+method+" "+string(params))
}

func (w *waiting) Missing(s mcp.Scope, tool string) (server, state string) {
	if s.Server == "down" || strings.HasPrefix(tool, "down.") {
		return "down", "crashloop"
	}
	return "", ""
}

func named(name string) mcp.Handler {
	return mcp.HandlerFunc(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		return &mcp.Reply{Result: []byte(name + " " + c.Target.Canonical + " " + c.Target.Origin)}, nil
	})
}

func call(name string) *mcp.Call {
	return &mcp.Call{Method: mcp.ToolsCall, Name: name, From: &mcp.Caller{}, Params: mcp.Params{Raw: []byte(`{}`)}}
}

func codeOf(err error) (mcp.Code, string) {
	var e *mcp.Error
	if !errors.As(err, &e) {
		return -1, ""
	}
	return e.Code, e.Reason
}

func TestCallsGoToTheirServer(t *testing.T) {
	c, w := catalog.New(), &waiting{}
	c.Swap(view(named("h"), "t", "a.b"))
	r := New(c, w, Dispatch, 0)
	for name, want := range map[string]string{"s.t": "h s.t t", "s.a.b": "h s.a.b a.b", "s__t": "h s.t t", "t": "h s.t t", "a.b": "h s.a.b a.b"} {
		reply, err := r.Handle(t.Context(), call(name))
		if err != nil || string(reply.Result) != want {
			t.Errorf("%s: %v, %v", name, reply, err)
		}
	}
	if w.waited != 0 {
		t.Errorf("a known name waited %d times", w.waited)
	}
	for _, name := range []string{"T", "s.T", "S.t", "s.", "s", ".t", "s.t ", "s.a"} {
		_, err := r.Handle(t.Context(), call(name))
		if code, reason := codeOf(err); code != mcp.InvalidParams || reason != "unknown_tool" {
			t.Errorf("%q: %v", name, err)
		}
	}
	if code, _ := codeOf(second(r.Handle(t.Context(), call("")))); code != mcp.InvalidParams {
		t.Error("a call without a name")
	}
	_, err := r.Handle(t.Context(), call(strings.Repeat("x", 1<<20)))
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	for _, method := range []string{"x/y", "", mcp.Ping, mcp.Subscribe, mcp.SetLevel, "tasks/list"} {
		other := &mcp.Call{Method: method, From: &mcp.Caller{}}
		if code, _ := codeOf(second(r.Handle(t.Context(), other))); code != mcp.UnknownMethod {
			t.Errorf("%q is routed", method)
		}
	}
}

func second(_ *mcp.Reply, err error) error { return err }

// TestUnknownNameWaitsForItsServer: one that is still starting may have it.
func TestUnknownNameWaitsForItsServer(t *testing.T) {
	c := catalog.New()
	w := &waiting{meanwhile: func() { c.Swap(view(named("h"), "late")) }}
	if _, err := New(c, w, Dispatch, 0).Handle(t.Context(), call("s.late")); err != nil || w.waited != 1 {
		t.Errorf("%v, waited %d times", err, w.waited)
	}
}

// TestListIsOneView: waited for, told of, and what was seen then even if the view is
// replaced on the way.
func TestListIsOneView(t *testing.T) {
	c := catalog.New()
	first := view(named("h"), "t")
	w := &waiting{meanwhile: func() { c.Swap(first) }}
	r := New(c, w, mcp.HandlerFunc(func(ctx context.Context, call *mcp.Call) (*mcp.Reply, error) {
		c.Swap(view(named("h"), "other"))
		return Dispatch.Handle(ctx, call)
	}), 0)
	reply, err := r.Handle(t.Context(), &mcp.Call{Method: mcp.Tools.List(), From: &mcp.Caller{}, Params: mcp.Params{Raw: []byte(`{}`)}})
	if err != nil || string(reply.Result) != string(first.List(mcp.Tools, mcp.Scope{})) || w.waited != 1 || w.asked != 1 {
		t.Errorf("%v, %v, %+v", reply, err, w)
	}
}

// TestForeignCursors: lists have one page, so none is ours.
func TestForeignCursors(t *testing.T) {
	r := New(catalog.New(), &waiting{}, Dispatch, 0)
	for _, params := range []string{`{"cursor":"x"}`, `{"cursor":""}`, `{"cursor":5}`} {
		_, err := r.Handle(t.Context(), &mcp.Call{Method: mcp.Tools.List(), From: &mcp.Caller{}, Params: mcp.Params{Raw: []byte(params)}})
		if code, reason := codeOf(err); code != mcp.InvalidParams || reason != "cursor" {
			t.Errorf("%s: %v", params, err)
		}
	}
}

func TestFeed(t *testing.T) {
	c := catalog.New()
	r := New(c, &waiting{}, Dispatch, 0)
	was, changed := r.Seen(&mcp.Caller{})
	c.Swap(view(nil, "t"))
	<-changed
	now, changed := r.Seen(&mcp.Caller{})
	if now == was {
		t.Error("another list has the same fingerprint")
	}
	c.Swap(view(nil, "t"))
	<-changed
	if same, _ := r.Seen(&mcp.Caller{}); same != now {
		t.Error("the same list has another fingerprint")
	}
	if got := r.Instructions(mcp.Scope{}); !strings.Contains(got, "<server>.<name>") || !strings.Contains(got, "# s\nUse with care.") {
		t.Errorf("instructions %q", got)
	}
}
