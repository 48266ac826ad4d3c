package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// column gives a member of each entry of a list.
func column(t testing.TB, c gatetest.Client, method, list, member string) (out []string) {
	t.Helper()
	var entries []map[string]any
	if err := json.Unmarshal(gatetest.Member(do(t, c, method, "{}").Result, list), &entries); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, fmt.Sprint(e[member]))
	}
	return out
}

// TestTwoLibraries have the same resources, templates and prompts: both can be read through
// one endpoint by clients of every binding, and either alone as if nobody stood before it.
func TestTwoLibraries(t *testing.T) {
	one, two := gatetest.New("library"), gatetest.New("library")
	g := start(t, servers("one", remote("http", gatetest.StartStateful(t, one)), "two", remote("http", gatetest.StartStateless(t, two)))).ready()
	const moved = "mcp-gateway:two/file%3A%2F%2F%2Flibrary%2F"
	uris := []string{"file:///library/a.txt", "file:///library/b.png", "ui://library/card"}
	templates := []string{"file:///library/books/{title}", "library://{shelf}/{book}"}
	for _, c := range visitors(t, g, "", "") {
		t.Run(c.name, func(t *testing.T) {
			if got := column(t, c, "prompts/list", "prompts", "name"); !slices.Equal(got, []string{"one.greet", "one.review", "two.greet", "two.review"}) {
				t.Errorf("prompts %q", got)
			}
			if got, want := column(t, c, "resources/list", "resources", "uri"), append(uris, moved+"a.txt", moved+"b.png", "ui://gw.two/library/card"); !slices.Equal(got, want) {
				t.Errorf("resources %q", got)
			}
			if got, want := column(t, c, "resources/templates/list", "resourceTemplates", "uriTemplate"), append(templates, "mcp-gateway:two//"+templates[0], "mcp-gateway:two//"+templates[1]); !slices.Equal(got, want) {
				t.Errorf("templates %q", got)
			}
			for _, r := range []struct {
				uri, origin string
				server      *gatetest.Server
			}{
				{"file:///library/a.txt", "file:///library/a.txt", one},
				{moved + "a.txt", "file:///library/a.txt", two},
				{"mcp-gateway:one/file%3A%2F%2F%2Flibrary%2Fa.txt", "file:///library/a.txt", one},
				{"library://top/1", "library://top/1", one},
				{"mcp-gateway:two//library://top/1%2F2", "library://top/1%2F2", two},
			} {
				before := len(r.server.Seen())
				a := do(t, c, "resources/read", object("uri", r.uri))
				contents := string(gatetest.Member(a.Result, "contents"))
				if !strings.HasPrefix(contents, `[{"uri":"`+r.uri+`"`) || !strings.Contains(contents, "contents of "+r.origin+`"`) || len(r.server.Seen()) == before {
					t.Errorf("%s: %s", r.uri, contents)
				}
			}
			linksLeadBack(t, c, one, two)
			a := do(t, c, "prompts/get", `{"name":"two.review","arguments":{"code":"x"}}`)
			if !strings.Contains(string(a.Result), `review {\"code\":\"x\"}`) {
				t.Errorf("%s", a.Raw)
			}
			for _, ref := range []string{`{"type":"ref/prompt","name":"two.review"}`, `{"type":"ref/resource","uri":"mcp-gateway:two//library://{shelf}/{book}"}`} {
				a := do(t, c, "completion/complete", `{"ref":`+ref+`,"argument":{"name":"code","value":"abc"}}`)
				if got := string(gatetest.Member(a.Result, "completion", "values")); got != `["abc"]` {
					t.Errorf("%s: %s", ref, a.Raw)
				}
			}
			code := "-32002"
			if c.stateless {
				code = "-32602"
			}
			a, err := c.Do(t.Context(), "resources/read", `{"uri":"nobody:has"}`)
			if err != nil || string(gatetest.Member(a.Error, "code")) != code || string(gatetest.Member(a.Error, "data", "uri")) != `"nobody:has"` {
				t.Errorf("%v, %s", err, a.Raw)
			}
			noStray(t, c)
		})
	}
	for _, c := range visitors(t, g, "/servers/two", "") {
		if got := column(t, c, "resources/list", "resources", "uri"); !slices.Equal(got, uris) {
			t.Errorf("%s: alone %q", c.name, got)
		}
		if got := column(t, c, "prompts/list", "prompts", "name"); !slices.Equal(got, []string{"greet", "review"}) {
			t.Errorf("%s: alone %q", c.name, got)
		}
		a := do(t, c, "resources/read", `{"uri":"`+gatetest.HiddenResource+`"}`)
		if !strings.Contains(string(a.Result), "contents of "+gatetest.HiddenResource) {
			t.Errorf("%s: %s", c.name, a.Raw)
		}
	}
	counted(t, g)
}

// linksLeadBack: what no list has is read of who gave the link, moved where the other one gave
// it before, whichever is called last.
func linksLeadBack(t *testing.T, c client, one, two *gatetest.Server) {
	t.Helper()
	moved := "mcp-gateway:one/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(gatetest.HiddenResource)
	links := []struct {
		name, uri string
		*gatetest.Server
	}{{"two", gatetest.HiddenResource, two}, {"one", moved, one}}
	for _, s := range links {
		for _, tool := range []string{".link", ".embed"} {
			a := call(t, c, s.name+tool, `{}`)
			if got := string(gatetest.Member(a.Result, "content")); !strings.Contains(got, `"uri":"`+s.uri+`"`) {
				t.Errorf("%s", got)
			}
		}
	}
	for _, s := range links {
		before := len(s.Seen())
		a := do(t, c, "resources/read", object("uri", s.uri))
		if len(s.Seen()) == before {
			t.Errorf("%s gave the link and was not asked", s.name)
		}
		if got := string(gatetest.Member(a.Result, "contents")); !strings.HasPrefix(got, `[{"uri":"`+s.uri+`"`) {
			t.Errorf("%s", got)
		}
	}
}

// counted: operators see how much each server has.
func counted(t *testing.T, g *gateway) {
	t.Helper()
	_, text := g.api("GET", "/servers", "")
	var out struct {
		Servers []struct{ Tools, Prompts, Resources int }
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(out.Servers); got != "[{3 2 5} {3 2 5}]" {
		t.Errorf("counted %s", got)
	}
}

// TestCapabilitiesByEndpoint: everything that we carry where all servers are, whichever there
// are; of one server's what it has; extensions only in the stateless era.
func TestCapabilitiesByEndpoint(t *testing.T) {
	library := gatetest.New("library")
	library.NoSubscribe = true
	g := start(t, servers("library", remote("http", gatetest.StartStateful(t, library)), "plain", speaking(t, "plain", []string{"t"}))).ready()
	const all = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}`
	for path, want := range map[string]string{
		"":                 all + `,"extensions":{"io.modelcontextprotocol/ui":{},"io.modelcontextprotocol/tasks":{}}}`,
		"/servers/library": `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"completions":{}}`,
		"/servers/plain":   `{"tools":{"listChanged":true}}`,
	} {
		a := do(t, gatetest.DialStateless(t, g.url+path+"/mcp"), "server/discover", "")
		if got := string(gatetest.Member(a.Result, "capabilities")); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
		_, text := g.visit("POST", path+"/mcp", greeting)
		want = strings.Replace(want, `,"extensions":{"io.modelcontextprotocol/ui":{},"io.modelcontextprotocol/tasks":{}}`, "", 1)
		if got := string(gatetest.Member([]byte(text), "result", "capabilities")); got != want {
			t.Errorf("%s, stateful: %s, not %s", path, got, want)
		}
	}
}
