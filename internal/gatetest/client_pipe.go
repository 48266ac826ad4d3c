package gatetest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
)

// Pipe is a client on stdio: it reads r and writes w, and closes w at the end. R must
// end once w is closed. The stateful era begins with initialize, the stateless one with a
// subscription to list_changed.
func Pipe(t testing.TB, r io.Reader, w io.WriteCloser, stateless bool) Client {
	t.Helper()
	o := Options{Revision: Stateful}
	if stateless {
		o.Revision = Stateless
	}
	return o.Pipe(t, r, w)
}

type pipe struct {
	c  *core
	mu sync.Mutex // one line at a time
	w  io.WriteCloser
}

func (p *pipe) read(r io.Reader) {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadBytes('\n')
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
			if err != nil {
				p.c.fault("an unfinished line: %.300s", line)
			}
			p.c.arrive(line, nil)
		}
		if err != nil {
			p.c.fail(errors.New("the pipe ended"))
			return
		}
	}
}

// fail ends everything that still waits.
func (c *core) fail(err error) {
	c.mu.Lock()
	var open []*Pending
	for _, p := range c.pending {
		open = append(open, p)
	}
	c.mu.Unlock()
	for _, p := range open {
		c.settle(p, nil, err)
	}
}

func (p *pipe) send(call *Pending, body, _ []byte) {
	if err := p.note(body); err != nil {
		p.c.settle(call, nil, err)
	}
}

func (p *pipe) note(body []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.w.Write(append(bytes.Clone(oneLine(body)), '\n'))
	return err
}

// abandon sends the notification (2026-07-28, stdio, Cancellation).
func (p *pipe) abandon(call *Pending) {
	if err := p.c.Notify("notifications/cancelled", `{"requestId":`+call.ID+`}`); err != nil && p.c.ctx.Err() == nil {
		p.c.fault("cancelling %s: %v", call.ID, err)
	}
}

func (p *pipe) close() {
	p.c.cancel()
	p.w.Close()
}
