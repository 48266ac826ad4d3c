package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// root is the folder that the README's commands are run in.
const rootFolder = "../.."

// binary builds the program once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mcp-gateway-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mcp-gateway")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func mustBinary(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// blocks are the sh code blocks of a page, in order.
func blocks(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rootFolder, page))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return out
}

// serve starts the gateway as the README does, but on a free port. By its end it must have
// said every one of lines.
func serve(t *testing.T, command string, lines ...string) (port string) {
	t.Helper()
	const start = "go run ./cmd/mcp-gateway "
	if !strings.HasPrefix(command, start) {
		t.Fatalf("the page's first command is %q", command)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	ln.Close()
	args := strings.Fields(strings.TrimPrefix(command, start))
	cmd := exec.Command(mustBinary(t), append(args, "--port", port, "--state", t.TempDir())...)
	cmd.Dir = rootFolder
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway ended badly: %v\n%s", err, &said)
		}
		for _, line := range lines {
			if !strings.Contains(said.String(), line+"\n") {
				t.Errorf("the page shows %q, but the gateway said\n%s", line, &said)
			}
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://127.0.0.1:" + port + "/ready")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return port
			}
		}
		if time.Now().After(end) {
			t.Fatal("the gateway did not get ready")
		}
	}
}

// sh runs a block as a person would paste it, with the port and the binary put in.
func sh(t *testing.T, block, port string) string {
	t.Helper()
	block = strings.ReplaceAll(block, "127.0.0.1:8080", "127.0.0.1:"+port)
	block = strings.ReplaceAll(block, "go run ./cmd/mcp-gateway", mustBinary(t))
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-euc", block)
	cmd.Dir = rootFolder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, block, out)
	}
	return string(out)
}

// wantSession holds what every session of the pages must show.
func wantSession(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{`"name":"calculator.add"`, `"name":"echo.ping"`, `{"type":"text","text":"5"}`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestReadmeSessionWorks(t *testing.T) {
	page := blocks(t, "README.md")
	port := serve(t, page[0], shown(t, "README.md", ` ready: `)...)
	out := sh(t, page[1], port)
	wantSession(t, out)
	for _, line := range shown(t, "README.md", `"name":"`) {
		if name, _, _ := strings.Cut(line, ","); strings.HasPrefix(line, `"name"`) && !strings.Contains(out, name) {
			t.Errorf("the page shows %s, but there came\n%s", name, out)
		}
	}
}

// shown are the lines of a page outside of its commands that hold part.
func shown(t *testing.T, page, part string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rootFolder, page))
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile("(?s)```sh\n.*?```").ReplaceAll(text, nil)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, part) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if lines == nil {
		t.Fatalf("%s shows no %s", page, part)
	}
	return lines
}

func TestFirstStepsWork(t *testing.T) {
	page := blocks(t, "docs/first-steps.md")
	port := serve(t, page[0])
	for i, name := range []string{"Streamable HTTP, stateful", "HTTP+SSE", "stdio"} {
		t.Run(name, func(t *testing.T) { wantSession(t, sh(t, page[i+1], port)) })
	}
	// In the shells of the sessions before.
	for name, block := range map[string]string{"2025-11-25": page[1] + page[4], "2026-07-28": blocks(t, "README.md")[1] + page[5]} {
		t.Run("resources and prompts, "+name, func(t *testing.T) {
			out := sh(t, block, port)
			for _, want := range []string{`"uri":"demo://echo/about"`, `"text":"This server answers with what it is given."`, `"name":"echo.repeat"`, `"text":"Say exactly this: hello"`} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in\n%s", want, out)
				}
			}
		})
	}
}

// TestReadmesAgree: what is to be typed is the same in both languages.
func TestReadmesAgree(t *testing.T) {
	en, zh := blocks(t, "README.md"), blocks(t, "README.zh-CN.md")
	if len(en) == 0 || strings.Join(en, "\n") != strings.Join(zh, "\n") {
		t.Error("the commands of README.md and README.zh-CN.md differ")
	}
}
