package rawjson

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"x\u0000y"`: "x\x00y",
		`"\u00e9é\uABCD"`: "éé\uabcd", `"a\ud83d\ude00b"`: "a😀b", `"\ud83d"`: "\ufffd", `"\ude00\ud83d"`: "\ufffd\ufffd",
		`"\ud83d\ud83d\ude00"`: "\ufffd😀", `"\ud83d\u0041"`: "\ufffdA", `"\ud83d\n"`: "\ufffd\n", `"\ufffd"`: "\ufffd",
		`"\udbff\udfff"`: "\U0010ffff",
	} {
		if got, ok := Text([]byte(in)); !ok || got != want {
			t.Errorf("%s: %q %v", in, got, ok)
		}
	}
	for _, in := range []string{``, `"`, `a`, `"a`, `a"`, `1`, `null`, `{"a":1}`, `"a"b"`, `"a" `, ` "a"`, `"\"`, `"\x"`, `"\u12"`, "\"\n\"", "\"\xff\""} {
		if got, ok := Text([]byte(in)); ok || got != "" {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestAppendText(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a/b<&>": `"a/b<&>"`, "\"\\\b\f\n\r\t\x00\x1f\x7f": `"\"\\\b\f\n\r\t\u0000\u001f` + "\x7f\"",
		"é日😀\u2028\ufeff": "\"é日😀\u2028\ufeff\"", "a\xffb\xe2\x82": "\"a\ufffdb\ufffd\ufffd\"", "\ufffd": "\"\ufffd\"",
	} {
		if got := AppendText([]byte("x:"), in); string(got) != "x:"+want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range accepted {
		f.Add([]byte(s))
	}
	f.Add([]byte("\"\\\b\x00é\xff\xe2\x82😀"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := Text(b)
		quoted := len(b) > 0 && b[0] == '"' && b[len(b)-1] == '"'
		if ok != (quoted && utf8.Valid(b) && json.Valid(b)) {
			t.Fatalf("%q: %v", b, ok)
		}
		if ok {
			sameText(t, b)
			if again, ok := Text(AppendText(nil, got)); !ok || again != got {
				t.Fatalf("%q became %q", got, again)
			}
		}
		token := AppendText(nil, string(b))
		if err := Check(token, Limits{}); err != nil {
			t.Fatalf("%q: %v", token, err)
		}
		if back, ok := Text(token); !ok || back != string([]rune(string(b))) {
			t.Fatalf("%q became %q", b, back)
		}
	})
}
