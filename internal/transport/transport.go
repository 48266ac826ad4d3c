// Package transport is the contract between the outbound eras and the ways bytes
// reach a server. A transport moves scanned JSON-RPC messages and knows no method
// of MCP, no revision and no meaning.
package transport

import (
	"context"
	"errors"
	"fmt"

	"mcpgateway/internal/jsonrpc"
)

// A Message is one JSON-RPC message to a server.
type Message struct {
	ID     []byte   // raw id token of a request, already in Body; nil for anything else
	Body   []byte   // the whole message; may hold newlines between tokens
	Header []Header // ignored off HTTP
	Opens  bool     // it opens a session: an id that the answer's header names is sent from then on, the old one forgotten
}

// A Header is one HTTP header field.
type Header struct{ Name, Value string }

// A Dialer connects to one server. Dial returns once messages can be sent; it
// speaks no protocol. It may be called again after the Conn it gave has ended.
type Dialer interface {
	Dial(ctx context.Context) (Conn, error)
}

// A Conn is one connection to a server. Do and Send may be called from any number
// of goroutines. After Close returns, every goroutine and process that the Conn
// started has ended.
type Conn interface {
	// Do sends a request and waits for its answer. Whatever arrives for this call
	// before the answer is given to on, in wire order and on one goroutine; on must
	// not block. A done ctx ends the wait (and the call's own stream, where it has one).
	// The answer is a response with this id; an HTTP refusal is a *Status; a lost
	// connection is an error that wraps ErrClosed.
	Do(ctx context.Context, m Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error)
	// Send sends what awaits no answer.
	Send(ctx context.Context, m Message) error
	// Listen tells that the handshake of a stateful revision is over: a transport
	// with a stream of its own for what belongs to no call opens it. Others do nothing.
	Listen()
	// Events carries what belongs to no call, and is closed when the connection has
	// ended; Err then says why. Streamable HTTP never ends by itself.
	Events() <-chan Event
	// Err is why the connection ended; nil while it lives.
	Err() error
	// OwnStream tells that each call has a stream of its own, so that ending Do's
	// ctx shows on the wire.
	OwnStream() bool
	Close() error
}

// A Shared is a Conn on whose one stream all calls are answered.
type Shared interface {
	Conn
	// Hear offers f each message that names no open call, late answers included, before it
	// becomes an Event, on the goroutine and in the order that answers are read; see
	// jsonrpc.Duplex.
	Hear(f func(*jsonrpc.Message) bool)
}

// An Event is a message that belongs to no call, or the news that some were lost.
type Event = jsonrpc.Event

// ErrClosed is wrapped by what Do and Send return once the connection has ended.
var ErrClosed = jsonrpc.ErrClosed

// ErrUnreachable is wrapped by what Dial, Do and Send return when no connection could be
// made, so that nothing was sent.
var ErrUnreachable = errors.New("server cannot be reached")

// ErrNotStarted is wrapped by what Dial returns when trying again cannot help
// before somebody mends something: no such command, no such folder.
var ErrNotStarted = errors.New("cannot be started")

// ErrHopeless is wrapped by what Dial returns when nothing but another definition of the
// server helps.
var ErrHopeless = fmt.Errorf("%w until its definition or our environment is mended and the gateway started again", ErrNotStarted)

// Status is an HTTP answer that carries no JSON-RPC answer of its own kind: a
// refusal, or a success with a body that is none.
type Status struct {
	Code    int
	Message *jsonrpc.Message // the JSON-RPC error in its body, where there was one; its id may be null or absent
	Text    string           // for the log: status line, content type; never the body
	Session bool             // the request named a session
}

func (s *Status) Error() string {
	if s.Text != "" {
		return s.Text
	}
	return fmt.Sprintf("HTTP status %d", s.Code)
}
