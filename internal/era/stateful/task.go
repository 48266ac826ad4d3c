package stateful

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Tools that run as tasks only (2025-11-25, basic, utilities, Tasks, Tool-Level Negotiation) are
// tools like any other to callers: the task is made, awaited and, where the caller leaves,
// cancelled here. Tasks themselves do not cross, for no client was told that it may make some.

const (
	// taskLife is how long the server may have to keep a task, in milliseconds: longer than any
	// call lasts.
	taskLife = `{"ttl":7200000}`
	// makeTime is how long a caller that left is waited for, until the server has named the task
	// that is then to be cancelled.
	makeTime = 5 * time.Second

	tasksResult = "tasks/result"
	memberTask  = "task"
)

// TaskTools are the tools of a server that run as tasks only. Connections to one server share what
// they know. Its zero value is ready.
type TaskTools struct {
	mu    sync.Mutex
	names map[string]bool // guarded by mu
}

func (t *TaskTools) note(tool string, only bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !only {
		delete(t.names, tool)
		return
	}
	if t.names == nil {
		t.names = map[string]bool{}
	}
	t.names[tool] = true
}

func (t *TaskTools) has(tool string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names[tool]
}

// tasks are those of one connection.
type tasks struct {
	can   bool // the server runs tools as tasks at all
	tools *TaskTools

	mu   sync.Mutex
	open map[string]*era.Open // guarded by mu: the calls that wait for what comes of one, by its id
}

func (t *tasks) read(capabilities []byte) {
	requests := rawjson.Get(rawjson.Get(capabilities, "tasks"), "requests")
	t.can = rawjson.Get(rawjson.Get(requests, "tools"), "call") != nil
}

// runs tells whether a call is to be made as a task.
func (t *tasks) runs(c *mcp.Call) bool {
	return t.can && c.Method == mcp.ToolsCall && t.tools.has(c.Target.Origin)
}

// enter notes whose call waits for a task, until leave is called.
func (t *tasks) enter(id string, of *era.Open) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[string]*era.Open{}
	}
	t.open[id] = of
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, id)
	}
}

// asks gives the call whose task a question says that it is of, on whatever stream it comes; nil
// for none (2025-11-25, basic, utilities, Tasks, Associating Task-Related Messages).
func (t *tasks) asks(params []byte) *era.Open {
	related := rawjson.Get(rawjson.Get(params, "_meta"), mcp.MetaRelatedTask)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[string(rawjson.Get(related, mcp.MemberTaskID))]
}

// related gives the answer to a question of a task as one that says so as well.
func related(question, result []byte) []byte {
	task := rawjson.Get(rawjson.Get(question, "_meta"), mcp.MetaRelatedTask)
	meta := rawjson.Get(result, "_meta")
	if task == nil || meta != nil && meta[0] != '{' {
		return result
	}
	meta = rawjson.AppendEdited(nil, meta, rawjson.Edit{Key: mcp.MetaRelatedTask, Value: task})
	return rawjson.AppendEdited(nil, result, rawjson.Edit{Key: "_meta", Value: meta})
}

// shown takes out of tools what they say of tasks. A tool that would run as a task only, of a
// server that runs none, is left out.
func (t *tasks) shown(l *era.Listing) {
	kept := l.Entries[:0:0]
	for _, tool := range l.Entries {
		execution := rawjson.Get(tool, "execution")
		name, _ := rawjson.Text(rawjson.Get(tool, "name"))
		only := string(rawjson.Get(execution, "taskSupport")) == `"required"`
		if only && !t.can {
			l.Left = append(l.Left, fmt.Sprintf("tool %.80q: it runs as a task only, and the server declares no tasks for tools", name))
			continue
		}
		t.tools.note(name, only)
		if execution != nil {
			tool = rawjson.AppendEdited(nil, tool, rawjson.Edit{Key: "execution"})
		}
		kept = append(kept, tool)
	}
	l.Entries = kept
}

// runTask makes a task of a call and waits for what comes of it. Progress comes under the id of
// the call all the time, what the server asks with the second request.
func (o *Outbound) runTask(ctx context.Context, of *era.Open, params []byte) (result []byte, err error) {
	defer func() { o.calls.End(of, err) }()
	made, err := o.makeTask(ctx, of, rawjson.AppendEdited(nil, params, rawjson.Edit{Key: memberTask, Value: []byte(taskLife)}))
	if err != nil {
		return nil, err
	}
	o.calls.Answered(of.ID())
	task := rawjson.Get(rawjson.Get(made, memberTask), mcp.MemberTaskID)
	if task == nil { // the server has run it, and this is what came of it
		return made, nil
	}
	named := append(append([]byte(`{"`+mcp.MemberTaskID+`":`), task...), '}')
	if ctx.Err() != nil {
		o.cancelTask(named)
		return nil, ctx.Err()
	}
	id := o.link.NextID()
	second := o.calls.Begin(ctx, of.Call, id)
	defer o.tasks.enter(string(task), second)()
	result, err = o.round(ctx, id, tasksResult, named, o.during(second, of.ID()))
	o.calls.End(second, err)
	if err != nil && ctx.Err() != nil {
		o.cancelTask(named)
		o.calls.Told(id)
	}
	return result, err
}

// makeTask waits for a caller that left a while longer, since a request that makes a task must
// not be cancelled itself (2025-11-25, basic, utilities, Cancellation, Behavior Requirements).
func (o *Outbound) makeTask(ctx context.Context, of *era.Open, params []byte) ([]byte, error) {
	making, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(makeTime, stop) })()
	return o.round(making, of.ID(), of.Call.Method, params, o.during(of, of.ID()))
}

// cancelTask tells the server that nobody waits for a task any more. It does not wait. Where the
// server cannot cancel tasks it says so, and no harm is done.
func (o *Outbound) cancelTask(named []byte) {
	o.asking.write(func() {
		ctx, stop := context.WithTimeout(o.asking.ctx, answerTime)
		defer stop()
		_, _ = o.round(ctx, o.link.NextID(), mcp.TasksCancel, named, nil)
	})
}
