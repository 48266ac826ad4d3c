package app_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// TestServersOwnEndpoints: one server alone, as if nobody stood before it.
func TestServersOwnEndpoints(t *testing.T) {
	g := start(t, servers(
		"a", remote("http", gatetest.StartStateful(t, speaker("a", "read", "only-a", "a.read"))),
		"b", speaking(t, "b", []string{"read", "only-b"}, "prefix", "p"),
		"off", speaking(t, "off", []string{"read"}, "enabled", false))).ready()
	for _, c := range append(visitors(t, g, "/servers/a", ""), visitors(t, g, "/servers/a", "?names=safe")...) {
		wantListed(t, c, "read", "only-a", "a.read")
		wantSaid(t, c, "read", "a:read", "only-a", "a:only-a", "a.read", "a:a.read")
	}
	for _, c := range visitors(t, g, "/servers/b", "") {
		wantListed(t, c, "read", "only-b")
		wantSaid(t, c, "read", "b:read", "only-b", "b:only-b")
		for _, name := range []string{"p.read", "b.read", "p__read", "only-a", "a.only-a", "nothing"} { // as many as are compared in a second
			a, err := gatetest.CallTool(t.Context(), c, name, `{}`)
			if err != nil || string(gatetest.Member(a.Error, "code")) != "-32602" || strings.Contains(string(a.Error), "only-a") != (strings.Contains(name, "only-a")) {
				t.Errorf("%s: %s: %v, %+v", c.name, name, err, a)
			}
		}
		noStray(t, c)
	}
	for _, server := range []string{"a", "b"} {
		checkPresence(t, g, server)
	}
	for _, name := range []string{"nobody", "off", "A", "p", "a%2Fb", "..%2fa"} {
		for _, request := range [][2]string{{"POST", "/mcp"}, {"GET", "/mcp"}, {"DELETE", "/mcp"}, {"GET", "/sse"}} {
			if res, text := g.visit(request[0], "/servers/"+name+request[1], greeting); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s /servers/%s%s: HTTP %d %s", request[0], name, request[1], res.StatusCode, text)
			}
		}
	}
	c := gatetest.DialStateless(t, g.url+"/servers/b/mcp")
	g.must(http.StatusNoContent, "DELETE", "/servers/b", "")
	told(t, client{Client: c}, "its server went")
	if res, text := g.visit("POST", "/servers/b/mcp", greeting); res.StatusCode != http.StatusNotFound {
		t.Errorf("the endpoint of a server that went: HTTP %d %s", res.StatusCode, text)
	}
}

// checkPresence: the server's endpoint says what the server says of itself, in both eras.
func checkPresence(t *testing.T, g *gateway, server string) {
	t.Helper()
	info, instructions := `{"name":"Script of `+server+`","version":"1.0.0"}`, `"Instructions of `+server+`."`
	path := "/servers/" + server
	_, text := g.visit("POST", path+"/mcp", greeting)
	said := gatetest.Member([]byte(text), "result")
	if got := gatetest.Member(said, "serverInfo"); string(got) != info || string(gatetest.Member(said, "instructions")) != instructions {
		t.Errorf("%s, initialize: %s", server, text)
	}
	found := do(t, gatetest.DialStateless(t, g.url+path), "server/discover", "")
	if got := gatetest.Member(found.Result, "_meta", "io.modelcontextprotocol/serverInfo"); string(got) != info || string(gatetest.Member(found.Result, "instructions")) != instructions {
		t.Errorf("%s, server/discover: %s", server, found.Raw)
	}
	stream, to := g.openSSE(t, path+"/sse")
	if res, text := g.visit("POST", to, greeting); res.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: HTTP %d %s", to, res.StatusCode, text)
	}
	said = gatetest.Member([]byte(data(t, stream)), "result")
	if got := gatetest.Member(said, "serverInfo"); string(got) != info || string(gatetest.Member(said, "instructions")) != instructions {
		t.Errorf("%s, initialize on SSE: %s", server, said)
	}
}

// openSSE opens a 2024-11-05 stream and gives it with its message endpoint.
func (g *gateway) openSSE(t testing.TB, path string) (*bufio.Scanner, string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), startTime)
	r, err := http.NewRequestWithContext(ctx, "GET", g.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	return lines, data(t, lines)
}

// data is the next line of an event stream that bears data.
func data(t testing.TB, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
			return strings.TrimSpace(text)
		}
	}
	t.Fatalf("the stream ended: %v", lines.Err())
	return ""
}

// TestSessionsStayAtTheirEndpoint: elsewhere they are unknown, whatever is asked.
func TestSessionsStayAtTheirEndpoint(t *testing.T) {
	g := start(t, servers("a", speaking(t, "a", []string{"read"}), "b", speaking(t, "b", []string{"read"}))).ready()
	endpoints := []string{"/mcp", "/mcp?names=safe", "/servers/a/mcp", "/servers/b/mcp"}
	const ping = `{"jsonrpc":"2.0","id":2,"method":"ping"}`
	session := map[string]string{}
	for _, e := range endpoints {
		res, text := g.visit("POST", e, greeting)
		if session[e] = res.Header.Get("Mcp-Session-Id"); session[e] == "" {
			t.Fatalf("%s: HTTP %d %s", e, res.StatusCode, text)
		}
	}
	_, messages := g.openSSE(t, "/servers/a/sse")
	_, streamed, _ := strings.Cut(messages, "sessionId=")
	for _, own := range endpoints {
		for _, e := range endpoints {
			want := http.StatusNotFound
			if e == own {
				want = http.StatusOK
			}
			for _, body := range []string{ping, `[` + ping + `]`} {
				if e == own && body != ping {
					continue // its revision has no batches
				}
				if res, text := g.visit("POST", e, body, "Mcp-Session-Id", session[own]); res.StatusCode != want {
					t.Errorf("POST %s with a session of %s: HTTP %d %s", e, own, res.StatusCode, text)
				}
			}
			if e == own {
				continue
			}
			for _, method := range []string{"GET", "DELETE"} {
				if res, text := g.visit(method, e, "", "Mcp-Session-Id", session[own]); res.StatusCode != want {
					t.Errorf("%s %s with a session of %s: HTTP %d %s", method, e, own, res.StatusCode, text)
				}
			}
		}
		if res, _ := g.visit("POST", "/messages?sessionId="+session[own], ping); res.StatusCode != http.StatusNotFound {
			t.Errorf("a session of %s is one of an event stream: HTTP %d", own, res.StatusCode)
		}
		if res, _ := g.visit("POST", own, ping, "Mcp-Session-Id", streamed); res.StatusCode != http.StatusNotFound {
			t.Errorf("an event stream's session is one of %s: HTTP %d", own, res.StatusCode)
		}
	}
	if res, text := g.visit("POST", "/mcp?names=dotted", ping, "Mcp-Session-Id", session["/mcp"]); res.StatusCode != http.StatusOK {
		t.Errorf("the same endpoint by its other URL: HTTP %d %s", res.StatusCode, text)
	}
}

// TestNewsOfOneServer reach its own endpoint, and no other server's.
func TestNewsOfOneServer(t *testing.T) {
	g := start(t, servers("a", remote("http", gatetest.StartStateful(t, gatetest.New("growing"))), "b", remote("http", gatetest.StartStateless(t, gatetest.New("growing"))))).ready()
	all := gatetest.DialStateless(t, g.url)
	at := map[string][]client{"a": visitors(t, g, "/servers/a", ""), "b": visitors(t, g, "/servers/b", "")}
	everywhere := client{Client: all}
	for _, server := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[server]
		for n := range 2 { // the second is told a second later, when others would have heard of the first
			call(t, all, server+".grow", `{}`)
			told(t, everywhere, server+" grew")
			for _, c := range at[server] {
				told(t, c, "it grew")
				if got := len(list(t, c)); got != 2+n {
					t.Errorf("%s at %s lists %d tools, not %d", c.name, server, got, 2+n)
				}
			}
		}
		for _, c := range at[other] {
			if n := len(c.ListChanged()); n > 0 {
				t.Errorf("%s at %s was told %d times of %s", c.name, other, n, server)
				for range n {
					<-c.ListChanged()
				}
			}
		}
	}
	for _, c := range append(at["a"], at["b"]...) {
		noStray(t, c)
	}
}
