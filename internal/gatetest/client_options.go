package gatetest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
)

// Options are how a client differs from a plain one. Their methods connect.
type Options struct {
	// Revision is what it asks for; empty: 2025-11-25, or 2024-11-05 over HTTP with SSE.
	Revision string
	// Capabilities is the raw object that it declares: at initialize, or (stateless) with
	// every request whose params do not say otherwise in _meta. Empty: none.
	Capabilities string
	// LogLevel is set at the start, or (stateless) asked for with every request whose
	// params do not say otherwise. Empty: no log lines are asked for.
	LogLevel string
	// OnAsk answers a question of the other side, from a goroutine of its own: with a raw
	// result, with a raw error object (stateful; a stateless client gives up), or with
	// neither, which is no answer. Without it no question is answered. It must return
	// before the client can close.
	OnAsk func(method string, params json.RawMessage) (result, errObject string)

	NoGet    bool        // opens no GET stream (stateful Streamable HTTP)
	NoListen bool        // opens no subscription to list_changed of tools (stateless)
	Header   http.Header // goes with every HTTP request
	Tolerant bool        // faults do not fail the test
}

func (o Options) capabilities() string {
	if o.Capabilities == "" {
		return `{}`
	}
	return o.Capabilities
}

// revised gives the options with a revision where they have none, and fails the test
// where theirs is of another era.
func (o Options) revised(t testing.TB, revision string) Options {
	t.Helper()
	if o.Revision == "" {
		o.Revision = revision
	}
	if (o.Revision == Stateless) != (revision == Stateless) {
		t.Fatalf("a client of %s on a binding of %s", o.Revision, revision)
	}
	return o
}

// DialStateless is the function of this name with options.
func (o Options) DialStateless(t testing.TB, baseURL string) Client {
	t.Helper()
	c := newCore(t, o.revised(t, Stateless), "streamable")
	c.wire = &statelessHTTP{newPoster(c, endpoint(baseURL, "/mcp"))}
	t.Cleanup(c.Close)
	if err := c.subscribe(); err != nil {
		t.Fatalf("stateless HTTP client: %v", err)
	}
	return c
}

// DialStateful is the function of this name with options.
func (o Options) DialStateful(t testing.TB, baseURL string) Client {
	t.Helper()
	c := newCore(t, o.revised(t, Stateful), "streamable")
	h := &statefulHTTP{poster: newPoster(c, endpoint(baseURL, "/mcp"))}
	c.wire = h
	t.Cleanup(c.Close)
	if err := errors.Join(h.connect(), c.prepare()); err != nil {
		t.Fatalf("stateful HTTP client: %v", err)
	}
	return c
}

// DialSSE is the function of this name with options.
func (o Options) DialSSE(t testing.TB, baseURL string) Client {
	t.Helper()
	c := newCore(t, o.revised(t, Oldest), "sse")
	h := &sse{newPoster(c, endpoint(baseURL, "/sse"))}
	c.wire = h
	t.Cleanup(c.Close)
	if err := errors.Join(h.connect(), c.prepare()); err != nil {
		t.Fatalf("SSE client: %v", err)
	}
	return c
}

// Pipe is the function of this name with options, whose revision tells the era.
func (o Options) Pipe(t testing.TB, r io.Reader, w io.WriteCloser) Client {
	t.Helper()
	if o.Revision == "" {
		o.Revision = Stateful
	}
	c := newCore(t, o, "stdio")
	p := &pipe{c: c, w: w}
	c.wire = p
	t.Cleanup(c.Close)
	c.running.Go(func() { p.read(r) })
	var err error
	if c.stateless {
		err = c.subscribe()
	} else if err = c.handshake(); err == nil {
		err = errors.Join(c.Notify("notifications/initialized", ""), c.prepare())
	}
	if err != nil {
		t.Fatalf("stdio client: %v", err)
	}
	return c
}

// Connect is a client on a pipe to a server in this process.
func (o Options) Connect(t testing.TB, s *Server) Client {
	t.Helper()
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- s.ServeLines(toServer, fromServer, o.Revision == Stateless) }()
	t.Cleanup(func() {
		fromClient.Close()
		if err := <-served; err != nil && !errors.Is(err, errDied) {
			t.Errorf("ServeLines: %v", err)
		}
		s.report(t)
	})
	return o.Pipe(t, toClient, fromClient)
}

func severity(level string) int { return slices.Index(logLevels, level) }
