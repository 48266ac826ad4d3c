// Package sse is the client's side of the HTTP+SSE transport of revision 2024-11-05: one
// GET stream that names the endpoint for messages and carries everything the server says.
// It follows no redirect, decompresses nothing, sends to no other origin, and never sends
// a message a second time.
package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/exchange"
)

// DefaultMaxAnswer bounds one event, in bytes.
const DefaultMaxAnswer = 16 << 20

const (
	eventStream   = "text/event-stream"
	endpointBytes = 8 << 10
)

// Params say which server and how.
type Params struct {
	URL       string             // of the stream
	Header    []transport.Header // the configuration's, on every request
	Pool      http.RoundTripper  // of TCP connections; nil: one of its own
	MaxAnswer int                // bytes of an event; zero: DefaultMaxAnswer
	Limits    jsonrpc.Limits     // of a message; zero: jsonrpc.ServerLimits
	Log       *slog.Logger       // nil: none
	UserAgent string
}

// A Dialer opens connections that share one pool of TCP connections.
type Dialer struct {
	params Params
	client *exchange.Client
}

// New makes a Dialer and does no I/O.
func New(p Params) *Dialer {
	if p.MaxAnswer <= 0 {
		p.MaxAnswer = DefaultMaxAnswer
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Dialer{params: p, client: exchange.New(exchange.Params{
		URL: p.URL, Header: p.Header, Pool: p.Pool, UserAgent: p.UserAgent,
	})}
}

// Dial opens the stream and waits for its endpoint event, as long as ctx allows. A server
// that answers with anything but a stream gives a *transport.Status.
func (d *Dialer) Dial(ctx context.Context) (transport.Conn, error) {
	to, err := d.client.URL()
	if err != nil {
		return nil, err
	}
	link := d.client.NewLink()
	x, err := link.Do(ctx, http.MethodGet, to, nil, []transport.Header{{Name: "Accept", Value: eventStream}})
	if err != nil {
		link.Close()
		return nil, err
	}
	if !x.OK() || x.MediaType() != eventStream {
		err := link.Why(ctx, x.Refusal(false))
		link.Close()
		return nil, err
	}
	c := &Conn{client: d.client, link: link, log: d.params.Log}
	c.duplex = jsonrpc.NewDuplex(c.post)
	c.duplex.Bound(d.params.Limits)
	events := jsonrpc.NewEventReader(x.Body, d.params.MaxAnswer)
	if c.endpoint, err = endpoint(events, x, to); err == nil && !x.Detach() {
		err = ctx.Err()
	}
	if err != nil {
		err = link.Why(ctx, err)
		x.Cut()
		link.Close()
		return nil, err
	}
	link.Go(func(context.Context) { c.read(x, events) })
	return c, nil
}

// endpoint reads up to the event that names where messages go. It must be of the stream's
// own origin: its headers carry credentials, and its messages carry what clients said.
func endpoint(events *jsonrpc.EventReader, x *exchange.Exchange, stream *url.URL) (*url.URL, error) {
	for {
		ev, err := events.Next()
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			continue
		case err != nil:
			return nil, ended(x, err, "the stream ended before its endpoint event")
		case ev.Type != "endpoint":
			continue
		case len(ev.Data) > endpointBytes:
			return nil, fmt.Errorf("endpoint event: its URI is longer than %d bytes", endpointBytes)
		}
		to, err := stream.Parse(strings.TrimSpace(string(ev.Data)))
		if err != nil { // its text holds the URI
			return nil, errors.New("endpoint event: its URI cannot be read")
		}
		if !exchange.SameOrigin(to, stream) {
			return nil, errors.New("endpoint event: its URI is of another origin than the stream")
		}
		to.User, to.Fragment, to.RawFragment = stream.User, "", ""
		return to, nil
	}
}

func ended(x *exchange.Exchange, err error, text string) error {
	if err == io.EOF {
		return fmt.Errorf("%w: %s", transport.ErrClosed, text)
	}
	return x.Broken(err)
}

// A Conn is one stream and the endpoint that belongs to it.
type Conn struct {
	client   *exchange.Client
	link     *exchange.Link
	duplex   *jsonrpc.Duplex
	endpoint *url.URL
	log      *slog.Logger
	closing  sync.Once
}

var _ transport.Conn = (*Conn)(nil)

// read takes what the stream brings until it ends, and the Conn with it.
func (c *Conn) read(x *exchange.Exchange, events *jsonrpc.EventReader) {
	defer x.Cut()
	for {
		ev, err := events.Next()
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			c.duplex.TooLong(long.ID)
		case err != nil:
			// What the stream carried is lost with it, so that nothing may wait longer.
			c.duplex.Shut(ended(x, err, "the stream ended"))
			c.link.Cut()
			c.client.CloseIdle()
			return
		case ev.Type == "message" && len(ev.Data) > 0:
			c.duplex.Receive(ev.Data)
		}
	}
}

// post sends one message to the endpoint. What the answer says beside its status counts
// for nothing: JSON-RPC answers come on the stream.
func (c *Conn) post(ctx context.Context, body []byte) error {
	x, err := c.link.Do(ctx, http.MethodPost, c.endpoint, body, []transport.Header{
		{Name: "Content-Type", Value: "application/json"}, {Name: "Accept", Value: "*/*"},
	})
	if err == nil && !x.OK() {
		err = x.Refusal(false)
	} else if err == nil {
		x.Release()
	}
	if err != nil && ctx.Err() == nil && c.Err() != nil {
		return c.Err()
	}
	return err
}

// Do sends a request. The headers of m are those of later revisions and are not sent.
func (c *Conn) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	return c.duplex.Do(ctx, m.ID, m.Body, on)
}

// Send sends what awaits no answer.
func (c *Conn) Send(ctx context.Context, m transport.Message) error {
	return c.duplex.Send(ctx, m.Body)
}

// Hear offers what names no open call as it is read.
func (c *Conn) Hear(f func(*jsonrpc.Message) bool) { c.duplex.Hear(f) }

// Listen does nothing: the stream has been open since Dial.
func (c *Conn) Listen() {}

// Events carries what belongs to no call.
func (c *Conn) Events() <-chan transport.Event { return c.duplex.Events() }

// Err is why the stream ended; nil while it lives.
func (c *Conn) Err() error { return c.duplex.Err() }

// OwnStream is false: all calls share the stream.
func (c *Conn) OwnStream() bool { return false }

// Skipped counts what arrived and was no message.
func (c *Conn) Skipped() int64 { return c.duplex.Skipped() }

// Late counts answers and notifications that named no open call.
func (c *Conn) Late() int64 { return c.duplex.Late() }

// Close ends the stream and every call. When it returns, every goroutine that the Conn
// started has exited.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.duplex.Shut(transport.ErrClosed)
		c.link.Close()
		c.client.CloseIdle()
	})
	return nil
}
