package exchange

import (
	"context"
	"errors"

	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"http://h/a", "http://h/b?c", true},
		{"http://h", "http://H:80", true},
		{"https://h:443", "https://h", true},
		{"http://[::1]:8", "http://[::1]:8/x", true},
		{"http://h", "https://h", false},
		{"http://h", "http://h:8080", false},
		{"http://h", "http://h.", false},
		{"http://localhost", "http://127.0.0.1", false},
		{"http://h", "http://h@other", false},
		{"http://h:443", "https://h", false},
		{"http://h", "mailto:x", false},
	} {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		if SameOrigin(a, b) != tt.same || SameOrigin(b, a) != tt.same {
			t.Errorf("%s and %s: not %v", tt.a, tt.b, tt.same)
		}
	}
}

// What a server or an environment chose does not show in errors.
func TestErrorsTellNoSecrets(t *testing.T) {
	for _, err := range []error{
		&url.Error{Op: "Post", URL: "http://u:secret@h/?secret", Err: io.EOF},
		&url.Error{Op: "Post", URL: "secret", Err: errors.New(`malformed MIME header: missing colon: secret`)},
		&url.Error{Op: "Post", URL: "secret", Err: errors.New(`http2: server sent GOAWAY; debug="secret"`)},
		&url.Error{Op: "Post", URL: "secret", Err: &net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}},
		errors.New(strings.Repeat("x", 500) + "secret"),
	} {
		if text := plain(err); strings.Contains(text, "secret") || text == "" || len(text) > textBytes {
			t.Errorf("%v: %s", err, text)
		}
	}
}

func TestProxyErrorTellsNoPassword(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://u:secret@[::1")
	t.Setenv("REQUEST_METHOD", "")
	r, _ := http.NewRequest("GET", "http://server.example/", nil)
	if _, err := proxy(r); err != nil && strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// The end of an answer is read for a moment only, and not beyond the end of the Link.
func TestRestIsBounded(t *testing.T) {
	gone := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	t.Cleanup(srv.Close)
	c := New(Params{URL: srv.URL})
	defer c.CloseIdle()
	link := c.NewLink()
	defer link.Close()
	to, err := c.URL()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	x, err := link.Do(ctx, "GET", to, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Release()
	cancel() // changes nothing: the answer was taken
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the stream stays open")
	}

	x, err = link.Do(t.Context(), "GET", to, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Release()
	link.Close()
	if link.Resting() != 0 {
		t.Error("a goroutine outlives Close")
	}
	if _, err := link.Do(t.Context(), "GET", to, nil, nil); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
	<-gone
}

func TestHeaders(t *testing.T) {
	for h, ok := range map[transport.Header]bool{
		{Name: "X-A_b.c", Value: "a\tb ü"}: true,
		{Name: "", Value: "a"}:             false,
		{Name: "A:", Value: "a"}:           false,
		{Name: "Ä", Value: "a"}:            false,
		{Name: "A", Value: "a\nb"}:         false,
		{Name: "A", Value: "a\x7f"}:        false,
		{Name: "A", Value: "\x00"}:         false,
	} {
		if validHeader(h) != ok {
			t.Errorf("%q: not %v", h, ok)
		}
	}
}

// TestCredentialsOfTheURL are sent, unless the configuration has its own.
func TestCredentialsOfTheURL(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") }))
	t.Cleanup(srv.Close)
	at := strings.Replace(srv.URL, "http://", "http://me:s%20x@", 1)
	for _, tt := range []struct {
		header []transport.Header
		want   string
	}{
		{nil, "Basic bWU6cyB4"},
		{[]transport.Header{{Name: "authorization", Value: "Bearer b"}}, "Bearer b"},
	} {
		c := New(Params{URL: at, Header: tt.header})
		link := c.NewLink()
		to, err := c.URL()
		if err != nil {
			t.Fatal(err)
		}
		x, err := link.Do(t.Context(), "POST", to, []byte("{}"), nil)
		if err != nil {
			t.Fatal(err)
		}
		x.Release()
		if auth := <-got; auth != tt.want {
			t.Errorf("sent %q, want %q", auth, tt.want)
		}
		link.Close()
		c.CloseIdle()
	}
}
