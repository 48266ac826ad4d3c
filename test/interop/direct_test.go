package interop

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestPeersDirect speaks to every server with every client, without a gateway. It shows that the
// peers work, that the calls have the outcome that the gateway is to be measured by, and that the
// servers are of the era they are said to be.
func TestPeersDirect(t *testing.T) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			d := directSessions(t, c)
			for i, s := range d.servers {
				t.Run(s.name, func(t *testing.T) { checkDirect(t, c, s, d.sessions[i]) })
			}
		})
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
	if got.StrayProgress > 0 {
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
	byClient map[string]*direct // guarded by the mutex
}

// directSessions speaks to every server, once for each client however many tests ask.
func directSessions(t *testing.T, c client) *direct {
	t.Helper()
	directCache.Lock()
	defer directCache.Unlock()
	if d := directCache.byClient[c.name]; d != nil {
		return d
	}
	mark := fmt.Sprintf("direct-%s-%d", c.name, time.Now().UnixNano())
	servers, err := theFleet.servers(t.TempDir(), mark)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []job
	for _, s := range servers {
		jobs = append(jobs, job{link: s.link, Calls: jobCalls(s.calls(c.name), "")})
	}
	sessions, err := c.run(context.Background(), jobs)
	checkNoneLeft(t, mark)
	if err != nil {
		t.Fatal(err)
	}
	d := &direct{servers: servers, sessions: sessions}
	if directCache.byClient == nil {
		directCache.byClient = map[string]*direct{}
	}
	directCache.byClient[c.name] = d
	return d
}

func jobCalls(calls []call, prefix string) []jobCall {
	var out []jobCall
	for _, c := range calls {
		out = append(out, jobCall{Name: prefix + c.tool, Arguments: c.args, progress: c.progress})
	}
	return out
}
