package interop

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
)

// call is one tools/call and what must come of it.
type call struct {
	tool     string
	args     map[string]any
	want     string          // the result as JSON, but for _meta and resultType; empty: see check
	check    func(any) error // looks at the decoded result instead
	progress int             // so many notifications, counting 1, 2, 3 …, all before the answer
	loose    bool            // the server sends them in any order, and after the answer too
}

// outcome is what a client got for a call.
type outcome struct {
	Result   json.RawMessage `json:"result"`
	Error    json.RawMessage `json:"error"`
	Progress []progressNote  `json:"progress"`
}

type progressNote struct {
	Progress float64 `json:"progress"`
	Total    float64 `json:"total"`
	Message  string  `json:"message"`
}

func (c call) verify(o outcome) error {
	if len(o.Error) > 0 {
		return fmt.Errorf("error %s", o.Error)
	}
	var got map[string]any
	if err := json.Unmarshal(o.Result, &got); err != nil {
		return fmt.Errorf("result %s: %w", o.Result, err)
	}
	delete(got, "_meta")
	delete(got, "resultType")
	if c.check != nil {
		if err := c.check(got); err != nil {
			return fmt.Errorf("result %s: %w", o.Result, err)
		}
	} else {
		var want map[string]any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			return fmt.Errorf("the test's own want: %w", err)
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("result %s, want %s", o.Result, c.want)
		}
	}
	if c.loose {
		return nil
	}
	if len(o.Progress) != c.progress {
		return fmt.Errorf("%d progress notifications %v, want %d", len(o.Progress), o.Progress, c.progress)
	}
	for i, p := range o.Progress {
		if p.Progress != float64(i+1) || p.Total != float64(c.progress) {
			return fmt.Errorf("progress notification %d of %d is %+v", i+1, c.progress, p)
		}
	}
	return nil
}

func everythingCalls(cell string) []call {
	return []call{
		{tool: "echo", args: map[string]any{"message": "Hi 漢字 " + cell}, want: textResult("Echo: Hi 漢字 " + cell)},
		{tool: "get-sum", args: map[string]any{"a": 2, "b": 40}, want: textResult("The sum of 2 and 40 is 42.")},
		{tool: "trigger-long-running-operation", args: map[string]any{"duration": 0.03, "steps": 3}, progress: 3,
			want: textResult("Long running operation completed. Duration: 0.03 seconds, Steps: 3.")},
	}
}

func filesystemCalls(dir string) []call {
	return []call{
		{tool: "list_directory", args: map[string]any{"path": dir}, want: textAndContent("[FILE] hello.txt")},
		{tool: "read_text_file", args: map[string]any{"path": filepath.Join(dir, "hello.txt")}, want: textAndContent(helloText)},
	}
}

// memoryCalls uses a name of the cell's own: one memory server may serve several cells.
func memoryCalls(cell string) []call {
	entity := map[string]any{"name": cell, "entityType": "cell", "observations": []any{"was here"}}
	holds := func(key string) func(any) error {
		return func(result any) error {
			structured, _ := result.(map[string]any)["structuredContent"].(map[string]any)
			entities, _ := structured[key].([]any)
			for _, e := range entities {
				if reflect.DeepEqual(e, any(entity)) {
					return nil
				}
			}
			return fmt.Errorf("structuredContent.%s does not hold %v", key, entity)
		}
	}
	return []call{
		{tool: "create_entities", args: map[string]any{"entities": []any{entity}}, check: holds("entities")},
		{tool: "read_graph", args: map[string]any{}, check: holds("entities")},
	}
}

func goCalls(string) []call {
	return []call{
		{tool: "add", args: map[string]any{"a": 1.5, "b": 40.5},
			want: `{"content":[{"type":"text","text":"The sum is 42."}],"structuredContent":{"sum":42}}`},
		{tool: "countdown", args: map[string]any{"from": 3}, progress: 3,
			want: `{"content":[{"type":"text","text":"{\"sent\":3}"}],"structuredContent":{"sent":3}}`},
		{tool: "fail", args: map[string]any{},
			want: `{"content":[{"type":"text","text":"this tool always fails"}],"isError":true}`},
		// A stateless HTTP server refuses this one without its Mcp-Param-Region header.
		{tool: "region", args: map[string]any{"region": "eu-west"}, want: textResult(`{"region":"eu-west"}`)},
	}
}

// mcpgoCalls are the same: but mcp-go sends notifications past its answers, in an order of their own.
func mcpgoCalls(cell string) []call {
	calls := goCalls(cell)
	for i := range calls {
		calls[i].loose = calls[i].progress > 0
	}
	return append(calls, call{
		tool: "text.upper", args: map[string]any{"text": "größe " + cell}, want: textResult(strings.ToUpper("größe " + cell))})
}

func (f *fleet) goplsCalls(string) []call {
	says := func(text string) func(any) error {
		return func(result any) error {
			if got := mustJSON(result); !strings.Contains(got, text) || strings.Contains(got, `"isError"`) {
				return fmt.Errorf("want a text with %q", text)
			}
			return nil
		}
	}
	return []call{
		{tool: "go_workspace", args: map[string]any{}, check: says("(module example.com/hello)")},
		{tool: "go_search", args: map[string]any{"query": "greeting"}, check: says("Greeting (Function in ")},
	}
}

// monitorCalls are what the model calls, and what the app that it shows then calls.
func monitorCalls(string) []call {
	has := func(key string) func(any) error {
		return func(result any) error {
			structured, _ := result.(map[string]any)["structuredContent"].(map[string]any)
			if structured[key] == nil {
				return fmt.Errorf("no structuredContent.%s", key)
			}
			return nil
		}
	}
	return []call{
		{tool: "get-system-info", args: map[string]any{}, check: has("hostname")},
		{tool: "poll-system-stats", args: map[string]any{}, check: has("uptime")},
	}
}

func textResult(text string) string {
	return mustJSON(map[string]any{"content": []any{textBlock(text)}})
}

// textAndContent is how the filesystem server answers: the text, and the same as structured content.
func textAndContent(text string) string {
	return mustJSON(map[string]any{
		"content":           []any{textBlock(text)},
		"structuredContent": map[string]any{"content": text},
	})
}

func textBlock(text string) any { return map[string]any{"type": "text", "text": text} }

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
