package rawjson

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bits of its bytes, where x has a quote, a backslash, a
// control character or a byte outside ASCII. A borrow may set wrong bits, but only above
// a right one: the lowest is exact.
func special(x uint64) uint64 {
	return (x | (x - ones*0x20) | ((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones)) & highs
}

// stops marks quotes and backslashes in the same way.
func stops(x uint64) uint64 {
	quote, slash := x^ones*'"', x^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// scanString reads a string from the byte after its opening quote to the byte after its
// closing one.
func scanString(b []byte, i int, lone bool) (int, fault) {
	var f fault
	for {
		for i+8 <= len(b) {
			if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return i, faultEnd
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, fine
		case c == '\\':
			if i, f = scanEscape(b, i, lone); f != fine {
				return i, f
			}
		case c < 0x20:
			return i, faultControl
		case c < 0x80: // only in the last seven bytes
			i++
		default:
			if i = skipRunes(b, i); i < len(b) && b[i] >= 0x80 {
				return i, faultUTF8
			}
		}
	}
}

// skipRunes goes over valid UTF-8 outside ASCII; it stops at an ASCII byte, at a byte that
// is not valid, or at the end.
func skipRunes(b []byte, i int) int {
	for i < len(b) && b[i] >= 0x80 {
		// Most of the world's scripts take three bytes. 0xE0 and 0xED have rules of their own.
		if i+4 <= len(b) {
			x := binary.LittleEndian.Uint32(b[i:])
			if x&0xC0C0F0 == 0x8080E0 && byte(x) != 0xE0 && byte(x) != 0xED {
				i += 3
				continue
			}
		}
		n := runeLen(b[i:])
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// runeLen is the length of the valid UTF-8 sequence that b begins with, whose first byte
// is 0x80 or more; 0 if it is not valid (RFC 3629, section 4).
func runeLen(b []byte) int {
	c := b[0]
	switch {
	case c < 0xC2 || c > 0xF4:
		return 0
	case c < 0xE0:
		if len(b) < 2 || b[1]&0xC0 != 0x80 {
			return 0
		}
		return 2
	case c < 0xF0:
		if len(b) < 3 || b[1]&0xC0 != 0x80 || b[2]&0xC0 != 0x80 ||
			c == 0xE0 && b[1] < 0xA0 || c == 0xED && b[1] > 0x9F {
			return 0
		}
		return 3
	}
	if len(b) < 4 || b[1]&0xC0 != 0x80 || b[2]&0xC0 != 0x80 || b[3]&0xC0 != 0x80 ||
		c == 0xF0 && b[1] < 0x90 || c == 0xF4 && b[1] > 0x8F {
		return 0
	}
	return 4
}

// unescaped is the character that a backslash and the index stand for; 0 for none.
var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// scanEscape reads an escape, or two that are a surrogate pair, from the backslash.
func scanEscape(b []byte, i int, lone bool) (int, fault) {
	if i+1 >= len(b) {
		return len(b), faultEnd
	}
	if unescaped[b[i+1]] != 0 {
		return i + 2, fine
	}
	if b[i+1] != 'u' {
		return i, faultEscape
	}
	u, ok := hex4(b, i+2)
	switch {
	case !ok:
		if len(b) < i+6 {
			return len(b), faultEnd
		}
		return i, faultEscape
	case u&0xF800 != 0xD800:
		return i + 6, fine
	case u < 0xDC00 && i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u':
		if low, ok := hex4(b, i+8); ok && low&0xFC00 == 0xDC00 {
			return i + 12, fine
		}
	}
	if !lone {
		return i, faultSurrogate
	}
	return i + 6, fine
}

// hexes is the value of a hexadecimal digit, 0xFF for other bytes.
var hexes = func() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case '0' <= c && c <= '9':
			t[i] = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			t[i] = c | 0x20 - 'a' + 10
		default:
			t[i] = 0xFF
		}
	}
	return t
}()

func hex4(b []byte, i int) (uint32, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	h0, h1, h2, h3 := hexes[b[i]], hexes[b[i+1]], hexes[b[i+2]], hexes[b[i+3]]
	if (h0|h1|h2|h3)&0xF0 != 0 {
		return 0, false
	}
	return uint32(h0)<<12 | uint32(h1)<<8 | uint32(h2)<<4 | uint32(h3), true
}
