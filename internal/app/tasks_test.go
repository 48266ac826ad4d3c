package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

const takesTasks = `{"elicitation":{"form":{}},"extensions":{"` + tasks + `":{}}}`

// as is a stateless client with a token that declares the tasks extension.
func as(t testing.TB, url, token, capabilities string) gatetest.Client {
	t.Helper()
	o := gatetest.Options{Revision: gatetest.Stateless, NoListen: true, Capabilities: capabilities, Header: http.Header{"Authorization": {"Bearer " + token}}}
	return o.DialStateless(t, url)
}

// refusedTask asks for what must be refused with this code.
func refusedTask(t testing.TB, c gatetest.Client, code, method, params string) []byte {
	t.Helper()
	a, err := c.Do(t.Context(), method, params)
	if err != nil || string(gatetest.Member(a.Error, "code")) != code {
		t.Fatalf("%s %.200s: %v, %s, not %s", method, params, err, a.Raw, code)
	}
	return a.Error
}

// newTask makes a task with a tool, and gives its id as JSON.
func newTask(t testing.TB, c gatetest.Client, tool string) string {
	t.Helper()
	a := call(t, c, tool, `{}`)
	id := string(gatetest.Member(a.Result, "taskId"))
	if string(gatetest.Member(a.Result, "resultType")) != `"task"` || !strings.HasPrefix(id, `"mgwt1.`) {
		t.Fatalf("%s", a.Raw)
	}
	return id
}

func taskState(t testing.TB, c gatetest.Client, id, status string) *gatetest.Answer {
	t.Helper()
	a := do(t, c, "tasks/get", `{"taskId":`+id+`}`)
	if string(gatetest.Member(a.Result, "taskId")) != id || string(gatetest.Member(a.Result, "status")) != `"`+status+`"` {
		t.Fatalf("%s, not %s", a.Raw, status)
	}
	return a
}

func update(t testing.TB, c gatetest.Client, id, says string) {
	t.Helper()
	do(t, c, "tasks/update", `{"taskId":`+id+`,"inputResponses":{"name":{"action":"accept","content":{"name":"`+says+`"}}}}`)
}

// TestTasks: two people have tasks at a server over HTTP and at one that is a process. Each is
// asked, told and obeyed about their own, and knows nothing of the other's.
func TestTasks(t *testing.T) {
	web := gatetest.New("tasker")
	config := strings.TrimSuffix(servers("web", remote("http", gatetest.StartStateless(t, web)), "pipe", stdio("tasker", true)), "}") + "," + withTokens + "}"
	g := start(t, config).ready()
	a, b := as(t, g.url, alice, takesTasks), as(t, g.url, bob, takesTasks)
	for _, server := range []string{"web", "pipe"} {
		t.Run(server, func(t *testing.T) {
			hers, his := newTask(t, a, server+".slow"), newTask(t, b, server+".slow")
			asked := gatetest.Member(taskState(t, a, hers, "input_required").Result, "inputRequests", "name", "params", "message")
			if string(asked) != `"`+server+`: Who?"` {
				t.Errorf("asked %s", asked)
			}
			ctx, stop := context.WithTimeout(t.Context(), guard)
			defer stop()
			at, err := a.Listen(ctx, `{"taskIds":[`+hers+`,`+his+`,"task-0"]}`)
			if err != nil {
				t.Fatal(err)
			}
			bt, err := b.Listen(ctx, `{"taskIds":[`+his+`]}`)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(at.Agreed()); got != `{"taskIds":[`+hers+`]}` {
				t.Errorf("agreed with her to %s", got)
			}
			if got := string(bt.Agreed()); got != `{"taskIds":[`+his+`]}` {
				t.Errorf("agreed with him to %s", got)
			}
			for _, stolen := range []string{his, `"task-0"`, `"mgwt1.AAAA"`, `""`} {
				unknown := refusedTask(t, a, "-32602", "tasks/get", `{"taskId":"never was"}`)
				for method, more := range map[string]string{"tasks/get": "", "tasks/update": `,"inputResponses":{"name":{"action":"decline"}}`, "tasks/cancel": ""} {
					if got := refusedTask(t, a, "-32602", method, `{"taskId":`+stolen+more+`}`); string(got) != string(unknown) {
						t.Errorf("%s of %s: %s", method, stolen, got)
					}
				}
			}
			update(t, a, hers, "Ann")
			done := taskState(t, a, hers, "completed")
			if !strings.Contains(string(gatetest.Member(done.Result, "result", "content")), "Ann") {
				t.Errorf("%s", done.Raw)
			}
			do(t, b, "tasks/cancel", `{"taskId":`+his+`}`)
			taskState(t, b, his, "cancelled")
			news := func(c *gatetest.Listening) (out []string) {
				for _, n := range c.Notes() {
					if string(gatetest.Member(n, "method")) == `"notifications/tasks"` {
						out = append(out, string(gatetest.Member(n, "params", "taskId"))+string(gatetest.Member(n, "params", "status")))
					}
				}
				return slices.Compact(out)
			}
			within(t, guard, "news of both", func() bool { return news(at) != nil && news(bt) != nil })
			if got := news(at); !slices.Equal(got, []string{hers + `"completed"`}) {
				t.Errorf("she is told %q", got)
			}
			if got := news(bt); !slices.Equal(got, []string{his + `"cancelled"`}) {
				t.Errorf("he is told %q", got)
			}
			at.Cancel()
			bt.Cancel()
		})
	}
	nobodyElse(t, g, web, a)
	noStray(t, a)
	noStray(t, b)
}

// nobodyElse: who did not declare the extension has no tasks, nor a client of a revision
// that has none, nor another gateway's client.
func nobodyElse(t *testing.T, g *gateway, web *gatetest.Server, a gatetest.Client) {
	t.Helper()
	hers := newTask(t, a, "web.slow")
	plain := as(t, g.url, alice, `{"elicitation":{}}`)
	const missing = `{"extensions":{"` + tasks + `":{}}}`
	for method, more := range map[string]string{"tasks/get": "", "tasks/update": `,"inputResponses":{}`, "tasks/cancel": ""} {
		if got := refusedTask(t, plain, "-32021", method, `{"taskId":`+hers+more+`}`); string(gatetest.Member(got, "data", "requiredCapabilities")) != missing {
			t.Errorf("%s: %s", method, got)
		}
	}
	if got := refusedTask(t, plain, "-32021", "subscriptions/listen", `{"notifications":{"taskIds":[`+hers+`]}}`); string(gatetest.Member(got, "data", "requiredCapabilities")) != missing {
		t.Errorf("listen: %s", got)
	}
	refusedTask(t, plain, "-32021", "tools/call", `{"name":"web.slow"}`)
	older := gatetest.Options{Capabilities: takesTasks, Header: http.Header{"Authorization": {"Bearer " + alice}}}.DialStateful(t, g.url)
	refusedTask(t, older, "-32603", "tools/call", `{"name":"web.slow"}`)
	refusedTask(t, older, "-32601", "tasks/get", `{"taskId":`+hers+`}`)
	again := start(t, strings.TrimSuffix(servers("web", remote("http", gatetest.StartStateless(t, gatetest.New("tasker")))), "}")+","+withTokens+"}").ready()
	refusedTask(t, as(t, again.url, alice, takesTasks), "-32602", "tasks/get", `{"taskId":`+hers+`}`)

	own := as(t, g.url+"/servers/web/mcp", alice, takesTasks)
	if got := taskState(t, own, hers, "input_required"); string(gatetest.Member(got.Result, "inputRequests", "name", "params", "message")) != `"Who?"` {
		t.Errorf("%s", got.Raw)
	}
	refusedTask(t, as(t, g.url+"/servers/pipe/mcp", alice, takesTasks), "-32602", "tasks/get", `{"taskId":`+hers+`}`)
	if got := string(gatetest.Member(do(t, own, "server/discover", "").Result, "capabilities", "extensions")); got != `{"`+tasks+`":{}}` {
		t.Errorf("its own endpoint has the extensions %s", got)
	}
	declared := 0
	for _, m := range web.Seen() { // what the server heard was declared by who said it, and by nobody else
		if m.Sent || gatetest.Member(m.Raw, "params", "taskId") == nil && gatetest.Member(m.Raw, "params", "notifications", "taskIds") == nil {
			continue
		}
		if gatetest.Member(m.Raw, "params", "_meta", "io.modelcontextprotocol/clientCapabilities", "extensions", tasks) == nil {
			t.Errorf("not declared: %s", m.Raw)
		}
		if strings.Contains(string(m.Raw), "mgwt1.") {
			t.Errorf("a sealed id: %s", m.Raw)
		}
		declared++
	}
	if declared < 6 {
		t.Errorf("the server heard of tasks %d times", declared)
	}
}

// TestUnknownParametersPass: a header for a parameter that the tool's definition does not
// speak of reaches a stateless server over HTTP.
func TestUnknownParametersPass(t *testing.T) {
	s := &gatetest.Server{Name: "s", Tools: []json.RawMessage{gatetest.Tool("t")}, Call: func(c *gatetest.Call) {
		c.Text(strings.Join(c.Header.Values("Mcp-Param-Zone"), " ") + " " + c.Header.Get("Other"))
	}}
	g := start(t, servers("s", remote("http", gatetest.StartStateless(t, s)))).ready()
	c := gatetest.Options{NoListen: true, Header: http.Header{"Mcp-Param-Zone": {"=?base64?w6k=?="}, "Other": {"x"}}}.DialStateless(t, g.url)
	if got := gatetest.FirstText(call(t, c, "s.t", `{}`)); got != "=?base64?w6k=?= " {
		t.Errorf("the server got %q", got)
	}
}
