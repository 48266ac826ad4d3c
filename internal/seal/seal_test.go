package seal

import (
	"strings"
	"testing"
)

// TestOpensOnlyItsOwn: what it made, unchanged, bound to the same.
func TestOpensOnlyItsOwn(t *testing.T) {
	s, other := New(), New()
	text := s.Close([]byte("plain"), []byte("a"))
	if plain, ok := s.Open(text, []byte("a")); !ok || string(plain) != "plain" {
		t.Errorf("got %q, %v", plain, ok)
	}
	if s.Close([]byte("plain"), []byte("a")) == text {
		t.Error("it seals the same in the same way twice, which tells clients that it is")
	}
	for what, opened := range map[string]func() ([]byte, bool){
		"bound to something else": func() ([]byte, bool) { return s.Open(text, []byte("b")) },
		"of another":              func() ([]byte, bool) { return other.Open(text, []byte("a")) },
		"cut":                     func() ([]byte, bool) { return s.Open(text[:len(text)-1], []byte("a")) },
		"broken into lines":       func() ([]byte, bool) { return s.Open(text[:4]+"\r\n"+text[4:], []byte("a")) },
		"padded":                  func() ([]byte, bool) { return s.Open(text+"=", []byte("a")) },
		"no base64":               func() ([]byte, bool) { return s.Open(strings.Repeat("!", 40), []byte("a")) },
		"empty":                   func() ([]byte, bool) { return s.Open("", []byte("a")) },
	} {
		if plain, ok := opened(); ok {
			t.Errorf("%s: it opens as %q", what, plain)
		}
	}
}
