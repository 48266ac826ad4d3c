package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

var wide = Bounds{ToolsPerServer: 2000, ToolBytes: 256 << 10, CatalogBytes: 32 << 20}

func raw(definitions ...string) [][]byte {
	out := make([][]byte, len(definitions))
	for i, d := range definitions {
		out[i] = []byte(d)
	}
	return out
}

func tools(definitions ...string) Lists { return Lists{mcp.Tools: {Entries: raw(definitions...)}} }

func plain(name string) string {
	return string(append(rawjson.AppendText([]byte(`{"name":`), name), `,"inputSchema":{"type":"object"}}`...))
}

func names(v *View) []string {
	var out []string
	for _, e := range v.Entries(mcp.Tools) {
		out = append(out, e.Target.Canonical)
	}
	return out
}

// TestDefinitionsStayAsTheyAre but for their name, whatever their members and their order.
func TestDefinitionsStayAsTheyAre(t *testing.T) {
	in := `{ "zz" : 1e400 , "inputSchema":{"$schema":"x","type":"object","properties":{"name":{"const":"add"}}},` + "\n\t" + `"name" :"\u0061dd", "title":"😀","_meta":{"n":9007199254740993},"outputSchema":true }`
	p := Prepare("calc", "", tools(in), nil, wide)
	want := strings.Replace(in, `"\u0061dd"`, `"calc.add"`, 1)
	if len(p.Entries[mcp.Tools]) != 1 || string(p.Entries[mcp.Tools][0].Definition) != want || string(p.Entries[mcp.Tools][0].Target.Definition) != in {
		t.Fatalf("%+v", p)
	}
	target := p.Entries[mcp.Tools][0].Target
	if target.Server != "calc" || target.Origin != "add" || target.Canonical != "calc.add" || target.Kind != "tool" {
		t.Errorf("%+v", target)
	}
	if got := string(Merge([]*Part{p}, wide).List(mcp.Tools, mcp.Scope{})); got != `{"tools":[`+want+`]}` {
		t.Errorf("list %s", got)
	}
}

// TestOneBadToolHidesNoOther: what cannot be shown is left out, with the reason.
func TestOneBadToolHidesNoOther(t *testing.T) {
	tests := []struct{ name, tool, why string }{
		{"no object", `7`, "no object"},
		{"null", `null`, "no object"},
		{"no name", `{"inputSchema":{"type":"object"}}`, "no name"},
		{"an empty name", plain(""), "no name"},
		{"a name of another type", `{"name":5,"inputSchema":{"type":"object"}}`, "no name"},
		{"a long name", plain(strings.Repeat("x", 257)), "longer than 256"},
		{"a newline", plain("a\nb"), "control"},
		{"a NUL", plain("a\x00b"), "control"},
		{"an escape sequence", plain("\x1b[31mred"), "control"},
		{"a direction override", plain("a\u202eb"), "control"},
		{"a zero width character", plain("a\u200bb"), "control"},
		{"a line separator", plain("a\u2028b"), "control"},
		{"half a character", `{"name":"a\ud83d","inputSchema":{"type":"object"}}`, "control"},
		{"no schema", `{"name":"x"}`, "inputSchema"},
		{"schema null", `{"name":"x","inputSchema":null}`, "inputSchema"},
		{"schema true", `{"name":"x","inputSchema":true}`, "inputSchema"},
		{"schema []", `{"name":"x","inputSchema":[]}`, "inputSchema"},
		{"schema of a string", `{"name":"x","inputSchema":{"type":"string"}}`, "inputSchema"},
		{"schema without type", `{"name":"x","inputSchema":{}}`, "inputSchema"},
		{"schema of several types", `{"name":"x","inputSchema":{"type":["object"]}}`, "inputSchema"},
		{"a member twice", `{"name":"x","name":"y","inputSchema":{"type":"object"}}`, "twice"},
		{"a member twice, once escaped", `{"name":"x","n\u0061me":"y","inputSchema":{"type":"object"}}`, "twice"},
		{"too large", `{"name":"x","inputSchema":{"type":"object"},"description":"` + strings.Repeat("x", 256<<10) + `"}`, "larger than 262144"},
		{"listed twice", plain("first"), "listed twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Prepare("s", "", tools(plain("first"), tt.tool, plain("last")), nil, wide)
			if got := names(Merge([]*Part{p}, wide)); !slices.Equal(got, []string{"s.first", "s.last"}) {
				t.Errorf("shown %q", got)
			}
			if len(p.Left) != 1 || !strings.Contains(p.Left[0], tt.why) || !strings.HasPrefix(p.Left[0], "tool 2 ") || len(p.Left[0]) > 1000 {
				t.Errorf("left %q", p.Left)
			}
			if strings.ContainsAny(strings.Join(p.Left, ""), "\x00\x1b\n\u202e") {
				t.Errorf("the report itself is unsafe: %q", p.Left)
			}
		})
	}
	for _, odd := range []string{"with space", "a/b", "a,b", "a.b", "ä", "日本", "😀", "A", "a", "__"} {
		if p := Prepare("s", "", tools(plain(odd)), nil, wide); len(p.Entries[mcp.Tools]) != 1 {
			t.Errorf("%q is left out: %q", odd, p.Left)
		}
	}
}

func TestBoundsOfLists(t *testing.T) {
	var many []string
	for i := range 50 {
		many = append(many, plain(fmt.Sprintf("t%02d", i)))
	}
	b := wide
	b.ToolsPerServer = 20
	p := Prepare("s", "", tools(many...), nil, b)
	if len(p.Entries[mcp.Tools]) != 20 || len(p.Left) != 1 || !strings.Contains(p.Left[0], "30 tools beyond the bound of 20") {
		t.Errorf("%d entries, left %q", len(p.Entries[mcp.Tools]), p.Left)
	}
	b.CatalogBytes = 500
	v := Merge([]*Part{p, Prepare("other", "", tools(plain("small")), nil, b)}, b)
	if n := len(v.Entries(mcp.Tools)); n == 0 || n > 20 || len(v.Left("s"))+len(v.Left("other")) != 21-n || len(v.List(mcp.Tools, mcp.Scope{})) > b.CatalogBytes+3 {
		t.Errorf("%d tools, %d left, %d bytes", len(v.Entries(mcp.Tools)), len(v.Left("s"))+len(v.Left("other")), len(v.List(mcp.Tools, mcp.Scope{})))
	}
	if v.Find(mcp.Tools, mcp.Scope{}, "other.small") != nil {
		t.Error("what is not listed can be called")
	}
}

// TestOrder is that of the servers, then each server's own; a hundred times the same.
func TestOrder(t *testing.T) {
	parts := []*Part{
		Prepare("b", "second first", tools(plain("z"), plain("a")), nil, wide),
		Prepare("a", "", tools(plain("y")), nil, wide),
		Prepare("none", strings.Repeat("é", 3000), Lists{}, nil, wide),
	}
	want := []string{"b.z", "b.a", "a.y"}
	first := Merge(parts, wide)
	for range 100 {
		v := Merge(parts, wide)
		if !slices.Equal(names(v), want) || !bytes.Equal(v.List(mcp.Tools, mcp.Scope{}), first.List(mcp.Tools, mcp.Scope{})) || v.Fingerprint(mcp.Tools, mcp.Scope{}) != first.Fingerprint(mcp.Tools, mcp.Scope{}) {
			t.Fatalf("%q, %s", names(v), v.Fingerprint(mcp.Tools, mcp.Scope{}))
		}
	}
	if !json.Valid(first.List(mcp.Tools, mcp.Scope{})) {
		t.Errorf("%s", first.List(mcp.Tools, mcp.Scope{}))
	}
	i := first.Instructions()
	if len(i) != 2 || i[0] != (Instruction{"b", "second first"}) || i[1].Text != strings.Repeat("é", 2048) {
		t.Errorf("instructions %.80v", i)
	}
}

// TestFlappingServerLeavesOthersAlone: the definitions of the others stay the same bytes.
func TestFlappingServerLeavesOthersAlone(t *testing.T) {
	stay := []*Part{Prepare("a", "", tools(plain("search")), nil, wide), Prepare("c", "", tools(plain("search")), nil, wide)}
	flap := Prepare("b", "", tools(plain("search")), nil, wide)
	alone := Merge(stay, wide)
	for range 100 {
		with := Merge([]*Part{stay[0], flap, stay[1]}, wide)
		again := Merge(stay, wide)
		for _, name := range []string{"a.search", "c.search"} {
			if !bytes.Equal(with.Find(mcp.Tools, mcp.Scope{}, name).Definition, alone.Find(mcp.Tools, mcp.Scope{}, name).Definition) {
				t.Fatalf("%s changed", name)
			}
		}
		if again.Fingerprint(mcp.Tools, mcp.Scope{}) != alone.Fingerprint(mcp.Tools, mcp.Scope{}) || with.Fingerprint(mcp.Tools, mcp.Scope{}) == alone.Fingerprint(mcp.Tools, mcp.Scope{}) {
			t.Fatal("the fingerprint does not follow the list")
		}
	}
}

// TestNamesAreInjective: two tools never share an exposed name, and each name finds its
// own tool.
func TestNamesAreInjective(t *testing.T) {
	server := rapid.StringMatching(`[ab][ab_-]{0,4}`)
	tool := rapid.StringMatching(`[ab._ /-]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		servers := rapid.SliceOfNDistinct(server, 1, 4, strings.ToLower).Draw(t, "servers")
		var parts []*Part
		want := 0
		for _, s := range servers {
			own := rapid.SliceOfNDistinct(tool, 0, 8, rapid.ID[string]).Draw(t, "tools")
			var definitions []string
			for _, name := range own {
				definitions = append(definitions, plain(name))
			}
			want += len(own)
			parts = append(parts, Prepare(s, "", tools(definitions...), mcp.HandlerFunc(nil), wide))
		}
		v := Merge(parts, wide)
		if len(v.Entries(mcp.Tools)) != want || len(v.shelves[mcp.Tools].entries) != want {
			t.Fatalf("%d tools under %d names, want %d", len(v.Entries(mcp.Tools)), len(v.shelves[mcp.Tools].entries), want)
		}
		for _, e := range v.Entries(mcp.Tools) {
			if v.Find(mcp.Tools, mcp.Scope{}, e.Target.Canonical) != e || e.Target.Canonical != e.Target.Server+"."+e.Target.Origin {
				t.Fatalf("%+v", e.Target)
			}
			if name, _ := rawjson.Text(rawjson.Get(e.Definition, "name")); name != e.Target.Canonical {
				t.Fatalf("%s is shown as %s", e.Target.Canonical, name)
			}
		}
	})
}

// TestWatchSeesEachSwap: the channel is closed when the view is replaced.
func TestWatchSeesEachSwap(t *testing.T) {
	c := New()
	v, changed := c.Watch()
	if string(v.List(mcp.Tools, mcp.Scope{})) != `{"tools":[]}` || v != c.View() {
		t.Errorf("at first %s", v.List(mcp.Tools, mcp.Scope{}))
	}
	select {
	case <-changed:
		t.Error("nothing changed yet")
	default:
	}
	next := Merge([]*Part{Prepare("s", "", tools(plain("t")), nil, wide)}, wide)
	c.Swap(next)
	<-changed
	if v, changed := c.Watch(); v != next || changed == nil {
		t.Error("the new view is not there when the channel closes")
	}
}
