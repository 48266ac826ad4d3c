package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
)

// A pipeClient speaks to ServeStdio.
type pipeClient struct {
	t     *testing.T
	in    *io.PipeWriter
	lines chan string
	ended chan error
}

// pipe starts serving one stdio client.
func (f *front) pipe() *pipeClient {
	f.t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &pipeClient{t: f.t, in: inW, lines: make(chan string, 1024), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		err := f.l.ServeStdio(ctx, inR, outW)
		outW.Close()
		c.ended <- err
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		s := bufio.NewScanner(outR)
		s.Buffer(nil, 32<<20)
		for s.Scan() {
			c.lines <- s.Text()
		}
		close(c.lines)
	}()
	f.t.Cleanup(func() {
		stop()
		inW.Close()
		outR.Close()
		<-read
	})
	return c
}

func (c *pipeClient) send(lines ...string) {
	c.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(c.in, line+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *pipeClient) next() string {
	c.t.Helper()
	return soon(c.t, "a line", c.lines)
}

// canary makes sure that the loop goes on and that nothing came in between.
func (c *pipeClient) canary() {
	c.t.Helper()
	c.send(`{"jsonrpc":"2.0","id":"canary","method":"ping"}`)
	if line := c.next(); line != `{"jsonrpc":"2.0","id":"canary","result":{}}` {
		c.t.Errorf("instead of the canary came %.300s", line)
	}
}

// login does the handshake.
func (c *pipeClient) login(revision string) {
	c.t.Helper()
	c.send(hello("0", revision))
	if e := open(c.t, c.next()); e.Error != nil || e.Result == nil {
		c.t.Fatalf("initialize failed: %+v", e)
	}
	c.send(initialized)
}

// An eventClient reads an event stream.
type eventClient struct {
	t      *testing.T
	res    *http.Response
	events chan jsonrpc.ServerEvent // closed at the end of the stream
	id     string                   // of the last event that event gave or skipped
	close  func()
}

// stream opens an event stream; what it answers besides is the test's to look at.
func (f *front) stream(method, path, body string, header ...string) *eventClient {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	res, err := f.open(ctx, method, path, body, header...)
	if err != nil {
		stop()
		f.t.Fatal(err)
	}
	c := &eventClient{t: f.t, res: res, events: make(chan jsonrpc.ServerEvent, 8192)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.events)
		r := jsonrpc.NewEventReader(res.Body, 64<<20)
		for {
			e, err := r.Next()
			if err != nil {
				return
			}
			c.events <- e
		}
	}()
	c.close = func() {
		stop()
		<-done
		res.Body.Close()
	}
	f.t.Cleanup(c.close)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		f.t.Fatalf("%s %s gave %d %s", method, path, res.StatusCode, res.Header.Get("Content-Type"))
	}
	return c
}

// listen opens a session's GET stream.
func (f *front) listen(id string, header ...string) *eventClient {
	f.t.Helper()
	return f.stream(http.MethodGet, "/mcp", "", append([]string{era.HeaderSession, id}, header...)...)
}

// next gives the next message.
func (c *eventClient) next() string {
	c.t.Helper()
	e, ok := c.event()
	if !ok {
		c.t.Fatal("the stream ended")
	}
	return string(e.Data)
}

// event gives the next event that has data; ok is false at the end of the stream.
func (c *eventClient) event() (e jsonrpc.ServerEvent, ok bool) {
	c.t.Helper()
	for ok = true; ok && len(e.Data) == 0; {
		e, ok = c.any()
	}
	return e, ok
}

// any gives the next event, data or not.
func (c *eventClient) any() (e jsonrpc.ServerEvent, ok bool) {
	c.t.Helper()
	select {
	case e, ok = <-c.events:
		if e.HasID {
			c.id = e.ID
		}
		return e, ok
	case <-time.After(guardTime):
		c.t.Fatal("no event came")
	}
	panic("unreachable")
}

// end makes sure that the stream ends now, without another event.
func (c *eventClient) end() {
	c.t.Helper()
	if e, ok := c.event(); ok {
		c.t.Errorf("instead of the end came %.300s", e.Data)
	}
}

// An sseClient speaks the 2024-11-05 transport.
type sseClient struct {
	*eventClient
	f        *front
	endpoint string
}

func (f *front) sse(header ...string) *sseClient {
	f.t.Helper()
	c := &sseClient{eventClient: f.stream(http.MethodGet, "/sse", "", header...), f: f}
	e, ok := c.event()
	if !ok || e.Type != "endpoint" || !strings.HasPrefix(string(e.Data), "/messages?sessionId=") {
		f.t.Fatalf("the first event is %q %q, want the endpoint", e.Type, e.Data)
	}
	c.endpoint = string(e.Data)
	return c
}

func (c *sseClient) send(body string, header ...string) got {
	c.t.Helper()
	return c.f.send(http.MethodPost, c.endpoint, body, header...)
}

// A wire is a raw connection.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (f *front) dial() *wire {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * guardTime))
	return &wire{f.t, conn, bufio.NewReader(conn)}
}

// write tells whether all could be written; a peer that had enough closes.
func (w *wire) write(format string, args ...any) error {
	_, err := fmt.Fprintf(w.conn, format, args...)
	return err
}

// read reads one answer.
func (w *wire) read() got {
	w.t.Helper()
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("half an answer: %v", err)
	}
	if res.Close {
		res.Header.Set("Connection", "close") // ReadResponse takes it out
	}
	return got{res.StatusCode, res.Header, string(b)}
}

// closed makes sure that the other side closes.
func (w *wire) closed() {
	w.t.Helper()
	_, err := w.r.ReadByte()
	var timeout net.Error
	if err == nil || (errors.As(err, &timeout) && timeout.Timeout()) {
		w.t.Errorf("the connection stays open: %v", err)
	}
}
