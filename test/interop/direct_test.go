package interop

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestPeersDirect speaks to every server with every client, without a gateway. It shows that the
// peers work, that the calls have the outcome that the gateway is to be measured by, and that the
// servers are of the era they are said to be.
func TestPeersDirect(t *testing.T) {
	for _, g := range []group{wide, slow} {
		for _, name := range g.clients {
			c := clientNamed(name)
			t.Run(g.name+"/"+name, func(t *testing.T) {
				d := directSessions(t, c, g)
				for i, s := range d.servers {
					t.Run(s.name, func(t *testing.T) { checkDirect(t, c, s, d.sessions[i]) })
				}
			})
		}
	}
}

func checkDirect(t *testing.T, c client, s server, got session) {
	if stateless := got.ProtocolVersion >= firstStateless; stateless != (c.stateless && s.stateless) {
		t.Errorf("they agreed on %q", got.ProtocolVersion)
	}
	if len(got.Tools) == 0 {
		t.Error("no tools")
	}
	for i, call := range s.calls(c.name) {
		if err := call.verify(got.Results[i]); err != nil {
			t.Errorf("%s: %v", call.tool, err)
		}
	}
	loose := slices.ContainsFunc(s.calls(c.name), func(c call) bool { return c.loose })
	if got.StrayProgress > 0 && !loose {
		t.Errorf("%d progress notifications of no open call", got.StrayProgress)
	}
}

// direct is what a client saw when it spoke to the servers themselves.
type direct struct {
	servers  []server
	sessions []session
}

var directCache struct {
	sync.Mutex
	byKey map[string]*direct // by group and client; guarded by the mutex
}

// directSessions speaks to every server of a group, once for each client however many tests ask.
func directSessions(t *testing.T, c client, g group) *direct {
	t.Helper()
	directCache.Lock()
	defer directCache.Unlock()
	key := g.name + "/" + c.name
	if d := directCache.byKey[key]; d != nil {
		return d
	}
	mark := fmt.Sprintf("direct-%s-%d", c.name, time.Now().UnixNano())
	servers, err := g.servers(theFleet, t.TempDir(), mark)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []job
	var plain []int // where in jobs c's likeness is to go
	for i, s := range servers {
		jobs = append(jobs, job{link: s.link, Calls: jobCalls(s.calls(c.name), originName)})
		if s.plainOnly && c.stateless {
			plain = append(plain, i)
		}
	}
	sessions, err := runSome(c, jobs, plain)
	checkNoneLeft(t, mark)
	if err != nil {
		t.Fatal(err)
	}
	d := &direct{servers: servers, sessions: sessions}
	if directCache.byKey == nil {
		directCache.byKey = map[string]*direct{}
	}
	directCache.byKey[key] = d
	return d
}

// runSome has c run all jobs but those that its likeness is to run.
func runSome(c client, jobs []job, plain []int) ([]session, error) {
	var rest []job
	for i, j := range jobs {
		if !slices.Contains(plain, i) {
			rest = append(rest, j)
		}
	}
	sessions, err := c.run(context.Background(), rest)
	for _, i := range plain {
		if err != nil {
			return nil, err
		}
		var one []session
		if one, err = clientNamed(c.plain).run(context.Background(), jobs[i:i+1]); err == nil {
			sessions = slices.Insert(sessions, i, one[0])
		}
	}
	return sessions, err
}

func jobCalls(calls []call, name func(tool string) string) []jobCall {
	var out []jobCall
	for _, c := range calls {
		out = append(out, jobCall{Name: name(c.tool), Arguments: c.args, progress: c.progress, loose: c.loose})
	}
	return out
}
