package app_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"mcpgateway/internal/gatetest"
)

// The scripts of servers that conversations need beside those of gatetest. TestMain adds them.
var talkers = map[string]*gatetest.Server{
	"asker": asker(), "acme": acme(), "growth": growth(), "tasker": tasker(), "pages": pages(), "restarting": restarting(), "mill": mill(),
}

// A counter counts for each server that a script is served by.
type counter struct {
	mu sync.Mutex
	of map[*gatetest.Server]int
}

func (k *counter) add(s *gatetest.Server, n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[*gatetest.Server]int{}
	}
	k.of[s] += n
	return k.of[s]
}

// asker is gatetest's asking server with these tools as well: open says how many calls are
// open beside its own, at all processes of one entry of a config, calls how many there were, hold asks a form and takes it back once
// release is called, blocks asks a sampling of each kind of content, and heard says how often a
// client told since that its roots changed, refused how many of the late tool's questions were.
func asker() *gatetest.Server {
	s := gatetest.New("asking")
	asks, handles := s.Call, s.Handle
	var open openCalls
	var calls, heard counter
	var releases sync.Map // by server: chan struct{}
	gate := func(s *gatetest.Server) chan struct{} {
		g, _ := releases.LoadOrStore(s, make(chan struct{}))
		return g.(chan struct{})
	}
	s.Tools = append(s.Tools, gatetest.Tool("open"), gatetest.Tool("calls"), gatetest.Tool("hold"), gatetest.Tool("release"), gatetest.Tool("blocks"), gatetest.Tool("heard"), gatetest.Tool("refused"))
	s.Call = func(c *gatetest.Call) {
		switch c.Name {
		case "open":
			c.Text(strconv.Itoa(open.count(c.Server)))
			return
		case "calls":
			c.Text(strconv.Itoa(calls.add(c.Server, 0)))
			return
		case "heard":
			n := c.Server.Count("notifications/roots/list_changed") - heard.add(c.Server, 0)
			heard.add(c.Server, n)
			c.Text(strconv.Itoa(n))
			return
		case "refused":
			c.Text(strconv.Itoa(c.Server.Count("late refused")))
			return
		case "blocks":
			blocks(c)
			return
		case "release":
			select {
			case gate(c.Server) <- struct{}{}:
			case <-c.Canceled:
			}
			c.Text("released")
			return
		}
		calls.add(c.Server, 1)
		defer open.begin(c.Server)()
		if c.Name == "hold" {
			hold(c, gate(c.Server))
			return
		}
		asks(c)
	}
	s.Handle = func(c *gatetest.Call) {
		defer open.begin(c.Server)()
		handles(c)
	}
	return s
}

// blocks asks with all that messages of a sampling may have since 2025-11-25.
func blocks(c *gatetest.Call) {
	given, ok := c.Question("blocks", "sampling/createMessage", `{"messages":[`+
		`{"role":"user","content":[{"type":"text","text":`+string(gatetest.Member(c.Arguments, "tag"))+`},{"type":"audio","data":"c25k","mimeType":"audio/wav"}]},`+
		`{"role":"assistant","content":{"type":"tool_use","id":"c","name":"add","input":{"n":1}}},`+
		`{"role":"user","content":[{"type":"tool_result","toolUseId":"c","content":[{"type":"text","text":"2"}]}]}],"maxTokens":10}`)
	if ok {
		c.Text(string(given))
	}
}

func hold(c *gatetest.Call, released <-chan struct{}) {
	q, err := c.Begin("elicitation/create", `{"message":"held","requestedSchema":{"type":"object","properties":{"answer":{"type":"string"}}}}`)
	if err != nil {
		c.Text(err.Error())
		return
	}
	select {
	case <-released:
	case <-c.Canceled:
		return
	}
	c.Withdraw(q.ID)
	_, _, err = q.Wait()
	c.Text(fmt.Sprint("held: ", err))
}

// pages gives its seven tools two at a time.
func pages() *gatetest.Server {
	s := &gatetest.Server{Name: "pages", PageSize: 2}
	for n := range 7 {
		s.Tools = append(s.Tools, gatetest.Tool(fmt.Sprintf("t%03d", n)))
	}
	s.Call = func(c *gatetest.Call) { c.Text(c.Name) }
	return s
}

// acme has one of each thing that is rare:
//
//   - card: a tool with a MCP App, and the app's resource
//   - weather: a result of no object's shape, with the schema of it
//   - visit: is refused until a URL was visited, which the second call with the same tag has
//   - busy: puts the call off twice before it answers (stateless)
//   - meta: the _meta as received, as a text
//   - the request x-acme/echo, which answers with the params it got, and the notification
//     x-acme/news: heard says how often that came since it was last asked
func acme() *gatetest.Server {
	var visits sync.Map
	var put, heard counter
	return &gatetest.Server{
		Name: "acme", Instructions: "Acme makes everything.",
		Tools: []json.RawMessage{
			json.RawMessage(`{"name":"card","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://acme/card","visibility":["model","app"]},"ui/resourceUri":"ui://acme/card"}}`),
			json.RawMessage(`{"name":"weather","inputSchema":{"type":"object"},"outputSchema":{"type":"array","items":{"$ref":"#/$defs/day"},"$defs":{"day":{"type":"string"}}}}`),
			gatetest.Tool("visit"), gatetest.Tool("busy"), gatetest.Tool("meta"), gatetest.Tool("heard"),
		},
		Resources: []json.RawMessage{json.RawMessage(`{"uri":"ui://acme/card","name":"card","mimeType":"text/html;profile=mcp-app"}`)},
		Call: func(c *gatetest.Call) {
			switch c.Name {
			case "weather":
				c.Result(`{"content":[{"type":"text","text":"[\"sun\"]"}],"structuredContent":["sun"]}`)
			case "visit":
				mustVisit(c, &visits)
			case "busy":
				if n := put.add(c.Server, 1); c.Stateless && n%3 != 0 {
					c.Input("", fmt.Sprint("round ", n%3))
					return
				}
				c.Text("not busy any more")
			case "meta":
				c.Text(string(c.Meta))
			case "heard":
				n := c.Server.Count("x-acme/news") - heard.add(c.Server, 0)
				heard.add(c.Server, n)
				c.Text(strconv.Itoa(n))
			default:
				c.Text(c.Name)
			}
		},
		Handle: func(c *gatetest.Call) {
			if c.Method == "x-acme/echo" {
				c.Result(`{"given":` + string(c.Arguments) + `}`)
				return
			}
			c.Default()
		},
	}
}

// mustVisit demands what 2025-11-25 has the error -32042 for. The revision after it has no such
// error: its servers ask (2026-07-28, client, Elicitation).
func mustVisit(c *gatetest.Call, visits *sync.Map) {
	tag := string(gatetest.Member(c.Arguments, "tag"))
	one := `{"mode":"url","message":"Sign in","url":"https://acme.example/in","elicitationId":` + tag + `}`
	if _, been := visits.LoadOrStore(tag, true); been {
		c.Notify("notifications/elicitation/complete", `{"elicitationId":`+tag+`}`)
		c.Text("welcome")
		return
	}
	c.Error(`{"code":-32042,"message":"A URL must be visited first","data":{"elicitations":[` + one + `]}}`)
}

// growth has one of each list, and a tool that adds to the list that arguments.to names.
func growth() *gatetest.Server {
	var size counter
	s := &gatetest.Server{
		Name: "growth", Tools: []json.RawMessage{gatetest.Tool("grow")},
		Prompts:   []json.RawMessage{json.RawMessage(`{"name":"p0"}`)},
		Resources: []json.RawMessage{json.RawMessage(`{"uri":"growth://r/0","name":"r0"}`)},
		Templates: []json.RawMessage{json.RawMessage(`{"uriTemplate":"growth://t0/{x}","name":"t0"}`)},
	}
	s.Call = func(c *gatetest.Call) {
		n := size.add(c.Server, 1)
		switch string(gatetest.Member(c.Arguments, "to")) {
		case `"tools"`:
			c.Server.SetTools(gatetest.Tool("grow"), gatetest.Tool(fmt.Sprint("grown_", n)))
		case `"prompts"`:
			c.Server.SetPrompts(json.RawMessage(`{"name":"p0"}`), json.RawMessage(fmt.Sprintf(`{"name":"p%d"}`, n)))
		case `"resources"`:
			c.Server.SetResources(json.RawMessage(`{"uri":"growth://r/0","name":"r0"}`), json.RawMessage(fmt.Sprintf(`{"uri":"growth://r/%d","name":"r%d"}`, n, n)))
		case `"templates"`:
			c.Server.SetTemplates(json.RawMessage(`{"uriTemplate":"growth://t0/{x}","name":"t0"}`), json.RawMessage(fmt.Sprintf(`{"uriTemplate":"growth://t%d/{x}","name":"t%d"}`, n, n)))
		}
		c.Text("grown")
	}
	return s
}

// The tasks extension's name among the capabilities.
const tasks = "io.modelcontextprotocol/tasks"

// tasker answers its tool slow with a task, for callers that declared the extension
// (io.modelcontextprotocol/tasks). The task asks a form and ends with its answer; tasks/cancel
// ends it.
func tasker() *gatetest.Server {
	type task struct{ state, said string }
	var mu sync.Mutex
	all := map[*gatetest.Server]map[string]*task{}
	show := func(id string, k *task) string {
		out := `"taskId":"` + id + `","status":"` + k.state + `","createdAt":"2026-07-28T00:00:00Z","lastUpdatedAt":"2026-07-28T00:00:00Z","ttlMs":60000,"pollIntervalMs":10`
		switch k.state {
		case "input_required":
			out += `,"inputRequests":{"name":{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}}`
		case "completed":
			out += `,"result":{"resultType":"complete","content":[{"type":"text","text":` + quoted(k.said) + `}]}`
		}
		return out
	}
	s := &gatetest.Server{Name: "tasker", Extensions: `{"` + tasks + `":{}}`, Tools: []json.RawMessage{gatetest.Tool("slow")}}
	s.Call = func(c *gatetest.Call) {
		if gatetest.Member(c.Capabilities, "extensions", tasks) == nil {
			c.Error(`{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"extensions":{"` + tasks + `":{}}}}}`)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if all[c.Server] == nil {
			all[c.Server] = map[string]*task{}
		}
		id, k := fmt.Sprint("task-", len(all[c.Server])), &task{state: "input_required"}
		all[c.Server][id] = k
		c.Result(`{"resultType":"task",` + show(id, &task{state: "working"}) + `}`)
	}
	s.Handle = func(c *gatetest.Call) {
		if !strings.HasPrefix(c.Method, "tasks/") {
			c.Default()
			return
		}
		id := strings.Trim(string(gatetest.Member(c.Params, "taskId")), `"`)
		mu.Lock()
		defer mu.Unlock()
		k := all[c.Server][id]
		if k == nil {
			c.Error(`{"code":-32602,"message":"no such task"}`)
			return
		}
		switch c.Method {
		case "tasks/get":
			c.Result(`{"resultType":"complete",` + show(id, k) + `}`)
			return
		case "tasks/update":
			k.state, k.said = "completed", string(gatetest.Member(c.Params, "inputResponses", "name"))
		case "tasks/cancel":
			k.state = "cancelled"
		}
		c.Result(`{"resultType":"complete"}`)
		c.Server.TaskChanged(`{` + show(id, k) + `}`)
	}
	return s
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
