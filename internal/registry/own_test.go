package registry

import (
	"testing"
	"testing/synctest"

	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
)

// TestOnlyServersThatListToEachClientAreAsked, those that a caller sees and a name may mean; and
// who watches the catalog hears of what one client sees.
func TestOnlyServersThatListToEachClientAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		own := func(name string) config.Server {
			d := def(name)
			d.Sessions = config.SessionsPerClient
			return d
		}
		bare := ""
		c := own("c")
		c.Prefix = &bare
		h.Start()
		ok(t, h.Apply([]config.Server{def("a"), own("b"), c}))
		h.WaitTried(t.Context())
		asks := func(session, server, name, want string) {
			t.Helper()
			from := &mcp.Caller{Session: session, Scope: mcp.Scope{Server: server}}
			h.WaitOwn(t.Context(), from, name)
			if got := h.running(); got != want {
				t.Errorf("%q at %q: %s", name, server, got)
			}
		}
		asks("1", "a", "", "a:1/1 b:1/1 c:1/1")
		asks("1", "", "a.t", "a:1/1 b:1/1 c:2/2") // it may be a bare name
		asks("2", "b", "", "a:1/1 b:2/2 c:2/2")
		asks("3", "", "b.t", "a:1/1 b:3/3 c:3/3")
		_, changed := h.catalog.Watch()
		asks("4", "", "", "a:1/1 b:4/4 c:4/4")
		if got := len(h.Own(&mcp.Caller{Session: "4"})); got != 2 {
			t.Errorf("%d servers list to the client", got)
		}
		if got := len(h.Own(&mcp.Caller{Session: "4", Scope: mcp.Scope{Server: "a"}})); got != 0 {
			t.Errorf("%d of another endpoint", got)
		}
		select {
		case <-changed:
			t.Error("told of a list that is the same")
		default:
		}
		h.renewed()
		<-changed
	})
}
