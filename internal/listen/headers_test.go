package listen

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// TestHeadersMustMirrorTheBody (2026-07-28, Streamable HTTP, Server Validation): the right
// code for each way to be wrong, and nothing reaches the house.
func TestHeadersMustMirrorTheBody(t *testing.T) {
	const (
		version = era.HeaderVersion
		method  = era.HeaderMethod
		name    = era.HeaderName
	)
	list := ask("7", mcp.Tools.List(), "")
	tool := func(name string) string { return ask("7", mcp.ToolsCall, `"name":`+name) }
	meta := func(inside string) string { return request("7", mcp.Tools.List(), `"_meta":{`+inside+`}`) }
	f := newFront(t)
	session := f.login(newest)
	for label, c := range map[string]struct {
		body   string
		header []string
		code   int
	}{
		"no version header":             {list, []string{method, mcp.Tools.List()}, era.HeaderMismatch},
		"stateful header":               {list, []string{version, newest, method, mcp.Tools.List()}, era.HeaderMismatch},
		"stateful header, with session": {list, []string{version, newest, method, mcp.Tools.List(), era.HeaderSession, session}, era.HeaderMismatch},
		"version twice":                 {list, []string{version, ahead, version, newest, method, mcp.Tools.List()}, era.HeaderMismatch},
		"same version twice":            {list, []string{version, ahead, version, ahead, method, mcp.Tools.List()}, era.HeaderMismatch},
		"a list of versions":            {list, []string{version, ahead + ", " + newest, method, mcp.Tools.List()}, era.HeaderMismatch},
		"a version of 10 KB":            {list, []string{version, strings.Repeat("2", 10<<10), method, mcp.Tools.List()}, era.HeaderMismatch},
		"a quoted version":              {list, []string{version, `"` + ahead + `"`, method, mcp.Tools.List()}, era.HeaderMismatch},
		"both unknown":                  {strings.ReplaceAll(list, ahead, "1900-01-01"), []string{version, "1900-01-01", method, mcp.Tools.List()}, era.UnsupportedVersion},
		"both stateful":                 {strings.ReplaceAll(list, ahead, newest), []string{version, newest, method, mcp.Tools.List()}, era.UnsupportedVersion},
		"unknown header, no meta":       {request("7", mcp.Tools.List(), ""), []string{version, "1900-01-01", method, mcp.Tools.List()}, era.UnsupportedVersion},
		"no meta":                       {request("7", mcp.Tools.List(), ""), []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"no params":                     {`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"meta without version":          {meta(`"io.modelcontextprotocol/clientCapabilities":{}`), []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"version a number":              {meta(`"io.modelcontextprotocol/protocolVersion":20260728,"io.modelcontextprotocol/clientCapabilities":{}`), []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"version twice in meta":         {meta(`"io.modelcontextprotocol/protocolVersion":"` + ahead + `","io.modelcontextprotocol/protocolVersion":"1900-01-01"`), []string{version, ahead, method, mcp.Tools.List()}, era.ParseError},
		"no capabilities":               {meta(`"io.modelcontextprotocol/protocolVersion":"` + ahead + `"`), []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"capabilities an array":         {meta(`"io.modelcontextprotocol/protocolVersion":"` + ahead + `","io.modelcontextprotocol/clientCapabilities":[]`), []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},
		"progress token odd":            {ask("7", mcp.Tools.List(), "")[:len(list)-3] + `,"progressToken":1.5}}}`, []string{version, ahead, method, mcp.Tools.List()}, era.InvalidParams},

		"no method header": {list, []string{version, ahead}, era.HeaderMismatch},
		"another method":   {list, []string{version, ahead, method, mcp.ToolsCall}, era.HeaderMismatch},
		"another case":     {list, []string{version, ahead, method, "Tools/List"}, era.HeaderMismatch},
		"method twice":     {list, []string{version, ahead, method, mcp.Tools.List(), method, mcp.ToolsCall}, era.HeaderMismatch},
		"method encoded":   {list, []string{version, ahead, method, era.EncodeHeader("ü")}, era.HeaderMismatch},

		"another name":          {tool(`"b"`), append(mirror(mcp.ToolsCall, ""), name, "a"), era.HeaderMismatch},
		"no name header":        {tool(`"b"`), mirror(mcp.ToolsCall, ""), era.HeaderMismatch},
		"name twice":            {tool(`"b"`), append(mirror(mcp.ToolsCall, ""), name, "b", name, "a"), era.HeaderMismatch},
		"name's case":           {tool(`"b"`), append(mirror(mcp.ToolsCall, ""), name, "B"), era.HeaderMismatch},
		"raw UTF-8":             {tool(`"über"`), append(mirror(mcp.ToolsCall, ""), name, "über"), era.HeaderMismatch},
		"wrong base64":          {tool(`"über"`), append(mirror(mcp.ToolsCall, ""), name, "=?base64?w7xiZX?="), era.HeaderMismatch},
		"base64, stray bits":    {tool(`"über"`), append(mirror(mcp.ToolsCall, ""), name, "=?base64?w7xiZXJ=?="), era.HeaderMismatch},
		"base64url":             {tool(`"??>"`), append(mirror(mcp.ToolsCall, ""), name, "=?base64?Pz8-?="), era.HeaderMismatch},
		"BASE64":                {tool(`"über"`), append(mirror(mcp.ToolsCall, ""), name, "=?BASE64?w7xiZXI=?="), era.HeaderMismatch},
		"base64 of another":     {tool(`"b"`), append(mirror(mcp.ToolsCall, ""), name, "=?base64?w7xiZXI=?="), era.HeaderMismatch},
		"literal sentinel":      {tool(`"=?base64?literal?="`), append(mirror(mcp.ToolsCall, ""), name, "=?base64?literal?="), era.HeaderMismatch},
		"the uri of a resource": {ask("7", mcp.ResourcesRead, `"uri":"file:///a"`), append(mirror(mcp.ResourcesRead, ""), name, "file:///b"), era.HeaderMismatch},
		"the name of a prompt":  {ask("7", mcp.PromptsGet, `"name":"a"`), append(mirror(mcp.PromptsGet, ""), name, "b"), era.HeaderMismatch},
	} {
		t.Run(label, func(t *testing.T) {
			g := f.post(c.body, c.header...)
			if g.status != http.StatusBadRequest {
				t.Errorf("%.300s", g)
			}
			wantError(t, g.body, c.code, "7")
			f.untouched()
		})
	}
}

// TestNamesMayBeEncoded, where they need it or not (2026-07-28, Streamable HTTP, Value Encoding).
func TestNamesMayBeEncoded(t *testing.T) {
	f := newFront(t)
	for name, header := range map[string]string{
		"b": "b", "über": "=?base64?w7xiZXI=?=", "bb": "=?base64?YmI=?=", "a.b c,d/e": "a.b c,d/e", "=?BASE64?x?=": "=?BASE64?x?=",
		"=?base64?literal?=": era.EncodeHeader("=?base64?literal?="), " x ": era.EncodeHeader(" x "), "a\tb": "a\tb", "=?base64?": "=?base64?",
		"line\nbreak": era.EncodeHeader("line\nbreak"), strings.Repeat("ü", 300): era.EncodeHeader(strings.Repeat("ü", 300)),
	} {
		text, _ := json.Marshal(name)
		g := f.post(ask("1", mcp.ToolsCall, `"name":`+string(text)), mirror(mcp.ToolsCall, header)...)
		if n := f.hits.Swap(0); g.status != http.StatusOK || n != 1 {
			t.Errorf("%q as %q: %d hits, %s", name, header, n, g)
		}
	}
}

// TestUnsupportedVersionsAreTold with all that we speak and what was asked for.
func TestUnsupportedVersionsAreTold(t *testing.T) {
	f := newFront(t)
	p := f.pipe()
	body := strings.ReplaceAll(ask("7", mcp.Tools.List(), ""), ahead, "1900-01-01")
	p.send(body)
	for name, answer := range map[string]string{
		"HTTP": f.post(body, era.HeaderVersion, "1900-01-01", era.HeaderMethod, mcp.Tools.List()).body,
		"pipe": p.next(),
	} {
		wantError(t, answer, era.UnsupportedVersion, "7")
		var data struct {
			Supported []string
			Requested string
		}
		if err := json.Unmarshal(open(t, answer).Error.Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.Requested != "1900-01-01" || !slices.Equal(data.Supported, []string{ahead, newest, "2025-06-18", batches, "2024-11-05"}) {
			t.Errorf("%s: %+v", name, data)
		}
	}
	f.untouched()
}

// TestUnknownAndRemovedMethods: 404 and -32601 where the revision gives statuses; stateful
// clients get 200.
func TestUnknownAndRemovedMethods(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	for _, method := range []string{"foo/bar", "Tools/list", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "initialize", "roots/list", "sampling/createMessage"} {
		g := f.post(ask("7", method, ""), mirror(method, "")...)
		if g.status != http.StatusNotFound {
			t.Errorf("%s: %s", method, g)
		}
		wantError(t, g.body, era.MethodNotFound, "7")
		p.send(ask("7", method, ""))
		line := p.next()
		if method != mcp.Initialize { // on a pipe it may as well open the session, which was done
			wantError(t, line, era.MethodNotFound, "7")
		}
	}
	for _, method := range []string{"foo/bar", "server/discover", "subscriptions/listen", "roots/list", "elicitation/create"} {
		g := f.post(request("7", method, ""), era.HeaderSession, id)
		if g.status != http.StatusOK {
			t.Errorf("%s: %s", method, g)
		}
		wantError(t, g.body, era.MethodNotFound, "7")
		p.send(request("7", method, ""))
		wantError(t, p.next(), era.MethodNotFound, "7")
	}
	f.untouched()
}

// TestStatelessRequestsKnowNoSession: what stateful clients say is ignored, and none is told.
func TestStatelessRequestsKnowNoSession(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	for _, session := range []string{"nonsense", id, ""} {
		g := f.post(ask("1", mcp.Tools.List(), ""), append(mirror(mcp.Tools.List(), ""), era.HeaderSession, session, "Last-Event-ID", "7")...)
		if g.status != http.StatusOK || g.header.Get(era.HeaderSession) != "" || !strings.Contains(g.body, `"resultType":"complete"`) {
			t.Errorf("session %q: %s %v", session, g, g.header)
		}
	}
	from := make(chan *mcp.Caller, 1)
	f.answer(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		from <- c.From
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	})
	f.post(ask("1", mcp.ToolsCall, `"name":"a"`), append(mirror(mcp.ToolsCall, "a"), era.HeaderSession, id)...)
	if c := soon(t, "the call", from); c.Session != "" || !c.TakesRounds || c.Principal != "local" || string(c.Capabilities) != "{}" {
		t.Errorf("%+v", c)
	}
}

// TestDiscoverIsAnsweredAtOnce, without any server, in the stateless era only.
func TestDiscoverIsAnsweredAtOnce(t *testing.T) {
	started := false
	f := newFront(t, func(s *setup) { s.First = func() { started = true } })
	p := f.pipe()
	p.send(ask("1", mcp.Discover, ""))
	line := p.next()
	if started {
		t.Error("a look at what we are starts servers")
	}
	g := f.post(ask("1", mcp.Discover, ""), mirror(mcp.Discover, "")...)
	if g.status != http.StatusOK || g.body != line {
		t.Errorf("%s, on the pipe %s", g, line)
	}
	const want = `{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"tools":{"listChanged":true}},"instructions":"use it",` +
		`"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"front","title":"Front","version":"1"}}}`
	if e := open(t, line); string(e.Result) != want {
		t.Errorf("%s", e.Result)
	}
	p.send(request("2", mcp.Ping, ""))
	p.next()
	if !started {
		t.Error("a message that may need servers starts none")
	}
	f.untouched()
}
