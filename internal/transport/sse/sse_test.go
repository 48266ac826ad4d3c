package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
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

const answer = `{"jsonrpc":"2.0","id":1,"result":{"ok":true}}`

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	t.Cleanup(cancel)
	return ctx
}

func request(id string) transport.Message {
	return transport.Message{ID: []byte(id), Body: jsonrpc.AppendRequest(nil, []byte(id), "m", nil)}
}

// fake is a server whose stream says what the test sends it, and that hands each POST on.
type fake struct {
	*httptest.Server
	say   chan string // what the stream says, raw; closed: it ends
	posts chan *http.Request
	post  atomic.Pointer[http.HandlerFunc]
}

func (f *fake) answers(h http.HandlerFunc) { f.post.Store(&h) }

func start(t *testing.T) *fake {
	f := &fake{say: make(chan string), posts: make(chan *http.Request, 100)}
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) })
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_, _ = io.Copy(io.Discard, r.Body)
			f.posts <- r
			(*f.post.Load())(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case raw, open := <-f.say:
				if !open {
					return
				}
				_, _ = io.WriteString(w, raw)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) dial(t *testing.T, endpoint string) (*Conn, error) {
	go func() { f.say <- endpoint }()
	conn, err := New(Params{URL: f.URL + "/sse?k=v", MaxAnswer: 1 << 16, UserAgent: "gateway/1", Header: []transport.Header{
		{Name: "Authorization", Value: "Bearer secret"},
	}}).Dial(bounded(t))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*Conn), nil
}

func TestEndpoint(t *testing.T) {
	for name, tt := range map[string]struct{ event, want string }{
		"path":             {"event: endpoint\ndata: /messages?s=1\n\n", "/messages?s=1"},
		"relative":         {"event: endpoint\ndata: messages\n\n", "/messages"},
		"query only":       {"event: endpoint\ndata: ?s=1\n\n", "/sse?s=1"},
		"whole":            {"event: endpoint\ndata: URL/m\n\n", "/m"},
		"with spaces, CR":  {"event:endpoint\rdata:   /m \r\r", "/m"},
		"after others":     {"\xEF\xBB\xBF:hi\n\nevent: ping\ndata: /no\n\ndata: /no\n\nevent: endpoint\ndata: /m\n\n", "/m"},
		"after a long one": {"data: " + strings.Repeat("x", 1<<17) + "\n\nevent: endpoint\ndata: /m\n\n", "/m"},
		"with a fragment":  {"event: endpoint\ndata: /m#f\n\n", "/m"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			conn, err := f.dial(t, strings.Replace(tt.event, "URL", f.URL, 1))
			if err != nil {
				t.Fatal(err)
			}
			m := transport.Message{Body: []byte(`{"jsonrpc":"2.0","method":"n"}`), Header: []transport.Header{{Name: "Mcp-Method", Value: "n"}}}
			if err := conn.Send(bounded(t), m); err != nil {
				t.Fatal(err)
			}
			r := <-f.posts
			if r.URL.String() != tt.want {
				t.Errorf("posted to %s", r.URL)
			}
			if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Mcp-Method") != "" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

func TestBadEndpoints(t *testing.T) {
	var collected atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { collected.Add(1) }))
	t.Cleanup(other.Close)
	for _, uri := range []string{
		other.URL + "/secret", "http://169.254.169.254/secret", "//secret.example/m", "https:URL/secret", "file:///etc/secret", "http://user:secret@other/m",
		"http://%zzsecret", "/secret" + strings.Repeat("x", 9000), "javascript:secret()",
	} {
		f := start(t)
		uri = strings.Replace(uri, "URL", strings.TrimPrefix(f.URL, "http:"), 1)
		_, err := f.dial(t, "event: endpoint\ndata: "+uri+"\n\n")
		if err == nil || strings.Contains(err.Error(), "secret") || len(f.posts) != 0 {
			t.Errorf("%.60s: %v", uri, err)
		}
	}
	if collected.Load() != 0 {
		t.Errorf("the other server got %d requests", collected.Load())
	}
}

func TestDialTellsWhatItGot(t *testing.T) {
	for name, tt := range map[string]struct {
		status       int
		header, body string
		want         string
	}{
		"405":      {405, "Content-Type: text/plain", "secret", "HTTP 405 Method Not Allowed, text/plain"},
		"404":      {404, "Content-Type: application/json", `{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}`, "HTTP 404 Not Found, application/json"},
		"html":     {200, "Content-Type: text/html", "secret", "HTTP 200 OK, text/html"},
		"redirect": {307, "Location: /sse/?token=secret", "", `HTTP 307 Temporary Redirect; it points to the path "/sse/" and is not followed`},
		"encoded":  {200, "Content-Encoding: gzip", "secret", "HTTP 200 OK, encoded, which was not asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				name, value, _ := strings.Cut(tt.header, ": ")
				w.Header().Set(name, value)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			t.Cleanup(srv.Close)
			_, err := New(Params{URL: srv.URL}).Dial(bounded(t))
			var status *transport.Status
			if !errors.As(err, &status) || status.Code != tt.status || err.Error() != tt.want || requests.Load() != 1 {
				t.Errorf("%v after %d requests", err, requests.Load())
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithCancel(bounded(t))
	go func() {
		f.say <- ": no endpoint yet\n\n"
		cancel()
	}()
	if _, err := New(Params{URL: f.URL}).Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
}

func TestConnOutlivesTheContextOfDial(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithCancel(bounded(t))
	go func() { f.say <- "event: endpoint\ndata: /m\n\n" }()
	conn, err := New(Params{URL: f.URL}).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cancel()
	f.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(202)
		f.say <- "data: " + answer + "\n\n"
	})
	if got, err := conn.Do(bounded(t), request("1"), nil); err != nil || string(got.Raw) != answer {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStreamThatEndsBeforeItsEndpoint(t *testing.T) {
	f := start(t)
	close(f.say)
	if _, err := New(Params{URL: f.URL}).Dial(bounded(t)); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Dial: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	_, err := New(Params{URL: strings.Replace(srv.URL, "http://", "http://u:secret@", 1) + "?secret"}).Dial(bounded(t))
	if !errors.Is(err, transport.ErrUnreachable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Dial: %v", err)
	}
}

// The end of the stream ends the Conn and every call, those too whose POST hangs.
func TestEndOfTheStreamEndsTheConn(t *testing.T) {
	f := start(t)
	conn, err := f.dial(t, "event: endpoint\ndata: /m\n\n")
	if err != nil {
		t.Fatal(err)
	}
	f.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" && len(f.posts) == 2 {
			<-r.Context().Done()
		}
		w.WriteHeader(202)
	})
	failed := make(chan error, 2)
	for id := range 2 {
		go func() {
			_, err := conn.Do(context.Background(), request(fmt.Sprint(id+1)), nil)
			failed <- err
		}()
	}
	for end := time.Now().Add(guard); len(f.posts) < 2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	close(f.say)
	for range 2 {
		select {
		case err := <-failed:
			if !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Do: %v", err)
			}
		case <-time.After(guard):
			t.Fatal("a call waits on")
		}
	}
	if _, open := <-conn.Events(); open || !errors.Is(conn.Err(), transport.ErrClosed) {
		t.Errorf("the connection ended with %v", conn.Err())
	}
	if err := conn.Send(bounded(t), transport.Message{Body: []byte(`{}`)}); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
}

func TestRefusedPosts(t *testing.T) {
	f := start(t)
	conn, err := f.dial(t, "event: endpoint\ndata: /m\n\n")
	if err != nil {
		t.Fatal(err)
	}
	f.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"m"}}`)
	})
	_, err = conn.Do(bounded(t), request("1"), nil)
	var status *transport.Status
	if !errors.As(err, &status) || status.Code != 400 || status.Message == nil {
		t.Errorf("Do: %v", err)
	}
	if conn.Err() != nil {
		t.Errorf("the connection ended: %v", conn.Err())
	}
	for _, code := range []int{200, 201, 204} {
		f.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			f.say <- "data: " + answer + "\n\n"
		})
		if _, err := conn.Do(bounded(t), request("1"), nil); err != nil {
			t.Errorf("%d: %v", code, err)
		}
	}
}
