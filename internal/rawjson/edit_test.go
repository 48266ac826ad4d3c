package rawjson

import (
	"bytes"
	"slices"
	"testing"
)

func TestAppendEdited(t *testing.T) {
	set := func(k, v string) Edit { return Edit{k, []byte(v)} }
	drop := func(k string) Edit { return Edit{Key: k} }
	for _, c := range []struct {
		obj   string
		edits []Edit
		want  string
	}{
		{``, nil, `{}`},
		{`null`, []Edit{set("a", "1")}, `{"a":1}`},
		{`["a"]`, []Edit{set("a", "1")}, `{"a":1}`},
		{`{}`, []Edit{set("a", "1"), set("b", `{"c":2}`)}, `{"a":1,"b":{"c":2}}`},
		{`{}`, []Edit{drop("a")}, `{}`},
		{` { } `, nil, `{ }`},
		{`{ }`, []Edit{set("a", "1")}, `{"a":1}`},
		{" { \"a\" : 1.0 ,\n\"b\":1e400 } ", nil, "{ \"a\" : 1.0 ,\n\"b\":1e400 }"},
		{" { \"a\" : 1.0 ,\n\"b\":1e400 } ", []Edit{set("b", "2")}, "{ \"a\" : 1.0 ,\n\"b\":2 }"},
		{`{"a":1,"b":2,"c":3}`, []Edit{drop("a")}, `{"b":2,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, []Edit{drop("b")}, `{"a":1,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, []Edit{drop("c")}, `{"a":1,"b":2}`},
		{`{"a":1,"b":2,"c":3}`, []Edit{drop("c"), drop("a"), drop("b")}, `{}`},
		{`{"a":1,"b":2}`, []Edit{drop("a"), set("z", "0"), drop("b"), set("y", "1")}, `{"z":0,"y":1}`},
		{`{"a":1,"b":2}`, []Edit{set("new", "0"), set("b", "3")}, `{"a":1,"b":3,"new":0}`},
		{`{"x":{"a":1},"a":"b","b":"a"}`, []Edit{set("a", "2")}, `{"x":{"a":1},"a":2,"b":"a"}`},
		{`{"a":1,"b":2,"a":3}`, []Edit{set("a", "4")}, `{"a":4,"b":2}`},
		{`{"a":1,"b":2,"a":3}`, []Edit{drop("a")}, `{"b":2}`},
		{`{"a":1,"b":2,"a":3}`, nil, `{"a":1,"b":2,"a":3}`},
		{`{"\u0061":1,"b":2}`, []Edit{set("a", "3")}, `{"a":3,"b":2}`},
		{`{"\u0061":1,"b":2}`, []Edit{drop("a")}, `{"b":2}`},
		{`{"a":1}`, []Edit{set("a", "2"), set("a", "3")}, `{"a":3}`},
		{`{"a":1}`, []Edit{set("a", "2"), drop("a")}, `{}`},
		{`{"a":1}`, []Edit{set("b", "2"), drop("b"), set("c", "1"), set("c", "2")}, `{"a":1,"c":2}`},
		{`{"a":1}`, []Edit{{"a", []byte{}}}, `{}`},
		{`{"a":1}`, []Edit{set("q\"\n", "2")}, `{"a":1,"q\"\n":2}`},
		{`{"q\"\n":1}`, []Edit{set("q\"\n", "2")}, `{"q\"\n":2}`},
	} {
		got := AppendEdited([]byte("x"), []byte(c.obj), c.edits...)
		if string(got) != "x"+c.want {
			t.Errorf("%s %q: got %s, want %s", c.obj, c.edits, got[1:], c.want)
		}
	}
}

func TestAppendEditedDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	id, params := []byte("17"), []byte(`{"name":"add"}`)
	if n := testing.AllocsPerRun(100, func() {
		AppendEdited(buf, smallMessage, Edit{"id", id}, Edit{"params", params}, Edit{"x", nil})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "{}": "{}", "{\n\"a\":\r\n1}\n": "{ \"a\":  1} ", `{"a":"\n"}`: `{"a":"\n"}`,
	} {
		src := []byte(in)
		if got := AppendLine([]byte("x\n"), src); string(got) != "x\n"+want || string(src) != in {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func FuzzEdited(f *testing.F) {
	for _, s := range accepted {
		f.Add([]byte(s), "a", []byte("1"), "b", []byte(nil))
	}
	f.Add([]byte(`{"a":1,"\u0061":2,"b":3}`), "a", []byte(`{"x":[]}`), "c", []byte(`"y"`))
	f.Add(smallMessage, "id", []byte("5"), "params", []byte(nil))
	f.Fuzz(func(t *testing.T, obj []byte, k1 string, v1 []byte, k2 string, v2 []byte) {
		if Check(obj, Limits{LoneSurrogates: true}) != nil {
			return
		}
		edits := []Edit{{k1, v1}, {k2, v2}}
		for _, e := range edits {
			if len(e.Value) > 0 && Check(e.Value, Limits{}) != nil || string([]rune(e.Key)) != e.Key {
				return
			}
		}
		got := AppendEdited(nil, obj, edits...)
		if err := Check(got, Limits{Depth: 600, LoneSurrogates: true}); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		want := map[string][]byte{k1: v1}
		want[k2] = v2
		for k, v := range want {
			var all [][]byte
			for m := range Members(got) {
				if s, _ := Text(m.Key); s == k {
					all = append(all, m.Value)
				}
			}
			if len(v) == 0 && len(all) != 0 || len(v) != 0 && (len(all) != 1 || !bytes.Equal(all[0], trim(v))) {
				t.Fatalf("%q: %q is %q, want %q", got, k, all, v)
			}
		}
		if a, b := untouched(obj, want), untouched(got, want); !slices.Equal(a, b) {
			t.Fatalf("%q became %q", a, b)
		}
		if b := trim(obj); b[0] == '{' && !bytes.Equal(AppendEdited(nil, obj), b) {
			t.Fatalf("%q: without edits %q", obj, AppendEdited(nil, obj))
		}
		line := AppendLine(nil, obj)
		if bytes.ContainsAny(line, "\r\n") || Check(line, Limits{LoneSurrogates: true}) != nil || len(line) != len(obj) {
			t.Fatalf("%q as a line: %q", obj, line)
		}
	})
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

// untouched lists the raw members of obj whose names are not in touched.
func untouched(obj []byte, touched map[string][]byte) (raw []string) {
	for m := range Members(obj) {
		s, _ := Text(m.Key)
		if _, ok := touched[s]; !ok {
			raw = append(raw, string(m.Key), string(m.Value))
		}
	}
	return raw
}
