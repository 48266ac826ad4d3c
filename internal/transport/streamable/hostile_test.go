package streamable

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

const guard = 5 * time.Second

func dial(t *testing.T, p Params) *Conn {
	t.Helper()
	conn, err := New(p).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*Conn)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// raw serves bytes as they are, below HTTP, to each connection whose request was read.
func raw(t *testing.T, h func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					h(c.(*net.TCPConn))
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func request(id string) transport.Message {
	return transport.Message{ID: []byte(id), Body: jsonrpc.AppendRequest(nil, []byte(id), "m", nil)}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	t.Cleanup(cancel)
	return ctx
}

const answer = `{"jsonrpc":"2.0","id":1,"result":{"ok":true}}`

func writes(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		name, value, _ := strings.Cut(header, ": ")
		w.Header().Set(name, value)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestAnswers(t *testing.T) {
	const plain, stream = "Content-Type: application/json", "Content-Type: text/event-stream"
	event := func(s string) string { return string(jsonrpc.AppendEvent(nil, "", "", []byte(s))) }
	fails := func(id string) string { return `{"jsonrpc":"2.0",` + id + `"error":{"code":-32600,"message":"m"}}` }
	note := `{"jsonrpc":"2.0","method":"n"}`
	tests := []struct {
		name         string
		status       int
		header, body string
		want         string // the answer, or what the error says
		err          error  // what it wraps
		notes        int
		code         int // of a *transport.Status
		inside       string
	}{
		{name: "json", header: plain, body: answer, want: answer},
		{name: "json with charset", header: plain + "; charset=UTF-8", body: answer, want: answer},
		{name: "json in capitals", header: "Content-Type: Application/JSON", body: answer, want: answer},
		{name: "json with a bad parameter", header: plain + "; charset=", body: answer, want: answer},
		{name: "error without id", header: plain, body: fails(""), want: fails("")},
		{name: "error with id null", header: plain, body: fails(`"id":null,`), want: fails(`"id":null,`)},
		{name: "error without id on a stream", header: stream, body: event(fails("")), want: fails("")},
		{name: "stream", header: stream, body: event(note) + event(note) + event(answer) + event(note), want: answer, notes: 2},
		{name: "other events", header: stream, body: "event: ping\ndata: " + note + "\n\n:\n\nid: 1\ndata:\n\n" + event(answer), want: answer},
		{name: "batch", header: plain, body: `[` + note + `,` + answer + `,` + note + `]`, want: answer, notes: 2},
		{name: "batch on a stream", header: stream, body: event(`[`+note+`]`) + event(`[`+answer+`,`+answer+`]`), want: answer, notes: 1},
		{name: "batch too long", header: stream, body: event(`[`+note+strings.Repeat(`,`+note, 60)+`]`) + event(answer), want: answer, notes: 50},

		{name: "other id", header: plain, body: strings.Replace(answer, "1", `"1"`, 1), want: "does not answer", err: jsonrpc.ErrAnswer},
		{name: "a notification only", header: plain, body: note, want: "does not answer", err: jsonrpc.ErrAnswer, notes: 1},
		{name: "empty json", header: plain, body: "", want: "", err: jsonrpc.ErrAnswer},
		{name: "no json", header: plain, body: "<p>secret</p>", want: "", err: jsonrpc.ErrAnswer},
		{name: "two values", header: plain, body: answer + answer, want: "", err: jsonrpc.ErrAnswer},
		{name: "too long", header: plain, body: `{"jsonrpc":"2.0","id":1,"result":{"a":"` + strings.Repeat("x", 5000) + `"}}`, want: "longer than 4096 bytes", err: jsonrpc.ErrAnswer},
		{name: "too long event", header: stream, body: event(`{"jsonrpc":"2.0","id":1,"result":{"a":"` + strings.Repeat("x", 5000) + `"}}`), want: "longer than 4096 bytes", err: jsonrpc.ErrAnswer},
		{name: "other's too long event", header: stream, body: event(`{"jsonrpc":"2.0","id":2,"result":{"a":"`+strings.Repeat("x", 5000)+`"}}`) + event(answer), want: answer},
		{name: "a broken question with our id", header: stream, body: event(`{"jsonrpc":"2.0","id":1,"method":"q","params":3}`) + event(answer), want: answer},
		{name: "stream without answer", header: stream, body: event(note), want: "ended before the answer", err: transport.ErrClosed, notes: 1},
		{name: "unfinished event", header: stream, body: "data: " + answer + "\n", want: "ended before the answer", err: transport.ErrClosed},

		{name: "html", header: "Content-Type: text/html; charset=utf-8", body: "secret" + answer, want: "HTTP 200 OK, text/html", code: 200},
		{name: "text that is json", header: "Content-Type: text/plain", body: answer, want: "HTTP 200 OK, text/plain", code: 200},
		{name: "no type", header: "Content-Type: ", body: answer, want: "HTTP 200 OK", code: 200},
		{name: "202", status: 202, header: plain, body: answer, want: "HTTP 202 Accepted, application/json", code: 202},
		{name: "204", status: 204, header: "X: y", want: "HTTP 204 No Content", code: 204},
		{name: "503 html", status: 503, header: "Content-Type: text/html", body: "secret", want: "HTTP 503 Service Unavailable, text/html", code: 503},
		{name: "400 with error", status: 400, header: plain, body: fails(`"id":null,`), want: "HTTP 400 Bad Request, application/json", code: 400, inside: fails(`"id":null,`)},
		{name: "404 with error in text", status: 404, header: "Content-Type: text/plain", body: fails(`"id":1,`) + "\n", want: "HTTP 404 Not Found, text/plain", code: 404, inside: fails(`"id":1,`)},
		{name: "400 with a result", status: 400, header: plain, body: answer, want: "HTTP 400 Bad Request, application/json", code: 400},
		{name: "400 without end", status: 400, header: plain, body: fails("") + strings.Repeat(" ", 1<<20), want: "HTTP 400 Bad Request, application/json", code: 400, inside: fails("")},
		{name: "unknown status", status: 799, header: plain, want: "HTTP 799, application/json", code: 799},
		{name: "bad type", status: 500, header: "Content-Type: ;;", want: "HTTP 500 Internal Server Error, content type that cannot be read", code: 500},
		{name: "gzip", header: "Content-Encoding: gzip", body: "\x1f\x8b", want: "HTTP 200 OK, encoded", code: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.status == 0 {
				tt.status = 200
			}
			conn := dial(t, Params{URL: serve(t, writes(tt.status, tt.header, tt.body)), MaxAnswer: 4096})
			notes := 0
			got, err := conn.Do(bounded(t), request("1"), func(*jsonrpc.Message) { notes++ })
			var status *transport.Status
			switch {
			case tt.code != 0:
				if !errors.As(err, &status) || status.Code != tt.code || !strings.HasPrefix(err.Error(), tt.want) {
					t.Fatalf("error %v", err)
				}
				if inside := status.Message; (inside == nil) != (tt.inside == "") || inside != nil && string(inside.Raw) != tt.inside {
					t.Errorf("inside %+v", inside)
				}
			case tt.err != nil:
				if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v", err)
				}
			case err != nil || string(got.Raw) != tt.want:
				t.Fatalf("answer %+v, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the body shows in %v", err)
			}
			if notes != tt.notes {
				t.Errorf("%d notifications", notes)
			}
		})
	}
}

func TestEncodedAnswerIsRefused(t *testing.T) {
	var asked atomic.Value
	conn := dial(t, Params{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		for range 1 << 20 { // until the other side goes
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})})
	_, err := conn.Do(bounded(t), request("1"), nil)
	var status *transport.Status
	if !errors.As(err, &status) || !strings.Contains(err.Error(), "encoded") || asked.Load() != "identity" {
		t.Errorf("%v, asked for %v", err, asked.Load())
	}
}

func TestSilenceEndsWithTheContext(t *testing.T) {
	for name, head := range map[string]string{
		"nothing":     "",
		"half a head": "HTTP/1.1 200 OK\r\nContent-Type: appl",
		"head":        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"stream":      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {",
	} {
		t.Run(name, func(t *testing.T) {
			reached, gone := make(chan struct{}), make(chan struct{})
			conn := dial(t, Params{URL: raw(t, func(c *net.TCPConn) {
				_, _ = io.WriteString(c, head)
				close(reached)
				_, _ = io.Copy(io.Discard, c) // until we see that the client went
				close(gone)
			})})
			ctx, cancel := context.WithCancel(bounded(t))
			go func() {
				<-reached
				cancel()
			}()
			if _, err := conn.Do(ctx, request("1"), nil); !errors.Is(err, context.Canceled) {
				t.Errorf("Do: %v", err)
			}
			select {
			case <-gone:
			case <-time.After(guard):
				t.Error("the server does not see it")
			}
		})
	}
}

func TestBrokenAnswersFailAtOnce(t *testing.T) {
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	tests := map[string]struct {
		body string
		end  func(c *net.TCPConn)
	}{
		"closed":               {"", nil},
		"reset":                {"", reset},
		"shorter than it said": {head + "Content-Length: 1000\r\n\r\n" + answer, nil},
		"reset in the middle":  {head + "Content-Length: 1000\r\n\r\n" + answer, reset},
		"chunk cut":            {head + "Transfer-Encoding: chunked\r\n\r\nff\r\n" + answer, nil},
		"stream reset":         {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {", reset},
		"not HTTP":             {"SSH-2.0-secret\r\n", nil},
		"malformed header":     {"HTTP/1.1 200 OK\r\nsecret\r\n\r\n", nil},
		"header flood":         {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", nil},
		"1,000 early answers":  {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 100)+"\r\n\r\n", 1000) + "HTTP/1.1 200 OK\r\n\r\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, Params{URL: raw(t, func(c *net.TCPConn) {
				_, _ = io.WriteString(c, tt.body)
				if tt.end != nil {
					tt.end(c)
				}
			})})
			_, err := conn.Do(bounded(t), request("1"), nil)
			if !errors.Is(err, transport.ErrClosed) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 300 {
				t.Errorf("Do: %v", err)
			}
			t.Log(err)
		})
	}
}

// An event stream may be cut anywhere, also between CR and LF (WHATWG HTML, event stream).
func TestStreamInSingleBytes(t *testing.T) {
	stream := "\xEF\xBB\xBF: hi\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"method\":\"n\"}\r\n\r\n:\r\rdata:" + answer + "\r\r"
	conn := dial(t, Params{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		for i := range len(stream) {
			_, _ = io.WriteString(w, stream[i:i+1])
			_ = http.NewResponseController(w).Flush()
		}
	})})
	notes := 0
	got, err := conn.Do(bounded(t), request("1"), func(*jsonrpc.Message) { notes++ })
	if err != nil || string(got.Raw) != answer || notes != 1 {
		t.Errorf("%+v, %v, %d notifications", got, err, notes)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			var collected, hops atomic.Int64
			other := serve(t, func(http.ResponseWriter, *http.Request) { collected.Add(1) })
			to := []string{other + "/secret?token=secret", "/mcp/", ""}
			for i, location := range to {
				hops.Store(0)
				conn := dial(t, Params{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
					hops.Add(1)
					if location != "" {
						w.Header().Set("Location", location)
					}
					w.WriteHeader(code)
				}) + "/mcp", Header: []transport.Header{{Name: "Authorization", Value: "Bearer secret"}}})
				_, err := conn.Do(bounded(t), request("1"), nil)
				var status *transport.Status
				if !errors.As(err, &status) || status.Code != code || strings.Contains(err.Error(), "secret") {
					t.Fatalf("Do: %v", err)
				}
				said := []string{"to another server", `"/mcp/"`, ""}
				if !strings.Contains(err.Error(), said[i]) || hops.Load() != 1 {
					t.Errorf("%v after %d hops", err, hops.Load())
				}
			}
			if collected.Load() != 0 {
				t.Errorf("the other server got %d requests", collected.Load())
			}
		})
	}
}

func TestUnreachableServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = quiet
	tls.StartTLS()
	t.Cleanup(tls.Close)
	plain := strings.Replace(serve(t, func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1)
	for name, url := range map[string]string{
		"refused":               "http://user:secret@" + closed + "/mcp?token=secret",
		"unknown certificate":   tls.URL + "/?token=secret",
		"HTTP instead of HTTPS": plain,
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, Params{URL: url})
			_, err := conn.Do(bounded(t), request("1"), nil)
			if !errors.Is(err, transport.ErrUnreachable) || strings.Contains(err.Error(), "secret") {
				t.Errorf("Do: %v", err)
			}
			t.Log(err)
			if err := conn.Send(bounded(t), transport.Message{Body: []byte(`{}`)}); !errors.Is(err, transport.ErrUnreachable) {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

func TestBadParametersAreToldByDial(t *testing.T) {
	for _, p := range []Params{
		{URL: ""}, {URL: "mcp"}, {URL: "ftp://h/"}, {URL: "http:///x"}, {URL: "http://h\x00secret"}, {URL: "file:///etc/secret"},
		{URL: "http://h", Header: []transport.Header{{Name: "A b", Value: ""}}},
		{URL: "http://h", Header: []transport.Header{{Name: "A", Value: "secret\r\nB: c"}}},
	} {
		_, err := New(p).Dial(t.Context())
		if !errors.Is(err, transport.ErrNotStarted) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q %q: %v", p.URL, p.Header, err)
		}
	}
}

func TestStreamResetByHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		_, _ = io.WriteString(w, ": hi\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // RST_STREAM
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	conn := dial(t, Params{URL: srv.URL, Pool: srv.Client().Transport})
	if _, err := conn.Do(bounded(t), request("1"), nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Do: %v", err)
	}
}
