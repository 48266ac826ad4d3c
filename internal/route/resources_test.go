package route

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A library is a house of servers with resources. Each answers with what it was asked for,
// or with what answer says.
type library struct {
	*Router
	waiting *waiting
	catalog *catalog.Catalog
	answer  string
	asked   *mcp.Call
}

// newLibrary makes one of "server: uri, uri | template, template".
func newLibrary(lines ...string) *library {
	l := &library{waiting: &waiting{handlers: map[string]mcp.Handler{}}, catalog: catalog.New()}
	var parts []*catalog.Part
	for _, line := range lines {
		server, rest, _ := strings.Cut(line, ": ")
		uris, templates, _ := strings.Cut(rest, " | ")
		lists := catalog.Lists{mcp.Resources: {None: rest == ""}, mcp.Templates: {None: rest == ""}}
		for uri := range strings.SplitSeq(uris, ", ") {
			if uri != "" {
				lists[mcp.Resources].Entries = append(lists[mcp.Resources].Entries, fmt.Appendf(nil, `{"uri":%q,"name":"n"}`, uri))
			}
		}
		for uri := range strings.SplitSeq(templates, ", ") {
			if uri != "" {
				lists[mcp.Templates].Entries = append(lists[mcp.Templates].Entries, fmt.Appendf(nil, `{"uriTemplate":%q,"name":"n"}`, uri))
			}
		}
		lists[mcp.Tools].Entries = [][]byte{[]byte(`{"name":"t","inputSchema":{"type":"object"}}`)}
		lists[mcp.Prompts].Entries = [][]byte{[]byte(`{"name":"p"}`)}
		handler := mcp.HandlerFunc(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
			l.asked = c
			if l.answer != "" {
				return &mcp.Reply{Result: []byte(l.answer)}, nil
			}
			return &mcp.Reply{Result: fmt.Appendf(nil, `{"contents":[{"uri":%q,"from":%q}]}`, c.Target.Origin, server)}, nil
		})
		l.waiting.handlers[server] = handler
		parts = append(parts, catalog.Prepare(server, "", lists, handler, bounds))
	}
	l.catalog.Swap(catalog.Merge(parts, bounds))
	l.Router = New(l.catalog, l.waiting, Dispatch, 0)
	return l
}

func (l *library) call(from *mcp.Caller, method, name string) (string, error) {
	key := "name"
	if method == mcp.ResourcesRead {
		key = "uri"
	}
	c := &mcp.Call{Method: method, Name: name, From: from, Params: mcp.Params{Raw: fmt.Appendf(nil, `{%q:%q}`, key, name)}}
	reply, err := l.Handle(context.Background(), c)
	if err != nil {
		return "", err
	}
	return string(reply.Result), nil
}

// holderOf tells where a URI leads: "server uri", or the error.
func (l *library) holderOf(from *mcp.Caller, uri string) string {
	l.asked, l.answer = nil, ""
	if _, err := l.call(from, mcp.ResourcesRead, uri); err != nil {
		return err.Error()
	}
	return l.asked.Target.Server + " " + l.asked.Target.Origin
}

var anybody = &mcp.Caller{Principal: "p"}

// TestWhoHasAResource: who lists it, whose moved URI it is, whose template it comes of.
func TestWhoHasAResource(t *testing.T) {
	l := newLibrary("a: file:///x, File:///Y, ui://app | note://{id}, db://{+path}", "b: file:///x, mem:z, ui://app | note://static/{id}, note://{id}, ui://w/{id}", "c: ")
	const none = "resource not found"
	for uri, want := range map[string]string{
		"file:///x":                         "a file:///x",
		"mem:z":                             "b mem:z",
		"FILE:///x":                         "a file:///x",
		"file:///Y":                         "a File:///Y",
		"file:///%78":                       "a file:///x",
		"file:///./q/../x":                  "a file:///x",
		"mcp-gateway:b/file%3A%2F%2F%2Fx":   "b file:///x",
		"mcp-gateway:a/file%3A%2F%2F%2Fx":   "a file:///x",
		"mcp-gateway:B/file%3a%2f%2f%2fx":   "b file:///x",
		"MCP-Gateway:b/file%3A%2F%2F%2Fx":   "b file:///x",
		"mcp-gateway:c/any%3Athing":         "c any:thing",
		"mcp-gateway:nobody/file%3Ax":       none,
		"ui://app":                          "a ui://app",
		"ui://gw.b/app":                     "b ui://app",
		"ui://gw.b/other":                   "b ui://other",
		"ui://gw.b/w/7":                     "b ui://w/7",
		"ui://w/7":                          "b ui://w/7",
		"ui://gw.nobody/app":                none,
		"note://1":                          "a note://1",
		"note://static/1":                   "b note://static/1",
		"mcp-gateway:b//note://1%2F2":       "b note://1%2F2",
		"db://a/b/c?d":                      "a db://a/b/c?d",
		"note://日本":                         "a note://日本",
		"nothing:1":                         none,
		strings.Repeat("note://", 2000):     none,
		"db://" + strings.Repeat("x", 9000): none,
	} {
		if got := l.holderOf(anybody, uri); got != want {
			t.Errorf("%.80s: %s, not %s", uri, got, want)
		}
	}
	_, err := l.call(anybody, mcp.ResourcesRead, `odd:"é`)
	var e *mcp.Error
	if !errors.As(err, &e) || e.Code != mcp.NotFound || string(e.Data) != `{"uri":"odd:\"é"}` {
		t.Errorf("%v", err)
	}
	if code, _ := codeOf(second(l.Handle(t.Context(), &mcp.Call{Method: mcp.ResourcesRead, From: anybody}))); code != mcp.InvalidParams {
		t.Error("a read without a URI")
	}
}

// TestTheOnlyServerIsAsked for what nobody lists; where several have resources nobody is.
func TestTheOnlyServerIsAsked(t *testing.T) {
	l := newLibrary("a: file:///x", "b: ")
	if got := l.holderOf(anybody, "file:///unlisted"); got != "a file:///unlisted" {
		t.Errorf("%s", got)
	}
	l = newLibrary("a: file:///x", "b:  | note://{id}")
	if got := l.holderOf(anybody, "file:///unlisted"); got != "resource not found" {
		t.Errorf("%s", got)
	}
	l = newLibrary("a: ", "b: ")
	if got := l.holderOf(anybody, "file:///x"); got != "resource not found" {
		t.Errorf("%s", got)
	}
}

// TestAServersEndpointAsksThatServer, whatever others list, by its own URIs.
func TestAServersEndpointAsksThatServer(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///x")
	alone := &mcp.Caller{Principal: "p", Scope: mcp.Scope{Server: "b"}}
	for uri, want := range map[string]string{
		"file:///x": "b file:///x", "any:thing": "b any:thing", "mcp-gateway:b/file%3A%2F%2F%2Fx": "b file:///x", "mcp-gateway:a/x": "b mcp-gateway:a/x",
	} {
		if got := l.holderOf(alone, uri); got != want {
			t.Errorf("%s: %s, not %s", uri, got, want)
		}
	}
	if got := l.holderOf(&mcp.Caller{Scope: mcp.Scope{Server: "nobody"}}, "file:///x"); got != "resource not found" {
		t.Errorf("%s", got)
	}
}

// TestReadWaitsForServersThatNeverListed.
func TestReadWaitsForServersThatNeverListed(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///late, file:///y")
	view := l.catalog.View()
	l.catalog.Swap(catalog.Merge(nil, bounds))
	l.waiting.meanwhile = func() { l.catalog.Swap(view) }
	if got := l.holderOf(anybody, "file:///late"); got != "b file:///late" || l.waiting.waited != 1 {
		t.Errorf("%s, waited %d times", got, l.waiting.waited)
	}
	if got := l.holderOf(anybody, "file:///y"); got != "b file:///y" || l.waiting.waited != 1 {
		t.Errorf("%s, waited %d times", got, l.waiting.waited)
	}
}

// TestLinksInResults are those that the caller's endpoint shows; all else stays as it is.
func TestLinksInResults(t *testing.T) {
	l := newLibrary("a: file:///x, file:///y", "b: file:///x, ui://app | note://{id}")
	const moved, plain = `mcp-gateway:b/file%3A%2F%2F%2Fx`, `file:///x`
	for _, tt := range []struct{ method, name, answer string }{
		{mcp.ToolsCall, "b.t", `{ "content":[{"type":"text","text":"\"uri\":"},{"type":"resource_link","uri":"@","name":"file:///x"},{"type":"resource","resource":{"uri":"@","text":"file:///x"}}],"structuredContent":{"uri":"file:///x"},"_meta":{"ui":{"resourceUri":"@"},"ui/resourceUri":"@","x":1}}`},
		{mcp.ToolsCall, "b.t", `{"content":[{"type":"resource_link","uri":"mem:new"},{"type":"resource_link","uri":7},7,{"type":"image","uri":"file:///x"}]}`},
		{mcp.PromptsGet, "b.p", `{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"@"}}},{"role":"user","content":[{"type":"resource_link","uri":"@"}]},{"role":"user","content":{"type":"text","text":"uri"}}]}`},
		{mcp.ResourcesRead, moved, `{"contents":[{"uri":"@","blob":"x"}]}`},
	} {
		in, want := strings.ReplaceAll(tt.answer, "@", plain), strings.ReplaceAll(tt.answer, "@", moved)
		l.answer = in
		if got, err := l.call(anybody, tt.method, tt.name); err != nil || got != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tt.method, err, got, want)
		}
		alone := &mcp.Caller{Scope: mcp.Scope{Server: "b"}}
		name := strings.TrimPrefix(tt.name, "b.")
		if tt.method == mcp.ResourcesRead {
			name = plain
		}
		if got, err := l.call(alone, tt.method, name); err != nil || got != in {
			t.Errorf("%s alone: %v\ngot  %s\nwant %s", tt.method, err, got, in)
		}
		if tt.method == mcp.ResourcesRead {
			continue
		}
		if got, err := l.call(&mcp.Caller{Session: "2"}, tt.method, strings.Replace(tt.name, "b", "a", 1)); err != nil || got != in {
			t.Errorf("%s of the first: %v\ngot  %s\nwant %s", tt.method, err, got, in)
		}
	}
	l.answer = `{"contents":[{"uri":"file:///x"}, {"uri":"mem:part"}]}`
	for _, from := range []*mcp.Caller{anybody, {Scope: mcp.Scope{Server: "b"}}} {
		want := `{"contents":[{"uri":"` + moved + `"},{"uri":"mcp-gateway:b/mem%3Apart"}]}`
		if got, err := l.call(from, mcp.ResourcesRead, moved); err != nil || got != want {
			t.Errorf("what comes with a moved URI: %v, %s", err, got)
		}
	}
	l.answer = `{"contents":[{"uri":"File:///y"}, {"uri":"file:///y"}]}`
	if got, err := l.call(anybody, mcp.ResourcesRead, "FILE:///y"); err != nil || got != `{"contents":[{"uri":"File:///y"},{"uri":"FILE:///y"}]}` {
		t.Errorf("a URI that was spelt otherwise: %v, %s", err, got)
	}
}

// TestResultsOfTheOnlyServerAreNotLookedAt: the same bytes come back.
func TestResultsOfTheOnlyServerAreNotLookedAt(t *testing.T) {
	l := newLibrary("a: file:///x", "b: ")
	reply := &mcp.Reply{Result: []byte(`{"content":[{"type":"resource_link","uri":"mem:1"}]}`)}
	l.Router = New(l.catalog, l.waiting, mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) { return reply, nil }), 0)
	got, err := l.Handle(t.Context(), call("a.t"))
	if err != nil || got != reply || l.given.all != 0 {
		t.Errorf("%v, %v, %d remembered", got, err, l.given.all)
	}
}

type inbox []string

func (b *inbox) Put(method string, params []byte) { *b = append(*b, method+" "+string(params)) }

// TestWatch: the server is told of its own URI, and the client of the one that it used.
func TestWatch(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///x")
	var told func(string)
	var watched string
	stopped := 0
	l.waiting.watch = func(server, uri string, f func(string)) (func(), error) {
		watched, told = server+" "+uri, f
		return func() { stopped++ }, nil
	}
	var news inbox
	const moved = "mcp-gateway:b/file%3A%2F%2F%2Fx"
	stop, err := l.Watch(t.Context(), anybody, moved, &news)
	if err != nil || watched != "b file:///x" {
		t.Fatalf("%v, %s", err, watched)
	}
	told("")
	told("")
	if want := mcp.NoteUpdated + ` {"uri":"` + moved + `"}`; len(news) != 2 || news[0] != want || news[1] != want {
		t.Errorf("%q", news)
	}
	told("/part") // of it
	if want := mcp.NoteUpdated + ` {"uri":"` + moved + `%2Fpart"}`; len(news) != 3 || news[2] != want {
		t.Errorf("%q", news)
	}
	stop()
	if stopped != 1 {
		t.Errorf("stopped %d times", stopped)
	}
	if code, _ := codeOf(secondOf(l.Watch(t.Context(), anybody, "nobody:has", &news))); code != mcp.NotFound {
		t.Error("a URI that nobody has is watched")
	}
	if code, _ := codeOf(secondOf(l.Watch(t.Context(), anybody, "", &news))); code != mcp.InvalidParams {
		t.Error("no URI is watched")
	}
	l.waiting.watch = func(string, string, func(string)) (func(), error) {
		return nil, mcp.Errorf(mcp.UnknownMethod, "subscribe", "no")
	}
	if code, _ := codeOf(secondOf(l.Watch(t.Context(), anybody, "file:///x", &news))); code != mcp.UnknownMethod {
		t.Error("the server's refusal is lost")
	}
}

func secondOf(_ func(), err error) error { return err }

// TestCompletion goes to the server of the prompt, template or resource; what is no reference
// or names nothing is refused.
func TestCompletion(t *testing.T) {
	l := newLibrary("a: file:///x | note://{id}", "b: file:///z | note://{id}, db://{t}")
	complete := func(from *mcp.Caller, params string) string {
		c := &mcp.Call{Method: mcp.Completion, From: from, Params: mcp.Params{Raw: []byte(params)}}
		l.asked = nil
		if _, err := l.Handle(t.Context(), c); err != nil {
			code, reason := codeOf(err)
			if code != mcp.InvalidParams {
				t.Errorf("%s: %v", params, err)
			}
			return reason
		}
		return l.asked.Target.Server + " " + l.asked.Target.Origin
	}
	const argument = `"argument":{"name":"n","value":""}`
	alone := &mcp.Caller{Scope: mcp.Scope{Server: "b"}}
	for _, tt := range []struct {
		from         *mcp.Caller
		params, want string
	}{
		{anybody, `{"ref":{"type":"ref/prompt","name":"b.p"},` + argument + `}`, "b p"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"b__p"},` + argument + `}`, "b p"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"p"},` + argument + `}`, "ambiguous_prompt"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"x"},` + argument + `}`, "unknown_prompt"},
		{alone, `{"ref":{"type":"ref/prompt","name":"p"},` + argument + `}`, "b p"},
		{anybody, `{"ref":{"type":"ref/resource","uri":"note://{id}"},` + argument + `}`, "a note://{id}"},
		{anybody, `{"ref":{"type":"ref/resource","uri":"mcp-gateway:b//note://{id}"},` + argument + `}`, "b note://{id}"},
		{alone, `{"ref":{"type":"ref/resource","uri":"note://{id}"},` + argument + `}`, "b note://{id}"},
		{anybody, `{"ref":{"type":"ref/resource","uri":"db://{t}"},` + argument + `}`, "b db://{t}"},
		{anybody, `{"ref":{"type":"ref/resource","uri":"file:///z"},` + argument + `}`, "b file:///z"},
		{anybody, `{"ref":{"type":"ref/resource","uri":"none:{x}"},` + argument + `}`, "unknown_resource"},
		{anybody, `{"ref":{"type":"ref/tool","name":"b.t"},` + argument + `}`, "params"},
		{anybody, `{"ref":{"type":"ref/prompt"},` + argument + `}`, "params"},
		{anybody, `{"ref":{"type":"ref/prompt","name":""},` + argument + `}`, "params"},
		{anybody, `{"ref":"b.p",` + argument + `}`, "params"},
		{anybody, `{` + argument + `}`, "params"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"b.p"}}`, "params"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"b.p"},"argument":{"name":"n"}}`, "params"},
		{anybody, `{"ref":{"type":"ref/prompt","name":"b.p"},"argument":{"name":"n","value":1}}`, "params"},
	} {
		if got := complete(tt.from, tt.params); got != tt.want {
			t.Errorf("%s: %s, not %s", tt.params, got, tt.want)
		}
	}
}

// TestUnknownMethodsPassOnAServersEndpoint, as they are; elsewhere they are unknown.
func TestUnknownMethodsPassOnAServersEndpoint(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///x")
	l.answer = `{"uri":"file:///x"}`
	c := &mcp.Call{Method: "vendor/do", From: &mcp.Caller{Scope: mcp.Scope{Server: "b"}}, Params: mcp.Params{Raw: []byte(`{"name":"x"}`)}}
	reply, err := l.Handle(t.Context(), c)
	if err != nil || string(reply.Result) != l.answer || l.asked.Target.Server != "b" || l.asked.Target.Kind != "other" || string(l.asked.Params.Raw) != `{"name":"x"}` {
		t.Errorf("%v, %+v", err, l.asked)
	}
	for _, scope := range []mcp.Scope{{}, {Safe: true}, {Server: "nobody"}} {
		if code, _ := codeOf(second(l.Handle(t.Context(), &mcp.Call{Method: "vendor/do", From: &mcp.Caller{Scope: scope}}))); code != mcp.UnknownMethod {
			t.Errorf("%+v: it is routed", scope)
		}
	}
	for _, method := range []string{mcp.Initialize, mcp.Ping, mcp.Discover, mcp.SetLevel, mcp.Subscribe, mcp.Unsubscribe, mcp.SubscriptionsListen, "tasks/list", "tasks/result"} {
		if code, _ := codeOf(second(l.Handle(t.Context(), &mcp.Call{Method: method, From: &mcp.Caller{Scope: mcp.Scope{Server: "b"}}}))); code != mcp.UnknownMethod {
			t.Errorf("%s passes", method)
		}
	}
}

// TestNotificationsGoWhereTheyConcernSomebody.
func TestNotificationsGoWhereTheyConcernSomebody(t *testing.T) {
	l := newLibrary("a: x:1", "b: x:2")
	l.Notify(anybody, "vendor/news", []byte(`{}`))
	l.Notify(anybody, mcp.NoteRootsListChanged, nil)
	alone := &mcp.Caller{Scope: mcp.Scope{Server: "b"}}
	l.Notify(alone, "vendor/news", []byte(`{}`))
	l.Notify(alone, mcp.NoteRootsListChanged, nil)
	want := []string{" notifications/roots/list_changed ", "b vendor/news {}", "b notifications/roots/list_changed "}
	if fmt.Sprint(l.waiting.notes) != fmt.Sprint(want) {
		t.Errorf("%q", l.waiting.notes)
	}
}

// TestAdmitIsAskedFirst, with the target, and its refusal is the answer.
func TestAdmitIsAskedFirst(t *testing.T) {
	l := newLibrary("a: x:1")
	c := call("a.t")
	refusal := mcp.Errorf(mcp.HeaderMismatch, "header", "no")
	c.Admit = func(target *mcp.Target) error {
		if target.Canonical != "a.t" || rawjson.Get(target.Definition, "name") == nil {
			t.Errorf("%+v", target)
		}
		return refusal
	}
	if _, err := l.Handle(t.Context(), c); err != refusal || l.asked != nil {
		t.Errorf("%v, %v", err, l.asked)
	}
}
