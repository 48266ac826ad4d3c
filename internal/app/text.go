package app

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inert makes text of a stranger's safe to show: control characters, which could drive a
// terminal (CWE-150), are written out. Lines and tabs stay, and a CRLF is a line's end.
func inert(s string) string {
	if !strings.ContainsFunc(s, drives) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case !drives(r):
			b.WriteString(s[i : i+max(1, utf8.RuneLen(r))])
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// drives tells the control characters, C0 and C1, but for a line's end and the tab.
func drives(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }

// inertJSON is inert for JSON: the same value, with the control characters that may stand
// raw in its strings as escapes.
func inertJSON(raw []byte) string {
	s := string(raw)
	if !strings.ContainsFunc(s, drives) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !drives(r):
			b.WriteRune(r)
		case r == '\r': // between tokens
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf is 2 for the wide characters of East Asia and emoji, 0 for marks that combine
// (Unicode Annex 11, in blocks).
func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f9ff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cutTo shortens a text to at most n columns; what was cut shows as an ellipsis.
func cutTo(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	room := n - 1
	for i, r := range s {
		if room -= columnsOf(r); room < 0 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// padTo fills a text with spaces to n columns.
func padTo(s string, n int) string { return s + strings.Repeat(" ", max(0, n-columns(s))) }
