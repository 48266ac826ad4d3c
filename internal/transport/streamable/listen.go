package streamable

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/exchange"
)

// steady is how long a stream lasts that brings nothing and is all the same of use.
const steady = 10 * time.Second

// Listen opens the GET stream of this session and keeps it open. A session opened later
// gets its own with the first Send after it, which ends the handshake, or with Listen.
func (c *Conn) Listen() {
	c.mu.Lock()
	c.listening = true
	c.mu.Unlock()
	c.openStream()
}

func (c *Conn) openStream() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.listening || c.streamed {
		return
	}
	c.streamed = true
	session := c.session
	ctx, stop := context.WithCancel(context.Background())
	c.stopStream = stop
	started := c.link.Go(func(context.Context) {
		defer stop()
		c.listen(ctx, session)
	})
	if !started {
		stop()
	}
}

// listen reads a session's GET stream for as long as the server offers one (2025-11-25,
// transports, Listening for Messages from the Server). It ends with ctx or the Conn.
func (c *Conn) listen(ctx context.Context, session string) {
	var p pace
	var at cursor
	broke := false // there was a stream, and nothing says where it broke
	for first := true; ; first = false {
		p.retry = at.retry
		if p.wait(ctx, c.link.Done(), first) != nil {
			return
		}
		x, err := c.get(ctx, c.headerOfLastSend(), session, at.id)
		if err != nil {
			p.connected(false)
			continue
		}
		if !x.OK() || x.MediaType() != eventStream {
			s := x.Refusal(session != "")
			if s.Code >= http.StatusInternalServerError {
				p.connected(false)
				continue
			}
			// 405 says that there is none; no repetition makes a stream of another refusal.
			c.log.DebugContext(ctx, "no stream for what belongs to no call", "answer", s.Text)
			return
		}
		if broke && at.id == "" {
			c.events.gap()
		}
		since := time.Now()
		some := c.receive(x, &at)
		p.connected(some || time.Since(since) >= steady)
		broke = true
	}
}

// receive reads one GET stream to its end and tells whether it brought anything.
func (c *Conn) receive(x *exchange.Exchange, at *cursor) (some bool) {
	defer x.Cut()
	r := jsonrpc.NewEventReader(x.Body, c.max)
	for {
		ev, err := r.Next()
		at.note(ev)
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			c.skipped.Add(1)
		case err != nil:
			return some
		case ev.Type == "message" && len(ev.Data) > 0:
			c.deliver(ev.Data)
		}
		some = true
	}
}

func (c *Conn) deliver(raw []byte) {
	for m, err := range messages(raw, c.limits) {
		switch {
		case err != nil:
			c.skipped.Add(1)
		case m.Kind == jsonrpc.Response || m.Kind == jsonrpc.Failure:
			// There is none on this stream (2025-11-25, transports, Listening 4).
			c.late.Add(1)
		default:
			c.events.put(m)
		}
	}
}

func (c *Conn) headerOfLastSend() []transport.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastSent
}
