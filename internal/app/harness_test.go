package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/app"
	"mcpgateway/internal/gatetest"
)

const (
	guard     = 5 * time.Second
	startTime = 30 * time.Second // several processes may start at once on a busy machine
	version   = "1.2.3-test"
	self      = `{"name":"mcp-gateway","title":"MCP Gateway","version":"` + version + `"}`
)

func TestMain(m *testing.M) {
	if file := os.Getenv(envGateway); file != "" {
		serveGateway(file)
		return
	}
	gatetest.Scripts["fidelity"], gatetest.Scripts["argv"] = fidelity, argv
	maps.Copy(gatetest.Scripts, talkers)
	gatetest.Main(m)
}

// A gateway runs in the test's process: HTTP on a port of its own, and stdio on two pipes.
type gateway struct {
	*app.App
	t      testing.TB
	url    string
	token  string
	config string // its file
	log    *buffer
	http   *http.Client

	in  io.WriteCloser // its standard input
	out io.Reader      // its standard output
}

// start starts a gateway with a config file of this text; it ends with the test.
func start(t testing.TB, config string) *gateway {
	t.Helper()
	return startAt(t, slog.LevelDebug, config)
}

func startAt(t testing.TB, level slog.Level, config string, options ...func(*app.Options)) *gateway {
	t.Helper()
	state := t.TempDir()
	file := filepath.Join(state, "servers.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	in, stdin := io.Pipe()
	out, stdout := io.Pipe()
	g := &gateway{t: t, config: file, log: &buffer{}, in: stdin, out: out, http: &http.Client{Transport: &http.Transport{}}}
	o := app.Options{
		Config: file, Transport: app.Stdio, HTTP: true, Host: "127.0.0.1", StateDir: state, Version: version,
		Executable: os.Args[0], LookupEnv: os.LookupEnv, Environ: os.Environ,
		Stdin: in, Stdout: stdout, Stderr: g.log, LogLevel: level,
	}
	for _, set := range options {
		set(&o)
	}
	var err error
	if g.App, err = app.New(o); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var tail sync.WaitGroup
	tail.Go(func() { // a client on the pipe reads until the gateway has ended it
		<-g.Done()
		stdout.Close()
	})
	t.Cleanup(func() {
		stdin.Close()
		ctx, cancel := context.WithTimeout(context.Background(), startTime)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
		out.Close()
		tail.Wait()
		g.http.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", regexp.MustCompile(`(?m)^debug: call .* took=[^ ]*\n`).ReplaceAllString(g.log.String(), ""))
		}
	})
	g.url = "http://" + g.Addr()
	if g.token, err = app.Token(o); err != nil {
		t.Fatal(err)
	}
	return g
}

// ready waits until every server was tried.
func (g *gateway) ready() *gateway {
	g.t.Helper()
	within(g.t, startTime, "GET /ready", func() bool {
		status, _ := g.api("GET", "/ready", "")
		return status == http.StatusOK
	})
	return g
}

// api sends a request to the management API, with the management token.
func (g *gateway) api(method, path, body string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
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
	return res.StatusCode, string(text)
}

// must is api for what must be answered with this status.
func (g *gateway) must(status int, method, path, body string) string {
	g.t.Helper()
	got, text := g.api(method, path, body)
	if got != status {
		g.t.Fatalf("%s %s: HTTP %d, not %d: %s", method, path, got, status, text)
	}
	return text
}

// A state is a server as GET /servers shows it.
type state struct {
	Name, Transport, State, Reason, Protocol, Source, Partial string

	Tools, Restarts int
	Stderr          []string
}

func states(t testing.TB, text string) map[string]state {
	t.Helper()
	var list struct{ Servers []state }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	out := map[string]state{}
	for _, s := range list.Servers {
		out[s.Name] = s
	}
	return out
}

func (g *gateway) states() map[string]state {
	g.t.Helper()
	return states(g.t, g.must(http.StatusOK, "GET", "/servers", ""))
}

// stdio defines a server that is a process serving this script.
func stdio(script string, stateless bool) string {
	command, args, env := gatetest.StdioCommand(script, stateless)
	return object("command", command, "args", append([]string{}, args...), "env", env)
}

// remote defines a server that is reached over HTTP.
func remote(transport, url string) string { return object("type", transport, "url", url) }

func object(pairs ...any) string {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// servers makes a config of names and definitions in turn, in this order.
func servers(pairs ...string) string {
	var b strings.Builder
	b.WriteString(`{"mcpServers":{`)
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n%q: %s", pairs[i], pairs[i+1])
	}
	return b.String() + "\n}}"
}

// call calls a tool, which must answer with a result.
func call(t testing.TB, c gatetest.Client, name, arguments string) *gatetest.Answer {
	t.Helper()
	return do(t, c, "tools/call", `{"name":"`+name+`","arguments":`+arguments+`}`)
}

func do(t testing.TB, c gatetest.Client, method, params string) *gatetest.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	a, err := c.Do(ctx, method, params)
	if err != nil {
		t.Fatalf("%s %.200s: %v", method, params, err)
	}
	if a.Result == nil {
		t.Fatalf("%s %.200s: %s", method, params, a.Raw)
	}
	return a
}

func noStray(t testing.TB, c gatetest.Client) {
	t.Helper()
	if s := c.Stray(); len(s) > 0 {
		t.Errorf("%d messages belong to nothing, the first: %.500s", len(s), s[0])
	}
}

// within polls until cond holds.
func within(t testing.TB, most time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", most, what)
		}
	}
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
