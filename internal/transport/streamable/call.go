package streamable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/exchange"
)

const (
	eventIDBytes = 1 << 10
)

// A call is one Do.
type call struct {
	conn    *Conn
	m       transport.Message
	on      func(*jsonrpc.Message)
	session string // as the request named it, or as its answer opened it
	cursor  cursor
	fault   string // why the last bytes that were no message were none
}

// A cursor is what a stream said about connecting to it again.
type cursor struct {
	id    string // of its last event that had one; empty for none
	retry time.Duration
}

func (c *cursor) note(ev jsonrpc.ServerEvent) {
	if ev.HasID && len(ev.ID) <= eventIDBytes && exchange.ValidValue(ev.ID) {
		c.id = ev.ID
	}
	if ev.Retry != 0 {
		c.retry = ev.Retry
	}
}

// Do posts a request and reads its answer, on the caller's goroutine. A stream that breaks
// is resumed where the server numbered its events, by GET; the request is never sent again.
func (c *Conn) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	if on == nil {
		on = func(*jsonrpc.Message) {}
	}
	l := &call{conn: c, m: m, on: on}
	if !m.Opens {
		l.session = c.sessionID()
	}
	x, err := c.post(ctx, m, l.session)
	if err != nil {
		return nil, err
	}
	answer, err := l.answer(x)
	if err == nil && answer == nil {
		answer, err = l.resume(ctx)
	}
	if err != nil {
		return nil, c.link.Why(ctx, err)
	}
	return answer, nil
}

// answer reads the POST's answer and ends the exchange; nil for a stream that ended before
// the answer and can be resumed.
func (l *call) answer(x *exchange.Exchange) (*jsonrpc.Message, error) {
	media := x.MediaType()
	// A request is answered with 200 and one of two types (2026-07-28, Streamable HTTP,
	// Sending Messages 6); a 202 is the answer to what awaits none.
	if !x.OK() || x.StatusCode == http.StatusAccepted || media != "application/json" && media != eventStream {
		return nil, x.Refusal(l.session != "")
	}
	if l.m.Opens {
		if err := l.conn.open(x.Header); err != nil {
			x.Cut()
			return nil, err
		}
		l.session = x.Header.Get(sessionHeader)
	}
	if media == eventStream {
		answer, _, err := l.stream(x)
		return answer, err
	}
	body, err := x.All(l.conn.max)
	if err != nil {
		x.Cut()
		if errors.Is(err, exchange.ErrTooLong) {
			return nil, l.tooLong()
		}
		return nil, err
	}
	x.Release()
	answer, err := l.take(body)
	if err == nil && answer == nil {
		if l.fault == "" {
			l.fault = "its JSON does not answer the request"
		}
		err = fmt.Errorf("%w: %s", jsonrpc.ErrAnswer, l.fault)
	}
	return answer, err
}

func (l *call) tooLong() error {
	return fmt.Errorf("%w: it is longer than %d bytes", jsonrpc.ErrAnswer, l.conn.max)
}

// stream reads an event stream up to the answer and ends the exchange; nil for one that
// ended before it and can be resumed. some tells whether it brought anything but comments.
func (l *call) stream(x *exchange.Exchange) (answer *jsonrpc.Message, some bool, err error) {
	r := jsonrpc.NewEventReader(x.Body, l.conn.max)
	for {
		ev, err := r.Next()
		l.cursor.note(ev)
		some = some || err == nil
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			if bytes.Equal(long.ID, l.m.ID) {
				x.Cut()
				return nil, some, l.tooLong()
			}
			l.conn.skipped.Add(1)
		case err != nil:
			x.Cut()
			if l.cursor.id != "" {
				return nil, some, nil
			}
			return nil, some, ended(x, err)
		case ev.Type == "message" && len(ev.Data) > 0:
			answer, err := l.take(ev.Data)
			if err != nil {
				x.Cut()
				return nil, some, err
			}
			if answer != nil {
				x.Release()
				return answer, some, nil
			}
		}
	}
}

func ended(x *exchange.Exchange, err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: the stream ended before the answer", transport.ErrClosed)
	}
	return x.Broken(err)
}

// resume reads on, by GET, after the last event that the broken stream brought (2025-11-25,
// transports, Resumability and Redelivery 2), until the answer comes, the server refuses,
// or ctx ends.
func (l *call) resume(ctx context.Context) (*jsonrpc.Message, error) {
	var p pace
	for {
		p.retry = l.cursor.retry
		if err := p.wait(ctx, l.conn.link.Done(), false); err != nil {
			return nil, err
		}
		x, err := l.conn.get(ctx, l.m.Header, l.session, l.cursor.id)
		if err != nil {
			if ctx.Err() != nil || l.conn.Err() != nil {
				return nil, err
			}
			p.connected(false)
			continue
		}
		if !x.OK() || x.MediaType() != eventStream {
			s := x.Refusal(l.session != "")
			if s.Code >= 500 {
				p.connected(false)
				continue
			}
			// Not a *transport.Status: the call may have run, so that nothing may take this
			// for a refusal of the call.
			return nil, fmt.Errorf("%w: the stream broke and is not resumed: %s", transport.ErrClosed, s)
		}
		answer, some, err := l.stream(x)
		if answer != nil || err != nil {
			return answer, err
		}
		p.connected(some)
	}
}

// take gives the call what belongs to it. An error ends the call.
func (l *call) take(raw []byte) (answer *jsonrpc.Message, err error) {
	for m, err := range messages(raw, l.conn.limits) {
		switch {
		case err != nil:
			if err := l.broken(err); err != nil {
				return nil, err
			}
		case m.Kind != jsonrpc.Response && m.Kind != jsonrpc.Failure:
			l.on(m)
		case answer == nil && l.answers(m):
			answer = m // the rest of a batch is delivered before it
		default:
			l.conn.late.Add(1)
		}
	}
	return answer, nil
}

// answers tells whether m answers the call. An error without an id does: the exchange has
// no other request.
func (l *call) answers(m *jsonrpc.Message) bool {
	return bytes.Equal(m.ID, l.m.ID) || m.Kind == jsonrpc.Failure && (m.ID == nil || string(m.ID) == "null")
}

// broken is the call's error where bytes that are no message name its id and may have
// been its answer; otherwise they only count.
func (l *call) broken(err error) error {
	l.fault = err.Error()
	var f *faulty
	if errors.As(err, &f) && f.reply && bytes.Equal(f.id, l.m.ID) {
		return fmt.Errorf("%w: %s", jsonrpc.ErrAnswer, l.fault)
	}
	l.conn.skipped.Add(1)
	return nil
}
