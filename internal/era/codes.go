package era

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// JSON-RPC error numbers (JSON-RPC 2.0, section 5.1; 2026-07-28, basic, Error Codes).
const (
	ParseError         = -32700
	InvalidRequest     = -32600
	MethodNotFound     = -32601
	InvalidParams      = -32602
	InternalError      = -32603
	ResourceNotFound   = -32002 // stateful revisions only
	HeaderMismatch     = -32020
	MissingCapability  = -32021
	UnsupportedVersion = -32022
	URLElicitation     = -32042 // 2025-11-25 only

	ReservedFirst, ReservedLast = -32020, -32099 // the specification's own range
)

// numbers maps each Code of ours to its number and to the HTTP status that goes with it
// where the transport has one to give.
var numbers = map[mcp.Code]struct{ number, status int }{
	mcp.Internal:       {InternalError, http.StatusOK},
	mcp.Malformed:      {ParseError, http.StatusBadRequest},
	mcp.InvalidRequest: {InvalidRequest, http.StatusBadRequest},
	mcp.UnknownMethod:  {MethodNotFound, http.StatusOK},
	mcp.InvalidParams:  {InvalidParams, http.StatusOK},
	mcp.Unavailable:    {InternalError, http.StatusOK},
	mcp.TimedOut:       {InternalError, http.StatusOK},
	mcp.Overloaded:     {InternalError, http.StatusServiceUnavailable},

	mcp.NotFound:          {InvalidParams, http.StatusOK}, // 2026-07-28, server, Resources, Error Handling
	mcp.HeaderMismatch:    {HeaderMismatch, http.StatusBadRequest},
	mcp.MissingCapability: {MissingCapability, http.StatusBadRequest},
}

// AppendErrorObject appends a JSON-RPC error object. data is raw JSON or nil.
func AppendErrorObject(dst []byte, number int, message string, data []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, `,"message":`...)
	dst = rawjson.AppendText(dst, message)
	if data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, data...)
	}
	return append(dst, '}')
}

// statefulNumbers are those that differ in the stateful revisions: an unknown resource has a
// number of its own (2025-11-25, server, Resources, Error Handling), and what came later has
// none.
var statefulNumbers = map[mcp.Code]int{
	mcp.NotFound:          ResourceNotFound,
	mcp.HeaderMismatch:    InternalError,
	mcp.MissingCapability: InternalError,
}

// Render turns an error of ours into an error object and an HTTP status. What is no
// *mcp.Error becomes an internal error without its text.
func Render(err error) (object []byte, status int) { return render(err, nil) }

// RenderStateful is Render towards clients of the stateful revisions.
func RenderStateful(err error) (object []byte, status int) { return render(err, statefulNumbers) }

func render(err error, other map[mcp.Code]int) (object []byte, status int) {
	var e *mcp.Error
	if !errors.As(err, &e) {
		reason := "internal"
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			reason = "canceled"
		}
		e = mcp.Errorf(mcp.Internal, reason, "the gateway could not answer")
	}
	n := numbers[e.Code]
	if number, ok := other[e.Code]; ok {
		n.number = number
	}
	data := e.Data
	if e.Reason != "" {
		data = rawjson.AppendEdited(nil, data, rawjson.Edit{Key: "reason", Value: rawjson.AppendText(nil, e.Reason)})
	}
	return AppendErrorObject(nil, n.number, e.Message, data), n.status
}

// setBy tells which setting a client's message was too much for.
var setBy = map[string]string{
	string(rawjson.Depth):  " (the bound is gateway.limits.depth)",
	string(rawjson.Tokens): " (the bound is gateway.limits.requestTokens)",
}

// FromParse turns what the strict scan refused into an error of ours.
func FromParse(err error) (*mcp.Error, []byte) {
	var p *jsonrpc.ParseError
	if !errors.As(err, &p) {
		return mcp.Errorf(mcp.InvalidRequest, "message", "not a message"), nil
	}
	code := mcp.InvalidRequest
	switch {
	case p.Syntax:
		code = mcp.Malformed
	case p.Params:
		code = mcp.InvalidParams
	}
	return mcp.Errorf(code, p.Reason, "%s%s", p.Detail, setBy[p.Reason]), p.ID
}

// Refuse is the answer to a message that could not be accepted: always a client error.
func Refuse(err error, id []byte) Answer {
	object, status := Render(err)
	if status == http.StatusOK {
		status = http.StatusBadRequest
	}
	return Answer{Status: status, Body: jsonrpc.AppendError(nil, id, object)}
}

// AsRemote gives the server's own error that err is; nil where it is one of ours, though a
// server's may be the cause.
func AsRemote(err error) *mcp.Remote {
	var own *mcp.Error
	var remote *mcp.Remote
	if errors.As(err, &own) || !errors.As(err, &remote) {
		return nil
	}
	return remote
}

// Inside is an internal error with the server's error in its data, for one whose number the
// caller's revision does not allow us, or would take for our own hop's.
func Inside(r *mcp.Remote) []byte {
	text, _ := rawjson.Text(rawjson.Get(r.Raw, "message"))
	data := append(append([]byte(`{"reason":"server_error","error":`), r.Raw...), '}')
	return AppendErrorObject(nil, InternalError, text, data)
}

// ReadRemote makes a Remote of a server's error object.
func ReadRemote(object []byte) *mcp.Remote {
	n, err := strconv.Atoi(string(rawjson.Get(object, "code")))
	if err != nil {
		n = InternalError
	}
	return &mcp.Remote{Raw: object, Number: n}
}

func asRaw(err error, target **rawjson.Error) bool { return errors.As(err, target) }
