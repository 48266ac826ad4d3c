package stateless

import (
	"context"
	"fmt"
	"slices"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// typeTask is the type of the result that the tasks extension adds (SEP-2663, Polymorphic
// Results).
const typeTask = "task"

const (
	fieldTasks = "taskIds"
	maxTaskID  = 2048 // a longer one could not come back in a header, sealed as it is
)

// errNoTasks is for whoever speaks of tasks and did not declare the extension (SEP-2663,
// Protocol Errors).
var errNoTasks = &mcp.Error{Code: mcp.MissingCapability, Reason: "capability", Message: "the client did not declare the extension " + mcp.ExtensionTasks,
	Data: []byte(`{"requiredCapabilities":{"extensions":{"` + mcp.ExtensionTasks + `":{}}}}`)}

// takesTasks tells whether a caller declared the tasks extension. In the revisions of callers
// that know no rounds it has no meaning (SEP-2663, Backward Compatibility).
func takesTasks(from *mcp.Caller) bool {
	return from.TakesRounds && isObject(rawjson.Get(rawjson.Get(from.Capabilities, "extensions"), mcp.ExtensionTasks))
}

func isObject(v []byte) bool { return len(v) > 0 && v[0] == '{' }

// checkTask holds a request about a task against the rules of the extension.
func checkTask(c *mcp.Call) *mcp.Error {
	if !takesTasks(c.From) {
		return errNoTasks
	}
	id, ok := rawjson.Text(rawjson.Get(c.Params.Raw, mcp.MemberTaskID))
	if !ok {
		return mcp.Errorf(mcp.InvalidParams, "params", "%q must be a string", mcp.MemberTaskID)
	}
	if responses := rawjson.Get(c.Params.Raw, mcp.MemberInputResponses); c.Method == mcp.TasksUpdate && !isObject(responses) {
		return mcp.Errorf(mcp.InvalidParams, "params", "%q must be an object", mcp.MemberInputResponses)
	}
	c.Name = id
	return nil
}

// createdTask is the reply to a call that goes on as a task.
func createdTask(c *mcp.Call, result []byte) (*mcp.Reply, error) {
	if id, ok := rawjson.Text(rawjson.Get(result, mcp.MemberTaskID)); !ok || id == "" || len(id) > maxTaskID {
		return nil, mcp.Errorf(mcp.Internal, "server_invalid", "server %q made a task without an id of 1 to %d bytes", c.Target.Server, maxTaskID)
	}
	return &mcp.Reply{Result: result}, nil
}

// completeReply is the reply to a call that is answered for good.
func completeReply(c *mcp.Call, result []byte) (*mcp.Reply, error) {
	if c.Method == mcp.TasksGet {
		if err := mayShow(c.From, c.Target.Server, result); err != nil {
			return nil, err
		}
	}
	return &mcp.Reply{Result: result}, nil
}

// mayShow holds what a task asks of its client against what the client declared, as that of a
// call is held (SEP-2663, Input-request trust model: a task is no channel of higher trust).
func mayShow(from *mcp.Caller, server string, task []byte) error {
	if len(rawjson.Get(task, mcp.MemberInputRequests)) <= len("{}") || string(rawjson.Get(task, "status")) != `"input_required"` {
		return nil
	}
	return checkRound(&mcp.Call{From: from, Target: mcp.Target{Server: server}}, rawjson.AppendEdited(nil, task, rawjson.Edit{Key: mcp.MemberRequestState}))
}

// Follow has a listen request of its own, so that a task which the server knows no more, or
// refuses to speak of, ends nobody else's subscription. It declares what the caller did.
func (o *Outbound) Follow(ctx context.Context, from *mcp.Caller, tasks []string, began func(tasks []string), told func(task string, params []byte)) error {
	if !o.info.Tasks {
		return mcp.Errorf(mcp.UnknownMethod, "tasks", "the server has no tasks")
	}
	held, end := context.WithCancel(ctx)
	defer end()
	var agreed []string
	acknowledged := false
	filter := append(appendTexts([]byte{'{'}, fieldTasks, tasks), '}')
	err := o.carry(held, &subscription{end: end}, o.link.NextID(), filter, bridged(from), func(m *jsonrpc.Message) {
		switch {
		case m.Method == mcp.NoteAcknowledged && !acknowledged:
			acknowledged = true
			for id := range texts(rawjson.Get(m.Params, "notifications"), fieldTasks) {
				if slices.Contains(tasks, id) && !slices.Contains(agreed, id) {
					agreed = append(agreed, id)
				}
			}
			began(agreed)
		case m.Method == mcp.NoteTask:
			id, _ := rawjson.Text(rawjson.Get(m.Params, mcp.MemberTaskID))
			if slices.Contains(agreed, id) && mayShow(from, "", m.Params) == nil {
				told(id, era.CleanResult(m.Params))
			}
		}
	})
	if err == nil {
		err = fmt.Errorf("the server ended the subscription")
	}
	return err
}
