package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestInspector lists and calls with the MCP Inspector's command line, one process for each request,
// as its users do: on every transport, in both styles.
func TestInspector(t *testing.T) {
	g := startGateway(t, wide)
	for _, st := range styles {
		for _, l := range append(g.links(st), link{Transport: "stdio"}) {
			t.Run(l.Transport+"/"+st.name, func(t *testing.T) {
				t.Parallel() // with its kind: most of the time goes into starting processes
				target := []string{l.URL}
				if l.Transport == "stdio" {
					conf := newGatewayConfig(t, wide)
					l = conf.stdio(t, st)
					target = append([]string{l.Command}, l.Args...)
					t.Cleanup(func() { checkNoneLeft(t, conf.mark) })
				}
				checkInspector(t, target, st, g.servers)
			})
		}
	}
}

func checkInspector(t *testing.T, target []string, st style, servers []server) {
	var list struct{ Tools []json.RawMessage }
	if err := json.Unmarshal(inspect(t, target, "--method", "tools/list"), &list); err != nil {
		t.Fatal(err)
	}
	direct := directSessions(t, clientNamed("go-stateful"), wide)
	var want []listed
	for i, s := range servers {
		exposed := func(tool string) string { return st.of(s.name, tool) }
		want = append(want, listing(t, exposed, direct.sessions[i].Tools)...)
	}
	got := listing(t, originName, list.Tools)
	if len(got) != len(want) {
		t.Fatalf("%d tools, want %d", len(got), len(want))
	}
	for i, l := range got {
		if l.name != want[i].name {
			t.Errorf("tool %d is %s, want %s", i, l.name, want[i].name)
		}
	}
	for _, c := range []struct{ server, tool, arg, want string }{
		{"everything-stdio", "echo", "message=Hi 漢字", textResult("Echo: Hi 漢字")},
		{"go-stateless-http", "region", "region=eu-west", textResult(`{"region":"eu-west"}`)},
		{"mcpgo-stateful-http", "text.upper", "text=abc", textResult("ABC")},
	} {
		result := inspect(t, target, "--method", "tools/call", "--tool-name", st.of(c.server, c.tool), "--tool-arg", c.arg)
		if err := (call{want: c.want}).verify(outcome{Result: result}); err != nil {
			t.Errorf("%s of %s: %v", c.tool, c.server, err)
		}
	}
}

// inspect runs one request and returns what it printed.
func inspect(t *testing.T, target []string, args ...string) []byte {
	t.Helper()
	script, err := npmScript("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append(append([]string{script, "--cli"}, args...), append([]string{"--"}, target...)...)
	cmd := exec.CommandContext(ctx, theFleet.node, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "MCP_CATALOG_PATH="+filepath.Join(home, "mcp.json"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	inOwnGroup(cmd)
	if err := cmd.Run(); err != nil {
		t.Fatal(fmt.Errorf("inspector %v: %w\n%s%s", args[2:], err, &stdout, &stderr))
	}
	return stdout.Bytes()
}
