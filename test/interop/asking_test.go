package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asking is servers that ask their client and tell it things, each in the ways in which a gateway
// can be connected to it: shared by its clients, or for each a connection of its own.
var asking = group{name: "asking", servers: (*fleet).askingServers}

// askingFew has one of each, for gateways that serve one session: all take long to start.
var askingFew = group{name: "asking-few", servers: func(f *fleet, dir, mark string) ([]server, error) {
	servers, err := f.askingServers(dir, mark)
	few := []string{"shared-http", "own-stdio", "go-shared-stdio", "go-stateless-http", "touch-stateless"}
	return slices.DeleteFunc(servers, func(s server) bool { return !slices.Contains(few, s.name) }), err
}}

// askingServers are in the order of the config: of those with the same URIs the first keeps them.
func (f *fleet) askingServers(_, mark string) ([]server, error) {
	script, err := npmServer("server-everything")
	if err != nil {
		return nil, err
	}
	stdio := stdioWith(mark)
	remote := func(name string) link { return link{Transport: "http", URL: f.urls[name]} }
	own := func(more map[string]any) map[string]any {
		all := map[string]any{"sessions": "per-client"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	roots := map[string]any{"roots": []any{map[string]any{"uri": "file:///srv/shared", "name": "shared"}}}
	stateful, stateless := map[string]any{"protocol": "stateful"}, map[string]any{"protocol": "stateless"}
	return []server{
		{name: "shared-stdio", peer: "everything-stdio", link: stdio(f.node, script), more: roots, script: everythingScript},
		{name: "shared-http", peer: "everything-http", link: remote("everything-http"), more: roots, script: everythingScript},
		{name: "own-stdio", peer: "everything-stdio", link: stdio(f.node, script), own: true, more: own(nil), script: everythingScript},
		{name: "own-http", peer: "everything-http", link: remote("everything-http"), own: true, more: own(nil), script: everythingScript},
		{name: "go-shared-stdio", peer: "go-stdio", both: true, link: stdio(f.goAsking), more: stateful, script: goScript},
		{name: "go-own-http", peer: "go-http", both: true, link: remote("go-asking-stateful"), own: true, more: own(stateful), script: goScript},
		{name: "go-stateless-stdio", peer: "go-stdio", both: true, link: stdio(f.goAsking), more: stateless, stateless: true, script: goScript},
		{name: "go-stateless-http", peer: "go-http", both: true, link: remote("go-asking-stateless"), more: stateless, stateless: true, script: goScript},
		{name: "touch-stateful", peer: "touch-http", both: true, link: remote("go-stateful-http"), script: touchScript},
		{name: "touch-stateless", peer: "touch-http", both: true, link: remote("go-stateless-http"), stateless: true, script: touchScript},
		{name: "touch-stateless-stdio", peer: "touch-stdio", link: stdio(f.goServer, "-era", "stateless"), stateless: true, script: touchScript},
	}, nil
}

// TestAskedThroughGateway has each client run every server's script through the gateway, on each
// transport. The client must be asked and told, and get in the end, what it is and does when it speaks
// to the server directly.
func TestAskedThroughGateway(t *testing.T) {
	g := startGateway(t, asking)
	for _, c := range clients() {
		t.Run("http/"+c.name, func(t *testing.T) {
			checkTalk(t, c, link{Transport: "http", URL: g.base + "/mcp"}, styles[0], g.gatewayConfig)
		})
		t.Run("sse/"+c.name, func(t *testing.T) {
			checkTalk(t, c, link{Transport: "sse", URL: g.base + "/sse?names=safe"}, styles[1], g.gatewayConfig)
		})
		t.Run("stdio/"+c.name, func(t *testing.T) {
			conf := newGatewayConfig(t, askingFew)
			checkTalk(t, c, conf.stdio(t, styles[0]), styles[0], conf)
			checkNoneLeft(t, conf.mark)
		})
	}
}

// checkTalk runs one cell: a client and a transport of a gateway.
func checkTalk(t *testing.T, c client, l link, st style, conf *gatewayConfig) {
	stateless := c.stateless && l.Transport != "sse"
	seen := map[string]bool{}
	var ways []way
	var scripts [][]step
	var controls []control
	j := job{link: l, Steps: lists()}
	for i := range conf.servers {
		s := &conf.servers[i]
		kind, _, _ := strings.Cut(s.peer, "-")
		w := way{server: *s, moved: seen[kind], cell: fmt.Sprintf("cell-%s-%s-%s", c.name, l.Transport, s.name), style: st, stateless: stateless}
		seen[kind] = true
		d := directTalk(t, c, w.server)
		script := s.script(w)
		if strings.HasPrefix(c.name, "mcpgo") && l.Transport == "sse" { // there it takes no questions
			script = slices.DeleteFunc(script, func(s step) bool { return s.asking || len(d.said[s.label].Asked) > 0 })
		}
		ways, scripts, controls = append(ways, w), append(scripts, script), append(controls, d)
		j.Steps = append(j.Steps, scripts[i]...)
	}
	sessions, err := c.run(context.Background(), []job{j})
	if err != nil {
		t.Fatal(err)
	}
	got := sessions[0]
	if (got.ProtocolVersion >= firstStateless) != stateless {
		t.Errorf("the gateway agreed on %q", got.ProtocolVersion)
	}
	listed, rest := got.Said[:len(lists())], got.Said[len(lists()):]
	for i, w := range ways {
		d := controls[i]
		for n, s := range scripts[i] {
			want, ok := d.said[s.label]
			if !ok {
				t.Errorf("%s: %s was not tried directly", w.server.name, s.label)
				continue
			}
			for _, problem := range w.compare(s, rest[n], d.way, want) {
				t.Errorf("%s: %s: %s", w.server.name, s.label, problem)
			}
		}
		rest = rest[len(scripts[i]):]
	}
	checkLists(t, ways, listed, controls)
}

// lists are the steps that come before all scripts.
func lists() []step {
	return []step{{label: "prompts", Do: "prompts"}, {label: "resources", Do: "resources"}, {label: "templates", Do: "templates"}}
}

// control is what a client saw when it spoke to a server itself.
type control struct {
	way  way
	said map[string]said // by label
}

var controlCache struct {
	sync.Mutex
	byKey map[string]control // by client and peer; guarded by the mutex
}

// directTalk runs the script of a server's peer, once for each client however many tests ask. The
// client speaks the server's era, as it does when it can choose.
func directTalk(t *testing.T, c client, s server) control {
	t.Helper()
	if c.stateless && !s.stateless {
		c = clientNamed(c.plain)
	}
	controlCache.Lock()
	defer controlCache.Unlock()
	key := c.name + " " + s.peer
	if d, ok := controlCache.byKey[key]; ok {
		return d
	}
	mark := fmt.Sprintf("direct-%s-%d", c.name, time.Now().UnixNano())
	servers, err := theFleet.askingServers("", mark)
	if err != nil {
		t.Fatal(err)
	}
	// Of a server that speaks both eras, the one for the client's: over HTTP it cannot ask in the other.
	first := slices.IndexFunc(servers, func(o server) bool { return o.peer == s.peer && (o.stateless == c.stateless || !s.both) })
	w := way{server: servers[first], cell: "cell-direct-" + c.name, direct: true, stateless: c.stateless}
	steps := append(lists(), w.server.script(w)...)
	sessions, err := c.run(context.Background(), []job{{link: w.server.link, Steps: steps}})
	checkNoneLeft(t, mark)
	if err != nil {
		t.Fatal(err)
	}
	d := control{way: w, said: map[string]said{}}
	for i, s := range steps {
		d.said[s.label] = sessions[0].Said[i]
	}
	if controlCache.byKey == nil {
		controlCache.byKey = map[string]control{}
	}
	controlCache.byKey[key] = d
	return d
}

// checkLists compares the gateway's lists with those of all servers, one after the other.
func checkLists(t *testing.T, ways []way, got []said, controls []control) {
	for i, what := range []string{"prompts", "resources", "templates"} {
		key, name := map[string]string{"prompts": "prompts", "resources": "resources", "templates": "resourceTemplates"}[what], map[string]string{
			"prompts": "name", "resources": "uri", "templates": "uriTemplate"}[what]
		var want []any
		for n, w := range ways {
			for _, item := range items(t, key, controls[n].said[what]) {
				switch what {
				case "prompts":
					item[name] = w.name(item[name].(string))
				case "resources":
					item[name] = w.uri(item[name].(string))
				case "templates":
					item[name] = w.template(item[name].(string))
				}
				want = append(want, item)
			}
		}
		var have []any
		for _, item := range items(t, key, got[i]) {
			have = append(have, item)
		}
		if a, b := mustJSON(have), mustJSON(want); a != b {
			t.Errorf("%s: listed are\n%s\nwant\n%s", what, a, b)
		}
	}
}

// items are those of a list, but for what tools made.
func items(t *testing.T, key string, s said) []map[string]any {
	var result map[string]json.RawMessage
	var all []map[string]any
	if len(s.Error) == 0 {
		if err := json.Unmarshal(s.Result, &result); err != nil {
			t.Fatalf("%s: %s: %v", key, s.Result, err)
		}
		if raw := result[key]; raw != nil {
			if err := json.Unmarshal(raw, &all); err != nil {
				t.Fatalf("%s: %s: %v", key, raw, err)
			}
		}
	}
	return slices.DeleteFunc(all, func(item map[string]any) bool {
		uri, _ := item["uri"].(string)
		return strings.Contains(uri, "resource/session") || strings.Contains(uri, "resource%2Fsession")
	})
}
