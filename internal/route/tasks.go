package route

import (
	"context"
	"maps"
	"slices"
	"strings"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A task's id goes out sealed with its server and for its principal, so that it tells whom
// to ask and is of no use to anybody else (SEP-2663, Security Implications). Sealed ids begin
// so.
const sealedTask = "mgwt1."

// task routes what is asked of a task to the server that has it, which is asked by its own id:
// the target's origin.
func (r *Router) task(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	id, _ := rawjson.Text(rawjson.Get(c.Params.Raw, mcp.MemberTaskID))
	server, origin, ok := r.OpenTask(c.From, id)
	if !ok {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_task", "there is no such task")
	}
	handler := r.house.Handler(server)
	if handler == nil {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_task", "there is no such task; its server is gone")
	}
	c.Name = id
	c.Target = mcp.Target{Server: server, Kind: "task", Canonical: server, Origin: origin, Handler: handler}
	return r.pass(ctx, c, r.view(c.From))
}

// shownTask is a result whose task has the id that the caller knows.
func (r *Router) shownTask(c *mcp.Call, result []byte) []byte {
	switch c.Method {
	case mcp.ToolsCall:
		if string(rawjson.Get(result, "resultType")) != `"task"` {
			return result
		}
		return editText(result, mcp.MemberTaskID, func(id string) string { return r.SealTask(c.From, c.Target.Server, id) })
	case mcp.TasksGet, mcp.TasksUpdate, mcp.TasksCancel:
		return editText(result, mcp.MemberTaskID, func(id string) string {
			if id == c.Target.Origin {
				return c.Name
			}
			return r.SealTask(c.From, c.Target.Server, id)
		})
	}
	return result
}

// WatchTasks has inbox told when one of the caller's tasks changes, by the id that the caller
// used. Of one server's it is told over one subscription.
func (r *Router) WatchTasks(ctx context.Context, from *mcp.Caller, ids []string, inbox mcp.Inbox) (agreed []string, stop func()) {
	byServer := map[string]map[string]string{} // the caller's ids, by server and the server's own
	for _, id := range ids {
		server, task, ok := r.OpenTask(from, id)
		if !ok {
			continue
		}
		if byServer[server] == nil {
			byServer[server] = map[string]string{}
		}
		byServer[server][task] = id
	}
	type asked struct {
		of     map[string]string
		agreed func(context.Context) []string
	}
	var all []asked
	var stops []func()
	for server, shown := range byServer {
		agreed, stop := r.house.FollowTasks(server, from, slices.Collect(maps.Keys(shown)), func(task string, params []byte) {
			if id, ok := shown[task]; ok {
				inbox.Put(mcp.NoteTask, r.newsOfTask(from, server, task, id, params))
			}
		})
		all, stops = append(all, asked{shown, agreed}), append(stops, stop)
	}
	told := map[string]bool{}
	for i, a := range all {
		tasks := a.agreed(ctx)
		for _, task := range tasks {
			told[a.of[task]] = true
		}
		if tasks == nil { // it may agree yet, and nobody would know
			stops[i]()
		}
	}
	for _, id := range ids {
		if told[id] {
			agreed = append(agreed, id)
		}
	}
	return agreed, func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// newsOfTask is the state of a task in the caller's words, as tasks/get would tell it.
func (r *Router) newsOfTask(from *mcp.Caller, server, task, id string, params []byte) []byte {
	c := &mcp.Call{Method: mcp.TasksGet, Name: id, From: from, Target: mcp.Target{Server: server, Origin: task}}
	return r.shownTask(c, r.shownLinks(r.view(from), c, params))
}

// SealTask is the id by which a caller knows a server's task.
func (r *Router) SealTask(c *mcp.Caller, server, id string) string {
	return sealedTask + r.sealed([]byte(server+"\n"+id), "task", c.Principal)
}

// OpenTask undoes SealTask. It is false for what was not sealed for this principal, and for
// another server than that of the caller's endpoint.
func (r *Router) OpenTask(c *mcp.Caller, sealed string) (server, id string, ok bool) {
	text, ok := strings.CutPrefix(sealed, sealedTask)
	if !ok {
		return "", "", false
	}
	in, ok := r.opened(text, "task", c.Principal)
	if !ok {
		return "", "", false
	}
	server, id, ok = strings.Cut(string(in), "\n")
	return server, id, ok && (c.Scope.Server == "" || c.Scope.Server == server)
}
