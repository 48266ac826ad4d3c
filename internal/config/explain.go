package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// explain turns the parser's error into a place and words of our own: the parser speaks
// of its grammar, and quotes the literal it cannot read, which we must not.
func (d *document) explain(err error) (at int, message string) {
	text := err.Error()
	var line, column int
	if n, _ := fmt.Sscanf(text, "hujson: line %d, column %d:", &line, &column); n == 2 {
		at = offset(d.data, line, column)
		_, text, _ = strings.Cut(text, ": ")
		_, text, _ = strings.Cut(text, ": ")
	}
	here := d.data[at:]
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return at, d.endsEarly()
	case len(here) == 0:
		return at, text
	case strings.HasPrefix(text, "invalid literal") && here[0] == '"':
		return at, "this string holds a wrong escape; a backslash itself is \\\\"
	case strings.HasPrefix(text, "invalid literal"):
		return at, "is no JSON value; text stands in \"double quotes\", else write a number, true, false or null"
	}
	if message := misplaced(here); message != "" {
		return at, message
	}
	switch {
	case strings.Contains(text, "after object value"):
		return at, afterMember(here)
	case strings.Contains(text, "after array value"):
		return at, afterElement(here)
	case strings.HasSuffix(text, "after object name"):
		return at, afterName(here)
	case strings.HasSuffix(text, "at start of object name"):
		return at, "here stands a name in \"double quotes\", a colon, and its value"
	case strings.HasSuffix(text, "at start of value"):
		open, _ := innermost(d.data[:at])
		return at, noValue(here[0], open)
	case strings.HasSuffix(text, "after top-level value"):
		return at, afterAll(here[0])
	}
	return at, text
}

// offset is where the parser's line and column (in bytes, both from 1) lie.
func offset(data []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			return len(data)
		}
		at += i + 1
	}
	return min(at+column-1, len(data))
}

// misplaced names the characters that have no place between JSON's tokens and come from
// word processors, other keyboards and other languages.
func misplaced(here []byte) string {
	switch r, _ := utf8.DecodeRune(here); {
	case r == '\'' || r == '`':
		return "text stands in \"double quotes\", not in single ones"
	case strings.ContainsRune("“”„‟‘’«»＂", r):
		return "text stands in straight \"double quotes\", not in typographic ones"
	case r == '，' || r == '、':
		return "write a plain comma (,) here, not a wide one"
	case r == '：':
		return "write a plain colon (:) here, not a wide one"
	case r == '=':
		return "a colon stands between a name and its value, not ="
	case r == ';':
		return "a comma stands between two values, not ;"
	case r == '#' || r == '/':
		return "a comment begins with // or /*"
	case r >= utf8.RuneSelf && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)):
		return fmt.Sprintf("here is an invisible character, U+%04X; remove it", r)
	}
	return ""
}

// afterMember is for what stands between a member's value and a comma or }.
func afterMember(here []byte) string {
	switch here[0] {
	case '"':
		return "a comma is missing before " + nameAt(here)
	case ']':
		return "a } is missing before this ]"
	case ':':
		return "this colon is one too many; a comma stands between a value and the next name"
	case '{', '[':
		return "a comma and a name are missing before this"
	}
	return "a comma is missing before this, or it belongs inside quotes"
}

// nameAt is the name at the start of b, if it is one: text without a colon after it may be
// anything, a secret too.
func nameAt(b []byte) string {
	n, wrong := scanString(b)
	if wrong != "" {
		return "this"
	}
	l := hujson.Literal(b[:n])
	if !bytes.HasPrefix(bytes.TrimLeft(b[n:], " \t\r\n"), []byte(":")) || !l.IsValid() {
		return "this"
	}
	return quote(l.String())
}

// afterElement is for what stands between an element of a list and a comma or ].
func afterElement(here []byte) string {
	switch here[0] {
	case '}':
		return "a ] is missing before this }"
	case ':':
		return "a list has no names; names and values stand in {…}"
	}
	return "a comma is missing before this"
}

// afterName is for what stands in a colon's place.
func afterName(here []byte) string {
	switch here[0] {
	case ',', '}', ']':
		return "a colon and a value are missing before this, after the name"
	}
	return "a colon is missing before this, after the name"
}

// noValue is for what begins no value; open is the { or [ that it stands in, 0 for none.
func noValue(c, open byte) string {
	switch {
	case (c == '}' || c == ']') && open == 0:
		return fmt.Sprintf("this %c closes nothing", c)
	case c == '}' && open == '[':
		return "a ] is missing before this }"
	case c == ']' && open == '{':
		return "a } is missing before this ]"
	case c == '}':
		return "a value is missing before this }"
	case c == ',':
		return "this comma is one too many, or a value is missing before it"
	case c == ':' && open == '[':
		return "a list has no names; names and values stand in {…}"
	case c == ':':
		return "this colon is one too many, or a name is missing before it"
	}
	return "no value begins so; text stands in \"double quotes\", else write a number, true, false or null"
}

func afterAll(c byte) string {
	if c == '}' || c == ']' {
		return fmt.Sprintf("this %c is one too many, or one before it stands too early", c)
	}
	return "the end was before this; one {…} holds all there is"
}

// endsEarly names the line of the bracket that is still open at the end. The one that was
// forgotten may be one within it.
func (d *document) endsEarly() string {
	open, at := innermost(d.data)
	if open == 0 {
		return "ends too early; there is nothing here; write {\"mcpServers\": {}} at least"
	}
	line := 1 + bytes.Count(d.data[:at], []byte("\n"))
	return fmt.Sprintf("ends too early; the %c of line %d is still open: a closing %c is missing for it, or for one within it", open, line, open+2)
}

// mustBeJSON is for a file in another format, of which nothing else can be said.
const mustBeJSON = "must be JSON: {\"mcpServers\": {\"NAME\": {\"command\": \"…\"}}}"

// begins is what no JSON begins with: a word, a heading, a tag, a rule of dashes.
var begins = regexp.MustCompile(`^(\[\[?[A-Za-z_]|[^\[\]{}"])`)

// otherFormat reports a document that the parser refused and that does not begin as JSON's
// objects do, after comments: YAML, TOML, a web page. at is where it begins. Lines that begin
// with # are passed over, since people write comments so into JSON too.
func otherFormat(b []byte) (at int, other bool) {
	first := -1
	for i := 0; i < len(b); {
		n := 1
		switch {
		case b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n':
			i++
			continue
		case b[i] == '/':
			if n, _ = scanComment(b[i:]); n > 1 {
				i += n
				continue
			}
		case b[i] == '#':
			if first < 0 {
				first = i
			}
			if n = bytes.IndexByte(b[i:], '\n'); n > 0 {
				i += n
				continue
			}
		}
		if first < 0 {
			first = i
		}
		return first, begins.Match(b[i:])
	}
	return 0, false
}

// innermost is the bracket that is still open at the end of b, which was scanned, and where it
// is; 0 for none.
func innermost(b []byte) (bracket byte, at int) {
	var open []int
	for i := 0; i < len(b); {
		n := 1
		switch c := b[i]; c {
		case '"':
			n, _ = scanString(b[i:])
		case '/':
			n, _ = scanComment(b[i:])
		case '{', '[':
			open = append(open, i)
		case '}', ']':
			open = open[:max(0, len(open)-1)]
		}
		i += max(1, n)
	}
	if len(open) == 0 {
		return 0, 0
	}
	at = open[len(open)-1]
	return b[at], at
}
