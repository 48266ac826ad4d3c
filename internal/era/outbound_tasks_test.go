package era_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

const (
	discoveredTasks = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{}}}}}`
	takesTasks      = `{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`
)

func tasksCaller() *mcp.Caller {
	return &mcp.Caller{Principal: "p", TakesRounds: true, Capabilities: []byte(takesTasks)}
}

// TestFollow: a listen request of its own, under the caller's capabilities, that tells of the
// tasks which the server agreed to and of no others.
func TestFollow(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		l.says = map[string]func(string){}
		l.wire.says = discoveredTasks
		l.silent = true
		ob := k.connect(t, l.wire)
		if !ob.Info().Tasks {
			t.Error("the server has tasks")
		}
		heard := hear(t, ob)
		ctx, stop := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() {
			done <- ob.Follow(ctx, tasksCaller(), []string{"1", "2", "3"}, func(tasks []string) { got = append(got, fmt.Sprintf("began %q", tasks)) },
				func(task string, params []byte) { got = append(got, task+" "+string(params)) })
		}()
		id := l.newest()
		raw := l.last(1)[0]
		if !strings.Contains(raw, `"notifications":{"taskIds":["1","2","3"]}`) || !strings.Contains(raw, `clientCapabilities":`+takesTasks) {
			t.Errorf("the server got %s", raw)
		}
		l.note(id, mcp.NoteTask, `"taskId":"1","status":"working",`) // before the acknowledgement
		l.note(id, mcp.NoteAcknowledged, `"notifications":{"taskIds":["1","2","9"]},`)
		l.note(id, mcp.NoteTask, `"taskId":"1","status":"working",`)
		l.note(id, mcp.NoteTask, `"taskId":"3","status":"working",`)
		l.note(id, mcp.NoteTask, `"taskId":"2","status":"input_required","inputRequests":{"a":{"method":"roots/list"}},`) // not declared
		l.note(id, mcp.NoteTask, `"taskId":"2","status":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m"}}},`)
		synctest.Wait()
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		synctest.Wait()
		want := []string{`began ["1" "2"]`, `1 {"taskId":"1","status":"working"}`,
			`2 {"taskId":"2","status":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m"}}}}`}
		if !slices.Equal(got, want) {
			t.Errorf("told\n%s", strings.Join(got, "\n"))
		}
		if !k.streams {
			if got := l.sent(mcp.NoteCancelled); !slices.Equal(got, []string{`notifications/cancelled {"requestId":` + id + `}`}) {
				t.Errorf("the server got %q", got)
			}
		}
		if got := heard.take(); got != nil {
			t.Errorf("others heard %q", got)
		}
	})
}

// TestFollowIsRefused by a server that refuses it, and where there are no tasks.
func TestFollowIsRefused(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		began := func([]string) { t.Error("began") }
		told := func(string, []byte) { t.Error("told") }
		ob := k.connect(t, &wire{})
		var own *mcp.Error
		if err := ob.Follow(t.Context(), tasksCaller(), []string{"1"}, began, told); !errors.As(err, &own) || own.Code != mcp.UnknownMethod {
			t.Errorf("without tasks: %v", err)
		}
		if !k.stateless {
			return
		}
		l := newListened()
		l.wire.says, l.refuse = discoveredTasks, true
		if err := k.connect(t, l.wire).Follow(t.Context(), tasksCaller(), []string{"1"}, began, told); era.AsRemote(err) == nil {
			t.Errorf("refused: %v", err)
		}
	})
}

// TestTaskReplies: a task is for callers of tools that declared the extension, and asks for
// what they declared.
func TestTaskReplies(t *testing.T) {
	const created = `{"resultType":"task","taskId":"1","status":"working"}`
	const asks = `{"resultType":"complete","taskId":"1","status":"input_required","inputRequests":{"a":{"method":"%s","params":{"message":"m"}}}}`
	form, sample := fmt.Sprintf(asks, mcp.Elicit), fmt.Sprintf(asks, mcp.CreateMessage)
	for _, c := range []struct {
		method, caps, result string
		rounds               bool
		want                 string
	}{
		{mcp.ToolsCall, takesTasks, created, true, created},
		{mcp.ToolsCall, takesTasks, created, false, "0 server_invalid"}, // of a revision that has no such tasks
		{mcp.ToolsCall, `{}`, created, true, "0 server_invalid"},
		{mcp.PromptsGet, takesTasks, created, true, "0 server_invalid"},
		{mcp.ToolsCall, takesTasks, `{"resultType":"task","taskId":""}`, true, "0 server_invalid"},
		{mcp.ToolsCall, takesTasks, `{"resultType":"task","taskId":1}`, true, "0 server_invalid"},
		{mcp.ToolsCall, takesTasks, `{"resultType":"task","taskId":"` + strings.Repeat("x", 3000) + `"}`, true, "0 server_invalid"},
		{mcp.TasksGet, takesTasks, created, true, `{"taskId":"1","status":"working"}`},
		{mcp.TasksGet, takesTasks, form, true, form},
		{mcp.TasksGet, takesTasks, sample, true, "10 capability"},
		{mcp.TasksGet, takesTasks, fmt.Sprintf(asks, "x/y"), true, "0 server_invalid"},
		{mcp.TasksGet, takesTasks, `{"resultType":"complete","status":"input_required","inputRequests":{}}`, true, `{"resultType":"complete","status":"input_required","inputRequests":{}}`},
		{mcp.TasksGet, takesTasks, `{"resultType":"input_required","requestState":"x"}`, true, "0 server_invalid"},
	} {
		each(t, isStateless, func(t *testing.T, k kind) {
			w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(`{"jsonrpc":"2.0","id":%s,"result":` + c.result + `}`) }}
			one := call(`{"name":"s.t"}`)
			one.Method, one.From.TakesRounds, one.From.Capabilities = c.method, c.rounds, []byte(c.caps)
			reply, err := k.connect(t, w).Handle(t.Context(), one)
			got := ""
			var own *mcp.Error
			switch {
			case err == nil:
				got = string(reply.Result)
			case errors.As(err, &own):
				got = fmt.Sprint(int(own.Code), " ", own.Reason)
			}
			if got != c.want {
				t.Errorf("%s of %s: %.300s, %v", c.method, c.caps, got, err)
			}
		})
	}
}

// TestManyURIs go into several requests that count as one.
func TestManyURIs(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		l.wire.says = discoveredTasks
		ob := k.connect(t, l.wire)
		hear(t, ob)
		uris := make([]string, 2500)
		for i := range uris {
			uris[i] = fmt.Sprintf("u%04d", i)
		}
		if err := ob.Watch(t.Context(), uris); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var sizes []int
		for _, one := range l.sent(mcp.SubscriptionsListen) {
			sizes = append(sizes, strings.Count(one, `"u`))
		}
		slices.Sort(sizes)
		if !slices.Equal(sizes, []int{452, 1024, 1024}) {
			t.Errorf("requests of %d URIs", sizes)
		}
		l.forget()
		l.mu.Lock()
		first := slices.Clone(l.ids)
		l.mu.Unlock()
		if err := ob.Watch(t.Context(), uris[:1]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.wire.mu.Lock()
		ended := len(l.ended)
		l.wire.mu.Unlock()
		if cancelled := len(l.sent(mcp.NoteCancelled)); ended+cancelled != len(first) {
			t.Errorf("%d and %d of %d requests ended", ended, cancelled, len(first))
		}
	})
}

// TestAside: what came beside a call goes along in headers, but for those that we make.
func TestAside(t *testing.T) {
	each(t, func(k kind) bool { return k.streams }, func(t *testing.T, k kind) {
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			if m.Method == mcp.Tools.List() {
				say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"REGION"}}}}]}}`)
				return
			}
			say(empty)
		}}
		ob := k.connect(t, w)
		if _, err := ob.List(t.Context(), mcp.Tools, era.ListBounds{Pages: 9, Entries: 9, Time: time.Second}); err != nil {
			t.Fatal(err)
		}
		c := call(`{"name":"s.t","arguments":{"r":"west"}}`)
		c.Aside = []mcp.Aside{{Name: "Mcp-Param-Region", Value: "east"}, {Name: "Mcp-Param-Zone", Value: "7"}}
		if _, err := ob.Handle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		var got []transport.Header
		for _, h := range w.headers[len(w.headers)-1] {
			if strings.HasPrefix(h.Name, "Mcp-Param-") {
				got = append(got, h)
			}
		}
		want := "[]"
		if k.stateless {
			want = "[{Mcp-Param-REGION west} {Mcp-Param-Zone 7}]"
		}
		if fmt.Sprint(got) != want {
			t.Errorf("headers %v", got)
		}
	})
}
