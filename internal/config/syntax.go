package config

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// Bounds of a document. The parser calls itself for each level and keeps over a
// hundred bytes per value, so both are checked before it sees the bytes.
const (
	maxDepth  = 64
	maxValues = 200_000
)

// document is the bytes of one file or body and what was found in them.
type document struct {
	name     string
	data     []byte
	problems []finding
	warnings []finding
}

func newDocument(name string, data []byte) *document {
	// Some editors begin every file with a byte order mark; it is no character.
	return &document{name: name, data: bytes.TrimPrefix(data, []byte("\uFEFF"))}
}

func (d *document) found() []Problem  { return located(d.name, d.data, d.problems) }
func (d *document) warned() []Problem { return located(d.name, d.data, d.warnings) }

func (d *document) problem(at int, path, message string) {
	d.problems = append(d.problems, finding{at, path, message})
}

// parse gives the document's root, or reports the one place where its syntax breaks.
// Duplicate keys and lone surrogates are reported here for the whole document, also
// for the parts that nobody reads.
func (d *document) parse() (node, bool) {
	if len(bytes.TrimSpace(d.data)) == 0 {
		d.problem(0, "", "there is nothing here; write {\"mcpServers\": {}} at least")
		return node{}, false
	}
	if at, message := scan(d.data); message != "" {
		if start, other := otherFormat(d.data); other && d.data[start] != '[' && utf8.Valid(d.data) {
			at, message = start, mustBeJSON
		}
		d.problem(at, "", message)
		return node{}, false
	}
	// A comment needs the end of its line, which the last line may lack.
	v, err := hujson.Parse(append(bytes.Clone(d.data), '\n'))
	if err != nil {
		at, message := d.explain(err)
		if start, other := otherFormat(d.data); other {
			at, message = start, mustBeJSON
		}
		d.problem(at, "", message)
		return node{}, false
	}
	root := node{doc: d, value: v.Value, at: v.StartOffset, keyAt: v.StartOffset}
	root.check()
	return root, true
}

// scan looks for what the parser does not bound or would describe by quoting a whole
// string, which may be a secret. It returns an empty message if all is well.
func scan(b []byte) (at int, message string) {
	if at := invalidUTF8(b); at >= 0 {
		return at, "is not UTF-8; save the file as UTF-8"
	}
	depth, values := 0, 0
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			n, message := scanString(b[i:])
			if message != "" {
				return i, message
			}
			i += n
			continue
		case c == '/':
			n, message := scanComment(b[i:])
			if message != "" {
				return i, message
			}
			i += n
			continue
		case c == '{' || c == '[':
			depth++
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if depth > maxDepth {
			return i, fmt.Sprintf("is nested deeper than %d levels", maxDepth)
		}
		if values > maxValues {
			return i, fmt.Sprintf("holds more than %d values", maxValues)
		}
		i++
	}
	return 0, ""
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// scanString gives the length of the string at the start of b.
func scanString(b []byte) (n int, message string) {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			i++
		case c == '"':
			return i + 1, ""
		case c == '\n' || c == '\r':
			return 0, "this string does not end on its line; close it with \" (a line break inside is \\n)"
		case c < 0x20:
			return 0, fmt.Sprintf("this string holds a raw control character; write it as \\u%04x", c)
		}
	}
	return 0, "this string is not closed; end it with \""
}

// scanComment gives the length of the comment at the start of b; a lone slash is left
// for the parser to complain of.
func scanComment(b []byte) (n int, message string) {
	switch {
	case bytes.HasPrefix(b, []byte("//")):
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return i + 1, ""
		}
		return len(b), ""
	case bytes.HasPrefix(b, []byte("/*")):
		if i := bytes.Index(b[2:], []byte("*/")); i >= 0 {
			return i + 4, ""
		}
		return 0, "this comment is not closed; end it with */"
	}
	return 1, ""
}
