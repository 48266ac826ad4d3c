package catalog

import (
	"fmt"
	"testing"

	"mcpgateway/internal/mcp"
)

func part(server, prefix string, rank int, tools ...string) *Part {
	var all [][]byte
	for _, name := range tools {
		all = append(all, []byte(plain(name)))
	}
	p := Prepare(server, "", Lists{mcp.Tools: {Entries: all}}, nil, wide)
	if prefix != server {
		p.Prefix(prefix)
	}
	p.Rank = rank
	return p
}

// TestAVariantIsAsIfMergedSo: the client's parts in the place of those of their servers, with their
// rank, and nothing else changed; what no server of the view has does not come in.
func TestAVariantIsAsIfMergedSo(t *testing.T) {
	a, b, c := part("a", "", 3, "x", "y"), part("b", "", 5, "y", "z"), part("c", "c", 9, "x")
	v := Merge([]*Part{a, b, c}, wide)
	own, stray := part("a", "", 0, "x"), part("gone", "gone", 1, "w")
	got, want := v.With([]*Part{stray, own}), Merge([]*Part{part("a", "", 3, "x"), b, c}, wide)
	for _, s := range []mcp.Scope{{}, {Safe: true}, {Server: "a"}, {Server: "b"}, {Server: "gone"}} {
		if string(got.List(mcp.Tools, s)) != string(want.List(mcp.Tools, s)) {
			t.Errorf("%+v: %s", s, got.List(mcp.Tools, s))
		}
	}
	if e := got.Find(mcp.Tools, mcp.Scope{}, "a.y"); e != nil {
		t.Error("what the client is not shown is found")
	}
	if e := got.Find(mcp.Tools, mcp.Scope{}, "y"); e == nil || e.Target.Server != "b" {
		t.Error("the bare name is not the next server's")
	}
	_, at := v.Page(mcp.Tools, mcp.Scope{}, nil, 1)
	if at.Rank != 3 {
		t.Fatalf("%+v", at)
	}
	list, _ := got.Page(mcp.Tools, mcp.Scope{}, at, 1)
	if string(list) != `{"tools":[`+plain("y")+"]" {
		t.Errorf("the page after is %s", list)
	}
}

// TestWhoSeesTheSameSharesAView: that of everybody where nothing differs, else one variant.
func TestWhoSeesTheSameSharesAView(t *testing.T) {
	v := Merge([]*Part{part("a", "a", 1, "x", "y"), part("b", "b", 2, "y")}, wide)
	if v.With(nil) != v || v.With([]*Part{part("a", "a", 0, "x", "y"), part("b", "b", 0, "y")}) != v {
		t.Error("the same is not the same view")
	}
	one := v.With([]*Part{part("a", "a", 0, "x"), part("b", "b", 0, "y")})
	if one == v || v.With([]*Part{part("a", "a", 0, "x")}) != one || v.With([]*Part{part("b", "b", 0, "x")}) == one {
		t.Error("equal variants are not one, or different ones are")
	}
	for i := range 3 * maxVariants {
		v.With([]*Part{part("a", "a", 0, fmt.Sprint("x", i))})
		if n := len(v.variants.byOwn); n > maxVariants {
			t.Fatalf("%d variants are kept", n)
		}
	}
}
