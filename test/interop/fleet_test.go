package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fleet is all the peers: where their programs are, and the HTTP servers, which run as long as the
// tests do. Stdio servers are started by whoever speaks to them.
type fleet struct {
	dir      string // temporary; everything the tests write is below it
	node     string
	goServer string
	files    string // what the filesystem server may see
	urls     map[string]string
	running  []*process
}

// server is one MCP server and what is known about it.
type server struct {
	name      string
	link      link
	stateless bool // speaks 2026-07-28
	calls     func(cell string) []call
}

// link is how a client reaches a server.
type link struct {
	Transport string            `json:"transport"` // stdio, sse, http
	URL       string            `json:"url,omitempty"`
	Command   string            `json:"command,omitempty"`
	Args      []string          `json:"args,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
}

const helloText = "Hello from a real file.\nGröße: 漢字 🧭\n"

func newFleet(ctx context.Context, dir string) (*fleet, error) {
	f := &fleet{dir: dir, files: filepath.Join(dir, "files"), urls: map[string]string{}}
	if err := os.Mkdir(f.files, 0o755); err != nil {
		return f, err
	}
	if err := os.WriteFile(filepath.Join(f.files, "hello.txt"), []byte(helloText), 0o644); err != nil {
		return f, err
	}
	var err error
	if f.node, err = nodePath(ctx); err != nil {
		return f, err
	}
	if err = npmInstall(ctx); err != nil {
		return f, err
	}
	if f.goServer, err = goBuild(ctx, ".", "./cmd/gosdk-server", filepath.Join(dir, "gosdk-server")); err != nil {
		return f, err
	}
	return f, f.startHTTPServers(ctx)
}

func (f *fleet) startHTTPServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	ready := []func() error{}
	for _, s := range []struct{ name, mode, path, says string }{
		{"everything-sse", "sse", "/sse", "Server is running on port"},
		{"everything-http", "streamableHttp", "/mcp", "listening on port"},
	} {
		port, err := freePort()
		if err != nil {
			return err
		}
		script, err := npmServer("server-everything")
		if err != nil {
			return err
		}
		cmd := exec.Command(f.node, script, s.mode)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port))
		p, err := f.start(s.name, cmd)
		if err != nil {
			return err
		}
		f.urls[s.name] = fmt.Sprintf("http://127.0.0.1:%d%s", port, s.path)
		ready = append(ready, func() error { _, err := p.waitLine(ctx, s.says); return err })
	}
	for _, era := range []string{"stateful", "stateless"} {
		name := "go-" + era + "-http"
		p, err := f.start(name, exec.Command(f.goServer, "-transport", "http", "-era", era))
		if err != nil {
			return err
		}
		ready = append(ready, func() error {
			line, err := p.waitLine(ctx, "listening on ")
			f.urls[name] = strings.TrimPrefix(line, "listening on ")
			return err
		})
	}
	for _, wait := range ready {
		if err := wait(); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) start(name string, cmd *exec.Cmd) (*process, error) {
	p, err := startProcess(name, cmd)
	if err == nil {
		f.running = append(f.running, p)
	}
	return p, err
}

func (f *fleet) stop() {
	for _, p := range f.running {
		if err := p.stop(5 * time.Second); err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
		}
	}
}

// servers are all servers, in the order of the config. The memory server keeps its file in dir; the
// stdio servers carry mark in their environment.
func (f *fleet) servers(dir, mark string) ([]server, error) {
	npm := map[string]string{}
	for _, name := range []string{"server-everything", "server-filesystem", "server-memory"} {
		script, err := npmServer(name)
		if err != nil {
			return nil, err
		}
		npm[name] = script
	}
	stdio := func(command string, args ...string) link {
		return link{Transport: "stdio", Command: command, Args: args, Env: map[string]string{markVar: mark}}
	}
	memory := stdio(f.node, npm["server-memory"])
	memory.Env["MEMORY_FILE_PATH"] = filepath.Join(dir, "memory.jsonl")
	files := func(string) []call { return filesystemCalls(f.files) }
	return []server{
		{name: "everything-stdio", link: stdio(f.node, npm["server-everything"]), calls: everythingCalls},
		{name: "everything-sse", link: link{Transport: "sse", URL: f.urls["everything-sse"]}, calls: everythingCalls},
		{name: "everything-http", link: link{Transport: "http", URL: f.urls["everything-http"]}, calls: everythingCalls},
		{name: "filesystem", link: stdio(f.node, npm["server-filesystem"], f.files), calls: files},
		{name: "memory", link: memory, calls: memoryCalls},
		{name: "go-stateful-stdio", link: stdio(f.goServer, "-era", "stateful"), calls: goCalls},
		{name: "go-stateful-http", link: link{Transport: "http", URL: f.urls["go-stateful-http"]}, calls: goCalls},
		{name: "go-stateless-stdio", link: stdio(f.goServer, "-era", "stateless"), stateless: true, calls: goCalls},
		{name: "go-stateless-http", link: link{Transport: "http", URL: f.urls["go-stateless-http"]}, stateless: true, calls: goCalls},
	}, nil
}

// npmServer is the script of an installed npm server.
func npmServer(name string) (string, error) {
	script, err := filepath.Abs(filepath.Join("node_modules", "@modelcontextprotocol", name, "dist", "index.js"))
	if err != nil {
		return "", err
	}
	_, err = os.Stat(script)
	return script, err
}

// freePort is a loopback port that was free a moment ago, for programs that cannot tell which port
// they took.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("no TCP address")
	}
	return addr.Port, ln.Close()
}
