package era_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// TestLevels: a stateful server is told the most verbose level that anybody wanted, once; a
// stateless one each caller's own with its call.
func TestLevels(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		for _, answer := range []string{empty, unknown, ""} {
			w := &wire{says: initializedAll}
			w.script = func(m *jsonrpc.Message, say func(string)) {
				if m.Method != mcp.SetLevel {
					say(empty)
				} else if answer != "" {
					say(answer)
				}
			}
			ob := k.connect(t, w)
			hear(t, ob)
			as := func(levels ...string) []string {
				w.forget()
				var calls sync.WaitGroup
				for _, level := range levels {
					c := call(`{"name":"s.t"}`)
					c.From.LogLevel = level
					calls.Go(func() {
						if _, err := ob.Handle(t.Context(), c); err != nil {
							t.Error(err)
						}
					})
				}
				calls.Wait()
				return w.sent(mcp.SetLevel, mcp.ToolsCall)
			}
			set := func(level string) string { return `logging/setLevel {"level":"` + level + `"}` }
			const ran = `tools/call {"name":"t"}`
			for _, tt := range []struct {
				levels, want []string
			}{
				{[]string{"", "nonsense"}, []string{ran, ran}},
				{[]string{"error"}, []string{set("error"), ran}},
				{[]string{"error"}, []string{ran}},
				{[]string{"emergency"}, []string{ran}},
				{[]string{"info", "info", "info"}, []string{set("info"), ran, ran, ran}},
				{[]string{"debug"}, []string{set("debug"), ran}},
				{[]string{"info"}, []string{ran}},
			} {
				if got := as(tt.levels...); !slices.Equal(got, tt.want) {
					t.Errorf("answered %q, levels %q: the server got %q", answer, tt.levels, got)
				}
			}
		}
	})
	each(t, nil, func(t *testing.T, k kind) { // a server without logging
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t"}`)
		c.From.LogLevel = "debug"
		if _, err := ob.Handle(t.Context(), c); err != nil {
			t.Error(err)
		}
		got := w.last(1)[0]
		if w.sent(mcp.SetLevel) != nil || strings.Contains(got, `"io.modelcontextprotocol/logLevel":"debug"`) != k.stateless {
			t.Errorf("the server got %s", got)
		}
	})
}

// TestGatewaysOnTheWay are listed in the handshake and on each call.
func TestGatewaysOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t: t, script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
		ob, err := stateful.Connect(t.Context(), w.lines(), stateful.Params{Self: self, Via: "me"})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.last(9)[0]; !strings.Contains(got, `"_meta":{"mcp-gateway/via":["me"]}`) {
			t.Errorf("the server got %s", got)
		}
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t","_meta":{"mcp-gateway/via":["a"]}}`)); err != nil {
			t.Fatal(err)
		}
		if got := w.last(1)[0]; !strings.Contains(got, `"_meta":{"mcp-gateway/via":["a","me"]}`) {
			t.Errorf("the server got %s", got)
		}
		_ = ob.Close()
	})
}

// TestNotices of a client go to the server, without what is of the client's hop; not to a stateless
// one those that only earlier revisions have.
func TestNotices(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		w := &wire{}
		ob := k.connect(t, w)
		err := errors.Join(ob.Notify(t.Context(), mcp.NoteRootsListChanged, nil), ob.Notify(t.Context(), mcp.NoteTaskStatus, []byte(`{}`)), ob.Notify(t.Context(), "x/y", []byte(`{"a":1.0,"_meta":{"progressToken":1}}`)))
		synctest.Wait()
		want := []string{mcp.NoteRootsListChanged + " ", mcp.NoteTaskStatus + " {}", `x/y {"a":1.0}`}
		if k.stateless {
			want = want[2:]
		}
		if got := w.sent(mcp.NoteRootsListChanged, mcp.NoteTaskStatus, "x/y"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, the server got %q", err, got)
		}
	})
}
