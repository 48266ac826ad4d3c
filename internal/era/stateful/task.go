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

	maxCancels   = 64   // tasks that servers are told of at one time that nobody waits for; more are not told
	maxLate      = 1024 // requests without a caller whose tasks are waited for, to be cancelled
	maxTaskTools = 4096 // names that are known of one server
)

// TaskTools are the tools of a server that run as tasks only. Connections to one server share what
// they know. Its zero value is ready.
type TaskTools struct {
	mu    sync.Mutex
	names map[string]bool // guarded by mu
}

// note takes in what one listing says: of each tool whether it runs as a task only. Of a server
// that names its tools ever anew no more is known than that.
func (t *TaskTools) note(listed map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil || len(t.names)+len(listed) > maxTaskTools {
		t.names = map[string]bool{}
	}
	for name, only := range listed {
		if only {
			t.names[name] = true
		} else {
			delete(t.names, name)
		}
	}
}

func (t *TaskTools) has(tool string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names[tool]
}

// tasks are those of one connection.
type tasks struct {
	can     bool // the server runs tools as tasks at all
	cancels bool // and can be told to stop one
	tools   *TaskTools
	room    chan struct{} // for cancels on their way

	mu     sync.Mutex
	making map[string]*era.Open // guarded by mu: calls that are being made tasks, by the id of the request
	open   map[string]*era.Open // guarded by mu: calls that wait for what comes of a task, by its id
	late   map[string]bool      // guarded by mu: requests that may still name a task, which nobody waits for
}

func (t *tasks) init() {
	t.room = make(chan struct{}, maxCancels)
	t.making, t.open, t.late = map[string]*era.Open{}, map[string]*era.Open{}, map[string]bool{}
}

func (t *tasks) read(capabilities []byte) {
	declared := rawjson.Get(capabilities, "tasks")
	t.can = rawjson.Get(rawjson.Get(rawjson.Get(declared, "requests"), "tools"), "call") != nil
	t.cancels = rawjson.Get(declared, "cancel") != nil
}

// runs tells whether a call is to be made as a task.
func (t *tasks) runs(c *mcp.Call) bool {
	return t.can && c.Method == mcp.ToolsCall && t.tools.has(c.Target.Origin)
}

// begin notes that a call is being made a task.
func (t *tasks) begin(of *era.Open) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.making[string(of.ID())] = of
}

// named takes in an answer, which may name the task of a call, and gives its id; nil for none. Nobody
// waits for one that comes late. Readers call it, so that a question right behind the answer finds its
// call.
func (t *tasks) named(request, result []byte) (task []byte, late bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late = t.late[string(request)]
	delete(t.late, string(request))
	of := t.making[string(request)]
	if of == nil && !late {
		return nil, false
	}
	task = rawjson.Get(rawjson.Get(result, memberTask), mcp.MemberTaskID)
	if task != nil && of != nil {
		t.open[string(task)] = of
	}
	return task, late && task != nil
}

// end forgets a call and its task, which may be named yet where an answer may come late.
func (t *tasks) end(of *era.Open, task []byte, late bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.making, string(of.ID()))
	if t.open[string(task)] == of {
		delete(t.open, string(task))
	}
	if late && len(t.late) < maxLate {
		t.late[string(of.ID())] = true
	}
}

// asks gives the call whose task a question says that it is of, on whatever stream it comes (2025-11-25,
// basic, utilities, Tasks, Associating Task-Related Messages); of, the call on whose own stream it
// came, where it says nothing or that call's task has no name yet. A task that nobody waits for asks nobody.
func (t *tasks) asks(params []byte, of *era.Open) (*era.Open, *mcp.Error) {
	task := rawjson.Get(rawjson.Get(rawjson.Get(params, "_meta"), mcp.MetaRelatedTask), mcp.MemberTaskID)
	if task == nil || !t.can {
		return of, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.open[string(task)]; known != nil {
		return known, nil
	}
	if of != nil && t.making[string(of.ID())] == of {
		return of, nil
	}
	return nil, errNoCall
}

// unrelated is a result or question without the word of which task it is.
func unrelated(object []byte) []byte {
	meta := rawjson.Get(object, "_meta")
	if rawjson.Get(meta, mcp.MetaRelatedTask) == nil {
		return object
	}
	meta = rawjson.AppendEdited(nil, meta, rawjson.Edit{Key: mcp.MetaRelatedTask})
	if string(meta) == "{}" {
		meta = nil
	}
	return rawjson.AppendEdited(nil, object, rawjson.Edit{Key: "_meta", Value: meta})
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
	listed := map[string]bool{}
	for _, tool := range l.Entries {
		execution := rawjson.Get(tool, "execution")
		name, _ := rawjson.Text(rawjson.Get(tool, "name"))
		only := string(rawjson.Get(execution, "taskSupport")) == `"required"`
		if only && !t.can {
			l.Left = append(l.Left, fmt.Sprintf("tool %.80q: it runs as a task only, and the server declares no tasks for tools", name))
			continue
		}
		listed[name] = only
		if execution != nil {
			tool = rawjson.AppendEdited(nil, tool, rawjson.Edit{Key: "execution"})
		}
		kept = append(kept, tool)
	}
	l.Entries = kept
	t.tools.note(listed)
}

// runTask makes a task of a call and waits for what comes of it. Progress comes under the id of
// the call all the time, what the server asks with the second request.
func (o *Outbound) runTask(ctx context.Context, of *era.Open, params []byte) (result []byte, err error) {
	var task []byte
	o.tasks.begin(of)
	defer func() {
		works := o.calls.End(of, err)
		o.tasks.end(of, task, works && !o.link.Conn.OwnStream())
	}()
	made, err := o.makeTask(ctx, of, rawjson.AppendEdited(nil, params, rawjson.Edit{Key: memberTask, Value: []byte(taskLife)}))
	if err != nil {
		return nil, err
	}
	o.calls.Answered(of.ID())
	if task, _ = o.tasks.named(of.ID(), made); task == nil { // the server has run it, and this is what came of it
		return made, nil
	}
	if ctx.Err() != nil {
		o.cancelTask(task)
		return nil, ctx.Err()
	}
	id := o.link.NextID()
	second := o.calls.Begin(ctx, of.Call, id)
	result, err = o.round(ctx, id, tasksResult, taskParams(task), o.during(second, of.ID()))
	works := o.calls.End(second, err)
	if err != nil && ctx.Err() != nil && (o.cancelTask(task) || works && o.link.Cancel(id)) {
		o.calls.Told(id)
	}
	return unrelated(result), err
}

// makeTask waits for a caller that left a while longer, since a request that makes a task must
// not be cancelled itself (2025-11-25, basic, utilities, Cancellation, Behavior Requirements).
func (o *Outbound) makeTask(ctx context.Context, of *era.Open, params []byte) ([]byte, error) {
	making, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(makeTime, stop) })()
	return o.round(making, of.ID(), of.Call.Method, params, o.during(of, of.ID()))
}

func taskParams(task []byte) []byte {
	return append(append([]byte(`{"`+mcp.MemberTaskID+`":`), task...), '}')
}

// cancelTask tells the server that nobody waits for a task any more, where it can be told. It does
// not wait.
func (o *Outbound) cancelTask(task []byte) (told bool) {
	if !o.tasks.cancels {
		return false
	}
	return o.asking.write(o.tasks.room, func() {
		ctx, stop := context.WithTimeout(o.asking.ctx, answerTime)
		defer stop()
		_, _ = o.round(ctx, o.link.NextID(), mcp.TasksCancel, taskParams(task), nil)
	})
}
