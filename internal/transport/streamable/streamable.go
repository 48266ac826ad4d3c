// Package streamable is the client's side of Streamable HTTP, for every revision that has
// it: each message is a POST of its own, whose answer is one JSON message or an event
// stream; sessions, the GET stream and resuming are there for the servers that offer
// them. It knows no method of MCP and no revision, follows no redirect, decompresses
// nothing, and never sends a message a second time.
package streamable

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/exchange"
)

// DefaultMaxAnswer bounds one answer or event, in bytes.
const DefaultMaxAnswer = 16 << 20

const (
	sessionHeader = "Mcp-Session-Id"
	sessionBytes  = 1 << 10
	lastEvent     = "Last-Event-ID"
	eventStream   = "text/event-stream"
	deleteTime    = 2 * time.Second
)

// Params say which server and how.
type Params struct {
	URL       string
	Header    []transport.Header // the configuration's, on every request
	Pool      http.RoundTripper  // of TCP connections; nil: one of its own
	MaxAnswer int                // bytes of an answer or an event; zero: DefaultMaxAnswer
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

// Dial does no I/O: the first message shows whether the server is there.
func (d *Dialer) Dial(context.Context) (transport.Conn, error) {
	to, err := d.client.URL()
	if err != nil {
		return nil, err
	}
	return &Conn{
		client: d.client, url: to, link: d.client.NewLink(), max: d.params.MaxAnswer, limits: d.params.Limits.ForServers(), log: d.params.Log, events: newEvents(),
	}, nil
}

// A Conn is one MCP connection: a session, where the server gives one.
type Conn struct {
	client  *exchange.Client
	url     *url.URL
	link    *exchange.Link
	max     int
	limits  jsonrpc.Limits
	log     *slog.Logger
	events  *events
	skipped atomic.Int64
	late    atomic.Int64
	closing sync.Once

	mu         sync.Mutex
	session    string             // guarded by mu; empty for none
	lastSent   []transport.Header // guarded by mu: the headers of the last Send
	listening  bool               // guarded by mu: Listen was called
	streamed   bool               // guarded by mu: this session's GET stream was opened
	stopStream context.CancelFunc // guarded by mu; nil where there is none
}

var _ transport.Conn = (*Conn)(nil)

// Send posts what awaits no answer. Any success is taken for the 202 that the spec wants.
func (c *Conn) Send(ctx context.Context, m transport.Message) error {
	c.mu.Lock()
	c.lastSent = slices.Clone(m.Header)
	session := c.session
	c.mu.Unlock()
	x, err := c.post(ctx, m, session)
	if err != nil {
		return err
	}
	if !x.OK() {
		return x.Refusal(session != "")
	}
	x.Release()
	c.openStream()
	return nil
}

func (c *Conn) post(ctx context.Context, m transport.Message, session string) (*exchange.Exchange, error) {
	return c.link.Do(ctx, http.MethodPost, c.url, m.Body, headers(m.Header, session,
		transport.Header{Name: "Content-Type", Value: "application/json"},
		transport.Header{Name: "Accept", Value: "application/json, " + eventStream}))
}

// get opens an event stream, from after the event named last where one is.
func (c *Conn) get(ctx context.Context, of []transport.Header, session, last string) (*exchange.Exchange, error) {
	own := headers(of, session, transport.Header{Name: "Accept", Value: eventStream})
	if last != "" {
		own = append(own, transport.Header{Name: lastEvent, Value: last})
	}
	return c.link.Do(ctx, http.MethodGet, c.url, nil, own)
}

// endSession tells the server that nobody will use the session again. What it answers
// changes nothing.
func (c *Conn) endSession() {
	c.mu.Lock()
	session, of := c.session, c.lastSent
	c.mu.Unlock()
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTime)
	defer cancel()
	link := c.client.NewLink()
	defer link.Close()
	if x, err := link.Do(ctx, http.MethodDelete, c.url, nil, headers(of, session)); err == nil {
		x.Cut()
	}
}

func headers(of []transport.Header, session string, more ...transport.Header) []transport.Header {
	own := make([]transport.Header, 0, len(of)+len(more)+2)
	own = append(append(own, of...), more...)
	if session != "" {
		own = append(own, transport.Header{Name: sessionHeader, Value: session})
	}
	return own
}

// open takes over the session that an answer names, or none, and lets go of the old one
// with its GET stream (2025-11-25, transports, Session Management 1 and 2).
func (c *Conn) open(h http.Header) error {
	id := h.Get(sessionHeader)
	if len(id) > sessionBytes {
		return fmt.Errorf("%w: its session id is longer than %d bytes", jsonrpc.ErrAnswer, sessionBytes)
	}
	for i := range len(id) {
		if id[i] < 0x21 || id[i] > 0x7E {
			return fmt.Errorf("%w: its session id is not of visible ASCII characters", jsonrpc.ErrAnswer)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = id
	c.streamed = false
	if c.stopStream != nil {
		c.stopStream()
		c.stopStream = nil
	}
	return nil
}

func (c *Conn) sessionID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Events carries what the GET stream brings.
func (c *Conn) Events() <-chan transport.Event { return c.events.queue }

// Err tells whether Close was called: nothing else ends a Conn.
func (c *Conn) Err() error {
	select {
	case <-c.link.Done():
		return transport.ErrClosed
	default:
		return nil
	}
}

// OwnStream is true: each call is a POST.
func (c *Conn) OwnStream() bool { return true }

// Skipped counts what arrived and was no message.
func (c *Conn) Skipped() int64 { return c.skipped.Load() }

// Late counts answers that no open call of their stream awaited.
func (c *Conn) Late() int64 { return c.late.Load() }

// Close ends every call and stream, and then the session (2025-11-25, transports, Session
// Management 5), for which the server has two seconds. When it returns, every goroutine
// that the Conn started has exited.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.link.Close()
		c.endSession()
		c.client.CloseIdle()
		c.events.close()
	})
	return nil
}
