package rawjson

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestMembersAreSlicesOfTheObject(t *testing.T) {
	obj := []byte(" {\n \"a\" : 1 ,\"b\\\"\":[ {\"x\":\"]}\"} , 2 ] , \"c\":\"\\\\\",\"\":{},\"e\":-1e5 }\t")
	want := []string{`"a"`, `1`, `"b\""`, `[ {"x":"]}"} , 2 ]`, `"c"`, `"\\"`, `""`, `{}`, `"e"`, `-1e5`}
	var got []string
	for m := range Members(obj) {
		got = append(got, string(m.Key), string(m.Value))
		at := cap(obj) - cap(m.Value)
		if string(obj[at:at+len(m.Value)]) != string(m.Value) || len(m.Value) > 0 && &obj[at] != &m.Value[0] {
			t.Errorf("%q is no slice of the object", m.Value)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for range Members(obj) {
		break // must stop quietly
	}
}

func TestMembersOfOtherValues(t *testing.T) {
	for _, s := range []string{``, ` `, `{}`, ` { } `, `[]`, `["a"]`, `"a"`, `1`, `null`} {
		for m := range Members([]byte(s)) {
			t.Errorf("%s: member %q", s, m.Key)
		}
	}
	for _, s := range []string{``, `{}`, `{"a":1}`, `[]`, ` [ ] `, `"a"`, `1`} {
		for v := range Elements([]byte(s)) {
			t.Errorf("%s: element %q", s, v)
		}
	}
}

func TestElements(t *testing.T) {
	got := []string{}
	for v := range Elements([]byte(" [ 1 ,\"a,]\",[ 2, 3 ],{ \"a\":[] }\n,null] ")) {
		got = append(got, string(v))
	}
	if want := []string{`1`, `"a,]"`, `[ 2, 3 ]`, `{ "a":[] }`, `null`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Long strings are skipped in another way than short ones; escapes stand at every offset
// of them, the end of the bytes included.
func TestMembersWithStringsOfEveryLength(t *testing.T) {
	for n := range 200 {
		for _, tail := range []string{``, `\\`, `\\\\`, `\"`, `\\\"`, `\"é\"`, `\n]}`, `\"` + strings.Repeat("y", 90) + `\"`} {
			text := `"` + strings.Repeat("x", n) + tail + `"`
			obj := []byte(`{` + text + `:[` + text + `],"b":` + text + `}`)
			if err := Check(obj, Limits{}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for m := range Members(obj) {
				got = append(got, string(m.Key), string(m.Value))
			}
			if want := []string{text, `[` + text + `]`, `"b"`, text}; !slices.Equal(got, want) {
				t.Fatalf("%s: got %q", obj, got)
			}
		}
	}
}

// On bytes that Check refuses, reading stays within them and ends.
func TestMembersOfBrokenObjects(t *testing.T) {
	for n := range smallMessage {
		for m := range Members(smallMessage[:n]) {
			for range Members(m.Value) {
			}
		}
	}
	for _, s := range []string{`{"a`, `{"a\`, `{"a":`, `{"a":[`, `{"a":1,`, `{"a" 1}`, `[1,`, `["`, `[,]`, `["` + strings.Repeat("x", 100)} {
		for range Members([]byte(s)) {
		}
		for range Elements([]byte(s)) {
			break
		}
	}
}

func TestGet(t *testing.T) {
	obj := []byte(`{"\u0061":0,"x":{"a":5},"a":1,"a":2,"b\n":3,"":4}`)
	for key, want := range map[string]string{"a": "1", "x": `{"a":5}`, "": "4", "b\n": "", "b": "", `b\n`: "3"} {
		if got := Get(obj, key); string(got) != want {
			t.Errorf("%q: %q", key, got)
		}
	}
	if Get([]byte(`["a"]`), "a") != nil || Get(nil, "a") != nil {
		t.Error("a member of what is no object")
	}
}

func TestCheckMembers(t *testing.T) {
	known := []string{"jsonrpc", "id", "method", "params", "task", "_meta"}
	for _, c := range []struct {
		in     string
		reason Reason
		offset int
	}{
		{`{}`, "", 0},
		{`[1]`, "", 0},
		{`{"id":1,"method":"a","params":{"ID":1,"a":1,"a":2}}`, "", 0},
		{`{"ids":1,"i":2,"idd":3,"":4,"i d":5}`, "", 0},
		{`{"a":1,"A":2,"á":3,"\u00c1":4}`, "", 0},
		{`{"a":1,"b":2,"a":3}`, Duplicate, 13},
		{`{"a":1, "\u0061":3}`, Duplicate, 8},
		{`{"\u0061":1,"\u0061":3}`, Duplicate, 12},
		{`{"é":1,"\u00e9":3}`, Duplicate, 8},
		{`{"\ud83d\ude00":1,"😀":3}`, Duplicate, 18},
		{`{"id":1,"id":1}`, Duplicate, 8},
		{`{"":1,"":1}`, Duplicate, 6},
		{`{"\u0069d":1}`, Lookalike, 1},
		{`{"id":1,"\u0069d":1}`, Lookalike, 8},
		{`{"ID":1}`, Lookalike, 1},
		{`{"Method":1}`, Lookalike, 1},
		{`{"param\u017f":1}`, Lookalike, 1},
		{`{"paramſ":1}`, Lookalike, 1},
		{`{"tas\u212a":1}`, Lookalike, 1},
		{`{"taſK":1}`, Lookalike, 1},
		{`{"id\u0000":1}`, Lookalike, 1},
		{`{"i\u0000d":1}`, Lookalike, 1},
		{`{"\nI\u001fD\t":1}`, Lookalike, 1},
		{"{\"i\x7fd\":1}", Lookalike, 1},
		{"{\"id\u0085\":1}", Lookalike, 1},
		{`{"_m\u0065ta":1}`, Lookalike, 1},
		{`{"_META":1}`, Lookalike, 1},
		{`{"ıd":1,"İD":2}`, "", 0}, // no simple folding makes i of these
	} {
		if err := Check([]byte(c.in), Limits{}); err != nil {
			t.Fatalf("%q: %v", c.in, err)
		}
		err := CheckMembers([]byte(c.in), known...)
		var e *Error
		errors.As(err, &e)
		if e == nil && c.reason != "" || e != nil && (e.Reason != c.reason || e.Offset != c.offset) {
			t.Errorf("%q: %v, want %q at %d", c.in, err, c.reason, c.offset)
		}
	}
}

func TestCheckMembersWords(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1,"a":2}`:  `two members named "a" at byte 7`,
		`{"I\u0000D":1}`: `member "I\x00D" resembles "id" at byte 1`,
		`{"` + strings.Repeat("x", 70) + `":1,"` + strings.Repeat("x", 70) + `":1}`: `two members named "` + strings.Repeat("x", 64) + `"… at byte 76`,
	} {
		if err := CheckMembers([]byte(in), "id"); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Duplicates are found in objects of every size: compared one by one, in the table, between
// the two, and after the table grew.
func TestCheckMembersOfLargeObjects(t *testing.T) {
	for n := 1; n <= 1000; n += 1 + n/(3*smallObject)*200 {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf("\"k%d\":%d", i, i))
		}
		obj := "{" + strings.Join(keys, ",") + "}"
		if err := CheckMembers([]byte(obj), "id"); err != nil {
			t.Fatalf("%d members: %v", n, err)
		}
		for i := range n {
			twice := fmt.Sprintf(`{%s,"\u006b%d":0}`, strings.Join(keys, ","), i)
			var e *Error
			if err := CheckMembers([]byte(twice), "id"); !errors.As(err, &e) || e.Reason != Duplicate || e.Offset != len(obj) {
				t.Fatalf("%s: %v", twice, err)
			}
		}
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	long := []byte(`{"` + strings.Repeat("long", 30) + `":1,"id":2}`)
	if n := testing.AllocsPerRun(100, func() {
		for m := range Members(smallMessage) {
			_ = m
		}
		_ = Get(smallMessage, "params")
		if CheckMembers(smallMessage, "jsonrpc", "id", "method", "params") != nil || CheckMembers(long, "id") != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
