// Package pipe is a transport in memory: newline framing, one stream for everything, no
// process and no socket. The server is a function of this program. It knows no method of
// MCP, copies every message, and never blocks where only the network could free it, so
// that it runs inside a testing/synctest bubble.
package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// maxLine bounds one line where Params do not.
const maxLine = 16 << 20

// queue is how many lines may wait until the server reads.
const queue = 16

// A Serve plays the server of one connection: it reads lines from r and writes lines to w.
// Once the connection is closed ctx has ended, r is at its end and writes fail; Close
// waits until it has returned. Where it returns before, the connection ends with its
// error. A Read that finds nothing waits.
type Serve func(ctx context.Context, r io.Reader, w io.Writer) error

// Params are what a Dialer is made of.
type Params struct {
	Serve   Serve
	MaxLine int // bytes of one line of the server; 0 for 16 MiB
}

// A Dialer makes connections, each with a run of Serve of its own.
type Dialer struct{ p Params }

// New makes a Dialer.
func New(p Params) *Dialer {
	if p.MaxLine <= 0 {
		p.MaxLine = maxLine
	}
	return &Dialer{p}
}

// Dial starts a server.
func (d *Dialer) Dial(ctx context.Context) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &conn{ended: make(chan struct{})}
	c.duplex = jsonrpc.NewDuplex(c.write)
	c.in = input{lines: make(chan []byte, queue), end: c.ended}
	r, w := io.Pipe()
	serving, stop := context.WithCancel(context.Background())
	c.stop = func(why error) {
		c.duplex.Shut(why)
		c.once.Do(func() { close(c.ended) })
		stop()
		_ = r.CloseWithError(io.ErrClosedPipe)
	}
	c.running.Go(func() {
		err := d.p.Serve(serving, &c.in, w)
		_ = w.CloseWithError(serverEnd(err)) // the reader first takes what was written
	})
	c.running.Go(func() { c.stop(c.read(r, d.p.MaxLine)) })
	return c, nil
}

func serverEnd(err error) error {
	if err == nil {
		return fmt.Errorf("%w: the server returned", jsonrpc.ErrClosed)
	}
	return fmt.Errorf("%w: %w", jsonrpc.ErrClosed, err)
}

// A conn is one connection.
type conn struct {
	duplex  *jsonrpc.Duplex
	in      input
	stop    func(why error)
	once    sync.Once
	ended   chan struct{}  // closed once the connection has ended
	running sync.WaitGroup // the server and the reader
}

// read hands each line on until the server's side ends, and says why it did.
func (c *conn) read(r io.Reader, most int) error {
	lines := jsonrpc.NewLineReader(r, most)
	for {
		line, err := lines.Next()
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			c.duplex.TooLong(long.ID)
		case err != nil:
			return err
		default:
			c.duplex.Receive(line)
		}
	}
}

// write queues one line; a whole one or none, so that no call tears another one's.
func (c *conn) write(ctx context.Context, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A message must not hold a newline (2026-07-28, stdio).
	line := append(rawjson.AppendLine(make([]byte, 0, len(body)+1), body), '\n')
	select {
	case c.in.lines <- line:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ended:
		return c.duplex.Err()
	}
}

func (c *conn) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	return c.duplex.Do(ctx, m.ID, m.Body, on)
}

func (c *conn) Send(ctx context.Context, m transport.Message) error {
	return c.duplex.Send(ctx, m.Body)
}

// Hear offers what names no open call as it is read.
func (c *conn) Hear(f func(*jsonrpc.Message) bool) { c.duplex.Hear(f) }

// Listen does nothing: there is one stream from the start.
func (c *conn) Listen() {}

// OwnStream is false: all calls share one stream.
func (c *conn) OwnStream() bool { return false }

func (c *conn) Events() <-chan transport.Event { return c.duplex.Events() }

func (c *conn) Err() error { return c.duplex.Err() }

// Close ends the connection and waits until Serve has returned.
func (c *conn) Close() error {
	c.stop(fmt.Errorf("%w: closed by the gateway", jsonrpc.ErrClosed))
	c.running.Wait()
	return nil
}

// An input is the server's side of what we write.
type input struct {
	lines chan []byte
	end   <-chan struct{}
	rest  []byte // of the line that is being read; only the reading goroutine touches it
}

// Read gives what was queued, then waits; after the end of the connection it is io.EOF.
func (i *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(i.rest) == 0 {
		select {
		case i.rest = <-i.lines:
		case <-i.end:
			return 0, io.EOF
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}
