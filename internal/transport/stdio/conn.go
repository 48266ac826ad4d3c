package stdio

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

const (
	// writeStall is how long a server may take nothing from its stdin while we write.
	writeStall = 10 * time.Second
	// chunk is one write: as much as a pipe holds on Linux, so that each one that
	// returns shows that the server reads.
	chunk = 64 << 10
	// keepLine bounds the write buffer that is kept between messages.
	keepLine = 1 << 20
)

// A conn is one life of the server's process.
type conn struct {
	dialer *Dialer
	pipes
	cmd    *exec.Cmd
	tree   *tree
	duplex *jsonrpc.Duplex

	turn chan struct{} // holds one: whoever put it there is the one writer
	line []byte        // guarded by turn
	torn bool          // guarded by turn: a line was begun and not finished; none may follow

	waiting  atomic.Bool   // the reader waits for stdout
	broken   chan string   // holds one: why writing can not go on
	stopping chan struct{} // closed by Close
	exited   chan struct{} // closed once cmd.ProcessState is set
	ended    chan struct{} // closed once every call fails
	done     chan struct{} // closed once nothing of the conn runs
	stop     sync.Once
	stopErr  error // set before done
}

func (c *conn) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	return c.duplex.Do(ctx, m.ID, m.Body, on)
}

func (c *conn) Send(ctx context.Context, m transport.Message) error {
	return c.duplex.Send(ctx, m.Body)
}

// Hear offers what names no open call as it is read.
func (c *conn) Hear(f func(*jsonrpc.Message) bool) { c.duplex.Hear(f) }

// Listen does nothing: stdout is there from the start.
func (c *conn) Listen() {}

// OwnStream is false: all messages share one channel (2026-07-28, stdio, Receiving Messages).
func (c *conn) OwnStream() bool { return false }

func (c *conn) Events() <-chan transport.Event { return c.duplex.Events() }

func (c *conn) Err() error { return c.duplex.Err() }

// Close ends the process and all it started, as the package says, within 6 s. When it
// returns, every goroutine and process of the conn has ended; an error tells which
// processes could not be ended.
func (c *conn) Close() error {
	c.stop.Do(func() { close(c.stopping) })
	<-c.done
	return c.stopErr
}

// write puts one message on a line of its own. A context that ends before the first byte
// is out gives its error; later, the line is finished in the background, for half a line
// would break every other call, and write tells that it was sent.
func (c *conn) write(ctx context.Context, body []byte) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ended:
		return c.duplex.Err()
	}
	if c.torn {
		<-c.turn
		<-c.ended
		return c.duplex.Err()
	}
	// A message must not hold a newline (2026-07-28, stdio).
	c.line = append(rawjson.AppendLine(c.line[:0], body), '\n')
	n, err := c.pushUntil(ctx, c.line)
	if n > 0 && n < len(c.line) && err == ctx.Err() {
		go c.finish(c.line[n:]) // run takes the turn, hence waits for it
		return nil
	}
	return c.release(n, err, ctx)
}

// finish writes the rest of a line whose caller has left.
func (c *conn) finish(rest []byte) {
	_, err := c.push(context.Background(), rest)
	if err != nil {
		c.torn = true
		c.fail(err)
	}
	c.yield()
}

// release gives the turn on. A failed write ends the connection: the server has part of
// a line, or reads no more.
func (c *conn) release(n int, err error, ctx context.Context) error {
	if err == nil || n == 0 && err == ctx.Err() {
		c.yield()
		return err
	}
	c.torn = true
	c.fail(err)
	c.yield()
	<-c.ended
	return c.duplex.Err()
}

func (c *conn) yield() {
	if cap(c.line) > keepLine {
		c.line = nil
	}
	<-c.turn
}

// pushUntil is push, which the end of the context interrupts.
func (c *conn) pushUntil(ctx context.Context, b []byte) (int, error) {
	if ctx.Done() == nil {
		return c.push(ctx, b)
	}
	interrupted := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		c.stdin.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	n, err := c.push(ctx, b)
	if !forget() {
		<-interrupted // or it would hit the next writer
	}
	return n, err
}

// push writes b and tells how much of it is out. The deadline starts anew with each
// chunk, so that a long message to a slow reader passes.
func (c *conn) push(ctx context.Context, b []byte) (n int, err error) {
	for n < len(b) {
		k, err := c.pushChunk(ctx, b[n:min(n+chunk, len(b))])
		n += k
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				err = ctx.Err()
			}
			return n, err
		}
	}
	return n, nil
}

func (c *conn) pushChunk(ctx context.Context, b []byte) (int, error) {
	if c.stdin.SetWriteDeadline(time.Now().Add(c.dialer.stall)) != nil {
		// No deadlines here (Windows): what ends the process ends the write.
		defer time.AfterFunc(c.dialer.stall, func() { c.fail(os.ErrDeadlineExceeded) }).Stop()
	}
	// After the deadline is set, or an interruption in between would be lost.
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return c.stdin.Write(b)
}

// fail tells run that the server takes no more messages.
func (c *conn) fail(err error) {
	why := "closed its stdin"
	if errors.Is(err, os.ErrDeadlineExceeded) {
		why = "did not read its stdin for " + c.dialer.stall.String()
	}
	select {
	case c.broken <- why:
	default:
	}
}
