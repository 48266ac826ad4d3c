package app_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// The conversations that hold through two gateways as well: all but those about what the
// nearest server says of itself, about its own endpoint, about settings of the first gateway
// alone, and those where what comes, or in which order, depends on the era of the hop between.
var notThroughTwo = []string{"instructions", "own-endpoint", "tools-pages-client", "tasks-undeclared", "apps", "hints", "undeclared", "forever", "resume",
	"resources-unknown", "tools-shape", "both"}

// Where all share a stream, a server that was left with a call unanswered can ask nobody any
// more until the connection ends, so that these come last.
var lastThroughTwo = []string{"cancel", "leave"}

// A gateway in front of a gateway in front of a server, where each hop has another transport
// and the eras change from hop to hop: what the two pairs of hops have passes.
func TestConversationsPassTwoGateways(t *testing.T) {
	for _, hops := range []struct {
		client, between, server string // bindings
	}{
		{"http-stateless", "http-stateful", "stdio-stateless"},
		{"stdio-stateful", "http-stateless", "sse"},
		{"sse", "http-stateless", "stdio-stateful"},
		{"stdio-stateless", "sse", "http-stateless"},
	} {
		t.Run(hops.client+" "+hops.between+" "+hops.server, func(t *testing.T) {
			client := clientBindings[slices.IndexFunc(clientBindings, func(b binding) bool { return b.name == hops.client })]
			at := func(name string) binding {
				return serverBindings[slices.IndexFunc(serverBindings, func(b struct {
					binding
					define func(t testing.TB, script string) string
				}) bool {
					return b.name == name
				})].binding
			}
			between, server := at(hops.between), at(hops.server)
			var talks []*conversation
			var scripts []string
			for _, v := range readConversations(t) {
				if v.talk == nil || v.config != "" || v.gateway != "" || slices.Contains(notThroughTwo, v.name) ||
					!v.covers(pair{client, between}) || !v.covers(pair{between, server}) || !v.covers(pair{client, server}) {
					continue
				}
				talks = append(talks, v)
				for _, s := range v.scripts {
					if !slices.Contains(scripts, s) {
						scripts = append(scripts, s)
					}
				}
			}
			slices.SortStableFunc(talks, func(a, b *conversation) int {
				return slices.Index(lastThroughTwo, a.name) - slices.Index(lastThroughTwo, b.name)
			})
			inner := startFleet(t, fleetKey{server, pinOf(server), "", ""}, scripts)
			url, protocol := inner.url+"/mcp", "stateful"
			if between.name == "sse" {
				url = inner.url + "/sse"
			}
			if between.stateless {
				protocol = "stateless"
			}
			kind := map[string]string{"sse": "sse"}[between.name]
			if kind == "" {
				kind = "streamable-http"
			}
			outer := startAt(t, slog.LevelInfo, servers("inner", object("type", kind, "url", url, "protocol", protocol, "prefix", ""))).ready()
			f := &fleetGateway{gateway: outer, servers: inner.servers, said: inner.said}
			t.Logf("%d conversations", len(talks))
			for _, v := range talks {
				t.Run(v.name, func(t *testing.T) { converse(t, v, pair{client, server}, f, gatetest.Stateful) })
			}
		})
	}
}

func pinOf(b binding) string {
	if b.stateless {
		return ""
	}
	return gatetest.Stateful
}

// loops waits until a server is refused because its messages come back, and looks whether
// they go round.
func loops(t *testing.T, g *gateway, name string) {
	t.Helper()
	within(t, startTime, name+" to be refused", func() bool {
		s := g.states()[name]
		return s.State != "ready" && s.State != "starting" && strings.Contains(s.Reason, "registered with itself")
	})
	c := gatetest.DialStateless(t, g.url)
	if got := list(t, c); len(got) != 10 || strings.Contains(strings.Join(got, " "), name) {
		t.Errorf("the tools are %q", got)
	}
	began := time.Now()
	if got := gatetest.FirstText(call(t, c, "a.raw", `{"n":1}`)); got != `{"n":1}` {
		t.Errorf("a.raw says %q", got)
	}
	if took := time.Since(began); took > guard/2 {
		t.Errorf("a call took %v", took)
	}
}

func TestGatewayThatIsRegisteredWithItselfIsRefused(t *testing.T) {
	for _, s := range []struct{ name, kind, path, protocol string }{
		{"stateful", "streamable-http", "/mcp", "stateful"},
		{"stateless", "streamable-http", "/mcp", "stateless"},
		{"auto", "streamable-http", "/mcp", "auto"},
		{"sse", "sse", "/sse", "auto"},
	} {
		t.Run(s.name, func(t *testing.T) {
			g := start(t, servers("a", stdio("echo", false))).ready()
			g.must(http.StatusCreated, "POST", "/servers", servers("self", object("type", s.kind, "url", g.url+s.path, "protocol", s.protocol)))
			loops(t, g, "self")
		})
	}
}

func TestGatewaysThatAreRegisteredWithEachOtherAreRefused(t *testing.T) {
	one, two := start(t, servers("a", stdio("echo", false))).ready(), start(t, servers("a", stdio("echo", true))).ready()
	one.must(http.StatusCreated, "POST", "/servers", servers("two", object("type", "streamable-http", "url", two.url+"/mcp")))
	two.must(http.StatusCreated, "POST", "/servers", servers("one", object("type", "streamable-http", "url", one.url+"/mcp")))
	defer func() {
		t.Logf("%q\n%q", list(t, gatetest.DialStateless(t, one.url)), list(t, gatetest.DialStateless(t, two.url)))
	}()
	within(t, 2*guard, "one of the two to be refused", func() bool {
		a, b := one.states()["two"], two.states()["one"]
		return strings.Contains(a.Reason, "registered with itself") || strings.Contains(b.Reason, "registered with itself")
	})
	// Whatever is left of the other way round is told once and does not grow.
	c := gatetest.DialStateless(t, one.url)
	n := len(list(t, c))
	if n > 30 {
		t.Errorf("%d tools", n)
	}
	calls := strings.Count(one.log.String()+two.log.String(), "\n")
	call(t, c, "a.raw", `{}`)
	if now := strings.Count(one.log.String()+two.log.String(), "\n"); now > calls+20 {
		t.Errorf("one call made %d lines of log", now-calls)
	}
}
