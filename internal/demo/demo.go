// Package demo is two small complete MCP servers, calculator and echo, so that a first
// look at the gateway needs no second toolchain; echo has a prompt and a resource as well. A
// demo answers calls only; the gateway's
// own edges give it every transport and revision.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A Server is one demo. It is a mcp.Handler for what its capabilities say.
type Server struct {
	Name, Title  string
	Instructions string

	tools     []tool
	prompts   []prompt
	resources []resource

	lists        [mcp.Kinds][]byte // nil: it has no such list
	capabilities []byte
}

type tool struct {
	name       string
	definition string
	run        func(ctx context.Context, c *mcp.Call, arguments []byte) (string, error)
}

var servers = map[string]*Server{"calculator": calculator(), "echo": echo()}

// Names are the demos there are.
func Names() []string { return slices.Sorted(maps.Keys(servers)) }

// Find gives a demo by its name; nil for none.
func Find(name string) *Server { return servers[name] }

func newServer(s Server) *Server {
	s.makeLists()
	return &s
}

// Capabilities is the raw object of what the server has.
func (s *Server) Capabilities() []byte { return s.capabilities }

// Seen is the fingerprint of the lists, which never change.
func (s *Server) Seen(*mcp.Caller) (mcp.Seen, <-chan struct{}) {
	var seen mcp.Seen
	for kind, list := range s.lists {
		if list != nil {
			seen[kind] = s.Name
		}
	}
	return seen, nil
}

// Watch fails: the resources never change.
func (s *Server) Watch(context.Context, *mcp.Caller, string, mcp.Inbox) (func(), error) {
	return nil, mcp.Errorf(mcp.InvalidParams, "resource", "the resources of this server never change")
}

// WatchTasks tells of none: the demos make no tasks.
func (s *Server) WatchTasks(context.Context, *mcp.Caller, []string, mcp.Inbox) ([]string, func()) {
	return nil, func() {}
}

// Notify does nothing: no notification concerns the demos.
func (s *Server) Notify(*mcp.Caller, string, []byte) {}

// Handle answers the lists, and calls, prompts and reads of what is in them.
func (s *Server) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	kind, isList := mcp.Listed(c.Method)
	switch {
	case isList && s.lists[kind] != nil:
		return &mcp.Reply{Result: s.lists[kind], Seen: s.Name}, nil
	case c.Method == mcp.ToolsCall:
		return s.call(ctx, c)
	case c.Method == mcp.PromptsGet && s.prompts != nil:
		return s.get(c)
	case c.Method == mcp.ResourcesRead && s.resources != nil:
		return s.read(c)
	}
	return nil, mcp.Errorf(mcp.UnknownMethod, "method", "method %q is not known", c.Method)
}

func (s *Server) call(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	i := slices.IndexFunc(s.tools, func(t tool) bool { return t.name == c.Name })
	if i < 0 {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_tool", "unknown tool: %.256q", c.Name)
	}
	arguments := rawjson.Get(c.Params.Raw, "arguments")
	if arguments == nil {
		arguments = []byte("{}")
	}
	result, err := s.tools[i].run(ctx, c, arguments)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil { // the tool's own error, for the model to read (2026-07-28, tools, Error Handling)
		return &mcp.Reply{Result: textResult(err.Error(), `"isError":true`)}, nil
	}
	return &mcp.Reply{Result: []byte(result)}, nil
}

func textResult(text string, members ...string) []byte {
	out := rawjson.AppendText([]byte(`{"content":[{"type":"text","text":`), text)
	out = append(out, "}]"...)
	for _, m := range members {
		out = append(append(out, ','), m...)
	}
	return append(out, '}')
}

func calculator() *Server {
	arithmetic := func(name, says string, f func(a, b float64) (float64, error)) tool {
		definition := fmt.Sprintf(`{"name":%q,"title":%q,"description":%q,"inputSchema":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"],"additionalProperties":false},"outputSchema":{"type":"object","properties":{"result":{"type":"number"}},"required":["result"]},"annotations":{"readOnlyHint":true,"idempotentHint":true,"openWorldHint":false}}`,
			name, strings.ToUpper(name[:1])+name[1:], says)
		return tool{name, definition, func(_ context.Context, _ *mcp.Call, arguments []byte) (string, error) {
			var in struct{ A, B *float64 }
			if err := json.Unmarshal(arguments, &in); err != nil || in.A == nil || in.B == nil {
				return "", errors.New(`"a" and "b" must be numbers`)
			}
			v, err := f(*in.A, *in.B)
			if err != nil {
				return "", err
			}
			text := strconv.FormatFloat(v, 'g', -1, 64)
			if strings.ContainsAny(text, "NI") { // no JSON number
				return "", errors.New("the result is too large")
			}
			return string(textResult(text, `"structuredContent":{"result":`+text+`}`)), nil
		}}
	}
	return newServer(Server{Name: "calculator", Title: "Demo calculator", Instructions: "Adds, subtracts, multiplies and divides two numbers, a and b.", tools: []tool{
		arithmetic("add", "Adds a and b.", func(a, b float64) (float64, error) { return a + b, nil }),
		arithmetic("subtract", "Subtracts b from a.", func(a, b float64) (float64, error) { return a - b, nil }),
		arithmetic("multiply", "Multiplies a by b.", func(a, b float64) (float64, error) { return a * b, nil }),
		arithmetic("divide", "Divides a by b.", func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, errors.New("division by zero")
			}
			return a / b, nil
		}),
	}})
}

func echo() *Server {
	return newServer(Server{Name: "echo", Title: "Demo echo", Instructions: "Answers with what it is given.", tools: []tool{
		{"ping", `{"name":"ping","title":"Ping","description":"Answers pong.","inputSchema":{"type":"object","additionalProperties":false}}`,
			func(context.Context, *mcp.Call, []byte) (string, error) { return string(textResult("pong")), nil }},
		{"echo", `{"name":"echo","title":"Echo","description":"Answers with the text that it is given.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}`,
			func(_ context.Context, _ *mcp.Call, arguments []byte) (string, error) {
				text, ok := rawjson.Text(rawjson.Get(arguments, "text"))
				if !ok {
					return "", errors.New(`"text" must be a string`)
				}
				return string(textResult(text)), nil
			}},
		{"slow", `{"name":"slow","title":"Slow","description":"Takes its time, and reports progress at each step.","inputSchema":{"type":"object","properties":{"steps":{"type":"integer","minimum":1,"maximum":1000,"default":5},"milliseconds":{"type":"integer","minimum":0,"maximum":60000,"default":200,"description":"time of one step"}}}}`, slow},
		{"fail", `{"name":"fail","title":"Fail","description":"Always answers with an error.","inputSchema":{"type":"object","properties":{"message":{"type":"string"}}}}`,
			func(_ context.Context, _ *mcp.Call, arguments []byte) (string, error) {
				if text, ok := rawjson.Text(rawjson.Get(arguments, "message")); ok {
					return "", errors.New(text)
				}
				return "", errors.New("this tool always fails")
			}},
		{"ask", `{"name":"ask","title":"Ask","description":"Asks the user for a name, and greets.","inputSchema":{"type":"object","additionalProperties":false}}`, ask},
	}, prompts: []prompt{
		{"repeat", `{"name":"repeat","title":"Repeat","description":"Has the model say a text back.","arguments":[{"name":"text","description":"what to say","required":true}]}`,
			func(arguments []byte) (string, error) {
				text, ok := rawjson.Text(rawjson.Get(arguments, "text"))
				if !ok {
					return "", errors.New(`"text" must be a string`)
				}
				return "Say exactly this: " + text, nil
			}},
	}, resources: []resource{
		{"demo://echo/about", `{"uri":"demo://echo/about","name":"about","title":"About","description":"Says what this server is for.","mimeType":"text/plain"}`,
			"text/plain", "This server answers with what it is given."},
	}})
}

func ask(ctx context.Context, c *mcp.Call, _ []byte) (string, error) {
	answer, err := c.Back.Ask(ctx, mcp.Elicit, []byte(`{"message":"What is your name?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}`))
	if err != nil {
		return "", fmt.Errorf("you could not be asked: %w", err)
	}
	name, ok := rawjson.Text(rawjson.Get(rawjson.Get(answer, "content"), "name"))
	if action, _ := rawjson.Text(rawjson.Get(answer, "action")); action != "accept" || !ok {
		return string(textResult("You did not say.")), nil
	}
	return string(textResult("Hello, " + name + ".")), nil
}

func slow(ctx context.Context, c *mcp.Call, arguments []byte) (string, error) {
	in := struct{ Steps, Milliseconds int }{5, 200}
	if err := json.Unmarshal(arguments, &in); err != nil || in.Steps < 1 || in.Steps > 1000 || in.Milliseconds < 0 || in.Milliseconds > 60_000 {
		return "", errors.New(`"steps" must be 1 to 1000 and "milliseconds" 0 to 60000`)
	}
	for i := 1; i <= in.Steps; i++ {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Duration(in.Milliseconds) * time.Millisecond):
		}
		if token := c.Params.ProgressToken; token != nil {
			params := fmt.Appendf(nil, `{"progressToken":%s,"progress":%d,"total":%d,"message":"step %d of %d"}`, token, i, in.Steps, i, in.Steps)
			_ = c.Back.Notify(ctx, mcp.NoteProgress, params)
		}
	}
	return string(textResult(fmt.Sprintf("done after %d steps", in.Steps))), nil
}
