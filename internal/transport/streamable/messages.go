package streamable

import (
	"bytes"
	"errors"
	"iter"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
)

const maxBatch = 50

var errBatch = errors.New("a batch of more than 50 messages")

// faulty is the error of bytes that are no message.
type faulty struct {
	error
	id    []byte // as far as it could be found
	reply bool   // it may have been an answer
}

// messages scans one message, or a batch as revision 2025-03-26 allows.
func messages(raw []byte, l jsonrpc.Limits) iter.Seq2[*jsonrpc.Message, error] {
	return func(yield func(*jsonrpc.Message, error) bool) {
		trimmed := bytes.TrimLeft(raw, " \t\r\n")
		if len(trimmed) == 0 || trimmed[0] != '[' {
			yield(message(raw, l))
			return
		}
		if err := rawjson.Check(trimmed, l.Limits); err != nil {
			yield(nil, err)
			return
		}
		n := 0
		for one := range rawjson.Elements(trimmed) {
			if n++; n > maxBatch {
				yield(nil, errBatch)
				return
			}
			if !yield(message(one, l)) {
				return
			}
		}
	}
}

func message(raw []byte, l jsonrpc.Limits) (*jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(raw, l)
	if err == nil {
		return m, nil
	}
	f := &faulty{error: err, id: rawjson.FindID(raw)}
	var p *jsonrpc.ParseError
	if errors.As(err, &p) {
		f.reply = p.Reply || scanned(p)
	}
	return nil, f
}

// scanned tells whether the scan refused the bytes, so that nobody knows what they were.
func scanned(p *jsonrpc.ParseError) bool {
	switch rawjson.Reason(p.Reason) {
	case rawjson.Depth, rawjson.Tokens, rawjson.Lookalike:
		return true
	}
	return p.Syntax
}
