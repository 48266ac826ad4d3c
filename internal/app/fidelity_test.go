package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
	"mcpgateway/internal/mcp"
)

var big = strings.Repeat("0123456789abcde\u00e9", 1<<16)

// arguments survive only where nobody decodes and encodes them.
var arguments = []string{
	`{}`,
	`{"z":1,"a":{"y":[],"b":{}},"m":null,"A":true}`,
	`{"n":1234567890123456789,"f":1.0,"e":1e400,"m":-0.0,"x":1E+2,"long":3.14159265358979323846264338327950288}`,
	`{"":"","s":"","list":["",{"":[]}],"nul":"\u0000\u001f\/\u00e9é","emoji":"🦊👩‍👩‍👧 \ud83e\udd8a","html":"<&>\u2028"}`,
	`{"_meta":{"progressToken":1},"name":"x","n\u0061me":"y","Name":"z","resultType":"x","a":1,"a":2}`,
	"{ \"spaces\" :\t[ 1 ,2 ]\r\n ,\n\"end\":{ } }",
	`{"deep":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	`{"big":"` + big + `"}`,
}

// results are what the tools result_0, result_1 … of the script answer with. Each has a
// place for members of _meta.
var results = []string{
	`{}`,
	`{"content":[]}`,
	`{"zz":{"n":1234567890123456789,"f":1.0,"e":1e400,"m":-0.0},"cut":"\ud83d","nul":"\u0000","content":[{"type":"x-unknown","":"","data":"🦊"}],"isError":false,"":""}`,
	`{"structuredContent":{"b":1.0,"a":[1e400,"\ud83d"],"":null},"content":[{"text":"","type":"text","annotations":{"z":1,"a":1.0},"_meta":{"progressToken":1}}]}`,
	"{ \"content\" :\r\n[ ]\t,\n\"x\" : { \"y\":1 } }",
	`{"content":[{"type":"text","text":"` + big + `"}],"tail":[1,2,{"a":1,"a":2}]}`,
	`{"_meta":{"traceparent":"00-1","com.example/x":{"z":1.0,"a":1e400},"":[]},"content":[]}`,
	`{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"hop","version":"1"},"x":"\u0000"},"last":"\ud83d"}`,
}

// definitions are tools that survive only where nobody decodes them.
var definitions = []json.RawMessage{
	gatetest.Tool("raw"), gatetest.Tool("params"), gatetest.Tool("told"), gatetest.Tool("refuse"), gatetest.Tool("hints"),
	json.RawMessage(`{"x-odd":{"z":1e400,"a":1.0,"n":1234567890123456789,"":""},"inputSchema":{"type":"object","$comment":"\u0000 🦊","properties":{"\ud83d":{"type":["string",null]}}},` +
		`"name":"odd","annotations":{"x":-0.0},"description":"","title":"<&>","_meta":{"com.example/t":1.0},"icons":[{"src":"","sizes":[]}]}`),
	json.RawMessage("{ \"name\"\t: \"spaced\" ,\r\n\"inputSchema\":{ \"type\" :\"object\" }\n, \"outputSchema\":{\"type\":\"object\",\"x\":1.0} }"),
}

// Parts that the script says and the test looks for.
const (
	oddProgress = `"progress":1.0,"total":1E+2,"message":"\u0000 🦊","x":{"z":1e400,"a":""},"_meta":{"com.example/y":1.0,"traceparent":"00-2"}}`
	oddError    = `{"data":{"n":1.0,"z":1e400,"cut":"\ud83d"},"code":4711,"x":"","message":"\u0000 🦊"}`
	hints       = `{"ttlMs":7,"resultType":"complete","content":[],"cacheScope":"public","x":1.0}`
)

var fidelity = &gatetest.Server{Name: "fidelity", Tools: withResults(definitions), Call: func(c *gatetest.Call) {
	switch c.Name {
	case "params":
		c.Text(string(c.Params))
	case "told":
		c.Progress(`{` + oddProgress)
		c.Text("told")
	case "refuse":
		c.Error(oddError)
	case "hints":
		c.Result(hints)
	case "raw":
		c.Text(string(c.Arguments))
	default:
		var n int
		fmt.Sscanf(c.Name, "result_%d", &n)
		c.Result(results[n])
	}
}}

func withResults(tools []json.RawMessage) []json.RawMessage {
	tools = slices.Clone(tools)
	for i := range results {
		tools = append(tools, gatetest.Tool(fmt.Sprint("result_", i)))
	}
	return tools
}

// A member of an object: its decoded key, and its value's bytes.
type member struct{ key, value string }

// members reads an object without any code of the gateway.
func members(t testing.TB, object []byte) []member {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		t.Fatalf("no object: %.300s", object)
	}
	var out []member
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		out = append(out, member{key.(string), string(value)})
	}
	return out
}

func value(all []member, key string) string {
	for _, m := range all {
		if m.key == key {
			return m.value
		}
	}
	return ""
}

func without(all []member, keys ...string) []member {
	return slices.DeleteFunc(slices.Clone(all), func(m member) bool { return slices.Contains(keys, m.key) })
}

// hop are the keys of _meta that are rewritten at each hop.
var hop = []string{
	"io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/clientCapabilities",
	"io.modelcontextprotocol/logLevel", "io.modelcontextprotocol/subscriptionId", "io.modelcontextprotocol/serverInfo", "progressToken",
}

func same(t testing.TB, what string, got, want []member) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %.600q\nwant %.600q", what, got, want)
	}
}

// sameMeta compares what is not of one hop; the object may be left out where nothing is.
func sameMeta(t testing.TB, got, want string) {
	t.Helper()
	read := func(s string) []member {
		if s == "" {
			return nil
		}
		return without(members(t, []byte(s)), hop...)
	}
	if a, b := read(got), read(want); !slices.Equal(a, b) {
		t.Errorf("_meta: got %.600q\nwant %.600q", a, b)
	}
}

var lineEnds = strings.NewReplacer("\r", " ", "\n", " ")

// crossed is what becomes of bytes on their way: line ends between tokens become spaces
// where they cross as a line.
func crossed(s string, asLine bool) string {
	if asLine {
		return lineEnds.Replace(s)
	}
	return s
}

func TestArgumentsCrossByteForByte(t *testing.T) {
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		for _, a := range arguments {
			got := gatetest.FirstText(call(t, c, server.name+".raw", a))
			if want := crossed(a, c.pipe || server.pipe); got != want {
				t.Errorf("got %.400q\nwant %.400q", got, want)
			}
		}
	})
}

func TestResultMembersCrossByteForByte(t *testing.T) {
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		for i, given := range results {
			got := call(t, c, fmt.Sprintf("%s.result_%d", server.name, i), `{}`).Result
			given = crossed(given, c.line || server.line)
			have, want := members(t, got), members(t, []byte(given))
			same(t, "result", without(have, "resultType", "_meta"), without(want, "_meta"))
			sameMeta(t, value(have, "_meta"), value(want, "_meta"))
			if kind := value(have, "resultType"); kind != "" && kind != `"complete"` {
				t.Errorf("resultType is %s", kind)
			}
			info := ""
			if meta := value(have, "_meta"); meta != "" {
				info = value(members(t, []byte(meta)), "io.modelcontextprotocol/serverInfo")
			}
			if c.stateless && info != self || !c.stateless && info != "" {
				t.Errorf("serverInfo is %s", info)
			}
			if !c.stateless && !server.stateless && !strings.Contains(given, "serverInfo") && string(got) != given {
				t.Errorf("got %.400q\nwant %.400q", got, given) // the spaces between its members too
			}
		}
	})
}

// From a stateful server they mean nothing; a stateless one's are kept.
func TestHintsOfStatefulServersAreReplaced(t *testing.T) {
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		have := members(t, call(t, c, server.name+".hints", `{}`).Result)
		want := members(t, []byte(hints))
		if !server.stateless {
			want = without(want, "ttlMs", "cacheScope", "resultType")
			if c.stateless {
				want = append(want, member{"resultType", `"complete"`})
			}
		}
		same(t, "result", without(have, "_meta"), want)
	})
}

func TestParamsAndForeignMetaCross(t *testing.T) {
	meta := `{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","com.example/x":{ "n":1.0,"e":1e400 },"progressToken":"mine","":"\u0000"}`
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		sent := `{"x-unknown":[1e400,{ }],"name":"` + server.name + `.params","arguments":{"b":1,"a":1.0},"_meta":` + meta + `,"later":1234567890123456789}`
		have := members(t, []byte(gatetest.FirstText(do(t, c, "tools/call", sent))))
		want := members(t, []byte(sent))
		same(t, "params", without(have, "name", "_meta"), without(want, "name", "_meta"))
		if name := value(have, "name"); name != `"params"` {
			t.Errorf("name is %s", name)
		}
		got := members(t, []byte(value(have, "_meta")))
		same(t, "_meta", without(without(got, hop...), mcp.MetaVia), without(members(t, []byte(meta)), hop...))
		var via []string // it has passed one gateway
		if err := json.Unmarshal([]byte(value(got, mcp.MetaVia)), &via); err != nil || len(via) != 1 || via[0] == "" {
			t.Errorf("%s is %q", mcp.MetaVia, value(got, mcp.MetaVia))
		}
		if token := value(got, "progressToken"); token == "" || token == `"mine"` {
			t.Errorf("progressToken is %q; it must be one of the gateway's own", token)
		}
		for _, key := range hop[:6] {
			v := value(got, key)
			stays := server.stateless && slices.Contains(hop[:3], key)
			if stays != (v != "") || strings.Contains(v, "gatetest") {
				t.Errorf("%s is %q", key, v)
			}
		}
	})
}

func TestProgressParamsCrossButForTheToken(t *testing.T) {
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		a := do(t, c, "tools/call", `{"name":"`+server.name+`.told","_meta":{"progressToken":"t\u006fken"}}`)
		if len(a.Notes) != 1 {
			t.Fatalf("%d notes: %s", len(a.Notes), a.Notes)
		}
		if got, want := string(gatetest.Member(a.Notes[0], "params")), `{"progressToken":"t\u006fken",`+oddProgress; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

func TestErrorsCrossByteForByte(t *testing.T) {
	everyCell(t, "fidelity", func(t *testing.T, c client, server binding) {
		a, err := gatetest.CallTool(t.Context(), c, server.name+".refuse", `{}`)
		if err != nil || string(a.Error) != oddError {
			t.Errorf("got %v, %v\nwant %s", a, err, oddError)
		}
	})
}

func TestDefinitionsCrossByteForByteButForTheName(t *testing.T) {
	for _, c := range everyClient(t, func() string { return fleet(t, "fidelity") }) {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, s := range serverBindings {
				for _, def := range fidelity.Tools {
					name := value(members(t, def), "name")
					def := strings.Replace(string(def), name, `"`+s.name+"."+name[1:], 1)
					want = append(want, crossed(def, s.line || c.line))
				}
			}
			tools, pages, err := gatetest.ListTools(t.Context(), c)
			if err != nil || len(tools) != len(want) || pages != 1 {
				t.Fatalf("%d tools in %d pages, not %d: %v", len(tools), pages, len(want), err)
			}
			for i, got := range tools {
				if string(got) != want[i] {
					t.Errorf("got %s\nwant %s", got, want[i])
				}
			}
			noStray(t, c)
		})
	}
}
