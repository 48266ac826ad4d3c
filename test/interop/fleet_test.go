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
	dir         string // temporary; everything the tests write is below it
	node        string
	goServer    string
	mcpgoServer string
	goAsking    string // the Go SDK's conformance server
	gopls       string
	tap         string // cmd/tap
	files       string // what the filesystem server may see
	module      string // a Go module, for gopls
	urls        map[string]string
	running     []*process
}

const helloText = "Hello from a real file.\nGröße: 漢字 🧭\n"

// goplsVersion is the newest that the Go of go.mod builds.
const goplsVersion = "golang.org/x/tools/gopls@v0.23.0"

func newFleet(ctx context.Context, dir string) (*fleet, error) {
	f := &fleet{dir: dir, urls: map[string]string{}}
	if err := f.writeFiles(); err != nil {
		return f, err
	}
	var err error
	if f.node, err = nodePath(ctx); err != nil {
		return f, err
	}
	f.goServer, f.mcpgoServer = filepath.Join(dir, "gosdk-server"), filepath.Join(dir, "mcpgo-server")
	f.gopls, f.goAsking, f.tap = filepath.Join(dir, "gopls"), filepath.Join(dir, "everything-server"), filepath.Join(dir, "tap")
	// The network and the compiler are both slow: at once.
	steps := []func() error{
		func() error { return npmInstall(ctx) },
		func() error {
			return errors.Join(goBuild(ctx, ".", "./cmd/gosdk-server", f.goServer),
				goBuild(ctx, ".", "./cmd/mcpgo-server", f.mcpgoServer),
				goBuild(ctx, ".", "./cmd/tap", f.tap),
				goBuild(ctx, ".", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server", f.goAsking), f.installGopls(ctx))
		},
	}
	errs := make(chan error, len(steps))
	for _, step := range steps {
		go func() { errs <- step() }()
	}
	for range steps {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return f, err
	}
	return f, f.startHTTPServers(ctx)
}

// installGopls builds it apart from this module, whose other dependencies it would change.
func (f *fleet) installGopls(ctx context.Context) error {
	return tool(ctx, ".", "env", "GOBIN="+f.dir, "go", "install", goplsVersion)
}

func (f *fleet) writeFiles() error {
	f.files, f.module = filepath.Join(f.dir, "files"), filepath.Join(f.dir, "module")
	for file, text := range map[string]string{
		filepath.Join(f.files, "hello.txt"): helloText,
		filepath.Join(f.module, "go.mod"):   "module example.com/hello\n\ngo 1.26\n",
		filepath.Join(f.module, "hello.go"): "package hello\n\n// Greeting says hello.\nfunc Greeting() string { return \"Hello\" }\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
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
	for _, s := range []struct {
		name    string
		command []string
	}{
		{"go-stateful-http", []string{f.goServer, "-transport", "http", "-era", "stateful"}},
		{"go-stateless-http", []string{f.goServer, "-transport", "http", "-era", "stateless"}},
		{"mcpgo-stateful-http", []string{f.mcpgoServer, "-transport", "http", "-era", "stateful"}},
		{"mcpgo-stateless-http", []string{f.mcpgoServer, "-transport", "http", "-era", "stateless"}},
		{"mcpgo-sse", []string{f.mcpgoServer, "-transport", "sse"}},
	} {
		p, err := f.start(s.name, exec.Command(s.command[0], s.command[1:]...))
		if err != nil {
			return err
		}
		ready = append(ready, func() error {
			line, err := p.waitLine(ctx, "listening on ")
			f.urls[s.name] = strings.TrimPrefix(line, "listening on ")
			return err
		})
	}
	asking, err := f.startAsking(ctx)
	if err != nil {
		return err
	}
	ready = append(ready, asking...)
	port, err := freePort()
	if err != nil {
		return err
	}
	gopls := exec.Command(f.gopls, "mcp", fmt.Sprintf("-listen=127.0.0.1:%d", port))
	gopls.Dir = f.module
	p, err := f.start("gopls-sse", gopls)
	if err != nil {
		return err
	}
	f.urls["gopls-sse"] = fmt.Sprintf("http://127.0.0.1:%d/sse", port)
	ready = append(ready, func() error { _, err := p.waitLine(ctx, "server listening"); return err })
	for _, wait := range ready {
		if err := wait(); err != nil {
			return err
		}
	}
	return nil
}

// startAsking starts the Go SDK's conformance server for each era: over HTTP one process has one.
func (f *fleet) startAsking(ctx context.Context) (ready []func() error, err error) {
	for name, stateless := range map[string]bool{"go-asking-stateful": false, "go-asking-stateless": true} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		p, err := f.start(name, exec.Command(f.goAsking, "-http", addr, fmt.Sprintf("-stateless=%v", stateless)))
		if err != nil {
			return nil, err
		}
		f.urls[name] = "http://" + addr
		ready = append(ready, func() error { _, err := p.waitLine(ctx, "listening at"); return err })
	}
	return ready, nil
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

// npmServer is the script of an installed official server.
func npmServer(name string) (string, error) {
	return npmScript("@modelcontextprotocol/"+name, "dist/index.js")
}

// npmScript is a file of an installed package.
func npmScript(pkg, file string) (string, error) {
	script, err := filepath.Abs(filepath.Join("node_modules", pkg, file))
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
