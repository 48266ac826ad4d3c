package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

type notes []string

func (n *notes) Notify(_ context.Context, method string, params []byte) error {
	*n = append(*n, method+" "+string(params))
	return nil
}

func (n *notes) Ask(context.Context, string, []byte) ([]byte, error) { panic("nobody asks") }

func call(name, arguments string) *mcp.Call {
	raw := `{"name":"` + name + `"}`
	if arguments != "" {
		raw = `{"name":"` + name + `","arguments":` + arguments + `}`
	}
	return &mcp.Call{Method: mcp.ToolsCall, Name: name, From: &mcp.Caller{}, Back: &notes{}, Params: mcp.Params{Raw: []byte(raw)}}
}

func TestTools(t *testing.T) {
	if got := fmt.Sprint(Names()); got != "[calculator echo]" || Find("nobody") != nil {
		t.Errorf("demos %s", got)
	}
	want := map[string][]string{"calculator": {"add", "subtract", "multiply", "divide"}, "echo": {"ping", "echo", "slow", "fail", "ask"}}
	capabilities := map[string]string{
		"calculator": `{"tools":{"listChanged":true}}`,
		"echo":       `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true}}`,
	}
	for _, name := range Names() {
		s := Find(name)
		reply, err := s.Handle(t.Context(), &mcp.Call{Method: mcp.Tools.List(), From: &mcp.Caller{}})
		if err != nil || !json.Valid(reply.Result) {
			t.Fatalf("%s: %v", name, err)
		}
		tools := slices.Collect(rawjson.Elements(rawjson.Get(reply.Result, "tools")))
		part := catalog.Prepare(name, "", catalog.Lists{mcp.Tools: {Entries: tools}}, s, catalog.Bounds{ToolsPerServer: 99, ToolBytes: 1 << 16, CatalogBytes: 1 << 20})
		var got []string
		for _, e := range part.Entries[mcp.Tools] {
			got = append(got, e.Target.Origin)
			if rawjson.Get(e.Definition, "description") == nil {
				t.Errorf("%s has no description", e.Target.Canonical)
			}
		}
		if !slices.Equal(got, want[name]) || part.Left != nil {
			t.Errorf("%s lists %q, left %q", name, got, part.Left)
		}
		if string(s.Capabilities()) != capabilities[name] {
			t.Errorf("%s has %s", name, s.Capabilities())
		}
		if seen, changed := s.Seen(nil); (seen[mcp.Prompts] != "") != (name == "echo") || seen[mcp.Tools] == "" || changed != nil {
			t.Errorf("%s: %q", name, seen)
		}
	}
}

func TestCalls(t *testing.T) {
	const failed = `,"isError":true}`
	text := func(s string) string { return `{"content":[{"type":"text","text":` + s + `}]` }
	tests := []struct{ server, tool, arguments, want string }{
		{"calculator", "add", `{"a":17,"b":25}`, text(`"42"`) + `,"structuredContent":{"result":42}}`},
		{"calculator", "add", `{"b":0.2,"a":0.1}`, text(`"0.30000000000000004"`) + `,"structuredContent":{"result":0.30000000000000004}}`},
		{"calculator", "subtract", `{"a":1,"b":3}`, text(`"-2"`) + `,"structuredContent":{"result":-2}}`},
		{"calculator", "multiply", `{"a":1e200,"b":1e100}`, text(`"1e+300"`) + `,"structuredContent":{"result":1e+300}}`},
		{"calculator", "divide", `{"a":1,"b":4}`, text(`"0.25"`) + `,"structuredContent":{"result":0.25}}`},
		{"calculator", "divide", `{"a":1,"b":0}`, text(`"division by zero"`) + failed},
		{"calculator", "multiply", `{"a":1e200,"b":1e200}`, text(`"the result is too large"`) + failed},
		{"calculator", "add", `{"a":1}`, text(`"\"a\" and \"b\" must be numbers"`) + failed},
		{"calculator", "add", `{"a":"1","b":2}`, text(`"\"a\" and \"b\" must be numbers"`) + failed},
		{"calculator", "add", `{"a":1e400,"b":2}`, text(`"\"a\" and \"b\" must be numbers"`) + failed},
		{"calculator", "add", ``, text(`"\"a\" and \"b\" must be numbers"`) + failed},
		{"echo", "ping", ``, text(`"pong"`) + `}`},
		{"echo", "echo", `{"text":"a\u0000\"😀"}`, text(`"a\u0000\"😀"`) + `}`},
		{"echo", "echo", `{"text":7}`, text(`"\"text\" must be a string"`) + failed},
		{"echo", "fail", ``, text(`"this tool always fails"`) + failed},
		{"echo", "fail", `{"message":"mine"}`, text(`"mine"`) + failed},
		{"echo", "slow", `{"steps":1001}`, text(`"\"steps\" must be 1 to 1000 and \"milliseconds\" 0 to 60000"`) + failed},
		{"echo", "slow", `{"steps":2,"milliseconds":0}`, text(`"done after 2 steps"`) + `}`},
	}
	for _, tt := range tests {
		reply, err := Find(tt.server).Handle(t.Context(), call(tt.tool, tt.arguments))
		if err != nil || string(reply.Result) != tt.want || !json.Valid(reply.Result) {
			t.Errorf("%s %s: %v %s, want %s", tt.tool, tt.arguments, err, reply.Result, tt.want)
		}
	}
	var e *mcp.Error
	if _, err := Find("echo").Handle(t.Context(), call("nothing", "")); !errors.As(err, &e) || e.Code != mcp.InvalidParams {
		t.Error(err)
	}
}

// TestAsk: what comes of the question is what the user says, or why there was none.
func TestAsk(t *testing.T) {
	for _, tt := range []struct{ answer, want string }{
		{`{"action":"accept","content":{"name":"Ada"}}`, `"Hello, Ada."`},
		{`{"action":"accept","content":{}}`, `"You did not say."`},
		{`{"action":"decline"}`, `"You did not say."`},
		{"", `"you could not be asked: nobody is there"}],"isError":true`},
	} {
		c := call("ask", "")
		c.Back = asked(tt.answer)
		reply, err := Find("echo").Handle(t.Context(), c)
		if err != nil || !strings.Contains(string(reply.Result), tt.want) {
			t.Errorf("%s: %v, %s", tt.answer, err, reply.Result)
		}
	}
}

// asked is a caller who gives this answer; empty: nobody is there.
type asked string

func (asked) Notify(context.Context, string, []byte) error { return nil }

func (a asked) Ask(_ context.Context, method string, params []byte) ([]byte, error) {
	if method != mcp.Elicit || !json.Valid(params) || a == "" {
		return nil, errors.New("nobody is there")
	}
	return []byte(a), nil
}

// TestPromptsAndResources: echo has one of each, and calculator none.
func TestPromptsAndResources(t *testing.T) {
	ask := func(method, name, raw string) (string, error) {
		c := &mcp.Call{Method: method, Name: name, From: &mcp.Caller{}, Back: &notes{}, Params: mcp.Params{Raw: []byte(raw)}}
		var unknown *mcp.Error
		if _, err := Find("calculator").Handle(t.Context(), c); !errors.As(err, &unknown) || unknown.Code != mcp.UnknownMethod {
			t.Errorf("calculator answers %s: %v", method, err)
		}
		reply, err := Find("echo").Handle(t.Context(), c)
		if err != nil {
			return "", err
		}
		if !json.Valid(reply.Result) {
			t.Errorf("%s: %s", method, reply.Result)
		}
		return string(reply.Result), nil
	}
	for _, c := range []struct{ method, name, raw, want string }{
		{"prompts/list", "", "", `{"prompts":[{"name":"repeat","title":"Repeat","description":"Has the model say a text back.","arguments":[{"name":"text","description":"what to say","required":true}]}]}`},
		{"resources/list", "", "", `{"resources":[{"uri":"demo://echo/about","name":"about","title":"About","description":"Says what this server is for.","mimeType":"text/plain"}]}`},
		{"resources/templates/list", "", "", `{"resourceTemplates":[]}`},
		{"prompts/get", "repeat", `{"name":"repeat","arguments":{"text":"a\"b"}}`, `{"messages":[{"role":"user","content":{"type":"text","text":"Say exactly this: a\"b"}}]}`},
		{"resources/read", "demo://echo/about", `{}`, `{"contents":[{"uri":"demo://echo/about","mimeType":"text/plain","text":"This server answers with what it is given."}]}`},
	} {
		if got, err := ask(c.method, c.name, c.raw); err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", c.method, got, err, c.want)
		}
	}
	for _, c := range []struct {
		method, name, raw string
		code              mcp.Code
	}{
		{"prompts/get", "repeat", `{"name":"repeat"}`, mcp.InvalidParams},
		{"prompts/get", "repeat", `{"name":"repeat","arguments":{"text":1}}`, mcp.InvalidParams},
		{"prompts/get", "nothing", `{"name":"nothing"}`, mcp.InvalidParams},
		{"resources/read", "demo://echo/nothing", `{}`, mcp.NotFound},
	} {
		var e *mcp.Error
		if got, err := ask(c.method, c.name, c.raw); !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s %s: %s %v", c.method, c.raw, got, err)
		}
	}
}

// TestSlow takes its time, tells each step under the caller's token, and stops when told.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call("slow", "")
		c.Params.ProgressToken = []byte(`"p"`)
		began := time.Now()
		if _, err := Find("echo").Handle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("it took %v", d)
		}
		got := *c.Back.(*notes)
		if len(got) != 5 || got[4] != `notifications/progress {"progressToken":"p","progress":5,"total":5,"message":"step 5 of 5"}` {
			t.Errorf("progress %q", got)
		}
		quiet := call("slow", `{"steps":3}`)
		if _, err := Find("echo").Handle(t.Context(), quiet); err != nil || len(*quiet.Back.(*notes)) != 0 {
			t.Errorf("%v, %q", err, *quiet.Back.(*notes))
		}
		ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer stop()
		began = time.Now()
		if _, err := Find("echo").Handle(ctx, call("slow", `{"steps":1000}`)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestDemosAreSafeForMany: they hold no state.
func TestDemosAreSafeForMany(t *testing.T) {
	t.Run("calls", func(t *testing.T) {
		for i := range 20 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				reply, err := Find("calculator").Handle(t.Context(), call("add", fmt.Sprintf(`{"a":%d,"b":1}`, i)))
				if err != nil || !strings.Contains(string(reply.Result), fmt.Sprintf(`{"result":%d}`, i+1)) {
					t.Errorf("%v, %s", err, reply.Result)
				}
			})
		}
	})
}
