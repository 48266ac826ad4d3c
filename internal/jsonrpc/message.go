// Package jsonrpc reads and writes JSON-RPC 2.0 messages as raw bytes, frames them on
// lines and event streams, and matches answers to calls on a duplex stream. It knows no
// method of MCP and no error number.
package jsonrpc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"mcpgateway/internal/rawjson"
)

// Kind tells the four kinds of messages apart.
type Kind int

const (
	Request      Kind = iota + 1 // method and id
	Notification                 // method, no id
	Response                     // id and result
	Failure                      // error; id null or absent where the sender could not read it
)

// A Message is one scanned message. Every field but Kind and Method is a part of Raw.
type Message struct {
	Kind   Kind
	Raw    []byte
	ID     []byte // raw token; nil where there is none
	Method string
	Params []byte // nil where there are none
	Result []byte
	Error  []byte // the error object
}

// Limits bound what Parse accepts.
type Limits struct {
	rawjson.Limits
	IDBytes  int // decoded bytes of a string id
	IDDigits int // digits of an integer id
}

// ClientLimits hold for what clients send, ServerLimits for what servers send.
var (
	ClientLimits = Limits{Limits: rawjson.Limits{Depth: 256, Tokens: 200_000}, IDBytes: 256, IDDigits: 20}
	ServerLimits = Limits{Limits: rawjson.Limits{Depth: 256, Tokens: 4_000_000, LoneSurrogates: true}, IDBytes: 256, IDDigits: 20}
)

// ForServers are the limits where they say anything, else ServerLimits.
func (l Limits) ForServers() Limits {
	if l == (Limits{}) {
		return ServerLimits
	}
	return l
}

// A ParseError says why bytes are no message we accept. ID is the message's id where it
// could be read and is one we accept. Reason is a word for programs.
type ParseError struct {
	Syntax bool // not JSON at all, or JSON with duplicate members where we decide
	Params bool // a good envelope with params of a wrong type
	Reason string
	Detail string
	ID     []byte
	Reply  bool // the message has no method: an answer, as far as can be told
}

func (e *ParseError) Error() string { return e.Detail }

// NotAnObject is the Reason where a scanned value is no object; an array may be a batch.
const NotAnObject = "object"

var envelope = []string{"jsonrpc", "id", "method", "params", "result", "error"}

// Parse scans b strictly, once, and tells what kind of message it is.
func Parse(b []byte, l Limits) (*Message, error) {
	if err := rawjson.Check(b, l.Limits); err != nil {
		return nil, scanError(b, err, l)
	}
	b = bytes.TrimSpace(b)
	if b[0] != '{' {
		return nil, &ParseError{Reason: NotAnObject, Detail: "a message must be a JSON object"}
	}
	if err := rawjson.CheckMembers(b, envelope...); err != nil {
		return nil, scanError(b, err, l)
	}
	m := &Message{Raw: b}
	var version, method []byte
	for f := range rawjson.Members(b) {
		switch string(f.Key) {
		case `"jsonrpc"`:
			version = f.Value
		case `"id"`:
			m.ID = f.Value
		case `"method"`:
			method = f.Value
		case `"params"`:
			m.Params = f.Value
		case `"result"`:
			m.Result = f.Value
		case `"error"`:
			m.Error = f.Value
		}
	}
	e := m.classify(version, method, l)
	if e == nil {
		return m, nil
	}
	e.Reply = method == nil
	if m.ID != nil && ValidID(m.ID, l) == nil {
		e.ID = m.ID
	}
	return nil, e
}

func (m *Message) classify(version, method []byte, l Limits) *ParseError {
	invalid := func(reason, format string, args ...any) *ParseError {
		return &ParseError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	if string(version) != `"2.0"` {
		return invalid("jsonrpc", `"jsonrpc" must be "2.0"`)
	}
	null := string(m.ID) == "null"
	if m.ID != nil && !null {
		if err := ValidID(m.ID, l); err != nil {
			return invalid("id", "%s", err)
		}
	}
	if method == nil {
		switch {
		case m.Result != nil && m.Error != nil:
			return invalid("message", `an answer has "result" or "error", not both`)
		case m.Result != nil:
			if m.ID == nil || null {
				return invalid("id", `a result needs the id of its request`)
			}
			if m.Result[0] != '{' {
				return invalid("result", `"result" must be an object`)
			}
			if err := rawjson.CheckMembers(m.Result); err != nil {
				return invalid("result", `"result": %s`, err)
			}
			m.Kind = Response
		case m.Error != nil:
			if m.Error[0] != '{' {
				return invalid("error", `"error" must be an object`)
			}
			m.Kind = Failure
		default:
			return invalid("message", `a message needs "method", "result" or "error"`)
		}
		return nil
	}
	name, ok := rawjson.Text(method)
	if !ok || name == "" || len(name) > 256 || strings.ContainsFunc(name, unicode.IsControl) {
		return invalid("method", `"method" must be a string of 1 to 256 bytes without control characters`)
	}
	m.Method = name
	if m.Result != nil || m.Error != nil {
		return invalid("message", `a request has neither "result" nor "error"`)
	}
	if null {
		return invalid("id", `"id" must not be null`)
	}
	m.Kind = Request
	if m.ID == nil {
		m.Kind = Notification
	}
	if m.Params != nil && m.Params[0] != '{' {
		return &ParseError{Params: true, Reason: "params", Detail: `"params" must be an object`}
	}
	return nil
}

func scanError(b []byte, err error, l Limits) *ParseError {
	var r *rawjson.Error
	errors.As(err, &r)
	e := &ParseError{Reason: string(r.Reason), Detail: err.Error()}
	switch r.Reason {
	case rawjson.Depth, rawjson.Tokens, rawjson.Lookalike:
	default:
		e.Syntax = true
	}
	if id := rawjson.FindID(b); id != nil && r.Reason != rawjson.Duplicate && ValidID(id, l) == nil {
		e.ID = id
	}
	return e
}

// ValidID says whether a raw token may be an id: a string, or an integer without
// fraction or exponent (2026-07-28, basic, Requests).
func ValidID(id []byte, l Limits) error {
	if len(id) == 0 {
		return errors.New(`"id" is empty`)
	}
	if id[0] == '"' {
		s, ok := rawjson.Text(id)
		if !ok || len(s) > l.IDBytes {
			return fmt.Errorf(`"id" must be a string of at most %d bytes`, l.IDBytes)
		}
		return nil
	}
	digits := bytes.TrimPrefix(id, []byte("-"))
	if len(digits) == 0 || len(digits) > l.IDDigits {
		return fmt.Errorf(`"id" must be a string or an integer of at most %d digits`, l.IDDigits)
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return errors.New(`"id" must be a string or an integer`)
		}
	}
	return nil
}

// AppendRequest appends a request; params may be nil.
func AppendRequest(dst, id []byte, method string, params []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	return appendMethod(append(dst, ','), method, params)
}

// AppendNotification appends a notification; params may be nil.
func AppendNotification(dst []byte, method string, params []byte) []byte {
	return appendMethod(append(dst, `{"jsonrpc":"2.0",`...), method, params)
}

func appendMethod(dst []byte, method string, params []byte) []byte {
	dst = append(dst, `"method":`...)
	dst = rawjson.AppendText(dst, method)
	if params != nil {
		dst = append(dst, `,"params":`...)
		dst = append(dst, params...)
	}
	return append(dst, '}')
}

// AppendResult appends the answer to the request with this id.
func AppendResult(dst, id, result []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"result":`...)
	dst = append(dst, result...)
	return append(dst, '}')
}

// AppendError appends an error answer. A nil id leaves the member out.
func AppendError(dst, id, object []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0",`...)
	if id != nil {
		dst = append(dst, `"id":`...)
		dst = append(dst, id...)
		dst = append(dst, ',')
	}
	dst = append(dst, `"error":`...)
	dst = append(dst, object...)
	return append(dst, '}')
}
