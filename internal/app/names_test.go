package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/app"
	"mcpgateway/internal/gatetest"
)

// speaker is a server whose tools say whose they are, and by which name they were called.
func speaker(name string, tools ...string) *gatetest.Server {
	s := &gatetest.Server{Name: "Script of " + name, Instructions: "Instructions of " + name + ".", Call: func(c *gatetest.Call) { c.Text(name + ":" + c.Name) }}
	for _, tool := range tools {
		s.Tools = append(s.Tools, json.RawMessage(object("name", tool, "inputSchema", map[string]string{"type": "object"})))
	}
	return s
}

// speaking defines a speaker, with more members of its definition.
func speaking(t testing.TB, name string, tools []string, more ...any) string {
	t.Helper()
	return object(append([]any{"type", "http", "url", gatetest.StartStateless(t, speaker(name, tools...))}, more...)...)
}

// visitors dials one client of each binding that HTTP has at an endpoint.
func visitors(t testing.TB, g *gateway, path, query string) []client {
	t.Helper()
	return []client{
		{gatetest.DialStateful(t, g.url+path+"/mcp"+query), binding{name: "HTTP stateful"}, g},
		{gatetest.DialStateless(t, g.url+path+"/mcp"+query), binding{name: "HTTP stateless", stateless: true}, g},
		{gatetest.DialSSE(t, g.url+path+"/sse"+query), binding{name: "SSE", line: true}, g},
	}
}

// listed are the decoded names.
func listed(t testing.TB, c gatetest.Client) []string {
	t.Helper()
	var out []string
	for _, raw := range list(t, c) {
		var name string
		if err := json.Unmarshal([]byte(raw), &name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

func wantListed(t testing.TB, c gatetest.Client, want ...string) {
	t.Helper()
	if got := listed(t, c); !slices.Equal(got, want) {
		t.Errorf("listed %q, not %q", got, want)
	}
}

// wantSaid calls tools, each of which must say who it is: name, answer, name, answer.
func wantSaid(t testing.TB, c gatetest.Client, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		a, err := gatetest.CallTool(t.Context(), c, pairs[i], `{}`)
		if err != nil || a.Result == nil || gatetest.FirstText(a) != pairs[i+1] {
			t.Errorf("%q: %v, %+v; want %s", pairs[i], err, a, pairs[i+1])
		}
	}
}

// wantRefused calls a tool, which must fail with this reason and message.
func wantRefused(t testing.TB, c gatetest.Client, name, reason, message string) {
	t.Helper()
	a, err := gatetest.CallTool(t.Context(), c, name, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	text := func(path ...string) (s string) {
		_ = json.Unmarshal(gatetest.Member(a.Error, path...), &s)
		return s
	}
	if string(gatetest.Member(a.Error, "code")) != "-32602" || text("data", "reason") != reason || text("message") != message {
		t.Errorf("%q: %s; want %s: %s", name, a.Raw, reason, message)
	}
}

// visit sends a request as it is; headers are names and values in turn.
func (g *gateway) visit(method, path, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := g.http.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res, string(text)
}

const greeting = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`

// TestStylesOfNames: both endpoints in both styles, to list, and to call by whatever may
// mean one tool.
func TestStylesOfNames(t *testing.T) {
	g := start(t, servers("a", speaking(t, "a", []string{"read", "write", "x y"}), "b", speaking(t, "b", []string{"read"}))).ready()
	for _, query := range []string{"", "?names=dotted", "?names=safe"} {
		for _, c := range visitors(t, g, "", query) {
			t.Run(c.name+query, func(t *testing.T) {
				read, other, shown := "a.read", "a__read", "a.x y"
				if query == "?names=safe" {
					read, other, shown = other, read, "a__x_y_"+hashOf("a.x y")
				}
				wantListed(t, c, read, strings.Replace(read, "read", "write", 1), shown, strings.Replace(read, "a", "b", 1))
				wantSaid(t, c, read, "a:read", other, "a:read", shown, "a:x y", "write", "a:write", "x y", "a:x y")
				wantRefused(t, c, "read", "ambiguous_tool", `several servers have a tool "read"; say which: `+read+", "+strings.Replace(read, "a", "b", 1))
				wantRefused(t, c, read+"s", "unknown_tool", `unknown tool: "`+read+`s"; did you mean `+read+"?")
				noStray(t, c)
			})
		}
	}
	for _, endpoint := range []struct{ method, path string }{{"POST", "/mcp"}, {"GET", "/mcp"}, {"DELETE", "/mcp"}, {"GET", "/sse"}} {
		for _, names := range []string{"x", "Safe", "safe%20"} {
			if res, text := g.visit(endpoint.method, endpoint.path+"?names="+names, greeting); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, "names must be dotted or safe") {
				t.Errorf("%s %s?names=%s: HTTP %d %s", endpoint.method, endpoint.path, names, res.StatusCode, text)
			}
		}
	}
}

// TestStyleWhereNobodyAsks: the command line's, else the config's, on stdio and HTTP.
func TestStyleWhereNobodyAsks(t *testing.T) {
	for i, tt := range []struct{ config, flag, want string }{{"", "", "dotted"}, {"safe", "", "safe"}, {"", "safe", "safe"}, {"safe", "dotted", "dotted"}, {"dotted", "safe", "safe"}} {
		t.Run("config "+tt.config+", flag "+tt.flag, func(t *testing.T) {
			config := servers("a", speaking(t, "a", []string{"read"}))
			if tt.config != "" {
				config = `{"gateway":{"names":"` + tt.config + `"},` + config[1:]
			}
			g := startAt(t, slog.LevelDebug, config, func(o *app.Options) { o.Names = tt.flag }).ready()
			names := map[string]string{"dotted": "a.read", "safe": "a__read"}
			self := map[string]string{"dotted": "mcp-gateway", "safe": "mcp-gateway-safe"}
			stateless := i%2 == 0
			pipe := gatetest.Pipe(t, g.out, g.in, stateless)
			wantListed(t, pipe, names[tt.want])
			wantSaid(t, pipe, "a.read", "a:read", "a__read", "a:read")
			if stateless {
				found := do(t, pipe, "server/discover", "")
				if got := string(gatetest.Member(found.Result, "_meta", "io.modelcontextprotocol/serverInfo", "name")); got != `"`+self[tt.want]+`"` {
					t.Errorf("on stdio we are %s", got)
				}
			}
			wantListed(t, gatetest.DialStateful(t, g.url), names[tt.want])
			wantListed(t, gatetest.DialSSE(t, g.url), names[tt.want])
			for query, name := range names {
				wantListed(t, gatetest.DialStateless(t, g.url+"/mcp?names="+query), name)
				_, text := g.visit("POST", "/mcp?names="+query, greeting)
				if got := string(gatetest.Member([]byte(text), "result", "serverInfo", "name")); got != `"`+self[query]+`"` {
					t.Errorf("with names=%s we are %s", query, got)
				}
			}
		})
	}
}

// TestUnusualNames cross every binding in both styles, and each finds its tool.
func TestUnusualNames(t *testing.T) {
	tools := []string{"read", "with space", "a/b", "a,b", "a.b", "ünï", "日本語", "😀", "_lead", "trail_", "d__d", "x_0123456789", strings.Repeat("long", 30), "=?base64?YQ==?=", `quo"te\`, "<&>"}
	g := start(t, servers(
		"stateless", remote("http", gatetest.StartStateless(t, speaker("stateless", tools...))),
		"stateful", remote("http", gatetest.StartStateful(t, speaker("stateful", tools...))),
		"old_", remote("sse", gatetest.StartSSE(t, speaker("old_", tools...))))).ready()
	pattern := regexp.MustCompile(`^[A-Za-z0-9_-]{1,48}$`)
	for _, query := range []string{"", "?names=safe"} {
		for _, c := range visitors(t, g, "", query) {
			t.Run(c.name+query, func(t *testing.T) {
				names := listed(t, c)
				if len(names) != 3*len(tools) {
					t.Fatalf("%d tools: %q", len(names), names)
				}
				for i, name := range names {
					server, tool := []string{"stateless", "stateful", "old_"}[i/len(tools)], tools[i%len(tools)]
					if query != "" && !pattern.MatchString(name) || len(name) > 128 {
						t.Errorf("%s's %q is shown as %q", server, tool, name)
					}
					wantSaid(t, c, name, server+":"+tool)
				}
				noStray(t, c)
			})
		}
	}
}
