package mcp

import "fmt"

// Code says in what way a call of ours failed. The list is closed; era turns each
// into the number and the HTTP status that its revision and transport want.
type Code int

const (
	// Internal: nothing the caller can mend; the reason says more.
	Internal Code = iota
	// Malformed: the bytes are not JSON as we accept it.
	Malformed
	// InvalidRequest: JSON, but no message we accept.
	InvalidRequest
	// UnknownMethod: no such method here.
	UnknownMethod
	// InvalidParams: the method is known, its params are not acceptable, or name nothing.
	InvalidParams
	// Unavailable: the server that should answer cannot be reached now.
	Unavailable
	// TimedOut: the server was given the call and did not answer in its time.
	TimedOut
	// Overloaded: a bound on calls in flight is reached; later may work.
	Overloaded
	// NotFound: no server has the resource; Data holds its URI.
	NotFound
	// HeaderMismatch: headers that go with a message say other than its body.
	HeaderMismatch
	// MissingCapability: the call needs what the caller did not declare; Data tells what.
	MissingCapability
)

// An Error is a failure of our own making. Message is for the caller and names no
// path, stack or server body; Err is for the log.
type Error struct {
	Code    Code
	Message string
	Reason  string // one word for programs, sent as data.reason; may be empty
	Data    []byte // a raw object whose members go beside the reason; nil for none
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a message for the caller.
func Errorf(code Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Remote is a server's own error; it passes to the caller untouched.
type Remote struct {
	Raw    []byte // the JSON-RPC error object
	Number int    // its code
}

func (e *Remote) Error() string { return "server answered with an error: " + string(e.Raw) }
