package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mcpgateway/internal/gatetest"
)

// got is what answered an HTTP request.
type got struct {
	status int
	header http.Header
	body   string
	last   bool // the connection ends after it
}

func (g got) String() string { return fmt.Sprintf("HTTP %d %.400s", g.status, g.body) }

// member gives raw bytes of the answer; an event stream with one message is one, too.
func (g got) member(path ...string) string {
	return string(gatetest.Member([]byte(g.body), path...))
}

// text is the text of a result.
func (g got) text(h *hostile) string {
	var r struct {
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(g.body), &r); err != nil || len(r.Result.Content) != 1 {
		h.Errorf("no text: %s", g)
		return ""
	}
	return r.Result.Content[0].Text
}

// absent is a header that a request shall not have.
const absent = "\x00"

// request makes a request. A POST is one of JSON unless headers say otherwise; headers are
// names and values in turn, and a name may come twice.
func (h *hostile) request(ctx context.Context, method, path string, body io.Reader, header ...string) *http.Request {
	h.Helper()
	r, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		h.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		name := http.CanonicalHeaderKey(header[i])
		if name == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header[name] = append(r.Header[name], header[i+1])
	}
	if method == "POST" {
		for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} {
			switch given := r.Header[name]; {
			case given == nil:
				r.Header.Set(name, value)
			case given[0] == absent:
				r.Header.Del(name)
			}
		}
	}
	return r
}

// send sends a request and reads the whole answer, which holds one message at most.
func (h *hostile) send(method, path, body string, header ...string) got {
	h.Helper()
	g, err := h.try(context.Background(), method, path, body, header...)
	if err != nil {
		h.Fatalf("%s %s: %v", method, path, err)
	}
	return g
}

func (h *hostile) try(ctx context.Context, method, path, body string, header ...string) (got, error) {
	ctx, cancel := context.WithTimeout(ctx, 6*guard)
	defer cancel()
	res, err := h.http.Do(h.request(ctx, method, path, strings.NewReader(body), header...))
	if err != nil {
		return got{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return got{}, err
	}
	g := got{res.StatusCode, res.Header, string(text), res.Close}
	if res.Header.Get("Content-Type") == "text/event-stream" {
		g.body = strings.ReplaceAll(g.body, "data: \n", "") // a priming event is no message
		if n := strings.Count(g.body, "data: "); n != 1 {
			return g, fmt.Errorf("%d messages: %s", n, g)
		}
		_, data, _ := strings.Cut(g.body, "data: ")
		g.body, _, _ = strings.Cut(data, "\n")
	}
	return g, nil
}

// mirror are the headers of a stateless request.
func mirror(method, name string) []string {
	all := []string{"MCP-Protocol-Version", gatetest.Stateless, "Mcp-Method", method}
	if name != "" {
		all = append(all, "Mcp-Name", name)
	}
	return all
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// stateless makes a stateless request; params are the members of its params besides _meta.
func stateless(id, method, params string) string {
	if params != "" {
		params += ","
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + params + meta + `}}`
}

func stateful(id, method, params string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + params + `}}`
}

func tool(name, arguments string) string { return `"name":"` + name + `","arguments":` + arguments }

// call calls a tool as a stateless client.
func (h *hostile) call(name, arguments string) got {
	h.Helper()
	return h.send("POST", "/mcp", stateless("1", "tools/call", tool(name, arguments)), append(mirror("tools/call", name), h.auth...)...)
}

// open opens a session.
func (h *hostile) open(revision string, header ...string) string {
	h.Helper()
	g := h.send("POST", "/mcp", stateful("0", "initialize", strings.Replace(hello[1:len(hello)-1], "2025-11-25", revision, 1)), header...)
	id := g.header.Get("Mcp-Session-Id")
	if id == "" {
		h.Fatalf("initialize: %s", g)
	}
	h.send("POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, append(header, "Mcp-Session-Id", id)...)
	return id
}

// inSession posts to the house's session.
func (h *hostile) inSession(body string) got {
	h.Helper()
	if h.session == "" {
		h.session = h.open(gatetest.Stateful)
	}
	return h.send("POST", "/mcp", body, "Mcp-Session-Id", h.session, "MCP-Protocol-Version", gatetest.Stateful)
}

// wantError holds an answer against a status and a JSON-RPC error; id is what it may bear.
func (h *hostile) wantError(what string, g got, status, code int, id string) {
	h.Helper()
	if g.status != status || g.member("error", "code") != strconv.Itoa(code) || g.header.Get("Content-Type") != "application/json" ||
		g.member("jsonrpc") != `"2.0"` || g.member("id") != id || g.member("result") != "" {
		h.Errorf("%.200q: %s; want HTTP %d with %d and the id %q", what, g, status, code, id)
	}
}

// refused sends a body in every way that there is: as a stateless client, in a session, on
// stdio. Each answers once, with this error; the id is left out where it is empty.
func (h *hostile) refused(body string, code int, id string) {
	h.Helper()
	h.wantError(body, h.send("POST", "/mcp", body, mirror("tools/list", "")...), 400, code, id)
	h.wantError(body, h.inSession(body), 400, code, id)
	h.refusedOnStdio(body, code, id)
}

func (h *hostile) refusedOnStdio(body string, code int, id string) {
	h.Helper()
	if strings.TrimSpace(body) == "" || strings.Contains(body, "\n") {
		return // on stdio these are other lines
	}
	h.pipe.Lock()
	defer h.pipe.Unlock()
	h.write(h, body)
	h.wantError("stdio: "+body, got{400, http.Header{"Content-Type": {"application/json"}}, h.line(h), false}, 400, code, id)
}

// droppedOnStdio writes a line that has no answer: the next one that comes is another's.
func (h *hostile) droppedOnStdio(body string) {
	h.Helper()
	h.pipe.Lock()
	defer h.pipe.Unlock()
	h.write(h, body)
	h.write(h, stateful(`"next"`, "ping", ""))
	if line := h.line(h); line != `{"jsonrpc":"2.0","id":"next","result":{}}` {
		h.Errorf("stdio: %.200q: %s", body, line)
	}
}

// A wire is a connection whose every byte the test writes.
type wire struct {
	h    *hostile
	conn net.Conn
	r    *bufio.Reader
}

func (h *hostile) dial() *wire {
	h.Helper()
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { conn.Close() })
	return &wire{h, conn, bufio.NewReader(conn)}
}

func (w *wire) write(format string, args ...any) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(guard))
	_, err := fmt.Fprintf(w.conn, format, args...)
	return err
}

// read reads one answer.
func (w *wire) read() (got, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(6 * guard))
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return got{}, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusContinue {
		return got{status: res.StatusCode}, nil
	}
	text, err := io.ReadAll(res.Body)
	return got{res.StatusCode, res.Header, string(text), res.Close}, err
}

// closed waits until the gateway has closed the connection, and says whether that was in
// time.
func (w *wire) closed(within time.Duration) bool {
	_ = w.conn.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, w.r)
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

// soon takes what must come.
func soon[T any](h *hostile, what string, from <-chan T) T {
	h.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			h.Fatalf("%s did not come before the end", what)
		}
		return v
	case <-time.After(guard):
		h.Fatalf("waited %v for %s", guard, what)
	}
	panic("unreachable")
}
