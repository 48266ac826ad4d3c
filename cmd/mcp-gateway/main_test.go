//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

func TestMain(m *testing.M) { gatetest.Main(m) }

const startTime = 60 * time.Second // 20 servers, on a busy machine

// build builds the program as a user does.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mcp-gateway")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// A program is a gateway in a process of its own.
type program struct {
	t      testing.TB
	cmd    *exec.Cmd
	binary string
	mark   string // in the environment of every server
	url    string
	stdin  io.WriteCloser
	exited chan struct{}
	err    error // how it exited, once it has

	mu     sync.Mutex
	stderr bytes.Buffer
}

// start runs the program with 20 stdio servers. Every second one is a shell that leaves two
// processes behind, one of them in a session of its own and deaf to SIGTERM, and becomes
// the server.
func start(t testing.TB, binary string, flags ...string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, binary: binary, mark: "MCPGW_TEST_MARK=" + dir, exited: make(chan struct{})}
	config := filepath.Join(dir, "servers.json")
	if err := os.WriteFile(config, []byte(twenty(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, append([]string{"--config", config, "--state", dir}, flags...)...)
	p.cmd.WaitDelay = time.Second
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	url := make(chan string, 1)
	go p.run(stderr, url)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("the gateway said:\n%s", p.said())
		}
	})
	if len(flags) == 0 {
		return p
	}
	select {
	case p.url = <-url:
	case <-p.exited:
		t.Fatalf("it exited: %v\n%s", p.err, p.said())
	case <-time.After(startTime):
		t.Fatal("it tells no address")
	}
	return p
}

func twenty(mark string) string {
	plain := `{"command":"${MCP_GATEWAY}","args":["demo","echo"],"env":{"MCPGW_TEST_MARK":` + quote(mark) + `}}`
	tree := `{"command":"sh","args":["-c","sleep 1000 & (trap '' TERM; exec setsid sleep 1000) & exec \"$0\" demo echo","${MCP_GATEWAY}"],"env":{"MCPGW_TEST_MARK":` + quote(mark) + `}}`
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf(`"s%02d":%s`, i, []string{plain, tree}[i%2]))
	}
	return `{"mcpServers":{` + strings.Join(all, ",") + `}}`
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// run reads what the program says, and waits for its end.
func (p *program) run(stderr io.Reader, url chan<- string) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.stderr.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if _, at, ok := strings.Cut(lines.Text(), "MCP, Streamable HTTP: "); ok {
			url <- strings.TrimSuffix(strings.TrimSpace(at), "/mcp")
		}
	}
	p.err = p.cmd.Wait()
	close(p.exited)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// ready waits until every server is, and sees that their processes are there.
func (p *program) ready() {
	p.t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	within(p.t, startTime, "/ready", func() bool {
		res, err := http.Get(p.url + "/ready")
		if err != nil {
			p.t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	res, err := http.Get(p.url + "/servers")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if n := bytes.Count(text, []byte(`"state":"ready"`)); n != 20 {
		p.t.Fatalf("%d of 20 servers are ready: %s", n, text)
	}
	p.running()
}

// running waits until all processes are there: the gateway, its watchdog, 20 servers, and
// two more of each second one.
func (p *program) running() {
	p.t.Helper()
	within(p.t, startTime, "all processes", func() bool { return len(p.processes()) == 2+20+2*10 })
}

// processes describes the program, what it started, and what those started, whoever their
// parent is now.
func (p *program) processes() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var all []string
	for _, dir := range dirs {
		command, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue // it is gone
		}
		environ, _ := os.ReadFile(dir + "/environ")
		if bytes.HasPrefix(command, []byte(p.binary+"\x00")) || bytes.Contains(environ, []byte(p.mark+"\x00")) {
			all = append(all, filepath.Base(dir)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return all
}

// ends waits for an exit with status 0; nothing may be left then.
func (p *program) ends(most time.Duration) {
	p.t.Helper()
	began := time.Now()
	select {
	case <-p.exited:
	case <-time.After(most):
		p.t.Fatalf("it has not exited after %s", most)
	}
	left := p.processes()
	p.t.Logf("it exited after %s", time.Since(began).Round(time.Millisecond))
	if p.err != nil {
		p.t.Errorf("it exited with %v", p.err)
	}
	if len(left) > 0 {
		p.t.Errorf("%d processes are left: %s", len(left), strings.Join(left, "; "))
	}
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func within(t testing.TB, most time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", most, what)
		}
	}
}

func TestProgramLeavesNoProcess(t *testing.T) {
	binary := build(t)
	web := []string{"--transport", "streamable-http", "--port", "0"}
	t.Run("after SIGTERM", func(t *testing.T) {
		p := start(t, binary, web...)
		p.ready()
		p.signal(syscall.SIGTERM)
		p.ends(10 * time.Second)
	})
	t.Run("after SIGINT while it starts", func(t *testing.T) {
		p := start(t, binary, web...)
		within(t, startTime, "the first servers", func() bool { return len(p.processes()) > 5 })
		p.signal(syscall.SIGINT)
		p.ends(10 * time.Second)
	})
	t.Run("after SIGTERM with streams open", func(t *testing.T) {
		p := start(t, binary, web...)
		p.ready()
		clients := []gatetest.Client{gatetest.DialStateful(t, p.url), gatetest.DialStateless(t, p.url), gatetest.DialSSE(t, p.url)}
		for _, c := range clients {
			if _, err := gatetest.CallTool(t.Context(), c, "s01.ping", `{}`); err != nil {
				t.Error(err)
			}
		}
		p.signal(syscall.SIGTERM)
		p.ends(10 * time.Second)
	})
	t.Run("after kill -9", func(t *testing.T) {
		p := start(t, binary, web...)
		p.ready()
		p.signal(syscall.SIGKILL)
		began := time.Now()
		<-p.exited
		within(t, 8*time.Second, "the watchdog to end everything", func() bool { return len(p.processes()) == 0 })
		t.Logf("all were gone after %s", time.Since(began).Round(time.Millisecond))
	})
	t.Run("after SIGTERM on stdio", func(t *testing.T) {
		p := start(t, binary)
		if _, err := io.WriteString(p.stdin, initialize); err != nil {
			t.Fatal(err)
		}
		p.running()
		p.signal(syscall.SIGTERM)
		p.ends(10 * time.Second)
	})
	t.Run("after the end of stdin", func(t *testing.T) {
		p := start(t, binary)
		if _, err := io.WriteString(p.stdin, initialize); err != nil {
			t.Fatal(err)
		}
		p.running()
		if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
		p.ends(10 * time.Second)
	})
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}` + "\n"
