package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

func TestHealthAndReady(t *testing.T) {
	g := start(t, servers("slow", strings.Replace(impatient(stdio("silent", false)), `"1s"`, `"2s"`, 1), "good", stdio("echo", false)))
	if got := g.must(http.StatusOK, "GET", "/health", ""); strings.TrimSpace(got) != `{"status":"ok"}` {
		t.Errorf("/health says %s", got)
	}
	g.must(http.StatusServiceUnavailable, "GET", "/ready", "")
	gatetest.WaitFor(t, "a server to be ready", func() bool { return g.states()["good"].State == "ready" })
	if status, _ := g.api("GET", "/ready", ""); status != http.StatusServiceUnavailable && g.states()["slow"].Reason == "" {
		t.Errorf("/ready says %d before the last server was tried", status)
	}
	g.ready()
	if s := g.states()["slow"]; s.State == "ready" || s.Tools != 0 {
		t.Errorf("slow: %+v", s)
	}
}

func TestChangesNeedTheOperatorsToken(t *testing.T) {
	g := start(t, servers()).ready()
	token := g.token
	for _, wrong := range []string{"", "x", token + "x", token[:len(token)-1]} {
		g.token = wrong
		g.must(http.StatusUnauthorized, "POST", "/servers", servers("x", stdio("echo", false)))
		g.must(http.StatusUnauthorized, "DELETE", "/servers/x", "")
		g.must(http.StatusOK, "GET", "/servers", "")
	}
	if n := len(g.states()); n != 0 {
		t.Errorf("%d servers", n)
	}
	r, err := http.NewRequest("POST", g.url+"/servers", strings.NewReader(servers("x", stdio("echo", false))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "text/plain")
	res, err := g.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: HTTP %d", res.StatusCode)
	}
}

func TestInvalidServersAreRefusedWithEveryProblemAndNothingIsAdded(t *testing.T) {
	g := start(t, servers("here", stdio("echo", false))).ready()
	before := len(g.states())
	for body, paths := range map[string][]string{
		`{"mcpServers":{"fine":{"command":"x"},"bad name":{"command":"x"},"none":{},"both":{"command":"x","url":"http://x"},"odd":{"command":"x","startTimeout":"soon","bogus":1}}}`: {
			"bad name", "none", "both", "startTimeout", "bogus"},
		`{"mcpServers":{}}`:                             {"mcpServers"},
		`{"gateway":{},"mcpServers":{"a":{"url":"x"}}}`: {"gateway", "url"},
		`{"mcpServers":[`:                               {""},
		`[]`:                                            {""},
		`x`:                                             {""},
	} {
		text := g.must(http.StatusBadRequest, "POST", "/servers", body)
		var said struct {
			Error    string
			Problems []struct {
				Line, Column  int
				Path, Message string
			}
		}
		if err := json.Unmarshal([]byte(text), &said); err != nil || len(said.Problems) != len(paths) {
			t.Errorf("%s: %d problems, not %d: %v %s", body, len(said.Problems), len(paths), err, text)
		}
		all := ""
		for _, p := range said.Problems {
			all += p.Path + ";"
			if p.Message == "" || p.Line < 1 || p.Column < 1 {
				t.Errorf("%s: %+v", body, p)
			}
		}
		for _, path := range paths {
			if !strings.Contains(all, path) {
				t.Errorf("%s: no problem at %q in %s", body, path, all)
			}
		}
	}
	for _, taken := range []string{"here", "HERE"} {
		text := g.must(http.StatusConflict, "POST", "/servers", servers("new", stdio("echo", false), taken, stdio("echo", true)))
		if !strings.Contains(strings.ToLower(text), `"here"`) {
			t.Errorf("409 does not name the server: %s", text)
		}
	}
	if n := len(g.states()); n != before {
		t.Errorf("%d servers, not %d", n, before)
	}
	if text := g.must(http.StatusOK, "GET", "/tools", ""); strings.Contains(text, "new.") || strings.Contains(text, "fine.") {
		t.Errorf("tools of a server that was not added: %s", text)
	}
}

func TestAddAnswersWithStates(t *testing.T) {
	g := start(t, servers()).ready()
	began := time.Now()
	text := g.must(http.StatusCreated, "POST", "/servers?wait=0", servers("later", strings.Replace(impatient(stdio("silent", false)), `"1s"`, `"30s"`, 1), "good", stdio("echo", false)))
	for name, s := range states(t, text) {
		if s.State != "starting" && s.State != "idle" && name == "later" || s.Source != "api" {
			t.Errorf("wait=0: %s: %+v", name, s)
		}
	}
	if took := time.Since(began); took > guard {
		t.Errorf("wait=0 took %s", took)
	}
	gatetest.WaitFor(t, "the server's tools", func() bool {
		return strings.Count(g.must(http.StatusOK, "GET", "/tools", ""), `"server":"good"`) == 10
	})
	call(t, gatetest.DialStateful(t, g.url), "good.raw", `{}`)
	// What does not come up is added nevertheless, with its reason.
	text = g.must(http.StatusCreated, "POST", "/servers", servers("gone", `{"command":"no-such-command-anywhere"}`, "mute", impatient(stdio("silent", true))))
	for name, s := range states(t, text) {
		if s.State == "ready" || s.State == "starting" && s.Restarts == 0 || s.Source != "api" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if n := len(states(t, text)); n != 2 {
		t.Errorf("%d servers in the answer", n)
	}
	g.must(http.StatusNoContent, "DELETE", "/servers/later", "")
	g.must(http.StatusNoContent, "DELETE", "/servers/mute", "")
}

// A server that is deleted finishes the calls it has.
func TestRemoveDrains(t *testing.T) {
	g := start(t, servers("a", stdio("echo", false))).ready()
	c := gatetest.DialStateless(t, g.url)
	p := c.Start("tools/call", `{"name":"a.hang","_meta":{"progressToken":1}}`)
	gatetest.WaitFor(t, "the call to hang", func() bool { return len(p.Notes()) == 1 })
	done := make(chan int, 1)
	go func() {
		status, _ := g.api("DELETE", "/servers/a", "")
		done <- status
	}()
	gatetest.WaitFor(t, "its tools to go", func() bool { return len(list(t, c)) == 0 })
	select {
	case status := <-done:
		t.Errorf("DELETE was answered with %d before the call was done", status)
	default:
	}
	p.Cancel()
	if status := <-done; status != http.StatusNoContent {
		t.Errorf("DELETE: HTTP %d", status)
	}
	g.must(http.StatusCreated, "POST", "/servers", servers("a", stdio("echo", true)))
	call(t, c, "a.raw", `{}`)
}

// Of a server with a connection for each client, /servers says how many have one.
func TestClientsOfAServerAreShown(t *testing.T) {
	g := start(t, servers("own", merged(stdio("echo", false), `{"sessions":"per-client"}`), "shared", stdio("echo", false))).ready()
	clients := func() map[string]*int {
		var list struct {
			Servers []struct {
				Name    string
				Clients *int
			}
		}
		if err := json.Unmarshal([]byte(g.must(http.StatusOK, "GET", "/servers", "")), &list); err != nil {
			t.Fatal(err)
		}
		out := map[string]*int{}
		for _, s := range list.Servers {
			out[s.Name] = s.Clients
		}
		return out
	}
	of := func(n int) bool { own := clients()["own"]; return own != nil && *own == n }
	if !of(0) {
		t.Errorf("before any client: %v", clients())
	}
	c := gatetest.DialStateful(t, g.url)
	call(t, c, "own.raw", `{}`)
	call(t, c, "shared.raw", `{}`)
	if got := clients(); !of(1) || got["shared"] != nil {
		t.Errorf("with a client: %v", got)
	}
	c.Close()
	gatetest.WaitFor(t, "the client's connection to end", func() bool { return of(0) })
}

func TestSecretsNeverShow(t *testing.T) {
	t.Setenv("MCPGW_TEST_SECRET", "s3cr3t-variable")
	g := start(t, servers()).ready()
	s := html(t, 500)
	secretive := func(definition, extra string) string { return strings.TrimSuffix(definition, "}") + "," + extra + "}" }
	bodies := []string{
		servers("env", strings.Replace(stdio("echo", false), `"env":{`, `"env":{"API_KEY":"s3cr3t-env","TOKEN":"${MCPGW_TEST_SECRET}",`, 1)),
		servers("header", secretive(remote("http", gatetest.StartStateless(t, gatetest.New("echo"))), `"headers":{"Authorization":"Bearer s3cr3t-header","X-Key":"${MCPGW_TEST_SECRET}"}`)),
		servers("env-missing", `{"command":"no-such-command-anywhere","args":["${MCPGW_TEST_SECRET}"],"env":{"API_KEY":"s3cr3t-env"}}`),
		servers("env-exit", strings.Replace(stdio("exiting", false), `"env":{`, `"env":{"API_KEY":"s3cr3t-env",`, 1)),
		servers("header-500", secretive(remote("http", s+"/mcp?key=s3cr3t-query"), `"headers":{"Authorization":"Bearer s3cr3t-header"}`)),
		servers("header-sse", secretive(remote("sse", s+"/sse?key=s3cr3t-query"), `"headers":{"Authorization":"Bearer s3cr3t-header"}`)),
		servers("refused", secretive(remote("http", closedPort(t)+"/${MCPGW_TEST_SECRET}?key=s3cr3t-query"), `"headers":{"Authorization":"Bearer s3cr3t-header"}`)),
		servers("header-bad", secretive(remote("http", s), `"headers":{"X-Key":"s3cr3t-header\u0001"}`)),
		servers("mistyped", secretive(remote("http", s), `"header":{"X-Key":"s3cr3t-header"},"url":"https://user:s3cr3t-url@example.com/"`)),
	}
	var seen strings.Builder
	for _, body := range bodies {
		status, text := g.api("POST", "/servers", body)
		if status != http.StatusCreated && status != http.StatusBadRequest {
			t.Errorf("HTTP %d: %s", status, text)
		}
		seen.WriteString(text)
	}
	for _, name := range []string{"env", "header"} {
		if s := g.states()[name]; s.State != "ready" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	c := gatetest.DialStateful(t, g.url)
	call(t, c, "env.raw", `{}`)
	seen.WriteString(g.must(http.StatusOK, "GET", "/servers", "") + g.must(http.StatusOK, "GET", "/tools", "") + g.log.String())
	if at := strings.Index(seen.String(), "s3cr3t"); at >= 0 {
		t.Errorf("a secret shows: …%s…", seen.String()[max(0, at-200):min(at+50, seen.Len())])
	}
	if strings.Contains(seen.String(), g.token) {
		t.Error("the management token shows")
	}
}

// The token is kept, readable by its owner only.
func TestTokenFileIsPrivate(t *testing.T) {
	g := start(t, servers())
	found := false
	_ = filepath.WalkDir(filepath.Dir(g.config), func(path string, d os.DirEntry, err error) error {
		text, _ := os.ReadFile(path)
		if strings.Contains(string(text), g.token) {
			info, err := d.Info()
			found = true
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
		return err
	})
	if !found {
		t.Error("the token is in no file")
	}
}
