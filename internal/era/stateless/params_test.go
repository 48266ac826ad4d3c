package stateless

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// TestHeadersMirrorArguments: each that the tool's definition names is held against the
// body, before anything is sent, and again with each retry.
func TestHeadersMirrorArguments(t *testing.T) {
	const schema = `{"name":"tool","inputSchema":{"type":"object","properties":{"s":{"type":"string","x-mcp-header":"Str"},` +
		`"o":{"type":"object","properties":{"i":{"type":"integer","x-mcp-header":"Int"}}},"b":{"type":"boolean","x-mcp-header":"Bool"}}}}`
	for _, c := range []struct {
		arguments string
		headers   string // name=value, by space
		ok        bool
	}{
		{`{}`, ``, true},
		{`{"s":null}`, ``, true},
		{`{"s":"Hello"}`, `Str=Hello`, true},
		{`{"s":"Hello"}`, `Str==?base64?SGVsbG8=?=`, true},
		{`{"s":"SGVsbG8="}`, `Str=SGVsbG8=`, true},
		{`{"s":"=?base64?SGVsbG8="}`, `Str==?base64?SGVsbG8=`, true},
		{`{"s":"\u00e9"}`, `Str==?base64?w6k=?=`, true},
		{`{"s":"Hello"}`, `Str==?base64?SGVsbG8?=`, false},
		{`{"s":"Hello"}`, `Str==?base64?SGVs!!!bG8=?=`, false},
		{"{\"s\":\"\u00e9\"}", "Str=\u00e9", false},
		{`{"s":"Hello"}`, ``, false},
		{`{"s":"Hello"}`, `Str=hello`, false},
		{`{"s":"Hello"}`, `Str=Hello Str=Hello`, false},
		{`{}`, `Str=Hello`, false},
		{`{"s":null}`, `Str=null`, false},
		{`{"o":{"i":42}}`, `Int=42`, true},
		{`{"o":{"i":42}}`, `Int=42.0`, true},
		{`{"o":{"i":4.2e1}}`, `Int=42`, true},
		{`{"o":{"i":42}}`, `Int=43`, false},
		{`{"o":{"i":42}}`, `Int=0x2a`, false},
		{`{"o":{"i":42}}`, `Int=forty`, false},
		{`{"o":{"i":42}}`, `Int=-`, false},
		{`{"o":{"i":42}}`, ``, false},
		{`{"i":42}`, ``, true},
		{`{"o":{"i":9007199254740993}}`, ``, true}, // no client can mirror it
		{`{"o":{"i":9007199254740993}}`, `Int=9007199254740993`, true},
		{`{"o":{"i":9007199254740993}}`, `Int=9007199254740992`, false},
		{`{"o":{"i":{}}}`, ``, true},
		{`{"o":{"i":{}}}`, `Int={}`, false},
		{`{"b":true}`, `Bool=true`, true},
		{`{"b":true}`, `Bool=True`, false},
		{`{"s":"x"}`, `Str=x Other=y`, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, func(ctx context.Context, call *mcp.Call) (string, error) {
				call.Target.Definition = []byte(schema)
				if err := call.Admit(&call.Target); err != nil {
					return "", err
				}
				return elicit(ctx, call)
			})
			mirrors := func(mirrors string) func(string) []string {
				return func(name string) []string {
					switch name {
					case era.HeaderVersion:
						return []string{"2026-07-28"}
					case era.HeaderMethod:
						return []string{mcp.ToolsCall}
					case era.HeaderName:
						return []string{"tool"}
					}
					var out []string
					for pair := range strings.FieldsSeq(mirrors) {
						if key, value, _ := strings.Cut(pair, "="); name == "Mcp-Param-"+key {
							out = append(out, value)
						}
					}
					return out
				}
			}
			a := d.send(request{arguments: c.arguments, header: mirrors(c.headers)})
			if !c.ok {
				d.refuses(a, -32020, "header")
				if a.status != 400 {
					t.Errorf("the status is %d", a.status)
				}
				return
			}
			state := d.asks(a, "q1")
			if strings.Contains(c.headers, "Str=") {
				d.refuses(d.send(request{arguments: c.arguments, header: mirrors("Str=other"), state: state, responses: `{"q1":{}}`}), -32020, "header")
			}
			d.says(d.send(request{arguments: c.arguments, header: mirrors(c.headers), state: state, responses: `{"q1":{}}`}), "{}")
		})
	}
}

// TestDigest: what says the same is the same, and nothing else.
func TestDigest(t *testing.T) {
	alike := [][]string{
		{`{"a":1,"b":[true,null,"x"]}`, ` { "b" : [ true , null , "\u0078" ] , "a" : 1.0 } `, `{"\u0061":1e0,"b":[true,null,"x"]}`},
		{`{}`, ` { } `}, {`[]`, `[ ]`}, {`[[]]`}, {`[{}]`}, {`""`}, {`"1"`}, {`1`, `10e-1`}, {`true`}, {`"true"`}, {`null`}, {`0.1`, `1e-1`},
		{`9007199254740993`}, {`9007199254740992`}, {`1e400`}, {`{"a":{"b":1}}`}, {`{"a":{"b":1},"c":2}`}, {`{"a":{"b":1,"c":2}}`},
		{`["a","b"]`}, {`["ab"]`}, {`["b","a"]`}, {`{"a":"\"}"}`, `{"a":"\u0022}"}`}, {`{"a":"\\"}`}, {`-1`}, {`{"a":1,"a":2}`}, {`{"a":2,"a":1}`},
	}
	known := map[sum]string{}
	for _, same := range alike {
		first := digest([]byte(same[0]))
		for _, v := range same {
			if digest([]byte(v)) != first {
				t.Errorf("%s is not %s", v, same[0])
			}
		}
		if other := known[first]; other != "" {
			t.Errorf("%s is %s", same[0], other)
		}
		known[first] = same[0]
	}
}
