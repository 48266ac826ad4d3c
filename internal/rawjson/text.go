package rawjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Text decodes a string token, quotes included. Escaped surrogates without a partner
// become U+FFFD, as encoding/json has it. It says false for anything that is not exactly
// one valid JSON string.
func Text(v []byte) (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	if end, f := scanString(v, 1, true); f != fine || end != len(v) {
		return "", false
	}
	v = v[1 : len(v)-1]
	i := bytes.IndexByte(v, '\\')
	if i < 0 {
		return string(v), true
	}
	out := make([]byte, 0, len(v))
	for i >= 0 {
		out = append(out, v[:i]...)
		var n int
		out, n = appendUnescaped(out, v[i:])
		v = v[i+n:]
		i = bytes.IndexByte(v, '\\')
	}
	return string(append(out, v...)), true
}

// appendUnescaped decodes the valid escape, or the pair of them, that v begins with and
// returns its length.
func appendUnescaped(out, v []byte) ([]byte, int) {
	if v[1] != 'u' {
		return append(out, unescaped[v[1]]), 2
	}
	u, _ := hex4(v, 2)
	r := rune(u)
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), 6
	}
	if len(v) >= 12 && v[6] == '\\' && v[7] == 'u' {
		low, ok := hex4(v, 8)
		if pair := utf16.DecodeRune(r, rune(low)); ok && pair != utf8.RuneError {
			return utf8.AppendRune(out, pair), 12
		}
	}
	return utf8.AppendRune(out, utf8.RuneError), 6
}

const hexDigits = "0123456789abcdef"

// AppendText appends s as a JSON string. It escapes only what JSON needs escaped, and
// writes U+FFFD for each byte that is not valid UTF-8.
func AppendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscaped(dst, c)
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
