package stateless

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
)

const withTasks = `{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`

// about is a request about a task, of a client with these capabilities.
func about(t *testing.T, method, params, caps string, out era.Outlet) *era.Incoming {
	t.Helper()
	m, err := jsonrpc.Parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":7,"method":%q,"params":{%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":%s}}}`, method, params, caps), jsonrpc.ClientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return &era.Incoming{Message: m, Principal: mcp.Local, Out: out}
}

// TestTasksNeedTheirExtension: who did not declare it is told so, and nobody else is asked.
func TestTasksNeedTheirExtension(t *testing.T) {
	var asked []string
	v := newView()
	v.tasks = func(context.Context, []string, mcp.Inbox) ([]string, func()) {
		t.Error("a task is watched")
		return nil, func() {}
	}
	b := inbound(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		asked = append(asked, c.Method+" "+c.Name)
		return &mcp.Reply{Result: []byte(`{}`)}, nil
	}, v)
	const missing = `"data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}},"reason":"capability"}`
	requests := map[string]string{mcp.TasksGet: `"taskId":"t"`, mcp.TasksUpdate: `"taskId":"t","inputResponses":{}`, mcp.TasksCancel: `"taskId":"t"`}
	for _, caps := range []string{`{}`, `{"tasks":{}}`, `{"extensions":{"x/y":{}}}`, `{"extensions":{"io.modelcontextprotocol/tasks":true}}`} {
		for method, params := range requests {
			a := b.Serve(t.Context(), about(t, method, params, caps, &told{}))
			if a.Status != 400 || !strings.Contains(string(a.Body), `"code":-32021,`) || !strings.Contains(string(a.Body), missing) {
				t.Errorf("%s %s: %d %s", method, caps, a.Status, a.Body)
			}
		}
		a := b.Serve(t.Context(), about(t, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true,"taskIds":["t"]}`, caps, &told{}))
		if a.Status != 400 || !strings.Contains(string(a.Body), missing) {
			t.Errorf("listen %s: %d %s", caps, a.Status, a.Body)
		}
	}
	for _, bad := range []string{`"taskId":7`, `"taskId":null`, `"x":1`} {
		if a := b.Serve(t.Context(), about(t, mcp.TasksGet, bad, withTasks, &told{})); !strings.Contains(string(a.Body), "-32602") {
			t.Errorf("%s: %s", bad, a.Body)
		}
	}
	for _, bad := range []string{`"taskId":"t"`, `"taskId":"t","inputResponses":[]`} {
		if a := b.Serve(t.Context(), about(t, mcp.TasksUpdate, bad, withTasks, &told{})); !strings.Contains(string(a.Body), "-32602") {
			t.Errorf("%s: %s", bad, a.Body)
		}
	}
	if a := b.Serve(t.Context(), about(t, mcp.TasksGet, `"taskId":"a","taskId":"b"`, withTasks, &told{})); a.Status != 400 {
		t.Errorf("two ids: %s", a.Body)
	}
	for _, method := range []string{"tasks/result", "tasks/list"} { // of another revision
		if a := b.Serve(t.Context(), about(t, method, `"taskId":"t"`, withTasks, &told{})); a.Status != 404 || !strings.Contains(string(a.Body), "-32601") {
			t.Errorf("%s: %d %s", method, a.Status, a.Body)
		}
	}
	if asked != nil {
		t.Fatalf("asked %q", asked)
	}
	for method, params := range requests {
		if a := b.Serve(t.Context(), about(t, method, params, withTasks, &told{})); a.Status != 200 || !strings.Contains(string(a.Body), `"resultType":"complete"`) {
			t.Errorf("%s: %d %s", method, a.Status, a.Body)
		}
	}
	slices.Sort(asked)
	same(t, asked, "tasks/cancel t", "tasks/get t", "tasks/update t")
}

// TestTaskNames: the header that names a task is held against the body, where there is one.
func TestTaskNames(t *testing.T) {
	for name, want := range map[string]int{"": 200, "t1": 200, "=?base64?dDE=?=": 200, "t2": 400, "=?base64?dDI=?=": 400} {
		d := newDesk(t, func(context.Context, *mcp.Call) (string, error) { return `{"text":"x"}`, nil })
		in := about(t, mcp.TasksGet, `"taskId":"t1"`, withTasks, &told{})
		in.Header = func(key string) []string {
			given := map[string]string{era.HeaderVersion: "2026-07-28", era.HeaderMethod: mcp.TasksGet, era.HeaderName: name}[key]
			if given == "" {
				return nil
			}
			return []string{given}
		}
		if a := d.b.Serve(t.Context(), in); a.Status != want {
			t.Errorf("%q: %d %s", name, a.Status, a.Body)
		}
	}
}

// TestNewsOfTasks: the acknowledgement says of which the client is told, then the newest state
// of each comes under the subscription's id.
func TestNewsOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, out := newView(), &told{began: time.Now()}
		var inbox mcp.Inbox
		stopped := 0
		v.tasks = func(_ context.Context, ids []string, box mcp.Inbox) ([]string, func()) {
			same(t, ids, "t1", "no", "t2")
			inbox = box
			box.Put(mcp.NoteTask, []byte(`{"taskId":"t2","status":"working"}`))
			return []string{"t1", "t2"}, func() { stopped++ }
		}
		b := inbound(nil, v)
		end := make(chan era.Answer, 1)
		in := about(t, mcp.SubscriptionsListen, `"notifications":{"toolsListChanged":true,"taskIds":["t1","no","t1","t2"]}`, withTasks, out)
		go func() { end <- b.Serve(t.Context(), in) }()
		synctest.Wait()
		time.Sleep(time.Second)
		inbox.Put(mcp.NoteTask, []byte(`{"taskId":"t1","status":"working","_meta":{"io.modelcontextprotocol/subscriptionId":99}}`))
		synctest.Wait()
		inbox.Put(mcp.NoteTask, []byte(`{"taskId":"t1","status":"input_required"}`))
		inbox.Put(mcp.NoteTask, []byte(`{"taskId":"t1","status":"completed"}`))
		inbox.Put(mcp.NoteTask, fmt.Appendf(nil, `{"taskId":"t2","result":%q}`, strings.Repeat("x", maxNews))) // too large to wait
		time.Sleep(time.Second)
		const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}`
		same(t, out.lines(),
			`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"taskIds":["t1","t2"]},`+meta,
			`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t2","status":"working",`+meta,
			`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t1","status":"working",`+meta,
			`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t1","status":"completed",`+meta)
		b.Close()
		if <-end; stopped != 1 {
			t.Errorf("stopped %d times", stopped)
		}
	})
}

// TestUnknownParametersAreKept: headers for parameters that the tool's definition does not
// speak of go along, so many of them.
func TestUnknownParametersAreKept(t *testing.T) {
	const schema = `{"name":"tool","inputSchema":{"type":"object","properties":{"s":{"type":"string","x-mcp-header":"Str"}}}}`
	for _, c := range []struct {
		headers map[string][]string
		want    string // "refused" for that
	}{
		{nil, "[]"},
		{map[string][]string{"Mcp-Param-Str": {"x"}, "Other": {"y"}}, "[]"},
		{map[string][]string{"Mcp-Param-Str": {"x"}, "Mcp-Param-B": {"1", "2"}, "Mcp-Param-A": {"=?base64?w6k=?="}}, "[{Mcp-Param-A =?base64?w6k=?=} {Mcp-Param-B 1} {Mcp-Param-B 2}]"},
		{map[string][]string{"Mcp-Param-Str": {"x"}, "Mcp-Param-A": slices.Repeat([]string{"1"}, maxAside+1)}, "refused"},
		{map[string][]string{"Mcp-Param-Str": {"x"}, "Mcp-Param-A": {strings.Repeat("1", maxAsideBytes)}}, "refused"},
	} {
		got := "refused"
		b := NewInbound(era.Params{Feed: newView(), Presence: presence{`{"name":"n","version":"1"}`, ""}, Streams: quota.New(100, 100), Handler: mcp.HandlerFunc(func(_ context.Context, call *mcp.Call) (*mcp.Reply, error) {
			if err := call.Admit(&mcp.Target{Definition: []byte(schema)}); err != nil {
				return nil, err
			}
			got = fmt.Sprint(call.Aside)
			return &mcp.Reply{Result: []byte(`{}`)}, nil
		})})
		in := about(t, mcp.ToolsCall, `"name":"tool","arguments":{"s":"x"}`, `{}`, &told{})
		in.Header = func(key string) []string {
			switch key {
			case era.HeaderVersion:
				return []string{"2026-07-28"}
			case era.HeaderMethod:
				return []string{mcp.ToolsCall}
			case era.HeaderName:
				return []string{"tool"}
			}
			if c.headers == nil {
				return map[string][]string{"Mcp-Param-Str": {"x"}}[key]
			}
			return c.headers[key]
		}
		in.Headers = func(prefix string) (out []string) {
			for name := range c.headers {
				if strings.HasPrefix(name, prefix) {
					out = append(out, name)
				}
			}
			slices.Sort(out)
			return out
		}
		a := b.Serve(t.Context(), in)
		if got != c.want || got == "refused" && (a.Status != 400 || !strings.Contains(string(a.Body), `"reason":"headers"`)) {
			t.Errorf("%.200v: kept %.200s, %d %s", c.headers, got, a.Status, a.Body)
		}
		b.Close()
	}
}
