package rawjson

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// A fault is what scan found wrong; its words are made only when they are needed.
type fault uint8

const (
	fine fault = iota
	faultEnd
	faultValue
	faultKey
	faultColon
	faultInObject
	faultInArray
	faultTrailing
	faultNumber
	faultLiteral
	faultEscape
	faultControl
	faultUTF8
	faultSurrogate
	faultDepth
	faultTokens
)

func separatorFault(object bool) fault {
	if object {
		return faultInObject
	}
	return faultInArray
}

func (f fault) report(b []byte, at int, l Limits) *Error {
	e := &Error{Reason: Syntax, Offset: at}
	switch f {
	case faultEnd:
		e.Detail = "the JSON ends too early"
		if len(bytes.Trim(b, " \t\r\n")) == 0 {
			e.Detail = "no JSON at all"
		}
	case faultValue:
		e.Detail = "a value was expected, not " + name(b[at:])
		if at == 0 && bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")) {
			e.Detail = "a byte order mark before the JSON"
		}
	case faultKey:
		e.Detail = "a key in quotes was expected, not " + name(b[at:])
	case faultColon:
		e.Detail = "a colon after the key was expected, not " + name(b[at:])
	case faultInObject:
		e.Detail = `"," or "}" was expected, not ` + name(b[at:])
	case faultInArray:
		e.Detail = `"," or "]" was expected, not ` + name(b[at:])
	case faultTrailing:
		e.Detail = "more after the end of the JSON: " + name(b[at:])
	case faultNumber:
		e.Detail = "a number that JSON does not allow"
	case faultLiteral:
		e.Detail = "a word other than true, false and null"
	case faultEscape:
		e.Detail = "an escape that JSON does not allow"
	case faultControl:
		e.Reason, e.Detail = Control, "raw control character in a string"
	case faultUTF8:
		e.Reason, e.Detail = UTF8, "a string that is not valid UTF-8"
	case faultSurrogate:
		e.Reason, e.Detail = Surrogate, "an escaped surrogate without its partner"
	case faultDepth:
		e.Reason, e.Detail = Depth, fmt.Sprintf("nested deeper than %d", l.Depth)
	case faultTokens:
		e.Reason, e.Detail = Tokens, fmt.Sprintf("more than %d tokens", l.Tokens)
	}
	return e
}

// name names the character that b begins with.
func name(b []byte) string {
	if len(b) == 0 {
		return "the end"
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n < 2 {
		return fmt.Sprintf("byte 0x%02x", b[0])
	}
	return fmt.Sprintf("%q", r)
}
