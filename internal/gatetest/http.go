package gatetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A site is one HTTP listener with its end.
type site struct {
	s     *Server
	ctx   context.Context // done when the site stops
	every sync.WaitGroup  // handlers
}

// start listens on loopback until the test ends and gives the URL of path.
func (s *Server) start(t testing.TB, path string, routes func(*site) http.Handler) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &site{s: s, ctx: ctx}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := routes(b)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.every.Add(1)
		defer b.every.Done()
		if !localOrigin(r) {
			// 2026-07-28, streamable-http, Security: an invalid Origin is 403.
			http.Error(w, "forbidden origin", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		s.EndListens()
		cancel()
		short, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		if srv.Shutdown(short) != nil {
			srv.Close()
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("%s: %v", s.Name, err)
		}
		b.every.Wait()
		s.report(t)
	})
	return "http://" + l.Addr().String() + path
}

func localOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, u.Hostname())
}

// body reads a POST's message; false if it was turned down for its form.
func (b *site) body(w http.ResponseWriter, r *http.Request, accept ...string) ([]byte, bool) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		b.s.fault("Content-Type %q", r.Header.Get("Content-Type"))
		http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return nil, false
	}
	if !accepts(r, accept...) {
		b.s.fault("Accept %q lacks one of %q", r.Header.Values("Accept"), accept)
		http.Error(w, "Not Acceptable", http.StatusNotAcceptable)
		return nil, false
	}
	return raw, true
}

func accepts(r *http.Request, want ...string) bool {
	all := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	for _, media := range want {
		if !strings.Contains(all, media) {
			return false
		}
	}
	return true
}

// both are what a Streamable HTTP client must accept.
var both = []string{"application/json", "text/event-stream"}

// respond sends what answers one POST: plain JSON when nothing comes before the answer,
// else an event stream. It returns when the answer is out or ctx is done.
func (b *site) respond(ctx context.Context, w http.ResponseWriter, box *outbox, stream bool) {
	first, ok := box.next(ctx)
	if !ok {
		return
	}
	if first.last && first.raw != nil && !first.die && !stream {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(max(first.status, http.StatusOK))
		w.Write(first.raw)
		return
	}
	openStream(w)
	for i := first; ok && sendEvent(w, "", i) && !i.last; {
		i, ok = box.next(ctx)
	}
}

func openStream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	// A comment first: it carries nothing and must disturb nobody.
	io.WriteString(w, ": stream\n\n")
	http.NewResponseController(w).Flush()
}

// sendEvent writes an item as an event and says whether the stream goes on.
func sendEvent(w http.ResponseWriter, typ string, i item) bool {
	if i.die {
		w.Write(i.raw)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if i.raw == nil {
		return true
	}
	var e bytes.Buffer
	if typ != "" {
		e.WriteString("event: " + typ + "\n")
	}
	e.WriteString("data: ")
	e.Write(oneLine(i.raw))
	e.WriteString("\n\n")
	if _, err := w.Write(e.Bytes()); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// joined gives a context that ends with either.
func joined(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}
