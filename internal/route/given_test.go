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
	if got := l.holderOf(one, "MEM:1"); got != "b Mem:%31" {
		t.Errorf("normalised: %s", got)
	}
	give(one, "c.t", "mem:1") // the last one counts
	if got := l.holderOf(one, "mem:1"); got != "c mem:1" {
		t.Errorf("given again: %s", got)
	}
	delete(l.waiting.handlers, "c")
	if got := l.holderOf(one, "mem:1"); got != "resource not found" {
		t.Errorf("once its server is gone: %s", got)
	}
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
			g.put(caller(i), fmt.Sprintf("mem:%d", j), "s")
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
	g.put(caller(0), strings.Repeat("x", catalog.MaxURI+1), "s")
	if _, _, ok := g.find(caller(0), strings.Repeat("x", catalog.MaxURI+1)); ok {
		t.Error("a URI over its bound is kept")
	}
}
