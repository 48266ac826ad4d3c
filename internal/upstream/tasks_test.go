package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

const discoveredTasks = `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"ttlMs":0,"cacheScope":"private"}}`

// jobs is a stateless server with tasks.
type jobs struct {
	peer
	mu     sync.Mutex
	agrees string            // guarded by mu: taskIds of acknowledgements; empty: refuses
	last   *wire             // guarded by mu
	listen string            // guarded by mu: id of the newest listen
	state  map[string]string // guarded by mu: for tasks/get
	gets   []string          // guarded by mu
	hold   func(task string) // called before the answer to tasks/get
}

func newJobs(agrees string) *jobs {
	j := &jobs{agrees: agrees, state: map[string]string{}}
	j.script = func(w *wire, m *jsonrpc.Message) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		switch m.Method {
		case mcp.Discover:
			w.say(m, discoveredTasks)
		case mcp.SubscriptionsListen:
			if j.agrees == "" {
				w.say(m, unknownMethod)
				return nil
			}
			j.last, j.listen = w, string(m.ID)
			w.say(nil, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskIds":%s},"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, j.agrees, m.ID))
		case mcp.TasksGet:
			task, _ := rawjson.Text(rawjson.Get(m.Params, "taskId"))
			j.gets = append(j.gets, task)
			if j.hold != nil {
				j.hold(task)
			}
			if j.state[task] == "" {
				w.say(m, unknownMethod)
				return nil
			}
			w.say(m, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","taskId":"`+task+`",`+j.state[task]+`}}`)
		case mcp.ToolsCall:
			return errors.New("killed")
		default:
			return plain(w, m)
		}
		return nil
	}
	return j
}

// tell tells of a task on the newest subscription; the lock is not held.
func (j *jobs) tell(task, state string) {
	j.mu.Lock()
	j.note(task, state)
	j.mu.Unlock()
	synctest.Wait()
}

func (j *jobs) note(task, state string) {
	j.last.say(nil, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":%q,%s,"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, task, state, j.listen))
}

// end ends the newest subscription as a server does that goes down.
func (j *jobs) end() {
	j.mu.Lock()
	j.last.say(nil, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete"}}`, j.listen))
	j.mu.Unlock()
}

func takesTasks(scope string) *mcp.Caller {
	return &mcp.Caller{Principal: "p", TakesRounds: true, Scope: mcp.Scope{Server: scope}, Capabilities: []byte(`{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`)}
}

// A follower notes what it is told of tasks.
type follower struct {
	mu  sync.Mutex
	got []string
}

func (f *follower) told(task string, params []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, task+" "+string(params))
}

func (f *follower) take() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

const asking = `"status":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"Who?"}}}`

// TestFollowTasks: what a task asks names its server where the client cannot know it, a lost
// subscription is made again and what was missed is asked for, and what is over is let go.
func TestFollowTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(`["1","2"]`)
		r := start(t, params(j))
		r.readyAt(t)
		if !r.Status().Info.Tasks {
			t.Fatal("the server has tasks")
		}
		var all, alone follower
		agreed, stop := r.FollowTasks(takesTasks(""), []string{"1", "2", "3"}, all.told)
		if got := agreed(t.Context()); !slices.Equal(got, []string{"1", "2"}) {
			t.Fatalf("agreed to %q", got)
		}
		j.tell("1", asking)
		if got := all.take(); !slices.Equal(got, []string{`1 {"taskId":"1",` + strings.Replace(asking, "Who?", "s: Who?", 1) + `}`}) {
			t.Errorf("told %q", got)
		}
		// A subscription is lost, and something happens meanwhile.
		j.mu.Lock()
		j.state["1"] = asking
		j.state["2"] = `"status":"completed","result":{}`
		j.hold = func(task string) {
			if task == "1" { // the news that comes with the question for its state is newer
				j.note("1", `"status":"working"`)
			}
		}
		j.mu.Unlock()
		j.end()
		time.Sleep(2 * time.Second)
		if got := all.take(); !slices.Equal(got, []string{`1 {"taskId":"1","status":"working"}`, `2 {"taskId":"2","status":"completed","result":{}}`}) {
			t.Errorf("told %q", got)
		}
		// What is over is asked for no more.
		j.mu.Lock()
		j.gets, j.agrees = nil, `["1"]`
		j.mu.Unlock()
		j.end()
		time.Sleep(5 * time.Second)
		j.mu.Lock()
		if !slices.Equal(j.gets, []string{"1"}) {
			t.Errorf("asked for %q", j.gets)
		}
		j.mu.Unlock()
		all.take()
		agreed, leave := r.FollowTasks(takesTasks("s"), []string{"1"}, alone.told)
		agreed(t.Context())
		j.tell("1", asking)
		if got := alone.take(); !slices.Equal(got, []string{`1 {"taskId":"1",` + asking + `}`}) {
			t.Errorf("told %q", got)
		}
		if got := all.take(); got != nil {
			t.Errorf("another subscription is told %q", got)
		}
		leave()
		synctest.Wait()
		j.tell("1", `"status":"failed"`)
		stop()
		synctest.Wait()
		if got := j.count(mcp.NoteCancelled); got != 2 || alone.take() != nil {
			t.Errorf("%d subscriptions were cancelled", got)
		}
		if r.clients.follows != 0 {
			t.Errorf("%d are left", r.clients.follows)
		}
	})
}

// TestFollowOutlivesARestart of the server.
func TestFollowOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(`["1"]`)
		r := start(t, params(j))
		r.readyAt(t)
		var f follower
		agreed, stop := r.FollowTasks(takesTasks(""), []string{"1"}, f.told)
		defer stop()
		agreed(t.Context())
		j.mu.Lock()
		j.state["1"] = `"status":"working"`
		j.mu.Unlock()
		_, _ = r.Handle(t.Context(), call(r.Server, ""))
		time.Sleep(time.Minute)
		if got := f.take(); !slices.Equal(got, []string{`1 {"taskId":"1","status":"working"}`}) {
			t.Errorf("told %q", got)
		}
	})
}

// TestFollowIsRefused by the server, by our bound, and by the revision.
func TestFollowIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs("")
		r := start(t, params(j))
		r.readyAt(t)
		var f follower
		refused := func(what string) {
			t.Helper()
			agreed, stop := r.FollowTasks(takesTasks(""), []string{"1"}, f.told)
			defer stop()
			if got := agreed(t.Context()); got != nil {
				t.Errorf("%s: agreed to %q", what, got)
			}
			synctest.Wait()
		}
		refused("a refusal")
		j.mu.Lock()
		j.agrees = `[]`
		j.mu.Unlock()
		refused("nothing")
		j.mu.Lock()
		j.agrees = `["1"]`
		j.mu.Unlock()
		for range maxFollows {
			agreed, stop := r.FollowTasks(takesTasks(""), []string{"1"}, f.told)
			defer stop()
			agreed(t.Context())
		}
		refused("too many")
	})
	synctest.Test(t, func(t *testing.T) { // of a stateful server
		r := start(t, params(&peer{}))
		r.readyAt(t)
		agreed, stop := r.FollowTasks(takesTasks(""), []string{"1"}, func(string, []byte) {})
		defer stop()
		if got := agreed(t.Context()); got != nil {
			t.Errorf("agreed to %q", got)
		}
		c := call(r.Server, "")
		c.Method, c.Target.Kind = mcp.TasksGet, "task"
		if _, err := r.Handle(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no such task") {
			t.Errorf("a stateful server is asked for a task: %v", err)
		}
	})
}

// TestTasksAskInTheirServersName where the client cannot know it.
func TestTasksAskInTheirServersName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs("")
		j.state["1"] = asking
		r := start(t, params(j))
		r.readyAt(t)
		for scope, want := range map[string]string{"": `"s: Who?"`, "s": `"Who?"`} {
			c := call(r.Server, "")
			c.Method, c.From, c.Name, c.Params.Raw = mcp.TasksGet, takesTasks(scope), "sealed", []byte(`{"taskId":"sealed"}`)
			c.Target.Kind, c.Target.Origin = "task", "1"
			reply, err := r.Handle(t.Context(), c)
			if err != nil || !strings.Contains(string(reply.Result), `"message":`+want) {
				t.Errorf("%q: %v, %s", scope, err, reply.Result)
			}
		}
	})
}

// TestLogLinesAreBounded: so many, then as many as the rate allows; what else a server says
// passes.
func TestLogLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, params(&peer{}))
		r.readyAt(t)
		_, clock := startClock(t.Context(), time.Minute, time.Hour)
		defer clock.stop()
		l := &listener{}
		w := &watched{Back: l, clock: clock, lines: r.lines}
		say := func(n int) (lines, others int) {
			l.got = nil
			for range n {
				_ = w.Notify(t.Context(), mcp.NoteMessage, []byte(`{}`))
				_ = w.Notify(t.Context(), mcp.NoteProgress, []byte(`{}`))
			}
			for _, one := range l.got {
				if strings.HasPrefix(one, mcp.NoteMessage) {
					lines++
				} else {
					others++
				}
			}
			return lines, others
		}
		if lines, others := say(1000); lines != lineBurst || others != 1000 {
			t.Errorf("%d lines and %d others passed", lines, others)
		}
		time.Sleep(time.Second)
		if lines, _ := say(1000); lines != lineRate {
			t.Errorf("a second later %d lines passed", lines)
		}
	})
}
