package app_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"mcpgateway/internal/gatetest"
)

// mill is a server of 2025-11-25 with tools that run as tasks only, and tell progress: slow asks a
// form while its task runs, endless ends when it is cancelled. open says how many tasks run.
func mill() *gatetest.Server {
	type task struct {
		tool, token string
		over        chan struct{} // closed when it is cancelled
	}
	var mu sync.Mutex
	all := map[*gatetest.Server]map[string]*task{}
	state := func(id, status string) string {
		return `"taskId":` + quoted(id) + `,"status":"` + status + `","createdAt":"2025-11-25T00:00:00Z","lastUpdatedAt":"2025-11-25T00:00:00Z","ttl":60000,"pollInterval":10`
	}
	of := func(id string) string {
		return `"_meta":{"io.modelcontextprotocol/related-task":{"taskId":` + quoted(id) + `}}`
	}
	tool := func(name string) json.RawMessage {
		return json.RawMessage(`{"name":"` + name + `","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}`)
	}
	s := &gatetest.Server{Name: "mill", Capabilities: `{"tools":{},"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}}`,
		Tools: []json.RawMessage{tool("slow"), tool("endless"), gatetest.Tool("open")}}
	s.Call = func(c *gatetest.Call) {
		mu.Lock()
		defer mu.Unlock()
		if all[c.Server] == nil {
			all[c.Server] = map[string]*task{}
		}
		switch {
		case c.Name == "open":
			c.Text(strconv.Itoa(len(all[c.Server])))
		case gatetest.Member(c.Params, "task") == nil:
			c.Error(`{"code":-32601,"message":"it runs as a task only"}`)
		default:
			id := fmt.Sprint("mill ", c.Server.Count("tools/call"))
			all[c.Server][id] = &task{tool: c.Name, token: string(gatetest.Member(c.Params, "_meta", "progressToken")), over: make(chan struct{})}
			c.Result(`{"task":{` + state(id, "working") + `}}`)
		}
	}
	tell := func(c *gatetest.Call, k *task, id string) {
		c.Notify("notifications/progress", `{"progressToken":`+k.token+`,"progress":1,`+of(id)+`}`)
	}
	end := func(s *gatetest.Server, id string) *task {
		mu.Lock()
		defer mu.Unlock()
		k := all[s][id]
		delete(all[s], id)
		return k
	}
	s.Handle = func(c *gatetest.Call) {
		if !strings.HasPrefix(c.Method, "tasks/") {
			c.Default()
			return
		}
		var id string
		_ = json.Unmarshal(gatetest.Member(c.Params, "taskId"), &id)
		mu.Lock()
		k := all[c.Server][id]
		mu.Unlock()
		switch {
		case k == nil:
			c.Error(`{"code":-32602,"message":"no such task"}`)
		case c.Method == "tasks/cancel":
			close(end(c.Server, id).over)
			c.Result(`{` + state(id, "cancelled") + `}`)
		case k.tool == "endless":
			tell(c, k, id)
			select {
			case <-k.over:
				c.Error(`{"code":-32603,"message":"the task was cancelled"}`)
			case <-c.Canceled:
			}
		default:
			tell(c, k, id)
			given, ok := c.Question("name", "elicitation/create", `{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}},`+of(id)+`}`)
			if ok {
				end(c.Server, id)
				c.Result(`{"content":[{"type":"text","text":` + quoted(string(given)) + `}],` + of(id) + `}`)
			}
		}
	}
	return s
}
