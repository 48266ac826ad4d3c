package app_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

var nameCases = []hostileCase{
	{"F1", func(h *hostile) {
		one, two := naming(h, "one", "c"), naming(h, "two", "b.c")
		g := visit(h.T, newHouse(h.T))
		g.must(400, "POST", "/servers", servers("a.b", one))
		g.must(201, "POST", "/servers", servers("a", two))
		if got := g.call("a.b.c", "{}").text(h); got != "two/b.c" {
			h.Errorf("a.b.c is %s", got)
		}
		// In a file such a name gets another one, and a warning.
		f := &hostile{T: h.T, house: &house{gateway: start(h.T, servers("a.b", one, "a", two)).ready()}, http: h.http}
		for name, want := range map[string]string{"a-b.c": "one/c", "a.b.c": "two/b.c"} {
			if got := f.call(name, "{}").text(h); got != want {
				h.Errorf("%s is %s", name, got)
			}
		}
		if !strings.Contains(f.log.String(), `"a.b"`) {
			h.Errorf("no word about it: %s", f.log.String())
		}
	}},
	{"F2", injective},
	{"F3", func(h *hostile) {
		for range 2 { // gateways: names are the same in each
			g := visit(h.T, newHouse(h.T))
			for _, name := range []string{"x", "y"} {
				g.must(201, "POST", "/servers", servers(name, naming(h, name, "search")))
			}
			for _, name := range []string{"x", "y"} {
				if got := g.call(name+".search", "{}").text(h) + g.call(name+"__search", "{}").text(h); got != name+"/search"+name+"/search" {
					h.Errorf("%s.search is %s", name, got)
				}
			}
			both := g.call("search", "{}")
			if g.wantError("search", both, 200, invalidParams, "1"); !strings.Contains(both.body, "x.search") || !strings.Contains(both.body, "y.search") {
				h.Errorf("the two are not named: %s", both)
			}
		}
	}},
	{"F7", func(h *hostile) {
		bad := []string{"new\nline", "nul\x00", "\x1b[31mred", "\u202egnp.exe", "zero\u200bwidth", "tab\t", "c1\u0085", "\u2028", ""}
		good := []string{"ok", "a b", "a/b", "a,b", "über", "a..b", "工具"}
		g := h.besides("odd", naming(h, "odd", append(slices.Clone(bad), good...)...))
		if names := g.names("/servers/odd/mcp"); !slices.Equal(names, good) {
			h.Errorf("listed are %q", names)
		}
		if left := g.leftOut("odd"); len(left) != len(bad) || strings.ContainsAny(strings.Join(left, ""), "\x00\n\x1b\u202e\u200b") {
			h.Errorf("reported are %q", left)
		}
		for _, path := range []string{"/mcp", "/mcp?names=safe"} {
			for i, name := range g.names(path)[2*house0:] {
				if got := g.encoded(path, name).text(h); got != "odd/"+good[i] {
					h.Errorf("%q is %s", name, got)
				}
				if path != "/mcp" && !regexp.MustCompile(`^[A-Za-z0-9_-]{1,48}$`).MatchString(name) {
					h.Errorf("%q is not safe", name)
				}
			}
		}
	}},
	{"F8", func(h *hostile) {
		s := gatetest.New("echo")
		second := json.RawMessage(`{"name":"raw","description":"another","inputSchema":{"type":"object"}}`)
		s.Tools = append(slices.Clip(s.Tools), second, gatetest.Tool("raw"))
		g := h.besides("double", remote("http", gatetest.StartStateful(h, s)))
		names := g.names("/servers/double/mcp")
		n := 0
		for _, name := range names {
			if name == "raw" {
				n++
			}
		}
		left := strings.Join(g.leftOut("double"), "\n")
		if n != 1 || strings.Count(left, "raw") != 2 || strings.Contains(g.send("POST", "/mcp", stateless("1", "tools/list", ""), mirror("tools/list", "")...).body, "another") {
			h.Errorf("listed are %q, reported %q", names, left)
		}
	}},
	{"F9", func(h *hostile) {
		g := visit(h.T, newHouse(h.T))
		third := naming(h, "third", "raw", "echo", "hold", "stateful.raw", "stateful__raw")
		for _, path := range []string{"/mcp", "/mcp?names=safe"} {
			before := g.names(path)
			for i := range 25 {
				g.must(201, "POST", "/servers", servers("third", third))
				if now := g.names(path); len(now) != len(before)+5 || !slices.Equal(now[:len(before)], before) {
					h.Fatalf("round %d: %q became %q", i, before, now)
				}
				g.must(204, "DELETE", "/servers/third", "")
				if now := g.names(path); !slices.Equal(now, before) {
					h.Fatalf("round %d: %q became %q", i, before, now)
				}
			}
		}
	}},
	{"F11", overlappingTemplates},
	{"F12", func(h *hostile) {
		for _, path := range []string{"/mcp", "/mcp?names=safe", "/servers/stateful/mcp"} {
			list := func() string {
				return h.send("POST", path, stateless("1", "tools/list", ""), mirror("tools/list", "")...).body
			}
			first := list()
			for range 99 {
				if now := list(); now != first {
					h.Fatalf("%s: the list changed: %s", path, now)
				}
			}
		}
	}},
}

// overlappingTemplates have one owner, the server that came first, whenever the others come, go
// and answer. A template that says more goes before it. The later one's stay to be had by their
// own names.
func overlappingTemplates(h *hostile) {
	g := visit(h.T, newHouse(h.T))
	having := func(server, template string) string {
		s := &gatetest.Server{Name: server, Templates: []json.RawMessage{json.RawMessage(`{"uriTemplate":"` + template + `","name":"t"}`)}, Handle: func(c *gatetest.Call) {
			if c.Method != "resources/read" {
				c.Default()
				return
			}
			uri := string(gatetest.Member(c.Params, "uri"))
			c.Result(`{"contents":[{"uri":` + uri + `,"text":"of ` + server + `"}],"ttlMs":0,"cacheScope":"private"}`)
		}}
		return servers(server, remote("http", gatetest.StartStateless(h, s)))
	}
	read := func(uri, want string) {
		h.Helper()
		params := `"uri":"` + uri + `"`
		for _, a := range []got{
			g.send("POST", "/mcp", stateless("1", "resources/read", params), mirror("resources/read", uri)...),
			g.inSession(stateful("1", "resources/read", params)),
		} {
			if a.status != 200 || a.member("result", "contents") != `[{"uri":"`+uri+`","text":"of `+want+`"}]` {
				h.Fatalf("%s of %s: %s", uri, want, a)
			}
		}
	}
	const overlapping = "file:///{p}"
	g.must(201, "POST", "/servers", having("first", overlapping))
	second := having("second", overlapping)
	for range 10 {
		g.must(201, "POST", "/servers", second)
		read("file:///x", "first")
		read("mcp-gateway:second/file%3A%2F%2F%2Fx", "second")
		for path, want := range map[string][]string{"/mcp": {overlapping, "mcp-gateway:second//" + overlapping}, "/servers/second/mcp": {overlapping}} {
			all := g.send("POST", path, stateless("1", "resources/templates/list", ""), mirror("resources/templates/list", "")...)
			var list []struct{ URITemplate string }
			if err := json.Unmarshal([]byte(all.member("result", "resourceTemplates")), &list); err != nil {
				h.Fatalf("%v: %s", err, all)
			}
			var have []string
			for _, one := range list {
				have = append(have, one.URITemplate)
			}
			if !slices.Equal(have, want) {
				h.Fatalf("%s lists %q", path, have)
			}
		}
		g.must(204, "DELETE", "/servers/second", "")
	}
	g.must(201, "POST", "/servers", second)
	g.must(201, "POST", "/servers", having("third", "file:///x{p}"))
	read("file:///x", "third")
	read("file:///y", "first")
	g.must(204, "DELETE", "/servers/first", "")
	read("file:///y", "second")
}

// house0 is how many tools each of a house's two servers has.
var house0 = len(newFake().Tools)

// naming defines a server whose tools say whose they are.
func naming(t testing.TB, server string, tools ...string) string {
	s := &gatetest.Server{Name: server, Call: func(c *gatetest.Call) { c.Text(server + "/" + c.Name) }}
	for _, name := range tools {
		quoted, _ := json.Marshal(name)
		s.Tools = append(s.Tools, json.RawMessage(`{"name":`+string(quoted)+`,"inputSchema":{"type":"object"}}`))
	}
	return remote("http", gatetest.StartStateless(t, s))
}

// names lists the names of an endpoint.
func (h *hostile) names(path string) []string {
	h.Helper()
	g := h.send("POST", path, stateless("1", "tools/list", ""), mirror("tools/list", "")...)
	var list []struct{ Name string }
	if err := json.Unmarshal([]byte(g.member("result", "tools")), &list); err != nil {
		h.Fatalf("%v: %s", err, g)
	}
	var names []string
	for _, tool := range list {
		names = append(names, tool.Name)
	}
	return names
}

// leftOut are the reports about a server's tools.
func (h *hostile) leftOut(name string) []string {
	h.Helper()
	var list struct {
		Servers []struct {
			Name    string
			LeftOut []string
		}
	}
	if err := json.Unmarshal([]byte(h.must(200, "GET", "/servers", "")), &list); err != nil {
		h.Fatal(err)
	}
	for _, s := range list.Servers {
		if s.Name == name {
			return s.LeftOut
		}
	}
	return nil
}

// encoded calls a tool of any name in a session, where no header mirrors it.
func (h *hostile) encoded(path, name string) got {
	h.Helper()
	quoted, _ := json.Marshal(name)
	session := h.send("POST", path, stateful("0", "initialize", hello[1:len(hello)-1])).header.Get("Mcp-Session-Id")
	return h.send("POST", path, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`+string(quoted)+`}}`, "Mcp-Session-Id", session)
}

// injective: whatever servers and tools are called, no two tools have one name, and each
// name reaches its own.
func injective(h *hostile) {
	names := []string{"a", "a_", "a__b", "a-", "a--b", "a-b", "b"}
	tools := []string{"b", "_b", "__b", "b__c", "c", "b_", "-b", "--b", "b.c", "b c", "b_c", "_", strings.Repeat("x", 60), strings.Repeat("x", 59) + "y", "c_0123456789", "b.b"}
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, naming(h, name, tools...))
	}
	g := &hostile{T: h.T, house: &house{gateway: start(h.T, servers(pairs...)).ready()}, http: h.http}
	owner := map[string]string{}
	for _, path := range []string{"/mcp", "/mcp?names=safe"} {
		all := g.names(path)
		if len(all) != len(names)*len(tools) {
			h.Fatalf("%s: %d names", path, len(all))
		}
		seen := map[string]bool{}
		for i, name := range all {
			want := fmt.Sprintf("%s/%s", names[i/len(tools)], tools[i%len(tools)])
			if seen[name] || owner[name] != "" && owner[name] != want {
				h.Errorf("%q names two tools", name)
			}
			seen[name], owner[name] = true, want
			if got := g.encoded(path, name).text(h); got != want {
				h.Errorf("%s: %q is %s, not %s", path, name, got, want)
			}
		}
	}
}
