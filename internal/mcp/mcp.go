// Package mcp is the vocabulary of the house: a call, its reply, who asks, who
// answers, and how the answering side speaks to the caller in between. It holds no
// protocol revision, no JSON-RPC number and no HTTP status; those stand under era.
package mcp

import (
	"context"
	"time"
)

// A Call is one request or notification on its way through the house.
type Call struct {
	Method string
	Name   string // tool or prompt name, or resource URI, as the client sent it; empty for lists
	Params Params
	Notice bool    // a notification: no reply is awaited
	From   *Caller // never nil
	Target Target  // set by route, the first frame
	Back   Back    // never nil
	Aside  []Aside // what came beside the message; nil for nothing

	// Admit is asked once it is known who answers, before anything is sent; nil for a call
	// that may go anywhere. It is how an edge checks what only the entry's definition says.
	Admit func(t *Target) error
}

// An Aside is a value that the sender put beside the message, in a header for parameters, and
// that the definition of what is called does not speak of. It may mean something further on.
type Aside struct{ Name, Value string }

// Params are the sender's bytes. They may be read until Handle returns and are
// never written to; Meta and ProgressToken are parts of Raw.
type Params struct {
	Raw           []byte // the params object; nil where the sender gave none
	Meta          []byte // its _meta object; nil where there is none
	ProgressToken []byte // _meta.progressToken as a raw token; nil where there is none
}

// Principals that no token may be named: everybody on loopback where no tokens are
// configured, and the client at the other end of our standard input.
const (
	Local = "local"
	Stdio = "stdio"
)

// A Caller is whoever sent a call, as far as the house must know.
type Caller struct {
	Principal    string // "local" without authentication, "stdio" on a pipe, else the token's name
	Capabilities []byte // the client capabilities it declared, raw; nil for none
	Session      string // id of its stateful session; empty for stateless callers
	Scope        Scope  // which part of the house it came to
	TakesRounds  bool   // it understands a reply that asks for another round
	LogLevel     string // the least severe log lines that it wants; empty where it did not say
	Client       []byte // what a stateless caller says of its program, raw; nil for none

	Inbox Inbox           // for what belongs to none of its calls; nil for stateless callers
	Back  Line            // reaches it outside of its calls; nil for stateless callers
	Ended <-chan struct{} // closed when its session ends; nil for stateless callers
}

// An Inbox takes what a client is told outside of its calls: that a resource changed, that
// a question has been dealt with elsewhere. Put never blocks; news that waits already is
// not kept twice.
type Inbox interface {
	Put(method string, params []byte)
}

// A Scope is what one endpoint shows: every server or one, under names of one style. The
// zero Scope shows all, dotted.
type Scope struct {
	Safe   bool   // names of letters, digits, _ and - only, 48 at most
	Server string // this server alone, under its origin names; empty for all
}

// A Target is where route sends a call.
type Target struct {
	Server     string // empty where the gateway itself answers
	Kind       string // for records: "tool", "prompt", "resource", "list" …
	Canonical  string // <server>.<tool>
	Origin     string // the entry's name, the resource's URI or the task's id, at its server
	Definition []byte // the entry as the server defined it, raw; nil for none
	Handler    Handler
}

// ReplyKind tells a finished reply from one that asks for another round.
type ReplyKind int

const (
	Complete ReplyKind = iota
	InputRequired
)

// A Reply is the answer to a call.
type Reply struct {
	Kind   ReplyKind
	Result []byte // the result object, the answering side's bytes
	Seen   string // of a list that the gateway merged: the fingerprint of what it shows

	TTL time.Duration // of such a list: how long it stays fresh; 0 where nobody said

	Gateways []string // of such a list: ids of the gateways whose entries are among it
}

// A Handler answers calls. Everything between a listener and a transport is one.
// Handle may be called from any number of goroutines; the context is the only
// cancellation. An error is a *Error of ours or a *Remote, or a context's error.
type Handler interface {
	Handle(ctx context.Context, c *Call) (*Reply, error)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, c *Call) (*Reply, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, c *Call) (*Reply, error) { return f(ctx, c) }

// Back is how the answering side speaks to the caller before it replies.
type Back interface {
	// Notify hands one notification to the caller. It keeps order, never blocks on
	// a slow client and is silent once the call was answered.
	Notify(ctx context.Context, method string, params []byte) error
	// Ask puts a question of the server to the caller and waits for its answer, until
	// ctx ends, which withdraws the question. A caller that declared no such capability is
	// not asked: the error is a *Error of code UnknownMethod, or InvalidParams for a mode of it
	// that was not declared. What the client itself answers with an error is a *Remote.
	Ask(ctx context.Context, method string, params []byte) (result []byte, err error)
}

// A Line is a Back outside of calls: it reaches a client while that client listens for what
// belongs to none of them.
type Line interface {
	// Back asks at once, and fails where the client does not listen. What Notify is given may
	// wait until it does.
	Back
	// Open gives a channel that is closed once the client listens.
	Open() <-chan struct{}
}
