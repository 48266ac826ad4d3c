package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program as a person or a script does: testdata/*.txtar show each
// message that one can see. Beside testscript's own commands there is
//
//	start VAR args...   runs mcp-gateway until the script ends; VAR is http://host:port, once
//	                    it serves there, and VAR_PORT its port
//	expand FILE         puts variables into a file
//
// and these servers run: $TYPES and $TYPES_STATEFUL (a tool of many types and results),
// $ASKING (its tools ask their client), $HTML (a web page), $LOCKED (needs the token "open-sesame-1234567"), $NOBODY (a closed port).
func TestScripts(t *testing.T) {
	bin := filepath.Dir(mustBinary(t))
	vars := map[string]string{
		"TYPES":          gatetest.StartStateless(t, typesServer()),
		"TYPES_STATEFUL": gatetest.StartStateful(t, typesServer()),
		"ASKING":         gatetest.StartStateful(t, gatetest.New("asking")),
		"HTML":           page(t),
		"LOCKED":         locked(t, gatetest.StartStateless(t, typesServer())),
		"NOBODY":         "http://127.0.0.1:" + closedPort(t) + "/mcp",
	}
	testscript.Run(t, testscript.Params{
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Dir:           "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			for name, value := range vars {
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"start": startProgram, "expand": expandFile},
	})
}

func expandFile(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// startProgram is the script command start.
func startProgram(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start VAR args...")
	}
	name, err := binary()
	ts.Check(err)
	cmd := exec.Command(name, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+ts.Getenv("XDG_STATE_HOME"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	at := make(chan string, 1)
	var said strings.Builder
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(at)
		told := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
			if m := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/mcp`).FindStringSubmatch(lines.Text()); m != nil && !told {
				told = true
				at <- m[1]
			}
		}
	})
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		reader.Wait()
		if err := cmd.Wait(); err != nil {
			ts.Logf("%v ended badly: %v\n%s", args, err, &said)
		}
	})
	select {
	case base, ok := <-at:
		if !ok {
			ts.Fatalf("%v ended", args)
		}
		ts.Setenv(args[0], base)
		u, err := url.Parse(base)
		ts.Check(err)
		ts.Setenv(args[0]+"_PORT", u.Port())
	case <-time.After(20 * time.Second):
		ts.Fatalf("%v tells no address", args)
	}
}

// TestInterruptedCallTellsTheServer: Ctrl-C ends a call, its server and the program.
func TestInterruptedCallTellsTheServer(t *testing.T) {
	cmd := exec.Command(mustBinary(t), "call", "echo.slow", "steps=1000", "--config", "examples/config/servers.json", "--verbose")
	cmd.Dir = rootFolder
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "progress 1/") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 || !strings.HasSuffix(said.String(), "\nmcp-gateway: echo.slow: interrupted; the call was cancelled\n") {
		t.Errorf("it ended with %v and said\n%s", cmd.ProcessState, &said)
	}
}

// page is what answers where people mistake a site for an MCP server.
func page(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html>secret page</html>")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// locked passes on what bears its token.
func locked(t *testing.T, to string) string {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer open-sesame-1234567" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.URL.Scheme, r.URL.Host, r.RequestURI = u.Scheme, u.Host, ""
		r.Header.Del("Authorization")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(flushing{w}, res.Body)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL + u.Path
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	defer f.ResponseWriter.(http.Flusher).Flush()
	return f.ResponseWriter.Write(p)
}

// typesServer has a tool of many types, which answers with its arguments, and one whose
// result is given.
func typesServer() *gatetest.Server {
	return &gatetest.Server{
		Name: "types",
		Tools: []json.RawMessage{
			json.RawMessage(`{"name":"typed","description":"Gives its arguments back.\nThe second line is not listed.","inputSchema":{"type":"object","required":["name"],"properties":{` +
				`"name":{"type":"string"},"count":{"type":"integer"},"ratio":{"type":"number"},"deep":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"}},` +
				`"extra":{"type":"object"},"limit":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}}`),
			json.RawMessage(`{"name":"result","description":"Answers with the given \u001b[31mresult.","inputSchema":{"type":"object","properties":{"result":{"type":"object"}}}}`),
			json.RawMessage(`{"name":"refuse","inputSchema":{"type":"object","properties":{"code":{"type":"integer"}}}}`),
			json.RawMessage(`{"name":"no schema"}`),
		},
		Call: func(c *gatetest.Call) {
			var in struct {
				Result json.RawMessage
				Code   json.RawMessage
			}
			_ = json.Unmarshal(c.Arguments, &in)
			switch {
			case c.Name == "refuse":
				c.Error(`{"code":` + string(in.Code) + `,"message":"not \u001b[1mthis time"}`)
			case c.Name == "result" && in.Result != nil:
				c.Progress(`{"progress":1,"total":2,"message":"half"}`)
				c.Result(string(in.Result))
			default:
				c.Text(string(c.Arguments))
			}
		},
	}
}

// closedPort gives a port that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
