package rawjson

import (
	"encoding/binary"
	"math/bits"
)

// FindID returns the token of the member "id" of the top-level object in b, whatever else
// is wrong with b: the first one, if it is a valid string of at most 2 KiB, a number or a
// literal, and whole. It returns nil where there is none, and for any other value.
func FindID(b []byte) []byte {
	var f Finder
	f.Write(b)
	return f.ID()
}

// A Finder does what FindID does for JSON that comes in pieces and is too long to be
// kept. It holds at most the token and a few words. The zero Finder is ready.
type Finder struct {
	state   finderState
	depth   int
	objects [defaultDepth / 64]uint64 // which of the outermost containers are objects
	escaped bool                      // the last byte was a backslash in a string
	seen    int                       // bytes of the byte order mark, or of the key as far as it is id
	token   []byte
}

type finderState uint8

const (
	findObject  finderState = iota // before the top-level object
	findKey                        // after its "{" or ","
	findInKey                      // in a key of it
	findColon                      // after the key "id"
	findSkip                       // in what is not looked at
	findSkipped                    // in a string there
	findValue                      // before the value of "id"
	findString                     // in that value, a string
	findScalar                     // in that value, a number or literal
	findAfter                      // in the whitespace after such a value
	findDone
)

// maxIDToken bounds the memory that an id can take.
const maxIDToken = 2 << 10

// ID returns the token once it was seen whole, else nil. It stays valid.
func (f *Finder) ID() []byte {
	if f.state != findDone {
		return nil
	}
	return f.token
}

// Write looks at the next piece. It takes all of it and never fails.
func (f *Finder) Write(p []byte) (int, error) {
	for i := 0; i < len(p) && f.state != findDone; {
		switch f.state {
		case findSkip:
			i += f.skip(p[i:])
		case findSkipped:
			n, closed := f.skipString(p[i:])
			i += n
			if closed {
				f.state = findSkip
			}
		default:
			f.take(p[i])
			i++
		}
	}
	return len(p), nil
}

// take looks at one byte at the top level of the object or before it.
func (f *Finder) take(c byte) {
	space := c == ' ' || c == '\n' || c == '\r' || c == '\t'
	switch f.state {
	case findInKey:
		f.takeKey(c)
		return
	case findString:
		f.takeString(c)
		return
	case findScalar:
		f.takeScalar(c, space)
		return
	case findObject:
		if f.seen < 3 && c == "\xEF\xBB\xBF"[f.seen] {
			f.seen++
			return
		}
	}
	if space {
		return
	}
	switch {
	case f.state == findObject && c == '{':
		f.state, f.depth, f.objects[0] = findKey, 1, 1
	case f.state == findObject:
		f.done(false)
	case f.state == findKey && c == '"':
		f.state, f.seen = findInKey, 0
	case f.state == findColon && c == ':':
		f.state = findValue
	case f.state == findKey || f.state == findColon:
		f.state = findSkip
		f.skip([]byte{c})
	case f.state == findAfter:
		f.done(c == ',' || c == '}')
	case c == '"':
		f.token, f.state = append(f.token, c), findString
	default:
		f.state = findScalar
		f.takeScalar(c, false)
	}
}

func (f *Finder) takeKey(c byte) {
	switch {
	case f.seen < 2 && c == "id"[f.seen]:
		f.seen++
	case f.seen == 2 && c == '"':
		f.state = findColon
	case c == '"':
		f.state = findSkip
	default: // another key, spelt "id" with an escape or not: a string to skip
		f.escaped = c == '\\'
		f.state = findSkipped
	}
}

func (f *Finder) takeString(c byte) {
	f.token = append(f.token, c)
	switch {
	case f.escaped:
		f.escaped = false
	case c == '\\':
		f.escaped = true
	case c == '"':
		f.done(true)
		return
	}
	if len(f.token) >= maxIDToken {
		f.done(false)
	}
}

func (f *Finder) takeScalar(c byte, space bool) {
	switch {
	case space:
		f.state = findAfter
	case c == ',' || c == '}':
		f.done(true)
	case len(f.token) == maxIDToken || skips[c] != skipOther:
		f.done(false)
	default:
		f.token = append(f.token, c)
	}
}

// done ends the search. A token is only worth something if it can be sent back as it is,
// so it must be valid by itself.
func (f *Finder) done(found bool) {
	f.state = findDone
	if !found || Check(f.token, Limits{}) != nil {
		f.token = nil
	}
}

// skip looks for the next member of the top-level object and returns how far it came. It
// gives up where brackets do not match: below that the depth could be wrong, and so the id.
func (f *Finder) skip(p []byte) int {
	for i, c := range p {
		switch skips[c] {
		case skipQuote:
			f.state = findSkipped
			return i + 1
		case skipOpen:
			if f.depth < defaultDepth {
				push(f.objects[:], f.depth, c == '{')
			}
			f.depth++
		case skipClose:
			f.depth--
			if f.depth == 0 || f.depth < defaultDepth && c != closing(f.objects[f.depth>>6]>>(f.depth&63)&1 != 0) {
				f.done(false)
				return i + 1
			}
		case skipEnd:
			if c == ',' && f.depth == 1 {
				f.state = findKey
				return i + 1
			}
		}
	}
	return len(p)
}

// skipString reads on in a string and returns how far it came and whether that is its end.
func (f *Finder) skipString(p []byte) (int, bool) {
	i := 0
	for i < len(p) {
		if f.escaped {
			f.escaped = false
			i++
			continue
		}
		for i+8 <= len(p) {
			if m := stops(binary.LittleEndian.Uint64(p[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(p) {
			break
		}
		switch p[i] {
		case '"':
			return i + 1, true
		case '\\':
			f.escaped = true
		}
		i++
	}
	return len(p), false
}
