package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpgateway/internal/config"
	"mcpgateway/internal/rawjson"
)

const richSchema = `{"type":"object","required":["name","n"],"additionalProperties":false,"$defs":{"Colour":{"enum":["red","blue"]},"Loop":{"$ref":"#/$defs/Loop"},"a/b":{"type":"number"}},"properties":{
	"list":{"type":"array","items":{"$ref":"#/$defs/Colour"}},
	"name":{"type":"string"},
	"n":{"type":"integer"},
	"x":{"type":"number"},
	"on":{"type":"boolean"},
	"o":{"type":"object"},
	"nothing":{"type":"null"},
	"maybe":{"type":["string","null"]},
	"either":{"anyOf":[{"type":"integer"},{"type":"string"}]},
	"colour":{"$ref":"#/$defs/Colour"},
	"wrapped":{"allOf":[{"$ref":"#/$defs/Colour"},{"description":"x"}]},
	"loop":{"$ref":"#/$defs/Loop"},
	"escaped":{"$ref":"#/$defs/a~1b"},
	"elsewhere":{"$ref":"https://example.com/schema"},
	"level":{"enum":[1,2]},
	"fixed":{"const":true},
	"mixed":{"oneOf":[{"type":"boolean"},{"type":"array"}]},
	"any":{},
	"yes":true}}`

func TestSignatureIsShort(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{`{"type":"object"}`, "()"},
		{`{"type":"object","properties":{}}`, "()"},
		{`{"type":"object","additionalProperties":false}`, "()"},
		{`{"type":"object","additionalProperties":{}}`, "(…)"},
		{`{"type":"object","properties":{},"patternProperties":{"^x":{}}}`, "(…)"},
		{`{"type":"object","$ref":"#/$defs/In","$defs":{"In":{"properties":{"a":{}}}}}`, "(…)"},
		{`{"type":"object","properties":{"a":{},"b":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`, "(a?: any, b?: any)"},
		{`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}`, "(a: number, b: number)"},
		{`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"string"}},"required":["b"],"additionalProperties":true}`, "(b: string, a?: number, …)"},
		{`{"type":"object","properties":{"a":{}},"patternProperties":{"^x":{}}}`, "(a?: any, …)"},
		{`{"type":"object","properties":"none","required":7}`, "()"},
		{richSchema, "(name: string, n: integer, list?: string[], x?: number, on?: boolean, o?: object, nothing?: null, maybe?: string|null, either?: integer|string, " +
			"colour?: string, wrapped?: string, loop?: any, escaped?: number, elsewhere?: any, level?: number, fixed?: boolean, mixed?: boolean|array, any?: any, yes?: any)"},
	} {
		if got := signatureOf([]byte(c.schema)).String(); got != c.want {
			t.Errorf("%.60s\n got %s\nwant %s", c.schema, got, c.want)
		}
	}
}

func TestValuesGetTheTypeOfTheirParameter(t *testing.T) {
	sig := signatureOf([]byte(richSchema))
	for _, c := range []struct{ typed, want string }{
		{"name=5", `"name":"5"`},
		{"name=", `"name":""`},
		{"name=a=b \"q\"\n", `"name":"a=b \"q\"\n"`},
		{"n=12345678901234567890123", `"n":12345678901234567890123`},
		{"n=-0", `"n":-0`},
		{"x=1.50e3", `"x":1.50e3`},
		{"on=true", `"on":true`},
		{`o={"a": [1, 2.0]}`, `"o":{"a": [1, 2.0]}`},
		{`list=["a"]`, `"list":["a"]`},
		{"nothing=null", `"nothing":null`},
		{"maybe=null", `"maybe":null`},
		{"maybe=nil", `"maybe":"nil"`},
		{"either=7", `"either":7`},
		{"either=7.5", `"either":"7.5"`},
		{"either=7a", `"either":"7a"`},
		{"colour=red", `"colour":"red"`},
		{"level=2", `"level":2`},
		{"mixed=[1]", `"mixed":[1]`},
		{"any=word", `"any":"word"`},
		{"any=1", `"any":1`},
		{`any="1"`, `"any":"1"`},
	} {
		pairs := []string{c.typed}
		for _, needed := range []string{"name=x", "n=1"} {
			if !strings.HasPrefix(c.typed, needed[:strings.Index(needed, "=")+1]) {
				pairs = append(pairs, needed)
			}
		}
		g, err := Arguments{Pairs: pairs}.read(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.object("s.tool", sig)
		if err != nil {
			t.Errorf("%s: %v", c.typed, err)
			continue
		}
		if err := rawjson.Check(got, rawjson.Limits{}); err != nil || !strings.HasPrefix(string(got), "{"+c.want+",") {
			t.Errorf("%s\n got %s\nwant %s (%v)", c.typed, got, c.want, err)
		}
	}
}

func TestWrongValuesAreExplained(t *testing.T) {
	sig := signatureOf([]byte(`{"type":"object","required":["path"],"properties":{"path":{"type":"string"},"count":{"type":"integer"},"on":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"}},"to":{"type":["object","null"]}}}`))
	const takes = "it takes path (string, required), count (integer, optional), on (boolean, optional), tags (string[], optional), to (object|null, optional)"
	for _, c := range []struct{ typed, want string }{
		{"count=many", `s.t: "count" must be an integer, not "many"`},
		{"count=1.0", `s.t: "count" must be an integer, not "1.0"`},
		{"count=", `s.t: "count" must be an integer, not ""`},
		{"on=yes", `s.t: "on" must be true or false, not "yes"`},
		{"tags=a,b", `s.t: "tags" must be a list in JSON, such as tags='["a", "b"]', not "a,b"`},
		{"to=[1]", `s.t: "to" must be an object in JSON, such as to='{"a": 1}', or null, not "[1]"`},
		{"pth=x", `s.t has no parameter "pth"; did you mean path?; ` + takes},
		{"q=x", `s.t has no parameter "q"; ` + takes},
		{"count=1", `s.t needs "path"; ` + takes},
		{"path=\xff", `"path" is no UTF-8 text`},
	} {
		g, err := Arguments{Pairs: []string{c.typed}}.read(nil)
		if err == nil {
			_, err = g.object("s.t", sig)
		}
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.typed, err, c.want)
		}
	}
}

func TestArgumentsAreReadFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("[1, 2]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := Arguments{Pairs: []string{"text=@" + file, "list=@" + file, "at=@@home", "in=@-"}}.read(strings.NewReader("typed"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.object("t", signatureOf([]byte(`{"properties":{"text":{"type":"string"},"list":{"type":"array"},"at":{"type":"string"},"in":{"type":"string"}}}`)))
	if want := `{"text":"[1, 2]\n","list":[1, 2],"at":"@home","in":"typed"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	const raw = "{ \"b\":1.0,\"a\" : \"\\ud83d\",\n\"big\":12345678901234567890 }"
	g, err = Arguments{JSON: "\n" + raw + "\n", Whole: true}.read(nil)
	if got, _ := g.object("t", signature{}); err != nil || string(got) != raw {
		t.Errorf("raw arguments became %s, %v", got, err)
	}
}

func TestNothingOfAServerDrivesTheTerminal(t *testing.T) {
	const evil = "\x1b]0;owned\x07 a\tb\r\nc\r\x9b \u009b31m\x7f\x00 ünï 🦊"
	const want = `\x1b]0;owned\x07 a` + "\tb\nc" + `\x0d� \u009b31m\x7f\x00 ünï 🦊`
	if got := inert(strings.ToValidUTF8(evil, "�")); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	raw := "{\"a\":\"\u009b\x7f\",\r\n\"b\":1}"
	if got, want := inertJSON([]byte(raw)), "{\"a\":\"\\u009b\\u007f\", \n\"b\":1}"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	definition := `{"name":"t","description":"\u001b[2Jx\ny","inputSchema":{"type":"object","properties":{"\u001b":{"type":"\u0007"}}}}`
	for _, s := range []string{
		shown([]byte(`{"content":[{"type":"text","text":"\u001b[2J"},{"type":"\u001b"},{"type":"image","mimeType":"\u001b\n","data":""}],"structuredContent":"` + "\u009b" + `"}`)),
		shown([]byte(`{"structuredContent":"` + "\u009b\x7f" + `"}`)),
		shown([]byte(`{"other":"` + "\u009b" + `"}`)),
		table([]row{rowOf("t", []byte(definition))}, 80),
		progressText([]byte(`{"progress":1,"message":"\u001b\n"}`)),
		signatureOf(rawjson.Get([]byte(definition), "inputSchema")).explainedLine(),
	} {
		if strings.ContainsFunc(s, drives) {
			t.Errorf("it has control characters: %q", s)
		}
	}
}

func (s signature) explainedLine() string { return printable(s.explained()) }

func TestResultsAreText(t *testing.T) {
	for _, c := range []struct{ result, want string }{
		{`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b\n"}],"structuredContent":{"x":1}}`, "a\nb\n"},
		{`{"content":[{"type":"image","mimeType":"image/png","data":"aGVsbG8="}]}`, "[image/png, 5 bytes]\n"},
		{`{"content":[{"type":"audio","data":"aGVs"}],"structuredContent":[1, 2]}`, "[audio, 3 bytes]\n[1, 2]\n"},
		{`{"content":[{"type":"resource_link","uri":"file:///a","name":"a","mimeType":"text/plain"}]}`, "[resource link file:///a, text/plain]\n"},
		{`{"content":[{"type":"resource","resource":{"uri":"x:1","text":"four"}}]}`, "[resource x:1, 4 bytes]\n"},
		{`{"content":[{"type":"resource","resource":{"uri":"x:1","mimeType":"a/b","blob":"aGVsbA=="}}]}`, "[resource x:1, a/b, 4 bytes]\n"},
		{`{"content":[{"type":"hologram"},{"text":"no type"},7]}`, "[content of type hologram, 19 bytes of JSON]\n[content without a type, 18 bytes of JSON]\n[content without a type, 1 bytes of JSON]\n"},
		{`{"content":[]}`, ""},
		{`{"structuredContent":{"a":1.0}}`, "{\"a\":1.0}\n"},
		{`{"toolResult":1}`, "{\"toolResult\":1}\n"},
	} {
		if got := shown([]byte(c.result)); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.result, got, c.want)
		}
	}
}

func TestTableFitsItsWidth(t *testing.T) {
	rows := []row{
		{"a.b()", "Short."},
		{"files.read(path: string)", "Reads a file and gives all of its text, however long that may be."},
		{"files.search(pattern: string, folder?: string, hidden?: boolean, limit?: integer)", "搜索文件夹中的所有文件，并返回匹配的行，最多一千行，按修改时间排序。"},
		{"x.nothing()", ""},
	}
	want := `a.b()                     Short.
files.read(path: string)  Reads a file and gives all of it…
files.search(pattern: string, folder?: string, hidden?: bo…
                          搜索文件夹中的所有文件，并返回匹…
x.nothing()
`
	got := table(rows, 59)
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > 59 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if got := table(rows[:1], 0); got != "a.b()       Short.\n" {
		t.Errorf("without a width: %q", got)
	}
	if r := rowOf("s.t", []byte(`{"title":"The title","description":" \n","inputSchema":{}}`)); r.says != "The title" {
		t.Errorf("a tool without a description says %q", r.says)
	}
}

func TestProgressKeepsToOneLineOfATerminal(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b, shown: true, over: true, width: 20}
	for _, params := range []string{`{"progress":1,"total":10,"message":"the first of many"}`, `{"progress":2.5}`} {
		if err := p.Notify(t.Context(), "notifications/progress", []byte(params)); err != nil {
			t.Fatal(err)
		}
	}
	p.end()
	_ = p.Notify(t.Context(), "notifications/progress", []byte(`{"progress":3}`))
	if got, want := b.String(), "\rprogress 1/10: the…\x1b[K\rprogress 2.5\x1b[K\r\x1b[K"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCheckedServersAreAligned(t *testing.T) {
	got := checked([]config.Server{
		{Name: "a", Transport: config.Stdio, Enabled: true},
		{Name: "longer", Transport: config.StreamableHTTP, Problem: "variable X is not set"},
		{Name: "ws", Transport: config.StreamableHTTP, TransportWord: "ws", Enabled: true, Problem: "no"},
	})
	want := `a       stdio            enabled
longer  streamable-http  disabled  cannot start: variable X is not set
ws      ws               enabled   cannot start: no
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
