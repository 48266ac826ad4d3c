package route

import (
	"slices"
	"testing"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// ownPart is what server s lists to one client.
func ownPart(names ...string) *catalog.Part {
	var tools [][]byte
	for _, n := range names {
		tools = append(tools, append(rawjson.AppendText([]byte(`{"name":`), n), `,"inputSchema":{"type":"object"}}`...))
	}
	return catalog.Prepare("s", "", catalog.Lists{mcp.Tools: {Entries: tools}}, named("own"), bounds)
}

// TestAClientSeesItsOwnList, calls what is on it and nothing else, and hears of its changes; others
// see what they saw.
func TestAClientSeesItsOwnList(t *testing.T) {
	c := catalog.New()
	c.Swap(view(named("all"), "one", "two"))
	w := &waiting{own: map[string][]*catalog.Part{}}
	w.listsOwn = func(from *mcp.Caller) {
		if from.Session == "A" {
			w.own["A"] = []*catalog.Part{ownPart("two", "three")}
		}
	}
	r := New(c, w, Dispatch, 0)
	a, b := &mcp.Caller{Session: "A"}, &mcp.Caller{Session: "B"}
	before, _ := r.Seen(a)
	list := func(from *mcp.Caller) string {
		t.Helper()
		reply, err := r.Handle(t.Context(), &mcp.Call{Method: mcp.Tools.List(), From: from})
		if err != nil {
			t.Fatal(err)
		}
		var names string
		for e := range rawjson.Elements(rawjson.Get(reply.Result, "tools")) {
			name, _ := rawjson.Text(rawjson.Get(e, "name"))
			names += name + " "
		}
		if seen, _ := r.Seen(from); seen[mcp.Tools] != reply.Seen {
			t.Error("what it saw is not what it sees")
		}
		return names
	}
	if got := list(a) + "| " + list(b); got != "s.two s.three | s.one s.two " {
		t.Errorf("they see %s", got)
	}
	if after, _ := r.Seen(a); after == before {
		t.Error("it would not hear of the change")
	}
	if !slices.Equal(w.wanted, []string{"A ", "B "}) {
		t.Errorf("waited for %q", w.wanted)
	}
	can := func(from *mcp.Caller, name string) bool {
		c := call(name)
		c.From = from
		_, err := r.Handle(t.Context(), c)
		return err == nil
	}
	for _, x := range []struct {
		from *mcp.Caller
		name string
		want bool
	}{{a, "s.three", true}, {a, "s.one", false}, {a, "s.two", true}, {b, "s.one", true}, {b, "s.three", false}} {
		if got := can(x.from, x.name); got != x.want {
			t.Errorf("session %s can call %s: %v", x.from.Session, x.name, got)
		}
	}
	if got := w.wanted[2:]; !slices.Equal(got, []string{"A s.one", "B s.three"}) {
		t.Errorf("for unknown names it waited for %q", got)
	}
}

// TestAResourceOfOneClientIsFound before that client has listed anything.
func TestAResourceOfOneClientIsFound(t *testing.T) {
	part := func(server, uri string) *catalog.Part {
		return catalog.Prepare(server, "", catalog.Lists{mcp.Resources: {Entries: [][]byte{[]byte(`{"uri":"` + uri + `","name":"n"}`)}}}, named(server), bounds)
	}
	c := catalog.New()
	c.Swap(catalog.Merge([]*catalog.Part{part("s", "a://all"), part("z", "z://1")}, bounds))
	w := &waiting{own: map[string][]*catalog.Part{}}
	w.listsOwn = func(from *mcp.Caller) { w.own["A"] = []*catalog.Part{part("s", "a://mine")} }
	r := New(c, w, Dispatch, 0)
	for session, found := range map[string]bool{"A": true, "B": false} {
		_, err := r.Handle(t.Context(), &mcp.Call{Method: mcp.ResourcesRead, Name: "a://mine", From: &mcp.Caller{Session: session}, Params: mcp.Params{Raw: []byte(`{"uri":"a://mine"}`)}})
		if (err == nil) != found {
			t.Errorf("session %s: %v", session, err)
		}
	}
}
