package route

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// house is a view of servers and their tools, by "server: tool, tool".
func house(lines ...string) *catalog.View {
	var parts []*catalog.Part
	for _, line := range lines {
		server, names, _ := strings.Cut(line, ": ")
		var tools [][]byte
		for name := range strings.SplitSeq(names, ", ") {
			tools = append(tools, append(rawjson.AppendText([]byte(`{"name":`), name), `,"inputSchema":{"type":"object"}}`...))
		}
		parts = append(parts, catalog.Prepare(server, "Instructions of "+server+".", catalog.Lists{mcp.Tools: {Entries: tools}, mcp.Prompts: {Entries: tools}}, named("h"), bounds))
	}
	return catalog.Merge(parts, bounds)
}

func from(s mcp.Scope, name string) *mcp.Call {
	c := call(name)
	c.From.Scope = s
	return c
}

var (
	safe  = mcp.Scope{Safe: true}
	onlyA = mcp.Scope{Server: "a"}
)

// TestNamesByScope: what each endpoint takes for a name, and what it says of others; of
// prompts as of tools.
func TestNamesByScope(t *testing.T) {
	t.Run("tools", func(t *testing.T) { testNamesByScope(t, mcp.ToolsCall, "tool") })
	t.Run("prompts", func(t *testing.T) { testNamesByScope(t, mcp.PromptsGet, "prompt") })
}

func testNamesByScope(t *testing.T, method, word string) {
	c := catalog.New()
	c.Swap(house("a: read, write, x y", "b: read, b.read, list"))
	for _, tt := range []struct {
		scope mcp.Scope
		name  string
		want  string // the canonical name, or what the error says
	}{
		{mcp.Scope{}, "a.read", "a.read"},
		{mcp.Scope{}, "a__read", "a.read"},
		{mcp.Scope{}, "write", "a.write"},
		{mcp.Scope{}, "x y", "a.x y"},
		{mcp.Scope{}, "b.read", "b.read"},
		{mcp.Scope{}, "b.b.read", "b.b.read"},
		{mcp.Scope{}, "read", `several servers have a tool "read"; say which: a.read, b.read`},
		{mcp.Scope{}, "a.raed", `unknown tool: "a.raed"; did you mean a.read?`},
		{mcp.Scope{}, "A.Write", `unknown tool: "A.Write"; did you mean a.write?`},
		{mcp.Scope{}, "a.list", `unknown tool: "a.list"`},
		{mcp.Scope{}, "A__list", `unknown tool: "A__list"`},
		{mcp.Scope{}, "c.list", `unknown tool: "c.list"; did you mean b.list?`},
		{mcp.Scope{}, "nothing of the kind", `unknown tool: "nothing of the kind"`},
		{safe, "a__read", "a.read"},
		{safe, "a.read", "a.read"},
		{safe, "write", "a.write"},
		{safe, "read", `several servers have a tool "read"; say which: a__read, b__read`},
		{safe, "a__wriet", `unknown tool: "a__wriet"; did you mean a__write?`},
		{safe, "a.list", `unknown tool: "a.list"`},
		{onlyA, "read", "a.read"},
		{onlyA, "x y", "a.x y"},
		{onlyA, "a.read", `unknown tool: "a.read"; did you mean read?`},
		{onlyA, "a__read", `unknown tool: "a__read"`},
		{onlyA, "list", `unknown tool: "list"`},
		{onlyA, "b.read", `unknown tool: "b.read"; did you mean read?`},
		{mcp.Scope{Server: "nobody"}, "read", `unknown tool: "read"`},
	} {
		asked := from(tt.scope, tt.name)
		asked.Method = method
		reply, err := New(c, &waiting{}, Dispatch, 0).Handle(t.Context(), asked)
		if err != nil {
			code, reason := codeOf(err)
			wantReason := "unknown_" + word
			if strings.HasPrefix(err.Error(), "several") {
				wantReason = "ambiguous_" + word
			}
			tt.want = strings.Replace(tt.want, "tool", word, 1)
			if asked.Target.Kind != "" || err.Error() != tt.want || code != mcp.InvalidParams || reason != wantReason {
				t.Errorf("%+v, %q: %v (%s), not %s", tt.scope, tt.name, err, reason, tt.want)
			}
			continue
		}
		if got := strings.Fields(string(reply.Result)); got[1] != strings.Fields(tt.want)[0] || asked.Target.Kind != word {
			t.Errorf("%+v, %q finds %s, not %s", tt.scope, tt.name, reply.Result, tt.want)
		}
	}
}

// TestErrorsAboutNamesAreBounded: ten candidates, and as much of the name as is of use.
func TestErrorsAboutNamesAreBounded(t *testing.T) {
	var lines []string
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("server-%d: read", i))
	}
	c := catalog.New()
	c.Swap(house(lines...))
	_, err := New(c, &waiting{}, Dispatch, 0).Handle(t.Context(), call("read"))
	if err == nil || !strings.HasSuffix(err.Error(), "server-8.read, server-9.read") || strings.Count(err.Error(), "server-") != 10 {
		t.Errorf("%v", err)
	}
}

// TestComparingIsRateBound: whoever guesses names is told no more than that they are wrong,
// until it is slower.
func TestComparingIsRateBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := catalog.New()
		c.Swap(house("a: read, write", "b: read"))
		r := New(c, &waiting{}, Dispatch, 0)
		told := func(name string) bool {
			_, err := r.Handle(t.Context(), call(name))
			return strings.Contains(err.Error(), "a.read")
		}
		for i := range 20 {
			if !told("a.raed") {
				t.Fatalf("guess %d is told nothing", i+1)
			}
		}
		if told("a.raed") || told("read") {
			t.Error("guess 21 within a second is compared")
		}
		if _, err := r.Handle(t.Context(), call("a.read")); err != nil {
			t.Errorf("a name that is right: %v", err)
		}
		time.Sleep(time.Second)
		if !told("a.raed") || !told("read") {
			t.Error("a second later nothing is compared yet")
		}
	})
}

// TestFeedIsOfTheScope: a change is one only where it shows.
func TestFeedIsOfTheScope(t *testing.T) {
	c := catalog.New()
	r := New(c, &waiting{}, Dispatch, 0)
	scopes := []mcp.Scope{{}, safe, onlyA, {Server: "b"}}
	prints := func() (out []mcp.Seen) {
		for _, s := range scopes {
			f, _ := r.Seen(&mcp.Caller{Scope: s})
			out = append(out, f)
		}
		return out
	}
	c.Swap(house("a: read", "b: read"))
	before := prints()
	c.Swap(house("a: read", "b: read, write"))
	for i, f := range prints() {
		if changed, want := f != before[i], scopes[i] != onlyA; changed != want {
			t.Errorf("%+v: changed is %v", scopes[i], changed)
		}
	}
	before = prints()
	c.Swap(house("a: read"))
	after := prints()
	if after[2] != before[2] || after[3] == before[3] {
		t.Error("b went, which its own endpoint shows and a's does not")
	}
}

// TestInstructionsOfScopes: a server's own endpoint gives its own instructions, as they are.
func TestInstructionsOfScopes(t *testing.T) {
	c := catalog.New()
	c.Swap(house("a: read", "b: read"))
	r := New(c, &waiting{}, Dispatch, 0)
	for _, tt := range []struct {
		scope      mcp.Scope
		has, hasnt string
	}{
		{mcp.Scope{}, "<server>.<name>", "__"},
		{mcp.Scope{}, "# b\nInstructions of b.", "__"},
		{safe, "<server>__<name>", "<server>.<name>"},
		{safe, "# a\nInstructions of a.", "<server>.<name>"},
	} {
		if got := r.Instructions(tt.scope); !strings.Contains(got, tt.has) || strings.Contains(got, tt.hasnt) {
			t.Errorf("%+v: %q", tt.scope, got)
		}
	}
	if got := r.Instructions(onlyA); got != "Instructions of a." {
		t.Errorf("at a's own endpoint: %q", got)
	}
	if got := r.Instructions(mcp.Scope{Server: "nobody"}); got != "" {
		t.Errorf("at nobody's endpoint: %q", got)
	}
}

// TestAServersEndpointWaitsForItAlone, and says what state it is in.
func TestAServersEndpointWaitsForItAlone(t *testing.T) {
	c, w := catalog.New(), &waiting{}
	r := New(c, w, Dispatch, 0)
	only := call("x")
	only.From.Scope.Server = "down"
	w.meanwhile = func() {
		if w.server != "down" {
			t.Errorf("waited for %q", w.server)
		}
	}
	_, err := r.Handle(t.Context(), only)
	if code, reason := codeOf(err); code != mcp.InvalidParams || reason != "server_down" || !strings.Contains(err.Error(), "crashloop") {
		t.Errorf("%v", err)
	}
	w.meanwhile = nil
	if _, err := r.Handle(t.Context(), call("down.x")); err == nil || !strings.Contains(err.Error(), `server "down" is crashloop`) {
		t.Errorf("%v", err)
	}
}
