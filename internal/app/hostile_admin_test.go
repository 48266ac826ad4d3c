package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"mcpgateway/internal/gatetest"
)

var adminCases = []hostileCase{
	{"E1", func(h *hostile) {
		marker := filepath.Join(h.TempDir(), "marker")
		body := servers("evil", object("command", "touch", "args", []string{marker}))
		g := visit(h.T, newHouse(h.T, withTokens))
		for _, token := range []string{"", "Bearer", "Bearer " + alice, "Bearer " + g.token + "x", "Basic " + g.token, g.token} {
			for _, r := range [][2]string{{"POST", "/servers"}, {"POST", "/servers?wait=0"}, {"DELETE", "/servers/stateful"}} {
				if got := g.send(r[0], r[1], body, "Authorization", token); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
					h.Errorf("%s %s with %q: %s", r[0], r[1], token, got)
				}
			}
		}
		if n := len(g.states()); n != 2 {
			h.Errorf("%d servers", n)
		}
		g.untouched()
		if _, err := os.Stat(marker); err == nil {
			h.Error("a program was started")
		}
	}},
	{"E6", func(h *hostile) {
		body := servers("evil", `{"command":"x"}`)
		token := []string{"Authorization", "Bearer " + h.token}
		for status, all := range map[int][][]string{
			415: {{"Content-Type", "text/plain"}, {"Content-Type", absent}, {"Content-Type", "application/x-www-form-urlencoded"}},
			403: {{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example", "Content-Type", "text/plain"}},
		} {
			for _, header := range all {
				if g := h.send("POST", "/servers", body, append(header, token...)...); g.status != status {
					h.Errorf("%q: %s", header, g)
				}
			}
		}
		// A cookie is no credential of ours; who has nothing else has none.
		for status, header := range map[int][]string{401: {"Cookie", "token=" + h.token}, 403: {"Cookie", "token=" + h.token, "Origin", "http://evil.example"}} {
			if g := h.send("POST", "/servers", body, header...); g.status != status {
				h.Errorf("%q: %s", header, g)
			}
		}
		if n := len(h.states()); n != 2 {
			h.Errorf("%d servers", n)
		}
	}},
	{"E8", func(h *hostile) {
		args := []string{"; rm -rf x", "$(id)", "`id`", "a\nb", "--flag=evil", "", "*", "~", "$HOME", "%PATH%", "\"", "'", "\\", "-", "--", "🦊", "$"}
		g := visit(h.T, newHouse(h.T))
		command, _, env := gatetest.StdioCommand("argv", false)
		g.must(201, "POST", "/servers", servers("argv", object("command", command, "args", args, "env", env)))
		var arrived []string
		if err := json.Unmarshal([]byte(g.call("argv.argv", "{}").text(h)), &arrived); err != nil || fmt.Sprintf("%q", arrived) != fmt.Sprintf("%q", args) {
			h.Errorf("arrived: %q %v", arrived, err)
		}
		for _, bad := range []string{`{"command":"x","args":["a\u0000b"]}`, `{"command":"a\u0000b"}`, `{"command":"x","env":{"A":"\u0000"}}`, `{"command":"x","env":{"A\u0000":"a"}}`, `{"command":"x","cwd":"\u0000"}`} {
			g.must(400, "POST", "/servers", servers("nul", bad))
		}
		g.must(204, "DELETE", "/servers/argv", "")
	}},
	{"E10", secretsStay},
	{"E11", failuresSayLittle},
	{"E12", func(h *hostile) {
		for body, names := range map[string][]string{
			servers("a", `{"command":"x","volumes":[],"user":"root","privileged":true}`): {"volumes", "user", "privileged"},
			servers("a", `{"command":"x","commnad":"y"}`):                                {"commnad"},
			servers("a", `{"command":"x","command":"y"}`):                                {"command"},
			servers("a", `{"command":"x"}`, "a", `{"command":"y"}`):                      {"a"},
			servers("a", `{"command":["x"],"args":"y"}`):                                 {"command", "args"},
			`[]`:                             {""},
			`[{"name":"a","command":"x"}]`:   {""},
			`{"mcpServers":[]}`:              {"mcpServers"},
			`{"gateway":{},"mcpServers":{}}`: {"gateway"},
		} {
			text := h.must(400, "POST", "/servers", body)
			for _, name := range names {
				if !strings.Contains(text, name) {
					h.Errorf("%s: %q is not named in %s", body, name, text)
				}
			}
		}
		// LIMITS.md: what is larger than a request may be is 413.
		h.must(413, "POST", "/servers", servers("a", `{"command":"`+strings.Repeat("x", 5<<20)+`"}`))
		if n := len(h.states()); n != 2 {
			h.Errorf("%d servers", n)
		}
	}},
}

// argv says what its process was started with.
var argv = &gatetest.Server{Name: "argv", Tools: []json.RawMessage{gatetest.Tool("argv")}, Call: func(c *gatetest.Call) {
	b, _ := json.Marshal(os.Args[1:])
	c.Text(string(b))
}}

// secretsStay in what was registered: nothing shows them. TestSecretsNeverShow has more.
func secretsStay(h *hostile) {
	const canary = "c4n4ry"
	g := visit(h.T, newHouse(h.T))
	env := strings.Replace(stdio("echo", false), `"env":{`, `"env":{"API_KEY":"`+canary+`-env",`, 1)
	header := strings.TrimSuffix(remote("http", gatetest.StartStateless(h, gatetest.New("echo"))), "}") + `,"headers":{"Authorization":"Bearer ` + canary + `-header"}}`
	broken := strings.TrimSuffix(remote("http", closedPort(h)+"/?key="+canary+"-query"), "}") + `,"headers":{"X-Key":"` + canary + `-header"}}`
	var said strings.Builder
	for name, definition := range map[string]string{"env": env, "header": header, "broken": broken} {
		said.WriteString(g.must(201, "POST", "/servers", servers(name, definition)))
		_, text := g.api("POST", "/servers", servers(name, definition)) // a conflict
		said.WriteString(text)
		_, text = g.api("POST", "/servers", servers(name+"2", strings.TrimSuffix(definition, "}")+`,"unknown":1}`))
		said.WriteString(text)
	}
	for _, path := range []string{"/servers", "/tools", "/health", "/ready", "/metrics", "/servers/env"} {
		said.WriteString(g.send("GET", path, "").body)
	}
	for _, name := range []string{"env.raw", "header.raw", "broken.raw", "env.nothing"} {
		said.WriteString(g.call(name, `{"x":1}`).body)
	}
	said.WriteString(g.send("POST", "/mcp", stateless("1", "server/discover", ""), mirror("server/discover", "")...).body)
	said.WriteString(g.log.String())
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, _ := os.ReadFile(path)
		said.Write(line)
	}
	if at := strings.Index(said.String(), canary); at >= 0 {
		h.Errorf("a secret shows: …%s…", said.String()[max(0, at-200):min(at+50, said.Len())])
	}
	g.must(204, "DELETE", "/servers/env", "")
}

// failuresSayLittle to who calls: no path, no stack, nothing that a server wrote which is
// no answer.
func failuresSayLittle(h *hostile) {
	const trace = "Traceback SECRET\n  File \"/srv/secret/app.py\", line 1\ngoroutine 1 [running]:\nmain.go:1\n"
	good := newFake("500", "404", "html", "redirect", "reset", "garbage", "half", "encoded")
	to, _ := url.Parse(gatetest.StartStateless(h, good.Server))
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) }, FlushInterval: -1, ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}}
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail := func(status int, kind, body string) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
		switch r.Header.Get("Mcp-Name") {
		case "500":
			fail(500, "text/plain", trace)
		case "404":
			fail(404, "text/html", trace)
		case "html":
			fail(200, "text/html", trace)
		case "redirect":
			w.Header().Set("Location", "http://169.254.169.254/SECRET")
			fail(302, "text/html", trace)
		case "reset":
			panic(http.ErrAbortHandler)
		case "garbage":
			fail(200, "application/json", trace)
		case "half":
			w.Header().Set("Content-Length", "1000")
			fail(200, "application/json", `{"jsonrpc":"2.0","SECRET":`)
		case "encoded":
			w.Header().Set("Content-Encoding", "gzip")
			fail(200, "application/json", trace)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	bad.Config.ErrorLog = nil
	g := visit(h.T, newHouse(h.T))
	h.Cleanup(bad.CloseClientConnections)
	g.must(201, "POST", "/servers", servers("bad", remote("http", bad.URL+"/mcp"), "dying", stdio("dying", true), "exiting", stdio("exiting", false),
		"refused", remote("http", closedPort(h)), "error", remote("http", html(h, 500)), "missing", `{"command":"no-such-command-anywhere"}`))
	var said strings.Builder
	for _, name := range []string{"bad.500", "bad.404", "bad.html", "bad.redirect", "bad.reset", "bad.garbage", "bad.half", "bad.encoded", "dying.die", "exiting.echo", "refused.x", "missing.x"} {
		one, two := g.call(name, "{}"), g.inSession(stateful("1", "tools/call", tool(name, "{}")))
		for _, got := range []got{one, two} {
			if got.member("error", "code") == "" || got.member("id") != "1" {
				h.Errorf("%s: %s", name, got)
			}
			said.WriteString(got.body)
		}
	}
	for _, r := range [][2]string{{"POST", "x"}, {"POST", `{"mcpServers":{"a":{"url":"http://x/\u0000"}}}`}, {"DELETE", ""}} {
		got := g.send(r[0], "/servers", r[1], "Authorization", "Bearer "+g.token)
		said.WriteString(got.body)
	}
	said.WriteString(g.send("GET", "/nothing/here", "").body + g.send("GET", "/servers/nobody/mcp", "").body)
	for _, s := range g.states() {
		said.WriteString(s.Reason) // which operators see; the last lines of stderr are theirs, too
	}
	for _, secret := range []string{"SECRET", "/srv/", "Traceback", "goroutine", ".go:", filepath.Dir(g.config), "169.254", "Welcome"} {
		if at := strings.Index(said.String(), secret); at >= 0 {
			h.Errorf("%q shows: …%s…", secret, said.String()[max(0, at-300):min(at+100, said.Len())])
		}
	}
	g.must(204, "DELETE", "/servers/dying", "")
	g.must(204, "DELETE", "/servers/exiting", "")
	var done sync.WaitGroup
	done.Go(func() { g.must(204, "DELETE", "/servers/bad", "") })
	done.Wait()
	good.EndListens()
	bad.CloseClientConnections()
	bad.Close()
}
