package route

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

func listCall(kind mcp.Kind, from *mcp.Caller, cursor string) *mcp.Call {
	raw := []byte(`{}`)
	if cursor != "" {
		raw = append(rawjson.AppendText([]byte(`{"cursor":`), cursor), '}')
	}
	return &mcp.Call{Method: kind.List(), From: from, Params: mcp.Params{Raw: raw}}
}

func nextOf(reply *mcp.Reply) string {
	cursor, _ := rawjson.Text(rawjson.Get(reply.Result, "nextCursor"))
	return cursor
}

// TestPages of each kind are the whole list in its order, and only the first tells what was
// seen.
func TestPages(t *testing.T) {
	l := newLibrary("a: x:1, x:2, x:3 | t:{1}", "b: x:1, x:4 | t:{1}, t:{2}, t:{3}", "c: ", "d: x:5")
	paged := New(l.catalog, l.waiting, Dispatch, 2)
	for kind := range mcp.Kinds {
		for _, from := range []*mcp.Caller{anybody, {Scope: mcp.Scope{Safe: true}}, {Scope: mcp.Scope{Server: "b"}}} {
			whole, err := l.Handle(t.Context(), listCall(kind, from, ""))
			if err != nil || whole.Seen == "" || nextOf(whole) != "" {
				t.Fatalf("%v, %+v", err, whole)
			}
			var want, got []string
			for e := range rawjson.Elements(rawjson.Get(whole.Result, kind.Member())) {
				want = append(want, string(e))
			}
			pages := 0
			for cursor := ""; ; pages++ {
				reply, err := paged.Handle(t.Context(), listCall(kind, from, cursor))
				if err != nil || !json.Valid(reply.Result) || (reply.Seen != "") != (cursor == "") {
					t.Fatalf("%v, %+v", err, reply)
				}
				for e := range rawjson.Elements(rawjson.Get(reply.Result, kind.Member())) {
					got = append(got, string(e))
				}
				if cursor = nextOf(reply); cursor == "" {
					break
				}
			}
			if !slices.Equal(got, want) || pages != (len(want)-1)/2 {
				t.Errorf("%s of %+v: %q in %d pages, not %q", kind.Member(), from.Scope, got, pages+1, want)
			}
		}
	}
}

// TestCursorsAreOfTheirList: of another list, endpoint, principal or gateway, and forged ones,
// are refused.
func TestCursorsAreOfTheirList(t *testing.T) {
	l := newLibrary("a: x:1, x:2", "b: x:3, x:4")
	paged := New(l.catalog, l.waiting, Dispatch, 1)
	reply, err := paged.Handle(t.Context(), listCall(mcp.Resources, anybody, ""))
	if err != nil {
		t.Fatal(err)
	}
	cursor := nextOf(reply)
	if _, err := paged.Handle(t.Context(), listCall(mcp.Resources, anybody, cursor)); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, r *Router, c *mcp.Call) {
		t.Helper()
		if code, reason := codeOf(second(r.Handle(t.Context(), c))); code != mcp.InvalidParams || reason != "cursor" {
			t.Errorf("%s is taken", what)
		}
	}
	refused("another list's cursor", paged, listCall(mcp.Tools, anybody, cursor))
	refused("another principal's", paged, listCall(mcp.Resources, &mcp.Caller{Principal: "q"}, cursor))
	refused("another style's", paged, listCall(mcp.Resources, &mcp.Caller{Principal: "p", Scope: mcp.Scope{Safe: true}}, cursor))
	refused("another endpoint's", paged, listCall(mcp.Resources, &mcp.Caller{Principal: "p", Scope: mcp.Scope{Server: "a"}}, cursor))
	refused("another gateway's", New(l.catalog, l.waiting, Dispatch, 1), listCall(mcp.Resources, anybody, cursor))
	refused("one where there are no pages", l.Router, listCall(mcp.Resources, anybody, cursor))
	for i := range cursor {
		forged := []byte(cursor)
		forged[i] = map[bool]byte{true: 'B', false: 'A'}[forged[i] == 'A']
		refused(fmt.Sprintf("one with byte %d changed", i), paged, listCall(mcp.Resources, anybody, string(forged)))
	}
	for _, raw := range []string{`{"cursor":""}`, `{"cursor":7}`, `{"cursor":"x"}`, `{"cursor":{}}`, `{"cursor":"` + cursor + `="}`} {
		c := listCall(mcp.Resources, anybody, "")
		c.Params.Raw = []byte(raw)
		refused(raw, paged, c)
	}
	c := listCall(mcp.Resources, anybody, "")
	c.Params.Raw = []byte(`{"cursor":null}`)
	if _, err := paged.Handle(t.Context(), c); err != nil {
		t.Error(err)
	}
}

// TestListsSayHowLongTheyStayFresh: the remaining time of the first that ends.
func TestListsSayHowLongTheyStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := catalog.New()
		until := time.Now().Add(time.Minute)
		part := func(server string, fresh time.Time) *catalog.Part {
			return catalog.Prepare(server, "", catalog.Lists{mcp.Prompts: {Fresh: fresh}}, nil, bounds)
		}
		c.Swap(catalog.Merge([]*catalog.Part{part("a", until.Add(time.Hour)), part("b", until)}, bounds))
		r := New(c, &waiting{}, Dispatch, 0)
		for _, want := range []time.Duration{time.Minute, 40 * time.Second, 20 * time.Second, 0, 0} {
			reply, err := r.Handle(t.Context(), listCall(mcp.Prompts, anybody, ""))
			if err != nil || reply.TTL != want {
				t.Errorf("%v, %v, not %v", err, reply.TTL, want)
			}
			time.Sleep(20 * time.Second)
		}
	})
}

// TestSeenIsOfEachKind.
func TestSeenIsOfEachKind(t *testing.T) {
	l := newLibrary("a: x:1 | t:{1}")
	before, _ := l.Seen(anybody)
	l.catalog.Swap(newLibrary("a: x:1 | t:{2}").catalog.View())
	after, _ := l.Seen(anybody)
	for kind := range mcp.Kinds {
		if changed := before[kind] != after[kind]; changed != (kind == mcp.Templates) {
			t.Errorf("%s: changed is %v", kind.Member(), changed)
		}
	}
}
