package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/yosida95/uritemplate/v3"
	"pgregory.net/rapid"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

var (
	anyServer = rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "ab", "B-1", "gw", "a_", "a__b"}), rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,8}`))
	someURI   = rapid.SampledFrom([]string{
		"file:///x", "file:///x/y", "file:///a%2Fb", "file:///a/b", "FILE:///x", "note://1", "mem:a", "ui://app", "ui://app/index.html", "ui:app", "ui://", "ui://gw.a/app",
		"ui://gw.b/app", "ui://gw./x", "ui://gw.a", "mcp-gateway:a/x", "mcp-gateway:b/file%3A%2F%2F%2Fx", "mcp-gateway:b//file:///x", "mcp-gateway:", "mcp-gateway:a/", "mcp-gateway:a//",
		"urn:日本", "urn:a b", "urn:%", "x", "?q", "#f", "a//b", "mem:{x}", strings.Repeat("u", 300),
	})
	anyURI = rapid.OneOf(someURI, rapid.StringMatching(`[a-c:/%.?#~ é]{1,12}`), rapid.Custom(func(t *rapid.T) string {
		return Moved(anyServer.Draw(t, "inner"), someURI.Draw(t, "of"))
	}))
)

// TestMovedComesBack: moving can be undone, and no two servers or URIs share a moved form.
func TestMovedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type from struct{ server, uri string }
		known := map[string]from{}
		for range 20 {
			f := from{anyServer.Draw(t, "server"), anyURI.Draw(t, "uri")}
			for _, moved := range []string{Moved(f.server, f.uri), movedTemplate(f.server, f.uri)} {
				server, uri, ok := Unmoved(moved)
				if !ok || server != f.server || uri != f.uri {
					t.Fatalf("%q of %q became %q, and that %q of %q, %v", f.uri, f.server, moved, uri, server, ok)
				}
				if old, is := known[moved]; is && old != f {
					t.Fatalf("%v and %v are both %q", old, f, moved)
				}
				known[moved] = f
			}
		}
	})
}

// TestMovedByExample pins the forms.
func TestMovedByExample(t *testing.T) {
	for _, tt := range []struct{ uri, want, template string }{
		{"file:///a b", "mcp-gateway:s/file%3A%2F%2F%2Fa%20b", "mcp-gateway:s//file:///a b"},
		{"urn:é~_.-", "mcp-gateway:s/urn%3A%C3%A9~_.-", "mcp-gateway:s//urn:é~_.-"},
		{"ui://app/index.html?x#y", "ui://gw.s/app/index.html?x#y", "ui://gw.s/app/index.html?x#y"},
		{"ui:app", "mcp-gateway:s/ui%3Aapp", "mcp-gateway:s//ui:app"},
	} {
		if got := Moved("s", tt.uri); got != tt.want {
			t.Errorf("%q: %q", tt.uri, got)
		}
		if got := movedTemplate("s", tt.uri); got != tt.template {
			t.Errorf("template %q: %q", tt.uri, got)
		}
	}
	for _, plain := range []string{"", "file:///x", "mcp-gateway:", "mcp-gateway:s", "mcp-gateway:s/", "mcp-gateway:s//", "mcp-gateway:/x", "mcp-gateway:_s/x", "mcp-gateway:s/a/b", "mcp-gateway:s/%", "mcp-gateway:a.b/x", "ui://gw.s", "ui://gw./x", "ui://s/x", "MCP-GATEWAY:s/x"} {
		if server, origin, ok := Unmoved(plain); ok {
			t.Errorf("%q is %q of %q", plain, origin, server)
		}
	}
}

// TestMovedTemplatesExpand: what comes of a moved template says what would have come of the
// plain one.
func TestMovedTemplatesExpand(t *testing.T) {
	templates := []string{"file:///{path}", "file:///{+path}", "x://h/{a,b}{?q,r}", "x://h{/p*}{;m}{#f}", "ui://app/{view}{?q}", "x://h/a%20{path}"}
	rapid.Check(t, func(t *rapid.T) {
		server, plain := anyServer.Draw(t, "server"), rapid.SampledFrom(templates).Draw(t, "template")
		values := uritemplate.Values{}
		for _, name := range []string{"path", "a", "b", "q", "r", "p", "m", "f", "view"} {
			if rapid.Bool().Draw(t, "has "+name) {
				values.Set(name, uritemplate.String(rapid.StringMatching(`[a-c/%:?# é.]{0,6}`).Draw(t, name)))
			}
		}
		want, err := uritemplate.MustNew(plain).Expand(values)
		if err != nil {
			t.Skip()
		}
		moved, err := uritemplate.New(movedTemplate(server, plain))
		if err != nil {
			t.Fatal(err)
		}
		got, err := moved.Expand(values)
		if err != nil {
			t.Fatal(err)
		}
		if s, origin, ok := Unmoved(got); !ok || s != server || origin != want {
			t.Fatalf("%q of %q comes back as %q of %q, %v; not %q", got, server, origin, s, ok, want)
		}
	})
}

func resource(uri string) string {
	return string(append(rawjson.AppendText([]byte(`{ "name":"n","uri":`), uri), `, "x":1}`...))
}

func template(uri string) string {
	return string(append(rawjson.AppendText([]byte(`{"uriTemplate" : `), uri), `,"name":"n"}`...))
}

func resources(uris, templates []string) Lists {
	l := Lists{}
	for _, u := range uris {
		l[mcp.Resources].Entries = append(l[mcp.Resources].Entries, []byte(resource(u)))
	}
	for _, u := range templates {
		l[mcp.Templates].Entries = append(l[mcp.Templates].Entries, []byte(template(u)))
	}
	return l
}

// listed gives a member of each entry of a list.
func listed(t fataler, v *View, kind mcp.Kind, s mcp.Scope, member string) (out []string) {
	var list map[string][]map[string]any
	if err := json.Unmarshal(v.List(kind, s), &list); err != nil {
		t.Fatalf("%v: %s", err, v.List(kind, s))
	}
	for _, e := range list[kind.Member()] {
		out = append(out, e[member].(string))
	}
	return out
}

// TestExposedURIs: each has one meaning; the plain form is the earliest server's, unless it
// looks like a moved one; the moved form always works; a server alone shows its own.
func TestExposedURIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		servers := rapid.SliceOfNDistinct(anyServer, 1, 4, strings.ToLower).Draw(t, "servers")
		kind := rapid.SampledFrom([]mcp.Kind{mcp.Resources, mcp.Templates}).Draw(t, "kind")
		var parts []*Part
		own := map[string][]string{}
		for _, s := range servers {
			uris := rapid.SliceOfNDistinct(anyURI, 0, 6, rapid.ID[string]).Draw(t, "uris")
			own[s] = uris
			parts = append(parts, Prepare(s, "", resources(uris, uris), nil, wide))
		}
		v := Merge(parts, wide)
		shown := listed(t, v, kind, mcp.Scope{}, keys[kind])
		if !slices.Equal(shown, listed(t, v, kind, mcp.Scope{Safe: true}, keys[kind])) {
			t.Fatalf("the styles differ")
		}
		first, at := map[string]bool{}, 0
		for _, s := range servers {
			if got := listed(t, v, kind, mcp.Scope{Server: s}, keys[kind]); !slices.Equal(got, own[s]) {
				t.Fatalf("%s alone shows %q", s, got)
			}
			for _, uri := range own[s] {
				exposed, moved := shown[at], Moved(s, uri)
				if kind == mcp.Templates {
					moved = movedTemplate(s, uri)
				}
				_, _, ours := Unmoved(uri)
				if plain := !ours && !first[uri]; plain && exposed != uri || !plain && exposed != moved {
					t.Fatalf("%q of %s is %q", uri, s, exposed)
				}
				first[uri] = true
				at++
				for _, name := range []string{exposed, moved} {
					if e := v.Find(kind, mcp.Scope{}, name); e == nil || e.Target.Server != s || e.Target.Origin != uri {
						t.Fatalf("%q finds %+v, not %q of %s", name, e, uri, s)
					}
				}
				if e := v.Find(kind, mcp.Scope{Server: s}, uri); e == nil || e.Target.Server != s {
					t.Fatalf("%q is not found at its own endpoint", uri)
				}
				if link := v.Link(s, uri); kind == mcp.Resources && link != exposed {
					t.Fatalf("%q of %s is linked as %q and listed as %q", uri, s, link, exposed)
				}
			}
		}
		if slices.Sort(shown); len(slices.Compact(shown)) != at {
			t.Fatalf("%q are not different", shown)
		}
	})
}

// TestPlainURIsAreNotTouched: where nothing conflicts definitions are the server's bytes, and
// links of URIs that nobody else lists are theirs.
func TestPlainURIsAreNotTouched(t *testing.T) {
	a := Prepare("a", "", resources([]string{"file:///x", "file:///y"}, []string{"file:///{p}"}), nil, wide)
	b := Prepare("b", "", resources([]string{"file:///z"}, []string{"note:///{p}"}), nil, wide)
	v := Merge([]*Part{a, b}, wide)
	if got, want := string(v.List(mcp.Resources, mcp.Scope{})), `{"resources":[`+resource("file:///x")+","+resource("file:///y")+","+resource("file:///z")+`]}`; got != want {
		t.Errorf("%s", got)
	}
	if got, want := string(v.List(mcp.Templates, mcp.Scope{})), `{"resourceTemplates":[`+template("file:///{p}")+","+template("note:///{p}")+`]}`; got != want {
		t.Errorf("%s", got)
	}
	for _, tt := range []struct{ server, uri, want string }{
		{"a", "file:///x", "file:///x"},
		{"b", "file:///x", "mcp-gateway:b/file%3A%2F%2F%2Fx"}, // would be read of a
		{"b", "mcp-gateway:a/x", "mcp-gateway:b/mcp-gateway%3Aa%2Fx"},
		{"b", "MCP-Gateway:a/x", "mcp-gateway:b/MCP-Gateway%3Aa%2Fx"}, // as well, once normalised
		{"b", "FILE:///x", "mcp-gateway:b/FILE%3A%2F%2F%2Fx"},         // would be read of a
		{"b", "file:///7", "mcp-gateway:b/file%3A%2F%2F%2F7"},         // comes of a's template
		{"b", "FILE:///7", "mcp-gateway:b/FILE%3A%2F%2F%2F7"},
		{"a", "file:///7", "file:///7"},
		{"a", "note:///7", "mcp-gateway:a/note%3A%2F%2F%2F7"},
		{"b", "note:///7", "note:///7"},
		{"b", "mem:1", "mem:1"},
		{"b", "x:" + strings.Repeat("y", MaxURI), "mcp-gateway:b/x%3A" + strings.Repeat("y", MaxURI)},
	} {
		if got := v.Link(tt.server, tt.uri); got != tt.want {
			t.Errorf("%s of %s is linked as %s", tt.uri, tt.server, got)
		}
	}
}

// TestLinksPastTheOnlyServer: what nobody lists leads to it, so others' links are moved.
func TestLinksPastTheOnlyServer(t *testing.T) {
	none := Lists{mcp.Resources: {None: true}, mcp.Templates: {None: true}}
	v := Merge([]*Part{Prepare("a", "", none, nil, wide), Prepare("b", "", resources([]string{"file:///x"}, nil), nil, wide)}, wide)
	if got := v.Link("a", "mem:1"); got != "mcp-gateway:a/mem%3A1" || v.Readable("a") {
		t.Errorf("%s", got)
	}
	if got := v.Link("b", "mem:1"); got != "mem:1" || !v.Readable("b") {
		t.Errorf("%s", got)
	}
}

// TestLaterServersURIsMove in its own lists' places, the rest of each definition staying.
func TestLaterServersURIsMove(t *testing.T) {
	lists := resources([]string{"file:///x"}, []string{"file:///{p}"})
	v := Merge([]*Part{Prepare("a", "", lists, nil, wide), Prepare("b", "", lists, nil, wide)}, wide)
	moved := strings.Replace(resource("file:///x"), "file:///x", "mcp-gateway:b/file%3A%2F%2F%2Fx", 1)
	if got := string(v.List(mcp.Resources, mcp.Scope{})); got != `{"resources":[`+resource("file:///x")+","+moved+`]}` {
		t.Errorf("%s", got)
	}
	moved = strings.Replace(template("file:///{p}"), "file:///{p}", "mcp-gateway:b//file:///{p}", 1)
	if got := string(v.List(mcp.Templates, mcp.Scope{})); got != `{"resourceTemplates":[`+template("file:///{p}")+","+moved+`]}` {
		t.Errorf("%s", got)
	}
	v = Merge([]*Part{Prepare("b", "", lists, nil, wide)}, wide)
	if got := string(v.List(mcp.Resources, mcp.Scope{})); got != `{"resources":[`+resource("file:///x")+`]}` {
		t.Errorf("once a is gone: %s", got)
	}
}

// TestAppsFollowTheirResource: a tool's reference is what its server's resource is called,
// also where no server lists it.
func TestAppsFollowTheirResource(t *testing.T) {
	tool := `{"name":"t","inputSchema":{"type":"object"},"_meta":{"k":1,"ui":{"resourceUri":"ui://app","v":[]},"ui/resourceUri":"ui://app"}}`
	part := func(server string) *Part { return Prepare(server, "", tools(tool), nil, wide) }
	v := Merge([]*Part{part("a"), part("b")}, wide)
	want := `{"tools":[` + strings.Replace(tool, `"t"`, `"a.t"`, 1) + `,` + strings.ReplaceAll(strings.Replace(tool, `"t"`, `"b.t"`, 1), "ui://app", "ui://gw.b/app") + `]}`
	if got := string(v.List(mcp.Tools, mcp.Scope{})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(v.List(mcp.Tools, mcp.Scope{Server: "b"})); got != `{"tools":[`+tool+`]}` {
		t.Errorf("alone %s", got)
	}
	for uri, server := range map[string]string{"ui://app": "a", "ui://gw.a/app": "a", "ui://gw.b/app": "b"} {
		if e := v.Find(mcp.Resources, mcp.Scope{}, uri); e == nil || e.Target.Server != server || e.Target.Origin != "ui://app" {
			t.Errorf("%s finds %+v", uri, e)
		}
	}
	if len(v.Entries(mcp.Resources)) != 0 || v.Only() != "" {
		t.Errorf("%d resources are listed; only %q", len(v.Entries(mcp.Resources)), v.Only())
	}
}

func TestNormal(t *testing.T) {
	for in, want := range map[string]string{
		"FILE:///X":                      "file:///X",
		"HTTP://User@EXAMPLE.com:80/A?B": "http://User@example.com:80/A?B",
		"http://h/a/./b/../c":            "http://h/a/c",
		"http://h/a/..":                  "http://h/",
		"http://h/../../a":               "http://h/a",
		"http://h/a/b/.":                 "http://h/a/b/",
		"x:/%7e%2f%C3%a9":                "x:/~%2F%C3%A9",
		"urn:日 本":                        "urn:%E6%97%A5%20%E6%9C%AC",
		"urn:a/../b":                     "urn:a/../b",
		"no scheme/../x":                 "no%20scheme/../x",
		"x:%":                            "x:%",
		"x://h?a/../b":                   "x://h?a/../b",
		"":                               "",
	} {
		if got := Normal(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		uri := anyURI.Draw(t, "uri")
		if n := Normal(uri); Normal(n) != n {
			t.Fatalf("%q: %q, then %q", uri, n, Normal(n))
		}
	})
}

// TestTemplatesMatch: the most specific first, of equal ones the earlier; what is no template
// matches nothing and harms nobody.
func TestTemplatesMatch(t *testing.T) {
	a := Prepare("a", "", resources(nil, []string{"x://{a}", "x://h/{+path}", "bad://{", "x://{a:99999}", "y://" + strings.Repeat("{v}", 200), "z://{" + strings.Repeat("v,", 2000) + "w}"}), nil, wide)
	b := Prepare("b", "", resources(nil, []string{"x://h/static/{id}", "x://h/{+other}", "q://h{?a,b}"}), nil, wide)
	v := Merge([]*Part{a, b}, wide)
	for uri, want := range map[string]string{
		"x://1": "a x://{a}", "x://h/a/b": "a x://h/{+path}", "x://h/static/7": "b x://h/static/{id}", "x://h/static/7/8": "a x://h/{+path}",
		"q://h": "b q://h{?a,b}", "q://h?a=1&b=2": "b q://h{?a,b}", "x://a/b": "", "bad://{": "", "y://": "", "z://v": "", "": "", "X://1": "", "x://日": "",
	} {
		got := ""
		if e := v.FindTemplate(uri); e != nil {
			got = e.Target.Server + " " + e.Target.Origin
		}
		if got != want {
			t.Errorf("%s is of %q, not %q", uri, got, want)
		}
	}
	if v.FindTemplate("x://"+strings.Repeat("a", MaxURI)) != nil {
		t.Error("a URI over its bound is matched")
	}
}

// TestOddEntriesAreLeftOut, of every kind, and none hides another.
func TestOddEntriesAreLeftOut(t *testing.T) {
	for _, tt := range []struct {
		kind     mcp.Kind
		odd, why string
	}{
		{mcp.Prompts, `{}`, "no name"}, {mcp.Prompts, `{"name":"a\u0007"}`, "control"}, {mcp.Prompts, `[]`, "no object"}, {mcp.Prompts, `{"name":"x","name":"y"}`, "twice"},
		{mcp.Resources, `{"name":"x"}`, "no uri"}, {mcp.Resources, `{"uri":""}`, "no uri"}, {mcp.Resources, `{"uri":"x:\u202e"}`, "control"},
		{mcp.Resources, `{"uri":"` + strings.Repeat("x", MaxURI+1) + `"}`, "longer than 8192"}, {mcp.Resources, resource("ok:1"), "listed twice"},
		{mcp.Resources, `{"uri":"x:y","description":"` + strings.Repeat("x", 256<<10) + `"}`, "larger than"},
		{mcp.Templates, `{"uri":"x:y"}`, "no uriTemplate"}, {mcp.Templates, `{"uriTemplate":7}`, "no uriTemplate"},
	} {
		good := [mcp.Kinds][]string{mcp.Prompts: {`{"name":"one"}`, `{"name":"two"}`}, mcp.Resources: {resource("ok:1"), resource("ok:2")}, mcp.Templates: {template("ok:{1}"), template("ok:{2}")}}[tt.kind]
		l := Lists{}
		l[tt.kind].Entries = raw(good[0], tt.odd, good[1])
		p := Prepare("s", "", l, nil, wide)
		if p.Count()[tt.kind] != 2 || len(p.Left) != 1 || !strings.Contains(p.Left[0], tt.why) || !strings.HasPrefix(p.Left[0], words[tt.kind]+" 2 ") {
			t.Errorf("%.80s: %d shown, left %.200q", tt.odd, p.Count()[tt.kind], p.Left)
		}
	}
}
