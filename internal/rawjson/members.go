package rawjson

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
)

// A Member is one member of an object, as slices of the object: Key with its quotes and
// as it is escaped there, Value without the whitespace around it.
type Member struct{ Key, Value []byte }

// Members yields the members of an object that Check accepted, in order; nothing for
// another value.
func Members(obj []byte) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		w := walk(obj, '{')
		for w.member() {
			if !yield(Member{Key: obj[w.key:w.keyEnd], Value: obj[w.val:w.valEnd]}) {
				return
			}
		}
	}
}

// Elements yields the elements of an array that Check accepted, in order, as slices of it
// without the whitespace around them; nothing for another value.
func Elements(arr []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := walk(arr, '[')
		for w.element() {
			if !yield(arr[w.val:w.valEnd]) {
				return
			}
		}
	}
}

// Get returns the value of the first member of a checked object whose key is spelt
// exactly "key", without escapes; nil if there is none or obj is no object.
func Get(obj []byte, key string) []byte {
	w := walk(obj, '{')
	for w.member() {
		if string(obj[w.key+1:w.keyEnd-1]) == key {
			return obj[w.val:w.valEnd]
		}
	}
	return nil
}

// A walker goes over the members of an object or the elements of an array. On bytes that
// Check did not accept it may stop early or yield nonsense, but stays within them.
type walker struct {
	b    []byte
	next int // the byte after the opening one or after a comma; -1 at the end

	from                     int // the byte after the separator before the member
	key, keyEnd, val, valEnd int
	end                      int // the separator after the member, or the closing byte
}

func walk(b []byte, open byte) walker {
	i := skipSpace(b, 0)
	w := walker{b: b, next: -1}
	if i < len(b) && b[i] == open {
		w.next = i + 1
	}
	return w
}

func (w *walker) member() bool {
	if w.next < 0 {
		return false
	}
	b := w.b
	w.from = w.next
	w.next = -1
	w.key = skipSpace(b, w.from)
	if w.key >= len(b) || b[w.key] != '"' {
		return false
	}
	w.keyEnd = skipString(b, w.key+1)
	i := skipSpace(b, w.keyEnd)
	if i >= len(b) || b[i] != ':' {
		return false
	}
	return w.value(i + 1)
}

func (w *walker) element() bool {
	if w.next < 0 {
		return false
	}
	w.from = w.next
	w.next = -1
	return w.value(w.from)
}

// value takes the value that begins at i or after the whitespace there, and the
// separator after it.
func (w *walker) value(i int) bool {
	b := w.b
	w.val = skipSpace(b, i)
	w.valEnd = skipValue(b, w.val)
	if w.valEnd == w.val {
		return false
	}
	w.end = skipSpace(b, w.valEnd)
	if w.end < len(b) && b[w.end] == ',' {
		w.next = w.end + 1
	}
	return true
}

// skipString returns the end of the string whose first byte after the quote is at i. It
// looks for quotes and backslashes where strings are short or full of escapes, and only
// for quotes where they are long.
func skipString(b []byte, i int) int {
	for words := 0; i+8 <= len(b); {
		if m := stops(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			if b[i] == '"' {
				return i + 1
			}
			i += 2
			words = 0
			continue
		}
		i += 8
		if words++; words == 8 {
			quote := bytes.IndexByte(b[i:], '"')
			if quote < 0 {
				return len(b)
			}
			quote += i
			slash := quote
			for slash > i && b[slash-1] == '\\' {
				slash--
			}
			i = quote + 1
			if (quote-slash)&1 == 0 {
				return i
			}
			words = 0
		}
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// What a byte outside strings means to skipValue.
const (
	skipOther = iota
	skipQuote
	skipOpen
	skipClose
	skipEnd // ends a number or a literal
)

var skips = [256]uint8{
	'"': skipQuote, '{': skipOpen, '[': skipOpen, '}': skipClose, ']': skipClose,
	',': skipEnd, ' ': skipEnd, '\n': skipEnd, '\r': skipEnd, '\t': skipEnd, ':': skipEnd,
}

// skipValue returns the end of the value at i; i itself if there is none.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch skips[b[i]] {
	case skipQuote:
		return skipString(b, i+1)
	case skipOpen:
		return skipContainer(b, i+1)
	}
	for i < len(b) && skips[b[i]] == skipOther {
		i++
	}
	return i
}

func skipContainer(b []byte, i int) int {
	for depth := 1; i < len(b); {
		switch skips[b[i]] {
		case skipQuote:
			i = skipString(b, i+1)
			continue
		case skipOpen:
			depth++
		case skipClose:
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}
