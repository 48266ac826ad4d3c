package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var accepted = []string{
	`0`, `-0`, `1`, `-1`, `10`, `1.0`, `0.5`, `-0.0`, `1e400`, `1E+2`, `1e-2`, `0e0`, `9007199254740993`,
	`1234567890123456789012345678901234567890`,
	`true`, `false`, `null`, `""`, `" "`, `"a"`, "\"\x7f\"", `"\"\\\/\b\f\n\r\t"`, `"\u0000"`, `"\u00e9\uABCD\uabcd"`,
	`"\ud83d\ude00"`, `"\uD83D\uDE00x"`, `"é日本😀"`, "\"\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff\"",
	"\"\u2028\ufeff\"", `"0123456"`, `"01234567"`, `"0123456789abcdef"`, `"0123456é9abcdef😀"`,
	`[]`, `{}`, `[ ]`, `{ }`, "\t\r\n [ 1 , 2 ] \n", `[[],{},[[]]]`, `{"a":1}`, `{"a":{"b":[1,{"c":null}]},"d":"e"}`,
	"{ \"a\" : 1 , \"b\" : [ true , false ] }", `{"":""}`, `{"a":1,"a":2}`,
}

func TestCheckAccepts(t *testing.T) {
	for _, s := range accepted {
		if err := Check([]byte(s), Limits{}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

var refused = []struct {
	in     string
	reason Reason
	offset int
	detail string
}{
	{"", Syntax, 0, "no JSON at all"},
	{" \n", Syntax, 2, "no JSON at all"},
	{"\ufeff{}", Syntax, 0, "a byte order mark before the JSON"},
	{"{}\ufeff", Syntax, 2, `more after the end of the JSON: '\ufeff'`},
	{"\u00a01", Syntax, 0, ""},
	{"\v1", Syntax, 0, `a value was expected, not '\v'`},
	{"\x00", Syntax, 0, `a value was expected, not '\x00'`},
	{"1\x00", Syntax, 1, ""},
	{"\xff", Syntax, 0, "a value was expected, not byte 0xff"},
	{"1 2", Syntax, 2, "more after the end of the JSON: '2'"},
	{"{}{}", Syntax, 2, ""},
	{"// x\n1", Syntax, 0, ""},
	{"01", Syntax, 1, "a number that JSON does not allow"},
	{"-01", Syntax, 2, ""},
	{"-", Syntax, 1, "the JSON ends too early"},
	{"+1", Syntax, 0, ""},
	{".5", Syntax, 0, ""},
	{"1.", Syntax, 2, ""},
	{"1.e1", Syntax, 2, ""},
	{"[1.]", Syntax, 3, "a number that JSON does not allow"},
	{"1e", Syntax, 2, ""},
	{"[1e+]", Syntax, 4, ""},
	{"0x10", Syntax, 1, ""},
	{"1_0", Syntax, 1, ""},
	{"[-a]", Syntax, 2, ""},
	{"NaN", Syntax, 0, ""},
	{"Infinity", Syntax, 0, ""},
	{"{\x80:1}", Syntax, 1, "a key in quotes was expected, not byte 0x80"},
	{`{"a"` + "\xff", Syntax, 4, ""},
	{"\"\xdf\"", UTF8, 1, ""},
	{"\"\xdf", UTF8, 1, ""},
	{"tru", Syntax, 3, "the JSON ends too early"},
	{"trUe", Syntax, 2, "a word other than true, false and null"},
	{"nul]", Syntax, 3, ""},
	{"truex", Syntax, 4, ""},
	{"True", Syntax, 0, ""},
	{`'a'`, Syntax, 0, ""},
	{`"a`, Syntax, 2, "the JSON ends too early"},
	{`"0123456789`, Syntax, 11, ""},
	{`"a\`, Syntax, 3, ""},
	{`"\x41"`, Syntax, 1, "an escape that JSON does not allow"},
	{`"\'"`, Syntax, 1, ""},
	{`"\U0041"`, Syntax, 1, ""},
	{`"\u12g4"`, Syntax, 1, ""},
	{`"\u12`, Syntax, 5, "the JSON ends too early"},
	{"\"a\nb\"", Control, 2, "raw control character in a string"},
	{"\"0123456789\x00\"", Control, 11, ""},
	{"\"\x1f\"", Control, 1, ""},
	{"{\"a\tb\":1}", Control, 3, ""},
	{"\"\xff\"", UTF8, 1, "a string that is not valid UTF-8"},
	{"\"é\x80\"", UTF8, 3, ""},
	{"\"\xc0\x80\"", UTF8, 1, ""},
	{"\"\xc1\xbf\"", UTF8, 1, ""},
	{"\"\xe0\x9f\xbf\"", UTF8, 1, ""},
	{"\"\xed\xa0\x80\"", UTF8, 1, ""},
	{"\"\xf0\x8f\xbf\xbf\"", UTF8, 1, ""},
	{"\"\xf4\x90\x80\x80\"", UTF8, 1, ""},
	{"\"\xf5\x80\x80\x80\"", UTF8, 1, ""},
	{"\"\xe2\x82\"", UTF8, 1, ""},
	{"\"\xf0\x9f\x98", UTF8, 1, ""},
	{`"\ud83d"`, Surrogate, 1, "an escaped surrogate without its partner"},
	{`"\ude00"`, Surrogate, 1, ""},
	{`"\ud83d\ud83d\ude00"`, Surrogate, 1, ""},
	{`"\ud83dx"`, Surrogate, 1, ""},
	{`"\ud83d\n"`, Surrogate, 1, ""},
	{`"\ud83d\u0041"`, Surrogate, 1, ""},
	{`{"\ude00\ud83d":1}`, Surrogate, 2, ""},
	{`[`, Syntax, 1, "the JSON ends too early"},
	{`[1`, Syntax, 2, ""},
	{`[1,`, Syntax, 3, ""},
	{`[1,]`, Syntax, 3, `a value was expected, not ']'`},
	{`[,1]`, Syntax, 1, ""},
	{`[1 2]`, Syntax, 3, `"," or "]" was expected, not '2'`},
	{`[1}`, Syntax, 2, ""},
	{`]`, Syntax, 0, ""},
	{`[]]`, Syntax, 2, ""},
	{`{`, Syntax, 1, ""},
	{`{"a"`, Syntax, 4, ""},
	{`{"a" 1}`, Syntax, 5, `a colon after the key was expected, not '1'`},
	{`{"a":`, Syntax, 5, ""},
	{`{"a":}`, Syntax, 5, ""},
	{`{"a":1`, Syntax, 6, ""},
	{`{"a":1,`, Syntax, 7, ""},
	{`{"a":1,}`, Syntax, 7, `a key in quotes was expected, not '}'`},
	{`{"a":1]`, Syntax, 6, `"," or "}" was expected, not ']'`},
	{`{a:1}`, Syntax, 1, ""},
	{`{1:1}`, Syntax, 1, ""},
	{`{,}`, Syntax, 1, ""},
	{`{"a"::1}`, Syntax, 5, ""},
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range refused {
		err := Check([]byte(c.in), Limits{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: no error", c.in)
			continue
		}
		if e.Reason != c.reason || e.Offset != c.offset || c.detail != "" && e.Detail != c.detail {
			t.Errorf("%q: %s at %d: %s; want %s at %d: %s", c.in, e.Reason, e.Offset, e.Detail, c.reason, c.offset, c.detail)
		}
	}
}

func TestCheckLoneSurrogates(t *testing.T) {
	for _, s := range []string{`"\ud83d"`, `"\ude00"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\n"`, `{"\ude00\ud83d":"\ud83d"}`} {
		if err := Check([]byte(s), Limits{LoneSurrogates: true}); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{`"\ud83d\u12"`, `"\ud83d\u"`, `"\ud83d\x"`} {
		if err := Check([]byte(s), Limits{LoneSurrogates: true}); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
}

func TestCheckBounds(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		in     string
		l      Limits
		reason Reason
		offset int
	}{
		{nested(256), Limits{}, "", 0},
		{nested(257), Limits{}, Depth, 256},
		{strings.Repeat(`{"a":`, 256) + "1" + strings.Repeat("}", 256), Limits{}, "", 0},
		{strings.Repeat(`{"a":`, 257), Limits{}, Depth, 256 * 5},
		{nested(256), Limits{Depth: -1}, "", 0},
		{nested(257), Limits{Depth: -1}, Depth, 256},
		{nested(1000), Limits{Depth: 1000}, "", 0},
		{nested(1001), Limits{Depth: 1000}, Depth, 1000},
		{`[[]]`, Limits{Depth: 1}, Depth, 1},
		{`[1,[]]`, Limits{Depth: 1}, Depth, 3},
		{`[{},[],{"a":[]}]`, Limits{Depth: 3}, "", 0},
		{`1`, Limits{Tokens: 1}, "", 0},
		{`[1]`, Limits{Tokens: 1}, Tokens, 1},
		{`{"a":1,"b":2}`, Limits{Tokens: 5}, "", 0},
		{`{"a":1,"b":2}`, Limits{Tokens: 4}, Tokens, 11},
		{`{"a":1,"b":2}`, Limits{Tokens: 3}, Tokens, 7},
		{`{"a":1,"b":2}`, Limits{Tokens: 1}, Tokens, 1},
		{`[[],{}]`, Limits{Tokens: 3}, "", 0},
		{`[[],{}]`, Limits{Tokens: 2}, Tokens, 4},
		{"[" + strings.Repeat("1,", 3_999_999) + "1]", Limits{}, Tokens, 7_999_999},
	} {
		err := Check([]byte(c.in), c.l)
		var e *Error
		errors.As(err, &e)
		switch {
		case e == nil && c.reason != "" || e != nil && (e.Reason != c.reason || e.Offset != c.offset):
			t.Errorf("%.40q %+v: %v; want %q at %d", c.in, c.l, err, c.reason, c.offset)
		case c.reason == Depth && !strings.HasPrefix(e.Detail, "nested deeper than "):
			t.Errorf("detail %q", e.Detail)
		}
	}
}

// A container of each kind must be closed by its own bracket, at each depth, also where
// the stack of bits goes on in another word.
func TestCheckMixedNesting(t *testing.T) {
	for _, depth := range []int{1, 2, 3, 5, 8, 63, 64, 65, 66, 127, 128, 129, 255, 256, 257, 258, 300} {
		var open, shut []byte
		for i := range depth {
			if i*i%3 == 0 {
				open, shut = append(open, `{"k":`...), append(shut, '}')
			} else {
				open, shut = append(open, `[`...), append(shut, ']')
			}
		}
		reversed := bytes.Clone(shut)
		for i := range shut {
			reversed[len(shut)-1-i] = shut[i]
		}
		doc := append(append(open, '1'), reversed...)
		if err := Check(doc, Limits{Depth: 300}); err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
		for i := range reversed {
			bad := bytes.Clone(doc)
			bad[len(open)+1+i] ^= '{' ^ '[' | '}' ^ ']'
			if err := Check(bad, Limits{Depth: 300}); err == nil {
				t.Fatalf("depth %d: accepts the wrong bracket %d", depth, i)
			}
		}
	}
}

func TestCheckDeepFailsAtOnce(t *testing.T) {
	for _, unit := range []string{"[", `{"a":`, `[{"a":`} {
		b := []byte(strings.Repeat(unit, 2_000_000))
		begin := time.Now()
		err := Check(b, Limits{})
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v", took)
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason != Depth {
			t.Errorf("%s: %v", unit, err)
		}
		if n := testing.AllocsPerRun(10, func() { _ = Check(b, Limits{}) }); n > 4 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	docs := [][]byte{smallMessage, []byte(strings.Repeat("[", 256) + strings.Repeat("]", 256)), []byte(`"\ud83d\ude00 é"`)}
	for _, b := range docs {
		if n := testing.AllocsPerRun(100, func() {
			if Check(b, Limits{}) != nil {
				t.Fatal("refused")
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// Every prefix of a valid object or array is refused, and no prefix makes it panic.
func TestCheckPrefixes(t *testing.T) {
	for i := range smallMessage {
		if err := Check(smallMessage[:i], Limits{}); err == nil {
			t.Errorf("accepts %q", smallMessage[:i])
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range accepted {
		f.Add([]byte(s))
	}
	for _, c := range refused {
		f.Add([]byte(c.in))
	}
	f.Add(smallMessage)
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Check(b, Limits{LoneSurrogates: true})
		var e *Error
		if errors.As(err, &e) && (e.Reason == Depth || e.Reason == Tokens) {
			return
		}
		if want := json.Valid(b) && utf8.Valid(b); (err == nil) != want {
			t.Fatalf("%q: %v, want valid = %v", b, err, want)
		}
		if err != nil {
			if e.Offset < 0 || e.Offset > len(b) || e.Detail == "" {
				t.Fatalf("%+v", e)
			}
			for range Members(b) { // must end, and not panic
			}
			for range Elements(b) {
			}
			_ = CheckMembers(b, "id")
			_ = Get(b, "id")
			_ = AppendEdited(nil, b, Edit{"id", []byte("1")})
			return
		}
		if CheckMembers(b) == nil {
			sameMembers(t, b)
		}
		sameElements(t, b)
	})
}

// sameMembers compares what we read with what encoding/json reads.
func sameMembers(t *testing.T, b []byte) {
	var want map[string]json.RawMessage
	if json.Unmarshal(b, &want) != nil {
		want = nil
	}
	got := map[string]json.RawMessage{}
	for m := range Members(b) {
		key, ok := Text(m.Key)
		if !ok {
			t.Fatalf("key %q", m.Key)
		}
		got[key] = m.Value
		if bytes.IndexByte(m.Key, '\\') < 0 && !bytes.Equal(Get(b, key), m.Value) {
			t.Fatalf("Get %q: %q", key, Get(b, key))
		}
		sameText(t, m.Value)
	}
	if !maps.EqualFunc(got, want, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) }) {
		t.Fatalf("%q: got %q, want %q", b, got, want)
	}
}

func sameElements(t *testing.T, b []byte) {
	var want []json.RawMessage
	if json.Unmarshal(b, &want) != nil {
		want = nil
	}
	n := 0
	for v := range Elements(b) {
		if n == len(want) || !bytes.Equal(v, want[n]) {
			t.Fatalf("%q: element %d is %q", b, n, v)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%q: %d elements, want %d", b, n, len(want))
	}
}

// sameText holds for every valid value: only strings have a text, and the same one.
func sameText(t *testing.T, v []byte) {
	got, ok := Text(v)
	if ok != (v[0] == '"') {
		t.Fatalf("%q: %v", v, ok)
	}
	if !ok {
		return
	}
	var want string
	if err := json.Unmarshal(v, &want); err != nil || got != want {
		t.Fatalf("%q: got %q, want %q, %v", v, got, want, err)
	}
}
