package rawjson

import (
	"bytes"
	"strings"
	"testing"
)

func TestFindID(t *testing.T) {
	long := strings.Repeat("x", maxIDToken-2)
	deep := strings.Repeat("[", 100_000)
	shut := strings.Repeat("]", 100_000)
	for _, c := range []struct{ in, want string }{
		{`{"id":1}`, `1`},
		{` { "id" : "a\"b" , "x":1}`, `"a\"b"`},
		{"\ufeff{\"id\":1}", `1`},
		{`{"jsonrpc":"2.0","method":"id","params":{"id":2,"x":[{"id":3}]},"id":-9007199254740993}`, `-9007199254740993`},
		{`{"x":"\"id\":5,","id":"\\","y":1}`, `"\\"`},
		{`{"id":1,"id":2}`, `1`},
		{`{"id":null}`, `null`},
		{`{"id":1.5e3}`, `1.5e3`},
		{`{"a":[1,2,"id",3],"id":4}`, `4`},
		{`{"id\u0000":1,"\u0069d":2,"ID":3,"idx":4,"i":5,"":6,"x":7,"id":8}`, `8`},
		{`{"\\":1,"id":8}`, `8`},
		{`{"x":` + deep + shut + `,"id":4}`, `4`},
		{`{"id":"` + long + `"}`, `"` + long + `"`},

		// broken elsewhere
		{`{"id":7,"result":{"x":`, `7`},
		{`{"id":"a"`, `"a"`},
		{"{\"x\":\"\x00\xff\n\",\"id\":7}", `7`},
		{`{"x":nope nope,"id":7}`, `7`},
		{`{"x" 1,"id":7}`, `7`},
		{`{x:1,"id":7}`, `7`},
		{`{,"id":7}`, `7`},
		{`{"id":7}}}}]]`, `7`},
		{`{"id":7 ,,,`, `7`},
		{`{"x":` + deep + `,"id":4}`, ``},

		// no id, or not whole, or not to be trusted
		{``, ``},
		{`[{"id":1}]`, ``},
		{`"id"`, ``},
		{`id`, ``},
		{`x{"id":1}`, ``},
		{`{`, ``},
		{`}`, ``},
		{`{}`, ``},
		{`{"id"`, ``},
		{`{"id":`, ``},
		{`{"id":1`, ``},
		{`{"id":1 `, ``},
		{`{"id":"a`, ``},
		{`{"id":"a\"`, ``},
		{`{"id":1 2}`, ``},
		{`{"id":1"2"}`, ``},
		{`{"id":1[}`, ``},
		{`{"id":{"a":1},"id":2}`, ``},
		{`{"id":[1]}`, ``},
		{`{"id":,"id":2}`, ``},
		{`{"id":}`, ``},
		{`{"id" "x":1,"y":2}`, ``},
		{`{"id":tru}`, ``},
		{`{"id":01}`, ``},
		{`{"id":1x}`, ``},
		{"{\"id\":\"\n\"}", ``},
		{"{\"id\":\"\xff\"}", ``},
		{`{"id":"\ud83d"}`, ``},
		{`{"id":"\x"}`, ``},
		{`{"id":"` + long + `x"}`, ``},
		{`{"id":` + strings.Repeat("1", maxIDToken+1) + `}`, ``},
		{`{"x":1}{"id":1}`, ``},
		{`{"x":[1}],"id":1}`, ``},
		{`{"x":{]"id":1}}`, ``},
		{`{"x":{"id":1}`, ``},
	} {
		got := FindID([]byte(c.in))
		if string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("%.60q: got %.60q, want %.60q", c.in, got, c.want)
		}
		for _, size := range []int{1, 2, 3, 7, 8, 9, 64} {
			if got := findChunked([]byte(c.in), size); string(got) != c.want {
				t.Errorf("%.60q in pieces of %d: got %.60q, want %.60q", c.in, size, got, c.want)
			}
		}
	}
}

func findChunked(b []byte, size int) []byte {
	var f Finder
	for len(b) > 0 {
		n := min(size, len(b))
		if m, err := f.Write(bytes.Clone(b[:n])); m != n || err != nil {
			panic("Write did not take all")
		}
		b = b[n:]
	}
	return f.ID()
}

// Whatever the length of what it reads, a Finder keeps no more than one token.
func TestFinderIsBounded(t *testing.T) {
	for _, begin := range []string{`{"id":"`, `{"id":`, `{"`, `{"x":"`, `{"x":`} {
		for _, unit := range []string{"1", "[", `\`, "é", `"`, `{"`} {
			var f Finder
			f.Write([]byte(begin))
			piece := []byte(strings.Repeat(unit, 1000))
			for range 100 {
				f.Write(piece)
			}
			if cap(f.token) > 2*maxIDToken {
				t.Errorf("%s %s: keeps %d bytes", begin, unit, cap(f.token))
			}
		}
	}
}

func FuzzFinder(f *testing.F) {
	for _, s := range accepted {
		f.Add([]byte(s), uint8(1), uint(3))
	}
	for _, s := range []string{`{"id":1}`, `{"x":{"id":1},"id":"a\"b","y":[1,2]}`, `{"x":"\"","id":null}`, `{"id":[1}`, `{"a":"`, `{"\u0069d":1}`} {
		f.Add([]byte(s), uint8(3), uint(5))
	}
	f.Add(smallMessage, uint8(7), uint(60))
	f.Fuzz(func(t *testing.T, b []byte, size uint8, cut uint) {
		got := FindID(b)
		if chunked := findChunked(b, int(size)+1); !bytes.Equal(got, chunked) {
			t.Fatalf("%q: %q, in pieces %q", b, got, chunked)
		}
		if got != nil {
			if err := Check(got, Limits{}); err != nil || len(got) > maxIDToken || bytes.ContainsAny(got, "\r\n") {
				t.Fatalf("%q: %q: %v", b, got, err)
			}
		}
		if Check(b, Limits{}) != nil || CheckMembers(b) != nil {
			return
		}
		want := Get(b, "id")
		if len(want) > maxIDToken || len(want) > 0 && (want[0] == '{' || want[0] == '[') {
			want = nil
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", b, got, want)
		}
		// What was cut off must not turn one id into another.
		if part := FindID(b[:cut%uint(len(b)+1)]); part != nil && !bytes.Equal(part, want) {
			t.Fatalf("%q cut at %d: %q", b, cut%uint(len(b)+1), part)
		}
	})
}
