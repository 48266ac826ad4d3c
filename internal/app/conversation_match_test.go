package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// matches says why got does not have what want says, empty if it has: each member of an
// object that want has, each element of an array, numbers digit by digit, and texts where
// * stands for any text. The text "*" alone stands for any value.
func matches(got, want []byte) string {
	read := func(raw []byte) (v any, err error) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		err = d.Decode(&v)
		return v, err
	}
	w, err := read(want)
	if err != nil {
		return fmt.Sprintf("%s is expected, which is no JSON: %v", want, err)
	}
	g, err := read(got)
	if err != nil {
		return fmt.Sprintf("%.300q is no JSON: %v", got, err)
	}
	return differs("", g, w)
}

func differs(at string, got, want any) string {
	unlike := fmt.Sprintf("%s is %.300v, not %.300v", at, got, want)
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return unlike
		}
		for key, w := range want {
			g, have := object[key]
			switch {
			case w == "-": // must not be there
				if have {
					return fmt.Sprintf("%s.%s is there", at, key)
				}
			case !have:
				return fmt.Sprintf("%s.%s is not there", at, key)
			default:
				if why := differs(at+"."+key, g, w); why != "" {
					return why
				}
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return unlike
		}
		for i := range want {
			if why := differs(fmt.Sprintf("%s[%d]", at, i), list[i], want[i]); why != "" {
				return why
			}
		}
		return ""
	case string:
		text, ok := got.(string)
		if want == "*" || ok && like(text, want) {
			return ""
		}
		return unlike
	}
	if got != want {
		return unlike
	}
	return ""
}

// like says whether a text has the form of a pattern in which * stands for any text.
func like(text, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return text == pattern
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

func TestMatchesFindsWhatDiffers(t *testing.T) {
	for _, c := range []struct{ got, want, why string }{
		{`{"a":1,"b":[{"c":"x y"}]}`, `{"b":[{"c":"x*"}]}`, ""},
		{`{"a":1.0}`, `{"a":1}`, ".a is 1.0, not 1"},
		{`{"a":1}`, `{"a":"-"}`, ".a is there"},
		{`{"a":null}`, `{"a":null,"b":"-"}`, ""},
		{`{"a":[1,2]}`, `{"a":[1]}`, ".a is [1 2], not [1]"},
		{`{"a":"abcabd"}`, `{"a":"ab*d"}`, ""},
		{`{"a":"abc"}`, `{"a":"*b"}`, ".a is abc, not *b"},
		{`{"a":{}}`, `{"a":"*","b":true}`, ".b is not there"},
	} {
		if why := matches([]byte(c.got), []byte(c.want)); why != c.why {
			t.Errorf("%s, %s: %q, not %q", c.got, c.want, why, c.why)
		}
	}
}
