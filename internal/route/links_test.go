package route

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

var (
	poolURIs = []string{
		"note://7", "note://8", "Note://7", "note://s/1", "mem:1", "mem:2", "Mem:%31", "MEM:1", "mem:%31", "file:///x", "File:///x", "file:///./x", "ui://app", "ui://app/x", "UI://app",
		"mcp-gateway:a/mem%3A1", "mcp-gateway:b/x", "mcp-gateway:c//mem:1", "MCP-Gateway:a/mem%3A1", "mcp-gateway:gone/x", "ui://gw.a/app", "ui://GW.b/app", "https://h/x", "urn:日", "x",
	}
	poolTemplates = []string{"note://{id}", "note://s/{id}", "{+any}", "mem:{id}", "ui://{x}", "ui://gw.a/{x}", "mcp-gateway:a//{x}", "mcp-gateway:{+x}", "file:///{+path}", "https://h/{p}"}
)

// A shown URI is one that a caller saw, and whose it was.
type shown struct {
	to          *mcp.Caller
	uri         string
	server, own string
}

// drawLibrary makes three servers that list anything, or have no resources at all.
func drawLibrary(t *rapid.T) *library {
	var lines []string
	for _, server := range []string{"a", "b", "c"} {
		uris := rapid.SliceOfNDistinct(rapid.SampledFrom(poolURIs), 0, 3, rapid.ID[string]).Draw(t, server+" lists")
		templates := rapid.SliceOfNDistinct(rapid.SampledFrom(poolTemplates), 0, 2, rapid.ID[string]).Draw(t, server+" templates")
		if len(uris)+len(templates) == 0 {
			lines = append(lines, server+": ")
			continue
		}
		lines = append(lines, server+": "+strings.Join(uris, ", ")+" | "+strings.Join(templates, ", "))
	}
	return newLibrary(lines...)
}

// listed is every resource that the list shows.
func listed(l *library, to *mcp.Caller) (all []shown) {
	view := l.catalog.View()
	for i, e := range view.Entries(mcp.Resources) {
		uri, _ := view.Exposed(mcp.Resources, i)
		all = append(all, shown{to, uri, e.Target.Server, e.Target.Origin})
	}
	return all
}

// give has a server give a URI in a result of any kind.
func give(t *rapid.T, l *library, to *mcp.Caller, server, uri string) shown {
	link := fmt.Sprintf(`{"type":"resource_link","uri":%q}`, uri)
	embedded := fmt.Sprintf(`{"type":"resource","resource":{"uri":%q}}`, uri)
	kind := rapid.SampledFrom([]string{"link", "embedded", "app", "flat", "prompt", "task"}).Draw(t, "kind")
	method, name, path := mcp.ToolsCall, server+".t", []string{"content", "0", "uri"}
	switch kind {
	case "link":
		l.answer = `{"content":[` + link + `]}`
	case "embedded":
		l.answer, path = `{"content":[`+embedded+`]}`, []string{"content", "0", "resource", "uri"}
	case "app":
		l.answer, path = fmt.Sprintf(`{"_meta":{"ui":{"resourceUri":%q}}}`, uri), []string{"_meta", "ui", "resourceUri"}
	case "flat":
		l.answer, path = fmt.Sprintf(`{"_meta":{"ui/resourceUri":%q}}`, uri), []string{"_meta", "ui/resourceUri"}
	case "prompt":
		method, name = mcp.PromptsGet, server+".p"
		l.answer, path = `{"messages":[{"content":`+embedded+`}]}`, []string{"messages", "0", "content", "resource", "uri"}
	case "task":
		l.answer, path = `{"result":{"content":[`+link+`]}}`, []string{"result", "content", "0", "uri"}
		news := l.newsOfTask(to, server, "1", "sealed", []byte(l.answer))
		return shown{to, textAt(news, path), server, uri}
	}
	got, err := l.call(to, method, name)
	if err != nil {
		t.Fatal(err)
	}
	return shown{to, textAt([]byte(got), path), server, uri}
}

func textAt(v []byte, path []string) string {
	for _, key := range path {
		if key != "0" {
			v = rawjson.Get(v, key)
			continue
		}
		for one := range rawjson.Elements(v) {
			v = one
			break
		}
	}
	text, _ := rawjson.Text(v)
	return text
}

// readWith reads a URI that was shown, and gives what came with it: itself as it was asked
// for, and another.
func readWith(t *rapid.T, l *library, s shown, other string) []shown {
	l.answer = fmt.Sprintf(`{"contents":[{"uri":%q},{"uri":%q}]}`, s.own, other)
	got, err := l.call(s.to, mcp.ResourcesRead, s.uri)
	if err != nil {
		return nil
	}
	var uris []string
	for one := range rawjson.Elements(rawjson.Get([]byte(got), "contents")) {
		uris = append(uris, textAt(one, []string{"uri"}))
	}
	if uris[0] != s.uri && l.asked.Target.Origin == s.own {
		t.Fatalf("%q came back as %q", s.uri, uris[0])
	}
	if _, _, moved := catalog.Unmoved(s.uri); moved && other != s.own && uris[1] != catalog.Moved(s.server, other) {
		t.Fatalf("with %q came %q", s.uri, uris[1])
	}
	if other == l.asked.Target.Origin {
		return nil
	}
	return []shown{{s.to, uris[1], l.asked.Target.Server, other}}
}

// play has servers give callers URIs in any order, and checks after each step that what any
// of them was shown still leads back.
func play(t *rapid.T, most int, check func(l *library, s shown)) {
	l := drawLibrary(t)
	l.given.most, l.given.mostAll = most, 3*most
	callers := []*mcp.Caller{{Principal: "p"}, {Principal: "p", Session: "1"}}
	var all []shown
	for _, to := range callers {
		all = append(all, listed(l, to)...)
	}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		server := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "server")
		uri := rapid.SampledFrom(poolURIs).Draw(t, "uri")
		if len(all) > 0 && rapid.IntRange(0, 3).Draw(t, "read") == 0 {
			all = append(all, readWith(t, l, rapid.SampledFrom(all).Draw(t, "of"), uri)...)
		} else {
			all = append(all, give(t, l, rapid.SampledFrom(callers).Draw(t, "to"), server, uri))
		}
		for _, s := range all {
			if !isWeb(s.own) || l.catalog.View().Readable(s.server) {
				check(l, s)
			}
		}
	}
}

// TestEveryURILeadsBack: whatever servers list, and whoever gives what in any order, a URI
// that a caller was shown is read of the server that it was shown of, as it calls it or as it
// lists what is normalised alike.
func TestEveryURILeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, maxGiven, func(l *library, s shown) {
			got := l.holderOf(s.to, s.uri)
			if server, origin, _ := strings.Cut(got, " "); server != s.server || catalog.Normal(origin) != catalog.Normal(s.own) {
				t.Fatalf("%q, which %s calls %q: %s", s.uri, s.server, s.own, got)
			}
		})
	})
}

// TestForgottenURIsLeadNowhereElse: back to their server under some spelling, or nowhere.
func TestForgottenURIsLeadNowhereElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, rapid.IntRange(1, 4).Draw(t, "most"), func(l *library, s shown) {
			if got := l.holderOf(s.to, s.uri); got != "resource not found" && !strings.HasPrefix(got, s.server+" ") {
				t.Fatalf("%q, which %s calls %q: %s", s.uri, s.server, s.own, got)
			}
		})
	})
}

// TestLinksOfATemplateThatTwoHave lead back, whichever was called last.
func TestLinksOfATemplateThatTwoHave(t *testing.T) {
	l := newLibrary("a:  | note://{id}", "b:  | note://{id}")
	for server, want := range map[string]string{"a": "note://7", "b": "mcp-gateway:b/note%3A%2F%2F7"} {
		l.answer = `{"content":[{"type":"resource_link","uri":"note://7"}]}`
		if got, err := l.call(anybody, mcp.ToolsCall, server+".t"); err != nil || got != strings.Replace(l.answer, "note://7", want, 1) {
			t.Errorf("%v, %s", err, got)
		}
	}
	for uri, want := range map[string]string{"note://7": "a note://7", "mcp-gateway:b/note%3A%2F%2F7": "b note://7", "mcp-gateway:b//note://7": "b note://7"} {
		if got := l.holderOf(anybody, uri); got != want {
			t.Errorf("%s: %s", uri, got)
		}
	}
}

// TestGivenBeforeAServerWasTheOnlyOne: what another one gave then is not taken from it.
func TestGivenBeforeAServerWasTheOnlyOne(t *testing.T) {
	before, after := newLibrary("a: file:///x", "b: file:///y"), newLibrary("a: file:///x", "b: ")
	after.given = before.given
	const link = `{"content":[{"type":"resource_link","uri":"mem:1"}]}`
	before.answer, after.answer = link, link
	if got, err := before.call(anybody, mcp.ToolsCall, "b.t"); err != nil || got != link {
		t.Errorf("%v, %s", err, got)
	}
	if got, err := after.call(anybody, mcp.ToolsCall, "a.t"); err != nil || got != strings.Replace(link, "mem:1", "mcp-gateway:a/mem%3A1", 1) {
		t.Errorf("%v, %s", err, got)
	}
	if got := after.holderOf(anybody, "mem:1"); got != "b mem:1" {
		t.Errorf("%s", got)
	}
}

// TestLinksOfServersWithoutResources: they lead back as well, but web addresses are for the
// client to open.
func TestLinksOfServersWithoutResources(t *testing.T) {
	for _, other := range []string{"", "x:1"} {
		l := newLibrary("a: file:///x", "b: ", "c: "+other)
		for uri, want := range map[string]string{
			"https://h/x": "https://h/x", "HTTP://h": "HTTP://h", "mem:1": "mcp-gateway:b/mem%3A1", "mcp-gateway:b/x": "mcp-gateway:b/mcp-gateway%3Ab%2Fx",
		} {
			if other != "" && uri == "mem:1" { // nobody is asked for what nobody has, so it is free
				want = uri
			}
			l.answer = fmt.Sprintf(`{"content":[{"type":"resource_link","uri":%q}]}`, uri)
			if got, err := l.call(anybody, mcp.ToolsCall, "b.t"); err != nil || got != strings.Replace(l.answer, uri, want, 1) {
				t.Errorf("%s: %v, %s", uri, err, got)
			}
		}
	}
}

// TestNobodyStandsInForAServerThatIsGone: what was moved or given is not found then.
func TestNobodyStandsInForAServerThatIsGone(t *testing.T) {
	l := newLibrary("a: file:///x, mcp-gateway:gone/x | {+any}")
	for _, uri := range []string{"mcp-gateway:gone/x", "mcp-gateway:gone/y", "ui://gw.gone/z", "MCP-Gateway:gone/z"} {
		if got := l.holderOf(anybody, uri); got != "resource not found" {
			t.Errorf("%s: %s", uri, got)
		}
	}
	l.given.claim(anybody, "mem:1", "gone")
	if got := l.holderOf(anybody, "mem:1"); got != "resource not found" {
		t.Errorf("%s", got)
	}
}

// TestPartsOfWatchedResources are told of by URIs that lead to them.
func TestPartsOfWatchedResources(t *testing.T) {
	l := newLibrary("a: file:///d", "b: file:///d/taken | file:///d/b/{x}")
	var told func(string)
	l.waiting.watch = func(_, _ string, f func(string)) (func(), error) {
		told = f
		return func() {}, nil
	}
	for _, tt := range []struct {
		from              *mcp.Caller
		uri, below, shown string
	}{
		{anybody, "file:///d", "", "file:///d"},
		{anybody, "file:///d", "/free", "file:///d/free"},
		{anybody, "FILE:///d", "/free", "FILE:///d/free"},
		{anybody, "file:///d", "/taken", "mcp-gateway:a/file%3A%2F%2F%2Fd%2Ftaken"},
		{anybody, "file:///d", "/b/1", "mcp-gateway:a/file%3A%2F%2F%2Fd%2Fb%2F1"},
		{anybody, "mcp-gateway:a/file%3A%2F%2F%2Fd", "/free", "mcp-gateway:a/file%3A%2F%2F%2Fd%2Ffree"},
		{&mcp.Caller{Scope: mcp.Scope{Server: "a"}}, "file:///d", "/taken", "file:///d/taken"},
	} {
		var news inbox
		if _, err := l.Watch(t.Context(), tt.from, tt.uri, &news); err != nil {
			t.Fatal(err)
		}
		told(tt.below)
		if want := mcp.NoteUpdated + ` {"uri":"` + tt.shown + `"}`; len(news) != 1 || news[0] != want {
			t.Errorf("%s of %s: %q", tt.below, tt.uri, news)
		}
		if got := l.holderOf(tt.from, tt.shown); !strings.HasPrefix(got, "a ") {
			t.Errorf("%s: %s", tt.shown, got)
		}
	}
}
