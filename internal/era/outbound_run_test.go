package era_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

const runsTasks = `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"n"}}}`

// A mill is a server whose tool runs as a task only (2025-11-25).
type mill struct {
	*wire
	hold    chan struct{}           // closed: calls are answered
	results map[string]func(string) // guarded by wire.mu: who waits for what comes of a task
	plain   bool                    // its tool runs otherwise
	behind  string                  // what it says right behind a task's name
	silent  bool                    // it answers no cancels
	anew    int                     // it lists so many tools, under names that no list had before
	mu      sync.Mutex
	made    int // guarded by mu
}

func newMill() *mill {
	k := &mill{wire: &wire{says: runsTasks}, results: map[string]func(string){}, hold: make(chan struct{})}
	close(k.hold)
	k.script = k.serve
	return k
}

func (k *mill) serve(m *jsonrpc.Message, say func(string)) {
	task, _ := rawjson.Text(rawjson.Get(m.Params, "taskId"))
	switch m.Method {
	case mcp.Tools.List():
		if k.anew > 0 {
			var names []string
			for range k.anew {
				k.made++
				names = append(names, fmt.Sprintf(`{"name":"t%d","execution":{"taskSupport":"required"},"inputSchema":{}}`, k.made))
			}
			say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[` + strings.Join(names, ",") + `]}}`)
			return
		}
		support := "required"
		if k.plain {
			support = "optional"
		}
		say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","execution":{"taskSupport":"` + support + `"},"inputSchema":{}}]}}`)
	case mcp.ToolsCall:
		if k.plain {
			say(empty)
			return
		}
		go func() {
			<-k.hold
			k.mu.Lock()
			k.made++
			task := fmt.Sprint("T", k.made)
			k.mu.Unlock()
			say(strings.TrimSuffix(`{"jsonrpc":"2.0","id":%s,"result":{"task":{"taskId":"`+task+`","status":"working"}}}`+"\n"+k.behind, "\n"))
		}()
	case "tasks/result":
		k.wire.mu.Lock()
		k.results[task] = say
		k.wire.mu.Unlock()
	case mcp.TasksCancel:
		if k.silent {
			return
		}
		say(`{"jsonrpc":"2.0","id":%s,"result":{"taskId":"` + task + `","status":"cancelled"}}`)
		k.wire.mu.Lock()
		waits := k.results[task]
		k.wire.mu.Unlock()
		if waits != nil {
			waits(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"cancelled"}}`)
		}
	}
}

// waits tells how to speak to whoever waits for a task.
func (k *mill) waits(task string) func(string) {
	synctest.Wait()
	k.wire.mu.Lock()
	defer k.wire.mu.Unlock()
	return k.results[task]
}

func (k *mill) comesOf(task, what string) {
	if say := k.waits(task); say != nil {
		say(`{"jsonrpc":"2.0","id":%s,` + what + `}`)
	}
}

// methods are those of the requests and notifications that the server got after its handshake.
func (k *mill) methods() (out []string) {
	synctest.Wait()
	for _, raw := range k.last(100) {
		method, _ := rawjson.Text(rawjson.Get([]byte(raw), "method"))
		if method != "" && method != mcp.Initialize && method != mcp.NoteInitialized {
			out = append(out, method)
		}
	}
	return out
}

// A run is a call under way.
type run struct {
	back  *notes
	leave func()
	done  chan struct{}
	reply *mcp.Reply
	err   error
}

func startRun(t *testing.T, ob era.Outbound, raw string) *run {
	ctx, leave := context.WithCancel(t.Context())
	c := call(raw)
	r := &run{back: c.Back.(*notes), leave: leave, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer leave()
		r.reply, r.err = ob.Handle(ctx, c)
	}()
	synctest.Wait()
	return r
}

func list(t *testing.T, ob era.Outbound) *era.Listing {
	t.Helper()
	l, err := ob.List(t.Context(), mcp.Tools, era.ListBounds{Pages: 9, Entries: 9, Time: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestAToolThatRunsAsATask is a tool like any other for its caller, who gets what came of the task
// and its progress; what the server says of tasks stays here.
func TestAToolThatRunsAsATask(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		m := newMill()
		ob := k.connect(t, m.wire)
		heard := hear(t, ob)
		if l := list(t, ob); len(l.Entries) != 1 || string(l.Entries[0]) != `{"name":"t","inputSchema":{}}` || l.Left != nil {
			t.Errorf("lists %s, %q", l.Entries, l.Left)
		}
		r := startRun(t, ob, `{"name":"s.t","task":{"ttl":1},"_meta":{"progressToken":"mine"}}`)
		say := m.waits("T1")
		sent := m.last(2)
		token := string(rawjson.Get([]byte(sent[0]), "id"))
		if !strings.Contains(sent[0], `"task":{"ttl":7200000}`) || strings.Count(sent[0], `"task"`) != 1 || !strings.Contains(sent[1], `"method":"tasks/result","params":{"taskId":"T1"}`) {
			t.Fatalf("the server got %q", sent)
		}
		say(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"T1","status":"working"}}`)
		say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":1,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}}`)
		m.comesOf("T1", `"result":{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"},"x":1}}`)
		<-r.done
		if r.err != nil || string(r.reply.Result) != `{"content":[],"_meta":{"x":1}}` {
			t.Errorf("%v, %+v", r.err, r.reply)
		}
		if got := r.back.told(); len(got) != 1 || !strings.Contains(got[0], `"progressToken":"mine","progress":1`) {
			t.Errorf("told %q", got)
		}
		if got := heard.take(); got != nil {
			t.Errorf("others heard %q", got)
		}
		r = startRun(t, ob, `{"name":"s.t"}`)
		m.comesOf("T2", `"error":{"code":7,"message":"no"}`)
		<-r.done
		if remote := era.AsRemote(r.err); remote == nil || remote.Number != 7 {
			t.Errorf("%v", r.err)
		}
	})
}

// TestConnectionsShareWhatTheyKnowOfTasks, so that a tool is called as it must be over a connection
// that has listed nothing yet; what a later list says counts.
func TestConnectionsShareWhatTheyKnowOfTasks(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		known := &stateful.TaskTools{}
		first, second := newMill(), newMill()
		list(t, declares(t, k, first.wire, stateful.Params{TaskTools: known}))
		ob := declares(t, k, second.wire, stateful.Params{TaskTools: known})
		r := startRun(t, ob, `{"name":"s.t"}`)
		second.comesOf("T1", `"result":{}`)
		if <-r.done; r.err != nil {
			t.Error(r.err)
		}
		second.plain = true
		list(t, ob)
		r = startRun(t, ob, `{"name":"s.t"}`)
		<-r.done
		if got := second.methods(); !slices.Equal(got, []string{mcp.ToolsCall, "tasks/result", mcp.Tools.List(), mcp.ToolsCall}) || r.err != nil {
			t.Errorf("the server got %q: %v", got, r.err)
		}
	})
}

// TestNoTasksWithoutTheCapability: the server is asked as ever, and a tool that cannot run is left
// out.
func TestNoTasksWithoutTheCapability(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		m := newMill()
		m.says = initialized
		ob := k.connect(t, m.wire)
		if l := list(t, ob); len(l.Entries) != 0 || len(l.Left) != 1 || !strings.Contains(l.Left[0], `"t": it runs as a task only`) {
			t.Errorf("lists %s, %q", l.Entries, l.Left)
		}
		m.plain = true
		r := startRun(t, ob, `{"name":"s.t","task":{"ttl":1}}`)
		if <-r.done; r.err != nil || !strings.Contains(m.last(1)[0], `"task":{"ttl":1}`) {
			t.Errorf("%v after %s", r.err, m.last(1))
		}
	})
}

// TestATaskWhoseCallerLeft is cancelled: at once, or once the server has named it. The request that
// makes it is not.
func TestATaskWhoseCallerLeft(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		m := newMill()
		ob := k.connect(t, m.wire)
		list(t, ob)
		r := startRun(t, ob, `{"name":"s.t"}`)
		r.leave()
		<-r.done
		synctest.Wait()
		last := m.last(1)[0]
		if r.err != context.Canceled || !strings.Contains(last, `"method":"tasks/cancel","params":{"taskId":"T1"}`) {
			t.Errorf("%v, and the server got %s", r.err, last)
		}
		m.hold = make(chan struct{})
		r = startRun(t, ob, `{"name":"s.t"}`)
		r.leave()
		time.Sleep(time.Second)
		close(m.hold)
		<-r.done
		synctest.Wait()
		if last := m.last(1)[0]; !strings.Contains(last, `"method":"tasks/cancel","params":{"taskId":"T2"}`) {
			t.Errorf("the server got %s", last)
		}
		if got := m.methods(); slices.Contains(got, mcp.NoteCancelled) {
			t.Errorf("the server got %q", got)
		}
		m.hold = make(chan struct{}) // it names none
		r = startRun(t, ob, `{"name":"s.t"}`)
		r.leave()
		began := time.Now()
		<-r.done
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("waited %s for a task that is not named", took)
		}
		close(m.hold)
		synctest.Wait()
	})
}

// TestAQuestionOfATask reaches the call whose task it is, whatever else is in flight and on
// whatever stream it comes; its answer says of which task it is as well.
func TestAQuestionOfATask(t *testing.T) {
	each(t, isStateful, func(t *testing.T, k kind) {
		m := newMill()
		ob := declares(t, k, m.wire, stateful.Params{})
		list(t, ob)
		hear(t, ob)
		var runs []*run
		for _, name := range []string{"a", "b"} {
			r := startRun(t, ob, `{"name":"s.t"}`)
			r.back.ask = func(context.Context, string, []byte) ([]byte, error) {
				return []byte(`{"by":"` + name + `","_meta":{"y":2}}`), nil
			}
			runs = append(runs, r)
		}
		answers := map[string]string{}
		for id, task := range map[string]string{"7": "T1", "8": "T2", "9": "T9"} {
			m.await(id, func(a *jsonrpc.Message) { m.mu.Lock(); answers[task] = string(a.Raw); m.mu.Unlock() })
			m.waits("T2")(`{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{"message":"m","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"` + task + `"}}}}`)
			synctest.Wait()
		}
		for task, want := range map[string]string{
			"T1": `{"by":"a","_meta":{"y":2,"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}`,
			"T2": `{"by":"b","_meta":{"y":2,"io.modelcontextprotocol/related-task":{"taskId":"T2"}}}`,
		} {
			m.mu.Lock()
			got := answers[task]
			m.mu.Unlock()
			if string(rawjson.Get([]byte(got), "result")) != want {
				t.Errorf("the question of %s was answered %s", task, got)
			}
		}
		m.mu.Lock()
		stray := answers["T9"]
		m.mu.Unlock()
		if !strings.Contains(stray, noCall) {
			t.Errorf("a stray one was answered %s", stray)
		}
		if got := runs[0].back.questions(); len(got) != 1 || strings.Contains(got[0], "related-task") {
			t.Errorf("a was asked %q", got)
		}
		for i, r := range runs {
			m.comesOf(fmt.Sprint("T", i+1), `"result":{}`)
			<-r.done
		}
	})
}

// TestAQuestionRightBehindTheTask reaches its call, though the call has not read yet what its task is.
func TestAQuestionRightBehindTheTask(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		for _, p := range []stateful.Params{{}, {PerClient: true, From: &mcp.Caller{Principal: "p", Session: "A"}}} {
			m := newMill()
			m.behind = `{"jsonrpc":"2.0","id":70,"method":"elicitation/create","params":{"message":"m","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}}`
			answer := make(chan string, 1)
			m.await("70", func(a *jsonrpc.Message) { answer <- string(a.Raw) })
			ob := declares(t, k, m.wire, p)
			hear(t, ob)
			list(t, ob)
			c := call(`{"name":"s.t"}`)
			c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"action":"accept"}`), nil }
			done := make(chan error, 1)
			go func() {
				_, err := ob.Handle(t.Context(), c)
				done <- err
			}()
			if got := <-answer; !strings.Contains(got, `"action":"accept"`) {
				t.Errorf("the question was answered %s", got)
			}
			m.comesOf("T1", `"result":{}`)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCancelsLeaveRoomForAnswers, however many tasks nobody waits for and however slow the server is.
func TestCancelsLeaveRoomForAnswers(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		m := newMill()
		m.silent = true
		ob := k.connect(t, m.wire)
		hear(t, ob)
		list(t, ob)
		var runs []*run
		for range 70 {
			runs = append(runs, startRun(t, ob, `{"name":"s.t"}`))
		}
		for _, r := range runs {
			r.leave()
			<-r.done
		}
		answer := make(chan string, 1)
		m.await("70", func(a *jsonrpc.Message) { answer <- string(a.Raw) })
		m.waits("T1")(`{"jsonrpc":"2.0","id":70,"method":"ping"}`)
		began := time.Now()
		if got := <-answer; got != `{"jsonrpc":"2.0","id":70,"result":{}}` || time.Since(began) > time.Second {
			t.Errorf("the ping was answered %s after %s", got, time.Since(began))
		}
	})
}

// TestNamesOfTaskToolsAreBounded where a server names its tools ever anew; those of its last list
// are known.
func TestNamesOfTaskToolsAreBounded(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		m := newMill()
		m.anew = 9
		known := &stateful.TaskTools{}
		ob := declares(t, k, m.wire, stateful.Params{TaskTools: known})
		for range 1000 {
			list(t, ob)
		}
		if n := strings.Count(fmt.Sprint(known), ":true"); n < 9 || n > 4096 {
			t.Errorf("%d names are known", n)
		}
	})
}
