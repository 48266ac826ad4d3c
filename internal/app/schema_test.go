package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
	"mcpgateway/internal/gatetest/court"
)

// never are the types that no message of ours is of, and why.
var never = []struct{ revision, way, types, why string }{
	{"2025-11-25", "to client", "tasks/", "tasks are between us and the server: a client is told of none, and makes none"},
	{"2025-11-25", "to server", "request tasks/get", "a task of ours is awaited with tasks/result"},
	{"2025-11-25", "to server", "request tasks/list", "each of our tasks is known, and another's is not asked for"},
	{"2025-11-25", "to server", "result tasks/", "a server is not told that it may make tasks of its questions"},
	{"2025-11-25", "to server", "notifications/tasks/status", "nothing of ours runs as a task for a server"},
	{"", "to client", "request ping", "a client is not pinged: it may be gone, and its transport tells"},
	{"", "to server", "notifications/progress", "a client's progress on a question has a token that the client did not get"},
}

func isNever(revision string, way court.Direction, typ string) string {
	for _, n := range never {
		if (n.revision == "" || n.revision == revision) && (n.way == "" || n.way == string(way)) && strings.Contains(typ, n.types) {
			return n.why
		}
	}
	return ""
}

// TestSchema leads clients of every revision to servers of every revision over every binding,
// through everything that crosses, and holds each message of the gateway to the official schema
// of the revision that is spoken on its hop. What the clients and servers of the tour say is
// held to it as well, so that no invalid message can be excused as one that was only passed on.
func TestSchema(t *testing.T) {
	var all []court.Fact
	if t.Run("tour", func(t *testing.T) { takeTour(t, &all) }) {
		report(t, all)
	}
}

// report judges messages and tells the counts.
func report(t *testing.T, all []court.Fact) {
	t.Helper()
	c := court.Convene(t)
	var counted court.Tally
	for _, f := range all {
		if f.Sent && strings.HasPrefix(f.Method, "x-") {
			continue // no revision has such a request; the tour is about the answer
		}
		types, err := c.Judge(f)
		counted.Add(f, types, err)
		if err != nil {
			t.Error(f.Describe(err))
		}
	}
	for _, revision := range court.Revisions {
		for _, way := range []court.Direction{court.ToClient, court.ToServer} {
			t.Log(tell(t, c.Expected(revision, way), revision, way, counted.Of(revision, way)))
		}
	}
	t.Logf("schema: %d messages of the gateway, %d invalid", counted.Total.Ours, counted.Total.OursInvalid)
}

// tell describes what there was of one revision in one direction.
func tell(t *testing.T, expected []string, revision string, way court.Direction, counts map[string]int) string {
	t.Helper()
	var lines, reasons []string
	sum := 0
	for typ, n := range counts {
		lines = append(lines, fmt.Sprintf("\t%6d %s", n, typ))
		sum += n
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	for _, typ := range expected {
		why := isNever(revision, way, typ)
		switch {
		case counts[typ] == 0 && why == "":
			t.Errorf("%s %s: no message of type %s", revision, way, typ)
		case counts[typ] == 0:
			reasons = append(reasons, fmt.Sprintf("\t     0 %s: %s", typ, why))
		case why != "":
			t.Errorf("%s %s: %s is not to occur: %s", revision, way, typ, why)
		}
	}
	return fmt.Sprintf("%s %s: %d messages of %d types\n%s", revision, way, sum, len(counts), strings.Join(append(lines, reasons...), "\n"))
}

// A station is a server on the tour.
type station struct {
	name, revision string
	binding        binding
}

// takeTour collects every message that was seen at either end of the gateway.
func takeTour(t *testing.T, all *[]court.Fact) {
	w := &witness{left: filepath.Join(t.TempDir(), "seen")}
	t.Cleanup(func() { *all = w.all(t) }) // when the gateway and its processes have ended
	stations, config := stationsOf(t, w)
	g := startAt(t, slog.LevelInfo, config).ready()
	for name, s := range g.states() {
		if s.State != "ready" {
			t.Fatalf("%s is %s: %s", name, s.State, s.Reason)
		}
	}
	visitors := visitorsOf(t, g)
	for _, v := range visitors {
		w.hear(v.Client)
		v.overview()
		for _, s := range stations {
			v.visit(s)
		}
		v.mill()
		if s := v.Stray(); len(s) > 0 {
			t.Errorf("%s: %d messages belong to nothing, the first: %.500s", v.name, len(s), s[0])
		}
	}
	farewell(t, g, visitors, stations, w.servers)
}

// stationsOf starts a server of every revision over every binding that it has. Those on pipes
// are shared and their roots are in the config; the others are one per client. Beside them is mill,
// which is no station since it has tools of its own kind.
func stationsOf(t *testing.T, w *witness) (all []station, config string) {
	var pairs []string
	for _, revision := range court.Revisions {
		stateless := revision == gatetest.Stateless
		command, args, env := gatetest.StdioCommandAt("tour", revision)
		w.keep(env)
		pipe := station{"pipe" + revision, revision, binding{stateless: stateless, pipe: true}}
		web := station{"web" + revision, revision, binding{stateless: stateless}}
		s := gatetest.New("tour")
		w.servers = append(w.servers, s)
		url := ""
		if stateless {
			url = gatetest.StartStateless(t, s)
		} else {
			s.Revision = revision
			url = gatetest.StartStateful(t, s)
		}
		all = append(all, pipe, web)
		pairs = append(pairs, pipe.name, object("command", command, "args", append([]string{}, args...), "env", env, "roots", []map[string]string{{"uri": "file:///tour", "name": "tour"}}),
			web.name, object("type", "streamable-http", "url", url, "sessions", "per-client"))
	}
	s := gatetest.New("tour")
	w.servers = append(w.servers, s)
	command, args, env := gatetest.StdioCommandAt("mill", gatetest.Stateful)
	w.keep(env)
	pairs = append(pairs, "mill", object("command", command, "args", append([]string{}, args...), "env", env))
	old := station{"sse", gatetest.Oldest, binding{line: true}}
	pairs = append(pairs, old.name, object("type", "sse", "url", gatetest.StartSSE(t, s), "sessions", "per-client"))
	return append(all, old), servers(pairs...)
}

// A visitor is a client on the tour.
type visitor struct {
	gatetest.Client
	t         *testing.T
	name      string
	revision  string
	stateless bool
}

func visitorsOf(t *testing.T, g *gateway) (all []*visitor) {
	for _, revision := range court.Revisions {
		stateless := revision == gatetest.Stateless
		declares := `"roots":{"listChanged":true},"sampling":{}`
		switch {
		case stateless:
			declares = `"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}`
		case revision == gatetest.Stateful:
			declares += `,"elicitation":{"form":{},"url":{}}`
		case revision >= "2025-06-18":
			declares += `,"elicitation":{}`
		}
		o := gatetest.Options{Revision: revision, Capabilities: "{" + declares + "}", LogLevel: "info", OnAsk: tellTour}
		web := "http-stateful"
		switch {
		case stateless:
			web = "http-stateless"
		case revision == gatetest.Oldest:
			web = "sse"
		}
		for _, b := range []binding{{name: web, stateless: stateless}, {name: "pipe", stateless: stateless, pipe: true}} {
			all = append(all, &visitor{dialAs(t, g, b, g.url, o), t, revision + " " + b.name, revision, stateless})
		}
	}
	return all
}

// tellTour answers a question; "held" has none, "refuse" an error.
func tellTour(method string, params json.RawMessage) (result, refused string) {
	switch asked := string(params); {
	case strings.Contains(asked, `"held"`):
		return "", ""
	case strings.Contains(asked, `"refuse 0"`):
		return "", `{"code":-1,"message":"User rejected sampling request"}`
	case method == "sampling/createMessage":
		return `{"role":"assistant","content":{"type":"text","text":"well"},"model":"m","stopReason":"endTurn"}`, ""
	case method == "roots/list":
		return `{"roots":[{"uri":"file:///home","name":"home"}]}`, ""
	case strings.Contains(asked, `"mode":"url"`):
		return `{"action":"accept"}`, ""
	}
	return `{"action":"accept","content":{"answer":"x"}}`, ""
}

// say sends a request and answers what it is asked; how it ends is not what the tour is for.
func (v *visitor) say(method, params string) *gatetest.Answer {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), startTime)
	defer cancel()
	a, _, err := v.DoAll(ctx, method, params)
	if err != nil {
		v.t.Fatalf("%s: %s %s: %v", v.name, method, params, err)
	}
	return a
}

func (v *visitor) call(tool, arguments string) *gatetest.Answer {
	v.t.Helper()
	return v.say("tools/call", object("name", tool, "arguments", json.RawMessage(arguments), "_meta", map[string]any{"progressToken": "of " + tool}))
}

// overview is what concerns no server in particular.
func (v *visitor) overview() {
	v.t.Helper()
	for _, list := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
		if _, _, err := gatetest.List(v.t.Context(), v, list); err != nil {
			v.t.Fatal(err)
		}
	}
	v.say("x-tour/unknown", `{}`)
	v.say("tools/call", `{"name":"nobody.has"}`)
	v.say("resources/read", `{"uri":"nobody:has"}`)
	if v.stateless {
		v.say("server/discover", "")
		v.say("tools/list", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}`)
		v.say("tools/call", `{"name":"pipe2026-07-28.form","_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}`)
		return
	}
	v.say("ping", "")
}

// visit goes through everything that one server has.
func (v *visitor) visit(s station) {
	v.t.Helper()
	at := "mcp-gateway:" + s.name + "/"
	file, plain := at+"file%3A%2F%2F%2Flibrary%2Fa.txt", "file:///library/a.txt"
	v.say("prompts/get", object("name", s.name+".greet"))
	v.say("prompts/get", object("name", s.name+".review", "arguments", map[string]string{"code": "x"}))
	v.say("completion/complete", object("ref", map[string]string{"type": "ref/prompt", "name": s.name + ".review"}, "argument", map[string]string{"name": "code", "value": "a"}))
	v.say("completion/complete", object("ref", map[string]string{"type": "ref/resource", "uri": at + "/library://{shelf}/{book}"}, "argument", map[string]string{"name": "shelf", "value": "a"}))
	v.say("resources/read", object("uri", file))
	v.say("resources/read", object("uri", at+"file%3A%2F%2F%2Flibrary%2Fb.png"))
	v.say("resources/read", object("uri", at+"file%3A%2F%2F%2Flibrary%2Fnone"))
	v.say("prompts/get", object("name", s.name+".ask"))
	v.say("resources/read", object("uri", at+"ask%3A%2F%2Fresource"))
	for _, tool := range []string{"plain", "embed", "link", "rich", "weather", "refuse", "ping"} {
		v.call(s.name+"."+tool, `{"tag":"t"}`)
	}
	v.call(s.name+".progress", `{"count":2}`)
	v.call(s.name+".log", `{"level":"warning","text":{"a":1}}`)
	for _, tool := range []string{"form", "url", "sample", "roots", "both"} {
		v.call(s.name+"."+tool, `{"tag":"t","complete":true}`)
	}
	if !v.stateless {
		v.call(s.name+".sample", `{"tag":"refuse"}`)
	}
	v.call(s.name+".visit", object("tag", v.name))
	v.call(s.name+".visit", object("tag", v.name))
	v.follow(s, file, plain)
	if !v.stateless && !s.binding.stateless {
		v.regret(s)
	}
}

// mill has its tools run as tasks: one to its end, and one that is given up.
func (v *visitor) mill() {
	v.t.Helper()
	v.call("mill.slow", `{}`)
	p := v.Start("tools/call", object("name", "mill.endless", "_meta", map[string]any{"progressToken": "endless"}))
	within(v.t, guard, "a task to run for "+v.name, func() bool { return len(p.Notes()) > 0 })
	p.Cancel()
}

// follow subscribes to a resource, and hears that it changed.
func (v *visitor) follow(s station, uri, origin string) {
	v.t.Helper()
	updates := func() int { return len(v.Notes("notifications/resources/updated")) }
	before := updates()
	if v.stateless {
		l, err := v.Listen(v.t.Context(), object("resourceSubscriptions", []string{uri}))
		if err != nil {
			v.t.Fatal(err)
		}
		defer l.Cancel()
	} else {
		v.say("resources/subscribe", object("uri", uri))
		defer v.say("resources/unsubscribe", object("uri", uri))
	}
	v.call(s.name+".touch", object("uri", origin))
	within(v.t, guard, v.name+" to hear that a resource of "+s.name+" changed", func() bool { return updates() > before })
}

// regret is a question that its server takes back.
func (v *visitor) regret(s station) {
	v.t.Helper()
	asked := len(v.Asked())
	p := v.Start("tools/call", object("name", s.name+".held"))
	within(v.t, guard, v.name+" to be asked by "+s.name, func() bool { return len(v.Asked()) > asked })
	v.call(s.name+".release", `{}`)
	ctx, cancel := context.WithTimeout(v.t.Context(), guard)
	defer cancel()
	if _, err := p.Wait(ctx); err != nil {
		v.t.Fatal(err)
	}
	within(v.t, guard, v.name+" to hear that the question is taken back", func() bool { return v.Asked()[asked].Withdrawn })
}

// farewell is what ends something: calls, lists, connections and at last the gateway.
func farewell(t *testing.T, g *gateway, visitors []*visitor, stations []station, served []*gatetest.Server) {
	var listening []*gatetest.Listening
	for _, v := range visitors {
		if !v.stateless {
			if err := v.Notify("notifications/roots/list_changed", ""); err != nil {
				t.Error(err)
			}
			continue
		}
		l, err := v.Listen(t.Context(), `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}`)
		if err != nil {
			t.Fatal(err)
		}
		listening = append(listening, l)
	}
	visitors[0].call("web2026-07-28.grow", `{}`)
	for _, v := range visitors {
		for _, kind := range []string{"tools", "prompts", "resources"} {
			within(t, guard, v.name+" to hear of new "+kind, func() bool { return len(v.Notes("notifications/"+kind+"/list_changed")) > 0 })
		}
	}
	for _, s := range stations {
		p := visitors[0].Start("tools/call", object("name", s.name+".hang", "_meta", map[string]any{"progressToken": "hang " + s.name}))
		within(t, guard, s.name+" to hang", func() bool { return len(p.Notes()) > 0 })
		p.Cancel()
		if strings.HasPrefix(s.name, "web") {
			visitors[0].call(s.name+".die", `{}`)
		}
	}
	for _, s := range served {
		for _, method := range []string{"notifications/roots/list_changed", "notifications/cancelled", "ping"} {
			if s.Revision != "" { // a server on Streamable HTTP of a stateful revision
				within(t, startTime, method+" to reach the server of "+s.Revision, func() bool { return s.Count(method) > 0 })
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
	for _, l := range listening {
		if _, err := l.Wait(ctx); err != nil {
			t.Error(err)
		}
	}
}
