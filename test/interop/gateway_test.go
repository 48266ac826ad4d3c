package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestThroughGateway puts all servers of a group behind one gateway at once. Each client, on each
// transport and in each style of names, must list what the servers list to it directly but for the
// names, and every server's tools must answer through the gateway as they do directly.
func TestThroughGateway(t *testing.T) {
	for _, group := range []group{wide, slow} {
		t.Run("http/"+group.name, func(t *testing.T) {
			g := startGateway(t, group)
			for _, name := range group.clients {
				for _, st := range styles {
					for _, l := range g.links(st) {
						t.Run(name+"/"+l.Transport+"/"+st.name, func(t *testing.T) {
							checkThrough(t, clientNamed(name), l, st, g.gatewayConfig)
						})
					}
				}
			}
			t.Run("servers", func(t *testing.T) { checkReported(t, g) })
		})
	}
	for _, c := range clients() {
		for _, st := range styles {
			t.Run("stdio/wide/"+c.name+"/"+st.name, func(t *testing.T) {
				conf := newGatewayConfig(t, wide)
				checkThrough(t, c, conf.stdio(t, st), st, conf)
				checkNoneLeft(t, conf.mark)
			})
		}
	}
}

// checkThrough runs one cell: a client, and a transport of the gateway that has all servers behind it.
func checkThrough(t *testing.T, c client, l link, st style, conf *gatewayConfig) {
	direct, servers := directSessions(t, c, conf.group), conf.servers
	cell := strings.ReplaceAll(t.Name(), "/", "-") // one memory server may serve several
	exposed := func(s server) func(string) string {
		return func(tool string) string { return st.of(s.name, tool) }
	}
	j := job{link: l}
	for _, s := range servers {
		j.Calls = append(j.Calls, jobCalls(callsOf(t, s, cell), exposed(s))...)
	}
	sessions, err := c.run(context.Background(), []job{j})
	if err != nil {
		t.Fatal(err)
	}
	got := sessions[0]
	// The 2024-11-05 transport has no stateless binding (2026-07-28, basic/transports).
	if stateless := got.ProtocolVersion >= firstStateless; stateless != (c.stateless && l.Transport != "sse") {
		t.Errorf("the gateway agreed on %q", got.ProtocolVersion)
	}
	var want, wantWire []listed
	for i, s := range servers {
		want = append(want, listing(t, exposed(s), direct.sessions[i].Tools)...)
		wantWire = append(wantWire, listing(t, exposed(s), direct.sessions[i].WireTools)...)
	}
	compareListings(t, "tools", sameValue, listing(t, originName, got.Tools), want)
	compareListings(t, "tools on the wire", sameBytes, listing(t, originName, got.WireTools), wantWire)
	i := 0
	for _, s := range servers {
		for _, call := range callsOf(t, s, cell) {
			if err := call.verify(got.Results[i]); err != nil {
				t.Errorf("%s.%s: %v", s.name, call.tool, err)
			}
			i++
		}
	}
	if got.StrayProgress > 0 {
		t.Errorf("%d progress notifications of no open call", got.StrayProgress)
	}
}

// checkReported compares what the gateway reports of its servers: each is up, spoken to in its own
// era, and has all its tools.
func checkReported(t *testing.T, g *gateway) {
	var report struct {
		Servers []struct {
			Name, State, Reason, Protocol string
			Tools                         int
		}
	}
	status, body := g.get(t, "/servers")
	if err := json.Unmarshal(body, &report); err != nil || status != http.StatusOK {
		t.Fatalf("/servers: %d %s: %v", status, body, err)
	}
	if len(report.Servers) != len(g.servers) {
		t.Fatalf("/servers has %d servers, want %d:\n%s", len(report.Servers), len(g.servers), body)
	}
	direct := directSessions(t, clientNamed(g.group.clients[0]), g.group)
	for i, s := range g.servers {
		got := report.Servers[i]
		names := toolNames(t, direct.sessions[i].Tools)
		want := len(names)
		if slices.Contains(names, "get-annotated-message") {
			want += len(otherTools) // of server-everything
		}
		if got.Name != s.name || got.Reason != "" || (got.Protocol >= firstStateless) != s.stateless ||
			got.Tools != want {
			t.Errorf("server %d is reported as %+v, want %s, stateless %v, %d tools", i, got,
				s.name, s.stateless, want)
		}
	}
}

// gatewayConfig is a config file with all servers of a group, and a place for the gateway's state.
type gatewayConfig struct {
	group           group
	dir, file, mark string
	servers         []server
	hops            []*hop
}

func newGatewayConfig(t *testing.T, group group) *gatewayConfig {
	t.Helper()
	dir := t.TempDir()
	mark := fmt.Sprintf("gateway-%d", time.Now().UnixNano())
	servers, err := group.servers(theFleet, dir, mark)
	if err != nil {
		t.Fatal(err)
	}
	c := &gatewayConfig{group: group, dir: dir, file: filepath.Join(dir, "servers.json"), mark: mark, servers: servers}
	t.Cleanup(func() { c.judge(t) }) // once the gateway has ended, which is started later
	// By hand, because the order of the servers matters.
	var entries []string
	for _, s := range servers {
		l := c.through(t, s.name, s.link)
		entry := map[string]any{"transport": l.Transport}
		if l.Transport == "http" {
			entry["transport"] = "streamable-http"
		}
		if l.URL != "" {
			entry["url"] = l.URL
		} else {
			entry["command"], entry["args"], entry["env"] = l.Command, l.Args, l.Env
		}
		if l.Cwd != "" {
			entry["cwd"] = l.Cwd
		}
		maps.Copy(entry, s.more)
		entries = append(entries, fmt.Sprintf("    %s: %s", mustJSON(s.name), mustJSON(entry)))
	}
	text := "{\n  \"mcpServers\": {\n" + strings.Join(entries, ",\n") + "\n  }\n}\n"
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// stdio is a gateway on stdio, which each client starts for itself.
func (c *gatewayConfig) stdio(t *testing.T, st style) link {
	t.Helper()
	return c.through(t, "", link{Transport: "stdio", Command: gatewayBinary(t), Args: c.args("stdio", st.args...)})
}

func (c *gatewayConfig) args(transport string, more ...string) []string {
	return append([]string{"--config", c.file, "--transport", transport, "--state", filepath.Join(c.dir, "state")}, more...)
}

// gateway is a running gateway with an HTTP listener.
type gateway struct {
	*gatewayConfig
	base    string // for clients: a tap
	bare    string // for questions that are no messages
	process *process
}

// startGateway returns when the gateway has tried all its servers; the end of the test ends it.
func startGateway(t *testing.T, group group) *gateway {
	t.Helper()
	conf := newGatewayConfig(t, group)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gatewayBinary(t), conf.args("streamable-http", "--port", fmt.Sprint(port))...)
	p, err := startProcess("mcp-gateway", cmd)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{gatewayConfig: conf, bare: fmt.Sprintf("http://127.0.0.1:%d", port), process: p}
	t.Cleanup(func() {
		if err := p.stop(20 * time.Second); err != nil {
			t.Error(err)
		}
		checkNoneLeft(t, conf.mark)
		if t.Failed() {
			t.Logf("the gateway printed:\n%s", p.out)
		}
	})
	g.base = conf.through(t, "", link{Transport: "http", URL: g.bare}).URL
	g.waitReady(t)
	return g
}

// links are the endpoints that have a style.
func (g *gateway) links(st style) []link {
	return []link{
		{Transport: "http", URL: g.base + "/mcp" + st.path},
		{Transport: "sse", URL: g.base + "/sse" + st.path},
	}
}

func (g *gateway) waitReady(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		resp, err := http.Get(g.bare + "/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-g.process.done:
			t.Fatalf("the gateway ended: %v", g.process.err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not ready: %v, %v", resp, err)
		}
	}
}

func (g *gateway) get(t *testing.T, path string) (status int, body []byte) {
	t.Helper()
	resp, err := http.Get(g.bare + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

var buildGateway = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("MCP_GATEWAY_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	bin := filepath.Join(theFleet.dir, "mcp-gateway")
	return bin, goBuild(ctx, filepath.Join("..", ".."), "./cmd/mcp-gateway", bin)
})

func gatewayBinary(t *testing.T) string {
	t.Helper()
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// callsOf are the calls of a server. mcp-remote passes stateless messages on without the headers that mirror
// a tool's parameters, which the revision demands of HTTP clients: that call cannot go its way.
func callsOf(t *testing.T, s server, cell string) []call {
	all := s.calls(cell)
	if strings.HasPrefix(t.Name(), "TestThroughRemote/stateless") {
		all = slices.DeleteFunc(slices.Clone(all), func(c call) bool { return c.tool == "region" })
	}
	return all
}
