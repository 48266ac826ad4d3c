package era

import (
	"testing"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// TestMayAsk: by what the client declared, and for the mode that is asked for.
func TestMayAsk(t *testing.T) {
	const allowed = mcp.Code(-1)
	const url, plain = `{"mode":"url"}`, `{"message":"m"}`
	for _, c := range []struct {
		caps, method, params string
		want                 mcp.Code
	}{
		{``, mcp.Elicit, plain, mcp.UnknownMethod},
		{`{}`, mcp.Elicit, plain, mcp.UnknownMethod},
		{`[]`, mcp.Elicit, plain, mcp.UnknownMethod},
		{`{"elicitation":null}`, mcp.Elicit, plain, mcp.UnknownMethod},
		{`{"elicitation":true}`, mcp.Elicit, plain, mcp.UnknownMethod},
		{`{"elicitation":{}}`, mcp.Elicit, plain, allowed},
		{`{"elicitation":{}}`, mcp.Elicit, ``, allowed},
		{`{"elicitation":{}}`, mcp.Elicit, `{"mode":"form"}`, allowed},
		{`{"elicitation":{}}`, mcp.Elicit, url, mcp.InvalidParams},
		{`{"elicitation":{}}`, mcp.Elicit, `{"mode":"voice"}`, mcp.InvalidParams},
		{`{"elicitation":{}}`, mcp.Elicit, `{"mode":7}`, mcp.InvalidParams},
		{`{"elicitation":{"form":{}}}`, mcp.Elicit, plain, allowed},
		{`{"elicitation":{"form":{}}}`, mcp.Elicit, url, mcp.InvalidParams},
		{`{"elicitation":{"url":{}}}`, mcp.Elicit, url, allowed},
		{`{"elicitation":{"url":{}}}`, mcp.Elicit, plain, mcp.InvalidParams},
		{`{"elicitation":{"url":true}}`, mcp.Elicit, url, mcp.InvalidParams},
		{`{"elicitation":{"form":{},"url":{}}}`, mcp.Elicit, plain, allowed},
		{`{"elicitation":{}}`, mcp.CreateMessage, `{}`, mcp.UnknownMethod},
		{`{"sampling":{}}`, mcp.CreateMessage, `{"includeContext":"thisServer"}`, allowed},
		{`{"sampling":{}}`, mcp.CreateMessage, `{"tools":[]}`, mcp.InvalidParams},
		{`{"sampling":{}}`, mcp.CreateMessage, `{"toolChoice":{}}`, mcp.InvalidParams},
		{`{"sampling":{"tools":{}}}`, mcp.CreateMessage, `{"tools":[],"toolChoice":{}}`, allowed},
		{`{"sampling":{}}`, mcp.RootsList, ``, mcp.UnknownMethod},
		{`{"roots":{"listChanged":true}}`, mcp.RootsList, ``, allowed},
		{`{"roots":{},"sampling":{},"elicitation":{}}`, "tools/call", `{}`, mcp.UnknownMethod},
	} {
		got := allowed
		if err := MayAsk([]byte(c.caps), c.method, []byte(c.params)); err != nil {
			got = err.Code
		}
		if got != c.want {
			t.Errorf("%s %s of a client with %s: %v, want %v", c.method, c.params, c.caps, got, c.want)
		}
	}
}

// TestLooped: only our own id in the list.
func TestLooped(t *testing.T) {
	for meta, want := range map[string]bool{
		``: false, `{}`: false, `[]`: false, `"us"`: false,
		`{"mcp-gateway/via":["us"]}`:          true,
		`{"mcp-gateway/via":["a","\u0075s"]}`: true,
		`{"mcp-gateway/via":["a","b"]}`:       false,
		`{"mcp-gateway/via":[]}`:              false,
		`{"mcp-gateway/via":["usa",7,null]}`:  false,
		`{"mcp-gateway/via":"us"}`:            false,
		`{"other/via":["us"]}`:                false,
	} {
		if got := Looped([]byte(meta), "us") != nil; got != want {
			t.Errorf("%s: %v", meta, got)
		}
	}
	own := Via(nil, "us")
	if Looped([]byte(`{"mcp-gateway/via":`+string(own[0].Value)+`}`), "us") == nil {
		t.Error("what we write is not what we read")
	}
	if Looped([]byte(`{"mcp-gateway/via":[""]}`), "") != nil {
		t.Error("a gateway without an id meets itself")
	}
}

// An outlet counts what comes.
type outlet struct{ all []string }

func (o *outlet) Notify(raw []byte)  { o.all = append(o.all, string(raw)) }
func (o *outlet) Deliver(raw []byte) { o.Notify(raw) }

func (o *outlet) Ask(_, raw []byte) bool { o.Notify(raw); return true }
func (o *outlet) Recall([]byte) bool     { return false }

// TestLogLinesThatACallerWants: stateful callers get all until they say less, stateless ones
// none until they say so.
func TestLogLinesThatACallerWants(t *testing.T) {
	for _, c := range []struct {
		caller mcp.Caller
		line   string
		want   bool
	}{
		{mcp.Caller{Session: "s"}, `{"level":"debug"}`, true},
		{mcp.Caller{}, `{"level":"emergency"}`, false},
		{mcp.Caller{LogLevel: "debug"}, `{"level":"debug"}`, true},
		{mcp.Caller{LogLevel: "error"}, `{"level":"warning"}`, false},
		{mcp.Caller{LogLevel: "error"}, `{"level":"error"}`, true},
		{mcp.Caller{LogLevel: "error"}, `{"level":"critical"}`, true},
		{mcp.Caller{LogLevel: "error"}, `{"level":"of its own"}`, true}, // who knows how severe
		{mcp.Caller{Session: "s", LogLevel: "info"}, `{"level":"debug"}`, false},
	} {
		out := &outlet{}
		b := &CallerBack{Out: out, From: &c.caller}
		_ = b.Notify(t.Context(), mcp.NoteMessage, []byte(c.line))
		if got := len(out.all) == 1; got != c.want {
			t.Errorf("%+v gets %s: %v", c.caller, c.line, got)
		}
	}
	if Severity("") != -1 || Severity("Error") != -1 || Severity("debug") != 0 || Severity("emergency") != 7 {
		t.Error("the levels are wrong")
	}
}

// TestCompletionsNameWhatTheyAreFor by the type of the reference.
func TestCompletionsNameWhatTheyAreFor(t *testing.T) {
	for params, want := range map[string]string{
		`{"ref":{"type":"ref/prompt","name":"p","uri":"u:"}}`:   "p",
		`{"ref":{"type":"ref/resource","name":"p","uri":"u:"}}`: "u:",
		`{"ref":{"type":"ref/resource","name":"p"}}`:            "!",
		`{"ref":{"type":"ref/prompt","name":7}}`:                "!",
		`{"ref":{"type":"ref/prompt","name":"p","Name":"q"}}`:   "!",
		`{"ref":{"type":"ref/prompt","name":"p","name":"q"}}`:   "!",
		`{"ref":{"name":"p"}}`:                                  "!",
		`{"ref":[]}`:                                            "!",
		`{}`:                                                    "",
	} {
		c, bad := NewCall(&jsonrpc.Message{Kind: jsonrpc.Request, Method: mcp.Completion, Params: []byte(params)})
		got := c.Name
		if bad != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%s is for %q, want %q", params, got, want)
		}
	}
}
