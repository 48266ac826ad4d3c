package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unsafe"

	"mcpgateway/internal/rawjson"
)

func TestParse(t *testing.T) {
	long := `"` + strings.Repeat("x", 257) + `"`
	tests := []struct {
		name, in string
		want     Kind   // 0: refused
		reason   string // where it is refused
		id       string // kept also where it is refused
	}{
		{"request", `{"jsonrpc":"2.0","id":1,"method":"m"}`, Request, "", "1"},
		{"request with params", ` {"params":{"a":[1.0]},"method":"m","id":"x","jsonrpc":"2.0"}` + "\n", Request, "", `"x"`},
		{"unknown members pass", `{"jsonrpc":"2.0","id":1,"method":"m","zz":{"id":2},"extra":null}`, Request, "", "1"},
		{"notification", `{"jsonrpc":"2.0","method":"m"}`, Notification, "", ""},
		{"response", `{"jsonrpc":"2.0","id":9007199254740993,"result":{"a":1}}`, Response, "", "9007199254740993"},
		{"failure", `{"jsonrpc":"2.0","id":1,"error":{"code":1}}`, Failure, "", "1"},
		{"failure with id null", `{"jsonrpc":"2.0","id":null,"error":{}}`, Failure, "", "null"},
		{"failure without id", `{"jsonrpc":"2.0","error":{}}`, Failure, "", ""},
		{"an empty text id", `{"jsonrpc":"2.0","id":"","method":"m"}`, Request, "", `""`},
		{"an escaped id", `{"jsonrpc":"2.0","id":"\u0061","method":"m"}`, Request, "", `"\u0061"`},
		{"a negative id", `{"jsonrpc":"2.0","id":-7,"method":"m"}`, Request, "", "-7"},
		{"twenty digits", `{"jsonrpc":"2.0","id":12345678901234567890,"method":"m"}`, Request, "", "12345678901234567890"},

		{"nothing", ``, 0, "syntax", ""},
		{"text", `hello`, 0, "syntax", ""},
		{"a number", `7`, 0, "object", ""},
		{"null", `null`, 0, "object", ""},
		{"an array", `[{"jsonrpc":"2.0","method":"m"}]`, 0, "object", ""},
		{"two messages", `{"jsonrpc":"2.0","method":"m"} {}`, 0, "syntax", ""},
		{"an empty object", `{}`, 0, "jsonrpc", ""},
		{"another version", `{"jsonrpc":"1.0","id":3,"method":"m"}`, 0, "jsonrpc", "3"},
		{"a version of another type", `{"jsonrpc":2.0,"id":3,"method":"m"}`, 0, "jsonrpc", "3"},
		{"neither", `{"jsonrpc":"2.0","id":3}`, 0, "message", "3"},
		{"result and error", `{"jsonrpc":"2.0","id":3,"result":{},"error":{}}`, 0, "message", "3"},
		{"method and result", `{"jsonrpc":"2.0","id":3,"method":"m","result":{}}`, 0, "message", "3"},
		{"a result of another type", `{"jsonrpc":"2.0","id":3,"result":[]}`, 0, "result", "3"},
		{"a result without id", `{"jsonrpc":"2.0","result":{}}`, 0, "id", ""},
		{"a result with id null", `{"jsonrpc":"2.0","id":null,"result":{}}`, 0, "id", ""},
		{"an error of another type", `{"jsonrpc":"2.0","id":3,"error":"no"}`, 0, "error", "3"},
		{"a request with id null", `{"jsonrpc":"2.0","id":null,"method":"m"}`, 0, "id", ""},
		{"a fraction", `{"jsonrpc":"2.0","id":1.5,"method":"m"}`, 0, "id", ""},
		{"1.0", `{"jsonrpc":"2.0","id":1.0,"method":"m"}`, 0, "id", ""},
		{"an exponent", `{"jsonrpc":"2.0","id":1e2,"method":"m"}`, 0, "id", ""},
		{"true", `{"jsonrpc":"2.0","id":true,"method":"m"}`, 0, "id", ""},
		{"an object as id", `{"jsonrpc":"2.0","id":{},"method":"m"}`, 0, "id", ""},
		{"too many digits", `{"jsonrpc":"2.0","id":123456789012345678901,"method":"m"}`, 0, "id", ""},
		{"a long id", `{"jsonrpc":"2.0","id":` + long + `,"method":"m"}`, 0, "id", ""},
		{"an empty method", `{"jsonrpc":"2.0","id":3,"method":""}`, 0, "method", "3"},
		{"a method of another type", `{"jsonrpc":"2.0","id":3,"method":null}`, 0, "method", "3"},
		{"a long method", `{"jsonrpc":"2.0","id":3,"method":` + long + `}`, 0, "method", "3"},
		{"params of another type", `{"jsonrpc":"2.0","id":3,"method":"m","params":[1]}`, 0, "params", "3"},
		{"params null", `{"jsonrpc":"2.0","id":3,"method":"m","params":null}`, 0, "params", "3"},
		{"a member twice", `{"jsonrpc":"2.0","id":3,"method":"m","method":"n"}`, 0, "duplicate", ""},
		{"a member twice, once escaped", `{"jsonrpc":"2.0","id":3,"method":"m","m\u0065thod":"n"}`, 0, "lookalike", "3"},
		{"a member by another case", `{"jsonrpc":"2.0","id":3,"Method":"m"}`, 0, "lookalike", "3"},
		{"a result with a member twice", `{"jsonrpc":"2.0","id":3,"result":{"a":1,"a":2}}`, 0, "result", "3"},
		{"not UTF-8", `{"jsonrpc":"2.0","id":3,"method":"` + "\xff" + `"}`, 0, "utf8", "3"},
		{"a control character", `{"jsonrpc":"2.0","id":3,"method":"` + "\x01" + `"}`, 0, "control", "3"},
		{"a lone surrogate", `{"jsonrpc":"2.0","id":3,"method":"m","params":{"a":"\ud83d"}}`, 0, "surrogate", "3"},
		{"too deep", `{"jsonrpc":"2.0","id":3,"method":"m","params":{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}}`, 0, "depth", "3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in), ClientLimits)
			if tt.want == 0 {
				p, ok := err.(*ParseError)
				if !ok || m != nil {
					t.Fatalf("%+v, %v", m, err)
				}
				if tt.reason != "" && p.Reason != tt.reason || string(p.ID) != tt.id || p.Detail == "" {
					t.Errorf("reason %q, id %s, %q", p.Reason, p.ID, p.Detail)
				}
				return
			}
			if err != nil || m.Kind != tt.want || string(m.ID) != tt.id {
				t.Fatalf("%+v, %v", m, err)
			}
		})
	}
}

// TestServersMayCutText: a lone surrogate is data in an answer.
func TestServersMayCutText(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":1,"result":{"a":"\ud83d"}}`
	if m, err := Parse([]byte(in), ServerLimits); err != nil || string(m.Result) != `{"a":"\ud83d"}` {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAppend(t *testing.T) {
	for got, want := range map[string]string{
		string(AppendRequest([]byte("x"), []byte("1"), `a"b`, []byte(`{}`))):  `x{"jsonrpc":"2.0","id":1,"method":"a\"b","params":{}}`,
		string(AppendRequest(nil, []byte(`"\u0061"`), "m", nil)):              `{"jsonrpc":"2.0","id":"\u0061","method":"m"}`,
		string(AppendNotification(nil, "m", nil)):                             `{"jsonrpc":"2.0","method":"m"}`,
		string(AppendNotification(nil, "m", []byte(`{"a":1.0}`))):             `{"jsonrpc":"2.0","method":"m","params":{"a":1.0}}`,
		string(AppendResult(nil, []byte("-1"), []byte(`{ }`))):                `{"jsonrpc":"2.0","id":-1,"result":{ }}`,
		string(AppendError(nil, []byte("1"), []byte(`{"code":1}`))):           `{"jsonrpc":"2.0","id":1,"error":{"code":1}}`,
		string(AppendError(nil, nil, []byte(`{"code":1}`))):                   `{"jsonrpc":"2.0","error":{"code":1}}`,
		string(AppendError([]byte("[1,"), []byte("null"), []byte(`{"c":1}`))): `[1,{"jsonrpc":"2.0","id":null,"error":{"c":1}}`,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// within tells whether part lies in the memory of whole.
func within(part, whole []byte) bool {
	if len(part) == 0 {
		return part == nil
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return a >= b && a+uintptr(len(part)) <= b+uintptr(len(whole))
}

// FuzzParse: no input panics; what is accepted is read as encoding/json reads it, its
// pieces are parts of the input, and put together again they are the same message.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1.0}}`, ` {"jsonrpc":"2.0","method":"a\u0062"}`, `{"jsonrpc":"2.0","id":"x","result":{"a":"\ud83d"}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-1}}`, `[{"jsonrpc":"2.0"}]`, `{"jsonrpc":"2.0","id":1.5,"Method":"m"}`, `{"jsonrpc":"2.0","id":3,"result":{"a":}}`, "\xff", ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, l := range []Limits{ClientLimits, ServerLimits} {
			m, err := Parse(in, l)
			if err != nil {
				p, ok := err.(*ParseError)
				if !ok || p.Reason == "" || p.ID != nil && ValidID(p.ID, l) != nil {
					t.Fatalf("%q is refused with %#v", in, err)
				}
				continue
			}
			for _, part := range [][]byte{m.Raw, m.ID, m.Params, m.Result, m.Error} {
				if !within(part, in) {
					t.Fatalf("%q is no part of %q", part, in)
				}
			}
			var whole map[string]json.RawMessage
			if err := json.Unmarshal(in, &whole); err != nil {
				t.Fatalf("encoding/json refuses %q: %v", in, err)
			}
			for key, part := range map[string][]byte{"id": m.ID, "params": m.Params, "result": m.Result, "error": m.Error} {
				if !bytes.Equal(whole[key], part) {
					t.Fatalf("%s of %q is %q, encoding/json says %q", key, in, part, whole[key])
				}
			}
			reparsed(t, m, l)
		}
	})
}

// reparsed writes m again and reads it.
func reparsed(t *testing.T, m *Message, l Limits) {
	var out []byte
	switch m.Kind {
	case Request:
		out = AppendRequest(nil, m.ID, m.Method, m.Params)
	case Notification:
		out = AppendNotification(nil, m.Method, m.Params)
	case Response:
		out = AppendResult(nil, m.ID, m.Result)
	case Failure:
		out = AppendError(nil, m.ID, m.Error)
	}
	again, err := Parse(out, l)
	if err != nil || again.Kind != m.Kind || again.Method != m.Method || !bytes.Equal(again.ID, m.ID) || !bytes.Equal(again.Params, m.Params) || !bytes.Equal(again.Result, m.Result) || !bytes.Equal(again.Error, m.Error) {
		t.Fatalf("%q became %q: %v", m.Raw, out, err)
	}
	if line := rawjson.AppendLine(nil, out); bytes.ContainsAny(line, "\r\n") {
		t.Fatalf("%q is no line", line)
	}
}
