// Package rawjson checks, reads and edits JSON as bytes.
//
// Every byte that comes from a stranger passes Check once; after that, members are found
// and replaced as slices of the same bytes, so that what is not ours to change leaves as
// it came: numbers, key order, escapes and unknown members included. What Check accepts,
// encoding/json reads in the same way.
//
// It never decodes a whole value into Go types, never encodes one again, never recurses
// on the depth of its input, and knows nothing of JSON-RPC or MCP.
package rawjson

import "fmt"

// Bounds that hold where Limits leaves them out.
const (
	defaultDepth  = 256
	defaultTokens = 4_000_000
)

// Limits bound what Check accepts. Depth is the greatest number of nested containers.
// Each scalar value, each key and each container counts as one token. A bound that is
// zero or less means the default, 256 and 4,000,000; there is no way to have none.
type Limits struct {
	Depth, Tokens  int
	LoneSurrogates bool // accept escapes such as "\ud83d" that have no partner
}

// A Reason is a word for programs that says why bytes were refused.
type Reason string

const (
	Syntax    Reason = "syntax"    // not one JSON value (RFC 8259)
	UTF8      Reason = "utf8"      // a string that is not valid UTF-8
	Surrogate Reason = "surrogate" // an escape of half a surrogate pair
	Control   Reason = "control"   // a raw control character in a string
	Depth     Reason = "depth"     // nested deeper than the bound
	Tokens    Reason = "tokens"    // more tokens than the bound
	Duplicate Reason = "duplicate" // two members with the same name
	Lookalike Reason = "lookalike" // a member that some decoders take for a known one
)

// An Error says why bytes were refused: a word for programs, the offset of the first
// byte that is wrong, and plain words for people.
type Error struct {
	Reason Reason
	Offset int
	Detail string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Detail, e.Offset) }

// Check reads exactly one JSON value with JSON whitespace around it, strictly as RFC 8259
// has it: valid UTF-8 without a byte order mark, no raw control characters in strings,
// no unknown escapes. Errors are of type *Error. It allocates only to report one, or
// where Depth is above 256.
func Check(b []byte, l Limits) error {
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	if l.Tokens <= 0 {
		l.Tokens = defaultTokens
	}
	at, f := scan(b, l)
	if f == fine {
		return nil
	}
	return f.report(b, at, l)
}
