package listen

import (
	"bytes"
	"errors"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/session"
)

// spoiled tells whether bytes that are no acceptable message were meant as a client's answer to
// a question of ours. The question then fails at once, instead of waiting for an answer that was
// given. An error about it must not bear its id: the client would take that for the answer to a
// request of its own (2025-11-25, transports, Sending Messages to the Server, 4).
func spoiled(raw []byte, err error, s *session.Session) bool {
	var fault *jsonrpc.ParseError
	if !errors.As(err, &fault) || !bytes.Contains(raw, []byte(`"result"`)) && !bytes.Contains(raw, []byte(`"error"`)) {
		return false
	}
	if !fault.Reply && bytes.Contains(raw, []byte(`"method"`)) { // a request, as far as can be told
		return false
	}
	if s != nil && fault.ID != nil {
		s.Questions.Settle(fault.ID, session.Answer{})
	}
	return true
}
