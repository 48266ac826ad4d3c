package era

import (
	"encoding/base64"
	"strings"
	"testing"
)

// visible tells whether a header value has no byte but visible ASCII, spaces and tabs.
func visible(v string) bool {
	for i := range len(v) {
		if c := v[i]; c > 0x7e || c < 0x20 && c != '\t' {
			return false
		}
	}
	return true
}

// FuzzHeaderValue: every text comes back from the header that bears it, and what is read of
// any header value is what the value says (2026-07-28, Streamable HTTP, Value Encoding).
func FuzzHeaderValue(f *testing.F) {
	for _, v := range []string{"tool", "a b", " a", "ü", "a\r\nX: y", "\x00", "\x7f", "\xff", "", "=?base64?YQ==?=", "=?base64?YR==?=", "=?base64?YQ?=", "=?base64?YQ=\n=?=", "=?base64??=", "=?base64?="} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		enc := EncodeHeader(v)
		if !visible(enc) || strings.Trim(enc, " \t") != enc || enc == "" {
			t.Fatalf("%q is sent as %q", v, enc)
		}
		if got, ok := DecodeHeader(enc); !ok || got != v {
			t.Fatalf("%q comes back as %q, %v", v, got, ok)
		}
		got, ok := DecodeHeader(v)
		if !ok {
			return
		}
		inside, begins := strings.CutPrefix(v, "=?base64?")
		inside, ends := strings.CutSuffix(inside, "?=")
		switch {
		case begins && ends && base64.StdEncoding.EncodeToString([]byte(got)) != inside:
			t.Fatalf("%q is read as %q, which is written otherwise", v, got)
		case !(begins && ends) && got != v:
			t.Fatalf("%q is read as %q", v, got)
		}
		if !visible(v) {
			t.Fatalf("%q is read, as %q", v, got)
		}
	})
}
