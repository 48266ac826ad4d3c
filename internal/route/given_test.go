package route

import (
	"fmt"
	"strings"
	"testing"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
)

// TestGivenURIs lead back to who gave them, for whom they were given to and nobody else.
func TestGivenURIs(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///z", "c: ")
	give := func(to *mcp.Caller, tool, uri string) {
		t.Helper()
		l.answer = fmt.Sprintf(`{"content":[{"type":"resource_link","uri":%q,"name":"n"}]}`, uri)
		if got, err := l.call(to, mcp.ToolsCall, tool); err != nil || got != l.answer {
			t.Fatalf("%v, %s", err, got)
		}
	}
	one, two := &mcp.Caller{Principal: "p", Session: "1"}, &mcp.Caller{Principal: "p", Session: "2"}
	p, q := &mcp.Caller{Principal: "p"}, &mcp.Caller{Principal: "q"}
	give(one, "b.t", "mem:1")
	give(two, "a.t", "mem:1")
	give(p, "c.t", "mem:1")
	for who, want := range map[*mcp.Caller]string{one: "b mem:1", two: "a mem:1", p: "c mem:1", q: "resource not found"} {
		if got := l.holderOf(who, "mem:1"); got != want {
			t.Errorf("%+v: %s, not %s", who, got, want)
		}
	}
	give(one, "b.t", "Mem:%31")
	if got := l.holderOf(one, "MEM:1"); got != "b mem:1" {
		t.Errorf("normalised: %s", got)
	}
	for _, uri := range []string{"mem:1", "Mem:%31"} {
		if got := l.holderOf(one, uri); got != "b "+uri {
			t.Errorf("as it was given: %s", got)
		}
	}
	give(one, "b.t", "Mem:%32")
	if got := l.holderOf(one, "mem:2"); got != "b Mem:%32" {
		t.Errorf("as it was never given: %s", got)
	}
	for _, uri := range []string{"mem:1", "Mem:%31", "meM:1"} { // the first one keeps it
		moved := catalog.Moved("c", uri)
		l.answer = fmt.Sprintf(`{"content":[{"type":"resource_link","uri":%q}]}`, uri)
		if got, err := l.call(one, mcp.ToolsCall, "c.t"); err != nil || got != strings.Replace(l.answer, uri, moved, 1) {
			t.Errorf("given by another: %v, %s", err, got)
		}
		if got := l.holderOf(one, moved); got != "c "+uri {
			t.Errorf("moved: %s", got)
		}
	}
	if got := l.holderOf(one, "mem:1"); got != "b mem:1" {
		t.Errorf("given by another: %s", got)
	}
	delete(l.waiting.handlers, "b")
	if got := l.holderOf(one, "mem:1"); got != "resource not found" {
		t.Errorf("once its server is gone: %s", got)
	}
	l.waiting.handlers["b"] = l.waiting.handlers["a"]
	for i := range 2 * maxGiven {
		give(q, "b.t", fmt.Sprintf("mem:%d", i))
	}
	if got := l.holderOf(q, "mem:0"); got != "resource not found" {
		t.Errorf("beyond the bound: %s", got)
	}
	if got := l.holderOf(q, fmt.Sprintf("mem:%d", maxGiven)); got != fmt.Sprintf("b mem:%d", maxGiven) {
		t.Errorf("within the bound: %s", got)
	}
}

// TestGivenIsBounded in all; whoever was not heard of longest loses first.
func TestGivenIsBounded(t *testing.T) {
	g := newGiven()
	callers := maxGivenAll/maxGiven + 3
	caller := func(i int) *mcp.Caller { return &mcp.Caller{Session: fmt.Sprint(i)} }
	for i := range callers {
		for j := range maxGiven {
			g.claim(caller(i), fmt.Sprintf("mem:%d", j), "s")
		}
		if i > 0 {
			if _, _, ok := g.find(caller(0), fmt.Sprintf("mem:%d", maxGiven-1)); !ok {
				t.Fatalf("who asks is forgotten after %d others", i)
			}
		}
	}
	if _, _, ok := g.find(caller(1), fmt.Sprintf("mem:%d", maxGiven-1)); ok || g.all > maxGivenAll || len(g.callers) != g.recent.Len() || len(g.callers) > callers-2 {
		t.Errorf("%d in all of %d callers, %v", g.all, len(g.callers), ok)
	}
	if g.claim(caller(0), strings.Repeat("x", catalog.MaxURI+1), "s") {
		t.Error("a URI over its bound is kept")
	}
}

// TestFallenURIsStayTheirServers: that one may have them again and no other, but for those of
// sessions that ended.
func TestFallenURIsStayTheirServers(t *testing.T) {
	g := newGiven()
	g.most, g.mostAll = 2, 4
	ended := make(chan struct{})
	p, q := &mcp.Caller{Principal: "p"}, &mcp.Caller{Session: "q", Ended: ended}
	for _, c := range []*mcp.Caller{p, q} {
		for i := range 3 {
			if !g.claim(c, fmt.Sprintf("mem:%d", i), "a") {
				t.Fatalf("mem:%d is not free", i)
			}
		}
		if _, _, ok := g.find(c, "mem:0"); ok {
			t.Fatal("nothing fell out")
		}
	}
	close(ended)
	if g.claim(p, "mem:0", "b") || g.claim(p, "Mem:%30", "b") || g.claim(q, "mem:0", "b") {
		t.Error("what was another's is given away")
	}
	if !g.claim(p, "mem:0", "a") {
		t.Error("its own server does not get it back")
	}
	r := &mcp.Caller{Principal: "r"}
	if !g.claim(r, "mem:0", "b") || !g.claim(r, "mem:9", "b") { // q's fall out
		t.Error("another caller's is not free")
	}
	if g.any(q) || !g.claim(q, "mem:2", "b") {
		t.Error("an ended session's is kept")
	}
	f := fallen{}
	f.add("p", "mem:0", "a")
	for i := range 1 << 17 {
		f.add("p", fmt.Sprint(i), "s"+fmt.Sprint(i))
	}
	if !f.bars("p", "mem:0", "b") || f.bars("p", "x", "a") && f.bars("p", "y", "a") && f.bars("p", "z", "a") && f.bars("p", "w", "a") && f.bars("p", "v", "a") && f.bars("p", "u", "a") {
		t.Error("many servers spoil the table")
	}
}
