package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a value that must not be shown: every way of printing it gives •••, or
// nothing if it is empty. The one way to the value is Reveal.
//
// Package fmt calls no methods on unexported fields, so a Secret in one would be
// printed by %v of the struct around it; keep secrets in exported fields, or in a
// type that prints itself, as Server does. Nor is it for keys of a map: encoding/json
// writes those without asking.
type Secret string

const mask = "•••"

// Reveal gives the value, for the one who must send it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

func (s Secret) GoString() string { return `"` + s.String() + `"` }

// Format covers every verb, also those that would print a string's bytes.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		io.WriteString(f, s.GoString())
		return
	}
	io.WriteString(f, s.String())
}

func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
