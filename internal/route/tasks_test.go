package route

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

func taskCall(method string, from *mcp.Caller, id string) *mcp.Call {
	return &mcp.Call{Method: method, From: from, Params: mcp.Params{Raw: fmt.Appendf(nil, `{"taskId":%q,"inputResponses":{"taskId":1}}`, id)}}
}

// TestTasks: a task's id tells whom to ask, and only its principal can use it.
func TestTasks(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///x")
	l.answer = `{"resultType":"task","taskId":"7","status":"working","ttlMs":null}`
	created, err := l.call(anybody, mcp.ToolsCall, "b.t")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := rawjson.Text(rawjson.Get([]byte(created), "taskId"))
	if !strings.HasPrefix(id, sealedTask) || strings.Replace(created, id, "7", 1) != l.answer {
		t.Fatalf("%s", created)
	}
	for _, method := range []string{mcp.TasksGet, mcp.TasksUpdate, mcp.TasksCancel} {
		l.answer = `{"resultType":"complete","taskId":"7","status":"completed","result":{"content":[{"type":"resource_link","uri":"file:///x"}]}}`
		c := taskCall(method, anybody, id)
		sent := string(c.Params.Raw)
		reply, err := l.Handle(t.Context(), c)
		if err != nil || l.asked.Target.Server != "b" || l.asked.Target.Origin != "7" || l.asked.Name != id || string(l.asked.Params.Raw) != sent {
			t.Fatalf("%s: %v, %+v", method, err, l.asked)
		}
		want := strings.Replace(l.answer, `"7"`, `"`+id+`"`, 1)
		if method == mcp.TasksGet {
			want = strings.Replace(want, "file:///x", "mcp-gateway:b/file%3A%2F%2F%2Fx", 1)
		}
		if string(reply.Result) != want {
			t.Errorf("%s: %s", method, reply.Result)
		}
	}
	l.asked = nil
	for what, c := range map[string]*mcp.Call{
		"another principal's":          taskCall(mcp.TasksGet, &mcp.Caller{Principal: "q"}, id),
		"one at another server's door": taskCall(mcp.TasksGet, &mcp.Caller{Principal: "p", Scope: mcp.Scope{Server: "a"}}, id),
		"the server's own":             taskCall(mcp.TasksGet, anybody, "7"),
		"a forged one":                 taskCall(mcp.TasksGet, anybody, changed(id)),
		"none":                         taskCall(mcp.TasksGet, anybody, ""),
		"a cursor":                     taskCall(mcp.TasksGet, anybody, sealedTask+l.sealed([]byte("b\n7"), "cursor", "p")),
		"a long one":                   taskCall(mcp.TasksGet, anybody, sealedTask+strings.Repeat("A", 1<<20)),
	} {
		if code, reason := codeOf(second(l.Handle(t.Context(), c))); code != mcp.InvalidParams || reason != "unknown_task" || l.asked != nil {
			t.Errorf("%s is taken", what)
		}
	}
	delete(l.waiting.handlers, "b")
	if code, _ := codeOf(second(l.Handle(t.Context(), taskCall(mcp.TasksGet, anybody, id)))); code != mcp.InvalidParams {
		t.Error("a task of a server that is gone")
	}
}

// taskNews notes what an inbox is given.
type taskNews struct{ got []string }

func (n *taskNews) Put(method string, params []byte) {
	n.got = append(n.got, method+" "+string(params))
}

// TestWatchTasks: each server hears of its own tasks, once, by its own ids; the caller of the
// sealed ones, and of nobody else's.
func TestWatchTasks(t *testing.T) {
	l := newLibrary("a: file:///x", "b: file:///x")
	seal := func(server, id string) string { return l.SealTask(anybody, server, id) }
	a1, b1, b2, gone := seal("a", "1"), seal("b", "1"), seal("b", "2"), seal("b", "3")
	told := map[string]func(string, []byte){}
	asked := map[string][]string{}
	stopped := map[string]int{}
	l.waiting.follow = func(server string, tasks []string, tell func(string, []byte)) (func(context.Context) []string, func()) {
		slices.Sort(tasks)
		asked[server], told[server] = tasks, tell
		return func(context.Context) []string {
			if server == "a" {
				return nil
			}
			return []string{"2", "1"}
		}, func() { stopped[server]++ }
	}
	var n taskNews
	other := &mcp.Caller{Principal: "q"}
	agreed, stop := l.WatchTasks(t.Context(), anybody, []string{a1, b1, b2, gone, l.SealTask(other, "b", "9"), "1", ""}, &n)
	if !slices.Equal(agreed, []string{b1, b2}) || !slices.Equal(asked["a"], []string{"1"}) || !slices.Equal(asked["b"], []string{"1", "2", "3"}) {
		t.Errorf("agreed to %d, asked %q", len(agreed), asked)
	}
	if stopped["a"] != 1 || stopped["b"] != 0 {
		t.Errorf("stopped %v", stopped)
	}
	told["b"]("2", []byte(`{"taskId":"2","status":"completed","result":{"content":[{"type":"resource_link","uri":"file:///x"}]}}`))
	told["b"]("9", []byte(`{"taskId":"9","status":"working"}`))
	want := mcp.NoteTask + ` {"taskId":"` + b2 + `","status":"completed","result":{"content":[{"type":"resource_link","uri":"mcp-gateway:b/file%3A%2F%2F%2Fx"}]}}`
	if !slices.Equal(n.got, []string{want}) {
		t.Errorf("told %q", n.got)
	}
	stop()
	if stopped["b"] != 1 {
		t.Errorf("stopped %v", stopped)
	}
	at := &mcp.Caller{Principal: "p", Scope: mcp.Scope{Server: "a"}}
	clear(asked)
	if agreed, _ := l.WatchTasks(t.Context(), at, []string{b1}, &n); agreed != nil || len(asked) != 0 {
		t.Error("a task of one server is watched at another's door")
	}
}

// changed is a text with another character in its middle.
func changed(text string) string {
	b := []byte(text)
	if at := &b[len(b)/2]; *at == 'A' {
		*at = 'B'
	} else {
		*at = 'A'
	}
	return string(b)
}
