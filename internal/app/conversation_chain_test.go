package app_test

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// A chain is a way through two gateways: what the client is, what the inner gateway is for the
// outer one, and what the server is.
type chain struct{ client, between, server binding }

func (c chain) String() string { return c.client.name + " " + c.between.name + " " + c.server.name }

func chainOf(client, between, server string) chain {
	at := func(name string) binding {
		return clientBindings[slices.IndexFunc(clientBindings, func(b binding) bool { return b.name == name })]
	}
	return chain{at(client), at(between), at(server)}
}

// On the first chains each hop has another transport and the eras change from hop to hop. The
// last two are of one era: they have the talks that none of the first allows.
var chains = []chain{
	chainOf("http-stateless", "http-stateful", "stdio-stateless"),
	chainOf("stdio-stateful", "http-stateless", "sse"),
	chainOf("sse", "http-stateless", "stdio-stateful"),
	chainOf("stdio-stateless", "sse", "http-stateless"),
	chainOf("http-stateful", "http-stateful", "stdio-stateful"),
	chainOf("http-stateless", "http-stateless", "stdio-stateless"),
}

const crossing = 4

// allows tells whether each of the hops, and the whole way, has what a talk is about.
func (c chain) allows(v *conversation) bool {
	return v.talk != nil && v.covers(pair{c.client, c.between}) && v.covers(pair{c.between, c.server}) && v.covers(pair{c.client, c.server})
}

// Where all share a stream, a server that was left with a call unanswered can ask nobody any
// more until the connection ends, so that these come last.
var lastThroughTwo = []string{"cancel", "leave"}

// worst tells whose steps hold of talks whose outcome not the server's own hop decides.
func (c chain) worst(v *conversation) pair {
	p := pair{c.client, c.server}
	switch v.name {
	case "form-time", "url-time", "sample-time", "roots-time":
		// The outer gateway is the first to lose patience, and says so to its own server.
		p.server = c.between
	case "tools-shape", "undeclared":
		// One hop that has only objects as results, or no error for this, is enough.
		if !c.between.stateless {
			p.client = c.between
		}
	case "resources-unknown":
		// The newer error passes as it is; the older one becomes the newer.
		if c.between.stateless {
			p.client = c.between
		}
	}
	return p
}

// A twoKey tells which talks can share two gateways.
type twoKey struct {
	chain
	revision, config, gateway string
	own                       bool // at the servers' own endpoints
}

func (k twoKey) String() string {
	parts := []string{k.chain.String(), k.revision, k.config, k.gateway}
	if k.own {
		parts = append(parts, "own")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// throughTwo sorts the talks by the gateways that they need.
func throughTwo(all []*conversation) map[twoKey][]*conversation {
	sorted := map[twoKey][]*conversation{}
	for i, c := range chains {
		for _, v := range all {
			if !c.allows(v) || i >= crossing && slices.ContainsFunc(chains[:crossing], func(c chain) bool { return c.allows(v) }) {
				continue
			}
			// A stateless hop anywhere needs what a stateless client does.
			gateway := cmp.Or(v.gatewayOf(pair{c.client, c.server}), v.gatewayOf(pair{c.between, c.server}))
			k := twoKey{c, "", v.config, gateway, v.own}
			if !c.server.stateless {
				k.revision = slices.Max(v.servers)
			}
			sorted[k] = append(sorted[k], v)
		}
	}
	return sorted
}

// A gateway in front of a gateway in front of a server: every talk passes on each chain whose
// worst hop allows it, and no row of docs/what-crosses.md is without one that does.
func TestConversationsPassTwoGateways(t *testing.T) {
	all := readConversations(t)
	rows, err := tabulate(all)
	if err != nil {
		t.Fatal(err)
	}
	passed := &tally{passed: map[*conversation]map[pair]int{}, failed: map[*conversation]map[pair]int{}}
	room := make(chan struct{}, gateways/2) // each of them is two
	var running sync.WaitGroup
	for k, talks := range throughTwo(all) {
		running.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			t.Run(k.String(), func(t *testing.T) { passTwo(t, k, talks, passed) })
		})
	}
	running.Wait()
	if partial() {
		return
	}
	for _, r := range rows {
		if r.talks == nil { // it passes no gateway at all, by decision
			continue
		}
		if !slices.ContainsFunc(r.talks, func(v *conversation) bool { return len(passed.passed[v]) > 0 }) {
			t.Errorf("%s: passes no chain of two gateways", r.name)
		}
	}
	t.Logf("%d rows", len(rows))
}

func passTwo(t *testing.T, k twoKey, talks []*conversation, passed *tally) {
	slices.SortStableFunc(talks, func(a, b *conversation) int {
		return slices.Index(lastThroughTwo, a.name) - slices.Index(lastThroughTwo, b.name)
	})
	f := startTwo(t, k, talks)
	p := pair{k.client, k.server}
	for _, v := range talks {
		revision := slices.Max(v.clients)
		ok := t.Run(v.name, func(t *testing.T) { converseAs(t, v, p, k.worst(v), f, revision) })
		passed.note(performance{v, p, revision}, ok)
	}
}

// startTwo starts a gateway in front of a gateway in front of a server of each script.
func startTwo(t *testing.T, k twoKey, talks []*conversation) *fleetGateway {
	var scripts []string
	for _, v := range talks {
		for _, s := range v.scripts {
			if !slices.Contains(scripts, s) {
				scripts = append(scripts, s)
			}
		}
	}
	inner := startFleet(t, fleetKey{k.server, k.revision, k.config, k.gateway}, scripts)
	kind, end, protocol := "streamable-http", "/mcp", "stateful"
	if k.between.name == "sse" {
		kind, end = "sse", "/sse"
	}
	if k.between.stateless {
		protocol = "stateless"
	}
	define := func(endpoint string) string {
		definition := merged(object("type", kind, "url", inner.url+endpoint+end, "protocol", protocol, "prefix", ""), k.config)
		if k.between.line && k.gateway != "" {
			// All share its stream, so that a call that one of them left would end the questions of all.
			definition = merged(definition, `{"sessions":"per-client"}`)
		}
		return definition
	}
	all := []string{`"inner":` + define("")}
	if k.own { // the outer gateway has each of the inner one's servers as its own
		all = nil
		for _, s := range scripts {
			all = append(all, quoted(s)+":"+define("/servers/"+s))
		}
	}
	outer := startAt(t, slog.LevelInfo, `{"mcpServers":{`+strings.Join(all, ",")+`},"gateway":`+merged(`{}`, k.gateway)+`}`).ready()
	return &fleetGateway{gateway: outer, servers: inner.servers, said: inner.said}
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
