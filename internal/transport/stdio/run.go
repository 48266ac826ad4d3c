package stdio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mcpgateway/internal/jsonrpc"
)

const (
	// exitGrace is how long a process that closed its stdout may take to exit, so that its
	// status can be told.
	exitGrace = 150 * time.Millisecond
	// drainGrace is how long what an exited process left in its pipes is read. Longer is
	// no use: a descendant may hold them open for ever.
	drainGrace = 125 * time.Millisecond
	// drainMost bounds that where there is always more to read.
	drainMost = 5 * time.Second
	// endGrace bounds the wait for what a killed process leaves behind; only a process
	// that the system itself cannot end makes it matter.
	endGrace = time.Second
)

// closedError says why the connection ended; it wraps ErrClosed.
type closedError struct{ text string }

func (e *closedError) Error() string { return e.text }
func (e *closedError) Unwrap() error { return jsonrpc.ErrClosed }

// run is the life of the connection. When it returns, every goroutine of the conn has
// ended, and so has every process, unless stopErr tells otherwise.
func (c *conn) run() {
	defer close(c.done)
	read, heard := make(chan struct{}), make(chan struct{})
	var last atomic.Pointer[string]
	go func() {
		defer close(c.exited)
		c.cmd.Wait() // the state tells how it ended
	}()
	go func() {
		defer close(read)
		c.readStdout()
	}()
	go func() {
		defer close(heard)
		c.dialer.readStderr(c.stderr, &last)
	}()

	why := c.live(read, heard)
	if line := last.Load(); line != nil && !c.closing() {
		why += fmt.Sprintf("; its last line on stderr: %q", *line)
	}
	c.duplex.Shut(&closedError{why})
	close(c.ended)
	c.dialer.p.Log.Debug("connection ended", "reason", why)

	c.stopErr = c.stopTree()
	c.stdout.Close()
	c.stderr.Close()
	late, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	for _, end := range []<-chan struct{}{read, heard, c.exited} {
		select {
		case <-end:
		case <-late.Done():
			// Where a read cannot be interrupted (Windows), or a process not be killed,
			// the goroutine is left rather than the caller held.
		}
	}
	select { // the last writer; its stdin is closed
	case c.turn <- struct{}{}:
	case <-late.Done():
	}
}

func (c *conn) closing() bool {
	select {
	case <-c.stopping:
		return true
	default:
		return false
	}
}

// live waits until the connection has ended and says why, at most drainGrace after the
// process exited and at most exitGrace after it closed a stream and lives on.
func (c *conn) live(read, heard <-chan struct{}) string {
	const closed = "closed by the gateway"
	why := ""
	select {
	case <-c.stopping:
		return closed
	case <-c.exited:
	case <-read:
		why = "closed its stdout"
	case why = <-c.broken:
	}
	if why != "" {
		select {
		case <-c.exited: // explains more than its closed pipe does
		case <-c.stopping:
			return closed
		case <-time.After(c.dialer.exit):
			return why
		}
	}
	c.drain(read, heard)
	return exitText(c.cmd.ProcessState)
}

// drain waits until what an exited process said was read, or, where a descendant holds its
// streams open, until there is nothing more to read now. On a busy machine the reader may
// be late, and what lies in the pipe is still an answer.
func (c *conn) drain(read, heard <-chan struct{}) {
	for end := time.Now().Add(drainMost); time.Now().Before(end); {
		select {
		case <-read:
			select {
			case <-heard:
			case <-time.After(c.dialer.drain):
			}
			return
		case <-time.After(c.dialer.drain):
			if c.waiting.Load() && unread(c.stdout) == 0 {
				return
			}
		}
	}
}

// Read reads stdout, and notes while there is nothing to read.
func (c *conn) Read(p []byte) (int, error) {
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	return c.stdout.Read(p)
}

func exitText(s *os.ProcessState) string {
	if s == nil {
		return "process ended"
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return fmt.Sprintf("process killed by signal %d (%s)", w.Signal(), w.Signal())
	}
	return fmt.Sprintf("process exited with status %d", s.ExitCode())
}

// readStdout hands each line on until the stream ends. After the connection's end it
// goes on reading, so that a server that is still shutting down does not block.
func (c *conn) readStdout() {
	lines := jsonrpc.NewLineReader(c, c.dialer.p.MaxLine)
	for {
		line, err := lines.Next()
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			c.duplex.TooLong(long.ID)
			c.dialer.noteLong(long)
		case err != nil:
			return
		default:
			before := c.duplex.Skipped()
			c.duplex.Receive(line)
			if c.duplex.Skipped() != before {
				c.dialer.noteSkipped(line)
			}
		}
	}
}

func (d *Dialer) noteSkipped(line []byte) {
	n, ok := d.skipped.due(time.Now())
	if !ok {
		return
	}
	args := []any{"lines", n, "line", quoted([]byte(d.hide.Replace(string(line[:min(len(line), lineBytes)]))))}
	if t := strings.TrimSpace(string(line[:min(len(line), 8)])); t == "{" || t == "[" {
		args = append(args, "hint", "a message must stand on one line; this server spreads its JSON over several")
	}
	d.p.Log.Warn("skipped what is no JSON-RPC message on stdout", args...)
}

func (d *Dialer) noteLong(long *jsonrpc.TooLong) {
	if n, ok := d.long.due(time.Now()); ok {
		d.p.Log.Warn("dropped a line on stdout that is too long", "lines", n, "bytes", long.Bytes, "max", d.p.MaxLine)
	}
}

// quoted makes 200 bytes of a stranger's line safe to log.
func quoted(line []byte) string {
	if len(line) > 200 {
		return fmt.Sprintf("%q…", line[:200])
	}
	return fmt.Sprintf("%q", line)
}
