package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/config"
	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport/pipe"
	"mcpgateway/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bounds = catalog.Bounds{ToolsPerServer: 100, ToolBytes: 1 << 16, CatalogBytes: 1 << 20}

// A house is a Registry whose servers live in this process. A definition's Command says
// how its server behaves: "hold" answers no call until release, "hang" answers nothing,
// "library" has resources to subscribe to, which takes a second.
type house struct {
	*Registry
	catalog *catalog.Catalog
	release chan struct{}

	mu     sync.Mutex
	starts map[string]int // guarded by mu: connections by server
	ends   map[string]int // guarded by mu
	asked  []string       // guarded by mu: what libraries were asked to tell of: "a.v1/subscribe x:1"
	update func()         // guarded by mu: has the library that was asked last tell that x:1 changed
}

func newHouse(t *testing.T) *house {
	h := &house{catalog: catalog.New(), release: make(chan struct{}), starts: map[string]int{}, ends: map[string]int{}}
	h.Registry = New(Params{Catalog: h.catalog, Bounds: bounds, Build: h.build, ListWait: 10 * time.Second, Most: 5})
	t.Cleanup(h.Close)
	return h
}

func (h *house) build(def config.Server, watches *upstream.Watches, publish func(*catalog.Part), renewed func()) *upstream.Server {
	return upstream.New(upstream.Params{
		Name: def.Name, Transport: def.Transport, Protocol: upstream.Stateful, Self: era.Implementation("gw", "", "1"),
		Dialer:       pipe.New(pipe.Params{Serve: func(ctx context.Context, r io.Reader, w io.Writer) error { return h.serve(ctx, def, r, w) }}),
		StartTimeout: 30 * time.Second, CallTimeout: time.Minute, CallMax: time.Hour, InFlight: 10,
		List: era.ListBounds{Pages: 10, Entries: 100, Time: 10 * time.Second}, Catalog: bounds, Grace: time.Minute,
		Prefix: def.Prefix, PerClient: def.Sessions == config.SessionsPerClient, Clients: 4,
		Publish: publish, Renewed: renewed, Watches: watches, Log: slog.New(slog.DiscardHandler),
	})
}

func (h *house) serve(ctx context.Context, def config.Server, r io.Reader, w io.Writer) error {
	h.mu.Lock()
	h.starts[def.Name]++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.ends[def.Name]++
		h.mu.Unlock()
	}()
	lines := jsonrpc.NewLineReader(r, 1<<20)
	for {
		line, err := lines.Next()
		if err != nil {
			return err
		}
		m, err := jsonrpc.Parse(line, jsonrpc.ServerLimits)
		if err != nil {
			return err
		}
		result := `{}`
		switch {
		case def.Command == "hang":
			continue
		case m.Method == mcp.Initialize:
			result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}`
			if def.Command == "library" {
				result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true}}}`
			}
		case m.Method == mcp.Resources.List():
			result = `{"resources":[{"uri":"x:1","name":"x"}]}`
		case m.Method == mcp.Templates.List():
			result = `{"resourceTemplates":[]}`
		case m.Method == mcp.Subscribe || m.Method == mcp.Unsubscribe:
			uri, _ := rawjson.Text(rawjson.Get(m.Params, "uri"))
			if !era.Sleep(ctx, time.Second) {
				return ctx.Err()
			}
			h.mu.Lock()
			h.asked = append(h.asked, def.Name+"."+def.Args[0]+strings.TrimPrefix(m.Method, "resources")+" "+uri)
			h.update = func() {
				_, _ = io.WriteString(w, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:1"}}`+"\n")
			}
			h.mu.Unlock()
		case m.Method == mcp.Tools.List():
			result = `{"tools":[{"name":"t","description":"` + strings.Join(def.Args, " ") + `","inputSchema":{"type":"object"}}]}`
		case m.Method == mcp.ToolsCall && def.Command == "hold":
			select {
			case <-h.release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if m.Kind == jsonrpc.Request {
			_, _ = w.Write(append(jsonrpc.AppendResult(nil, m.ID, []byte(result)), '\n'))
		}
	}
}

// running tells how many connections each server has.
func (h *house) running() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for name, n := range h.starts {
		out = append(out, fmt.Sprintf("%s:%d/%d", name, n-h.ends[name], n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (h *house) tools() string {
	var out []string
	for _, e := range h.catalog.View().Entries(mcp.Tools) {
		out = append(out, e.Target.Canonical)
	}
	return strings.Join(out, " ")
}

func (h *house) states() string {
	var out []string
	for _, s := range h.List() {
		out = append(out, fmt.Sprintf("%s:%s:%s", s.Def.Name, s.Source, s.Status.State))
	}
	return strings.Join(out, " ")
}

// call calls a tool as route does: by the view.
func (h *house) call(ctx context.Context, name string) error {
	e := h.catalog.View().Find(mcp.Tools, mcp.Scope{}, name)
	if e == nil {
		return errors.New("no such tool")
	}
	_, err := e.Target.Handler.Handle(ctx, &mcp.Call{Method: mcp.ToolsCall, Name: name, From: &mcp.Caller{}, Target: e.Target, Params: mcp.Params{Raw: []byte(`{}`)}})
	return err
}

func def(name string, args ...string) config.Server {
	return config.Server{Name: name, Transport: "pipe", Enabled: true, Args: args}
}

func behaving(name, how string) config.Server {
	d := def(name)
	d.Command = how
	return d
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
