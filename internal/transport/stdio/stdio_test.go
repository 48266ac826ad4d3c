//go:build unix

package stdio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

const guard = 15 * time.Second // for what must come, on a slow machine

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func fakeParams(t *testing.T, mode string) Params {
	return Params{
		Command: self(t), RunID: "test-run", Origin: "test-origin",
		Env: []string{modeVar + "=" + mode, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"},
	}
}

// dial starts a fake server, which is closed when the test ends.
func dial(t *testing.T, p Params) (*Dialer, *conn) {
	t.Helper()
	d := New(p)
	return d, redial(t, d)
}

func redial(t *testing.T, d *Dialer) *conn {
	t.Helper()
	c, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*conn)
}

func call(ctx context.Context, c transport.Conn, id, method, params string) (*jsonrpc.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, guard)
	defer cancel()
	body := jsonrpc.AppendRequest(nil, []byte(id), method, []byte(params))
	return c.Do(ctx, transport.Message{ID: []byte(id), Body: body}, nil)
}

func mustCall(t *testing.T, c transport.Conn, id, params string) string {
	t.Helper()
	m, err := call(t.Context(), c, id, "echo", params)
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Result)
}

// logged collects a log's lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) lines(with string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, with) {
			out = append(out, line)
		}
	}
	return out
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestEcho(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "echo"))
	if got := mustCall(t, c, "1", "{\n  \"a\":\r\n 1.0}"); got != `{   "a":   1.0}` {
		t.Errorf("got %s", got)
	}
	if c.OwnStream() {
		t.Error("stdio has no stream per call")
	}
	c.Listen()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-c.Events(); open {
		t.Error("an event after Close")
	}
	_, err := call(t.Context(), c, "2", "echo", "{}")
	if !errors.Is(err, jsonrpc.ErrClosed) || c.Err() == nil {
		t.Errorf("after Close Do gives %v and Err %v", err, c.Err())
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "echo"))
	pad := strings.Repeat("z", 20_000)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			want := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, pad)
			m, err := call(t.Context(), c, fmt.Sprint(i), "echo", want)
			if err != nil {
				t.Error(err)
			} else if string(m.Result) != want {
				t.Errorf("call %d got %.80s", i, m.Result)
			}
		})
	}
	wg.Wait()
}

func TestBigMessages(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "echo"))
	want := `{"x":"` + strings.Repeat("x", 2<<20) + `"}`
	if got := mustCall(t, c, "1", want); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestChildGetsExactlyItsArgumentsAndEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := fakeParams(t, "describe")
	p.Args = []string{"; rm -rf x", "$(id)", "`id`", "a\nb", "", "--flag=evil"}
	p.Env = append(p.Env, "SECRET=s", runMark+"=forged", instanceMark+"=forged")
	p.Dir = dir
	_, c := dial(t, p)
	m, err := call(t.Context(), c, "1", "describe", "{}")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Args, Env []string
		Dir       string
	}
	if err := json.Unmarshal(m.Result, &got); err != nil {
		t.Fatal(err)
	}
	if want := append([]string{p.Command}, p.Args...); !slices.Equal(got.Args, want) {
		t.Errorf("args %q, want %q", got.Args, want)
	}
	want := []string{modeVar + "=describe", p.Env[1], p.Env[2], "SECRET=s", "MCP_GATEWAY_RUN=test-run"}
	if len(got.Env) != len(want)+2 || got.Env[len(want)+1] != "MCP_GATEWAY_ORIGIN=test-origin" || !slices.Equal(got.Env[:len(want)], want) ||
		!strings.HasPrefix(got.Env[len(want)], "MCP_GATEWAY_SERVER=") || strings.Contains(got.Env[len(want)], "forged") {
		t.Errorf("env %q", got.Env)
	}
	if real, _ := filepath.EvalSymlinks(dir); got.Dir != real && got.Dir != dir {
		t.Errorf("dir %q", got.Dir)
	}
}

func TestBannersAreSkippedAndLoggedOnce(t *testing.T) {
	t.Parallel()
	var log logged
	p := fakeParams(t, "banner")
	p.Log = log.logger()
	_, c := dial(t, p)
	for i := range 5 {
		mustCall(t, c, fmt.Sprint(i), "{}")
	}
	if n := c.duplex.Skipped(); n != 7 {
		t.Errorf("%d lines skipped, want 7", n)
	}
	lines := log.lines("no JSON-RPC message")
	if len(lines) != 1 || !strings.Contains(lines[0], "Welcome to the server!") {
		t.Errorf("logged %q", lines)
	}
}

func TestFraming(t *testing.T) {
	t.Parallel()
	t.Run("CRLF", func(t *testing.T) {
		_, c := dial(t, fakeParams(t, "crlf"))
		mustCall(t, c, "1", "{}")
	})
	t.Run("two messages in a write", func(t *testing.T) {
		_, c := dial(t, fakeParams(t, "pairs"))
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { mustCall(t, c, fmt.Sprint(i), "{}") })
		}
		wg.Wait()
	})
	t.Run("pretty printed", func(t *testing.T) {
		var log logged
		p := fakeParams(t, "pretty")
		p.Log = log.logger()
		_, c := dial(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			until(t, func() bool { return c.duplex.Skipped() >= 3 })
			cancel()
		}()
		if _, err := call(ctx, c, "1", "echo", "{}"); err != context.Canceled {
			t.Errorf("the call ended with %v", err)
		}
		if lines := log.lines("must stand on one line"); len(lines) != 1 {
			t.Errorf("logged %q", lines)
		}
	})
}

func TestLongAnswerFailsItsCallOnly(t *testing.T) {
	t.Parallel()
	var log logged
	p := fakeParams(t, "long")
	p.MaxLine = 1 << 20
	p.Log = log.logger()
	_, c := dial(t, p)
	if _, err := call(t.Context(), c, "1", "long", "{}"); !errors.Is(err, jsonrpc.ErrAnswer) {
		t.Errorf("the long answer's call ended with %v", err)
	}
	mustCall(t, c, "2", "{}")
	if lines := log.lines("too long"); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
}

// until polls, as nothing tells the event.
func until(t *testing.T, ok func() bool) bool {
	t.Helper()
	for end := time.Now().Add(guard); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	t.Error("it did not come to pass")
	return false
}

func TestStderrIsBounded(t *testing.T) { // alone, for it looks at the heap
	var log logged
	var hooked int
	p := fakeParams(t, "loud")
	p.Log = log.logger()
	p.Stderr = func(string) { hooked++ }
	d, c := dial(t, p)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	mustCall(t, c, "1", "{}")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	runtime.GC()
	runtime.ReadMemStats(&after)
	lines, size := d.Stderr(), 0
	for _, l := range lines {
		size += len(l)
		if len(l) > lineBytes {
			t.Errorf("a line of %d bytes is kept", len(l))
		}
	}
	if size > ringBytes || size < ringBytes/2 || lines[len(lines)-1] != "done complaining" {
		t.Errorf("%d bytes kept, the last line is %.40q", size, lines[len(lines)-1])
	}
	if hooked < 1000 {
		t.Errorf("the hook saw %d lines", hooked)
	}
	if n, max := len(log.lines("msg=stderr")), stderrRate*(int(took/time.Second)+2); n > max || n == 0 {
		t.Errorf("%d lines logged in %v", n, took)
	}
	if len(log.lines("dropped=")) == 0 {
		t.Error("dropped lines are not told")
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestStderrIsKeptOverRestarts(t *testing.T) {
	t.Parallel()
	d, c := dial(t, fakeParams(t, "exit"))
	call(t.Context(), c, "1", "x", "{}")
	c.Close()
	c = redial(t, d)
	call(t.Context(), c, "1", "x", "{}")
	c.Close()
	if got := d.Stderr(); len(got) != 2 {
		t.Errorf("kept %q", got)
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plainFile := file("plain", "x", 0o644)
	onPath := "PATH=" + dir
	for name, tc := range map[string]struct {
		p    Params
		want string
	}{
		"empty":          {Params{}, "command is empty"},
		"not on PATH":    {Params{Command: "sh", Env: []string{onPath}}, `command "sh" was not found on PATH; install it`},
		"no PATH":        {Params{Command: "sh"}, `was not found on PATH`},
		"relative PATH":  {Params{Command: "x", Env: []string{"PATH=.::bin"}}, `was not found on PATH`},
		"no such path":   {Params{Command: "/no/such/thing"}, "no such file or directory; correct the path"},
		"folder":         {Params{Command: dir}, "not of a folder"},
		"not executable": {Params{Command: plainFile}, "chmod +x"},
		"same on PATH":   {Params{Command: "plain", Env: []string{onPath}}, "chmod +x"},
		"no #! program":  {Params{Command: file("script", "#!/no/such/shell\n", 0o755)}, "#! line"},
		"no program":     {Params{Command: file("binary", "hello", 0o755)}, "no program for this machine"},
		"no cwd":         {Params{Command: self(t), Dir: "/no/such/dir"}, `cwd "/no/such/dir": no such file or directory; create the folder`},
		"cwd is a file":  {Params{Command: self(t), Dir: plainFile}, "is not a folder"},
		"NUL":            {Params{Command: self(t), Args: []string{"a\x00b"}}, "NUL"},
		"too long":       {Params{Command: self(t), Args: []string{strings.Repeat("x", 4<<20)}}, "shorten"},
	} {
		c, err := New(tc.p).Dial(t.Context())
		if !errors.Is(err, transport.ErrNotStarted) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if c != nil {
			t.Errorf("%s: it was started", name)
		}
	}
}

func TestCommandIsFoundWhereTheChildWouldFindIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexec \"$REAL\"\n"
	if err := os.WriteFile(filepath.Join(dir, "bin", "server"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Params{
		"PATH":   {Command: "server", Env: []string{"PATH=/no/such:" + dir + "/bin"}},
		"in cwd": {Command: "bin/server", Dir: dir},
		"dot":    {Command: "./server", Dir: dir + "/bin"},
	} {
		p.Env = append(p.Env, modeVar+"=echo", "REAL="+self(t))
		_, c := dial(t, p)
		if got := mustCall(t, c, "1", `{"ok":true}`); got != `{"ok":true}` {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDialAfterItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(fakeParams(t, "echo")).Dial(ctx); err != context.Canceled {
		t.Error(err)
	}
}
