package interop

import (
	"context"
	"os"
	"regexp"
	"slices"
	"testing"
)

// callInApp is how the apps of the MCP Apps SDK call a tool of their server: by the name that it has
// there, since an app knows of no gateway.
var callInApp = regexp.MustCompile("callServerTool\\(\\{name:[\"'`]([^\"'`]+)")

// TestAppCallsByOriginName calls, through the gateway, what a real app's page calls, by the names that
// are in the page: on the endpoints that have all servers, in both styles, and on the server's own.
func TestAppCallsByOriginName(t *testing.T) {
	page, err := npmScript("@modelcontextprotocol/server-system-monitor", "dist/mcp-app.html")
	if err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var called []call
	for _, m := range callInApp.FindAllSubmatch(html, -1) {
		i := slices.IndexFunc(monitorCalls(""), func(c call) bool { return c.tool == string(m[1]) })
		if i < 0 {
			t.Fatalf("the page calls %s, which this test does not know", m[1])
		}
		called = append(called, monitorCalls("")[i])
	}
	if len(called) == 0 {
		t.Fatal("the page calls no tool")
	}
	g := startGateway(t, slow)
	links := []link{
		{Transport: "http", URL: g.base + "/servers/monitor/mcp"},
		{Transport: "sse", URL: g.base + "/servers/monitor/sse"},
	}
	for _, st := range styles {
		links = append(links, g.links(st)...)
	}
	for _, name := range slow.clients {
		var jobs []job
		for _, l := range links {
			jobs = append(jobs, job{link: l, Calls: jobCalls(called, originName)})
		}
		sessions, err := clientNamed(name).run(context.Background(), jobs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, l := range links {
			for n, c := range called {
				if err := c.verify(sessions[i].Results[n]); err != nil {
					t.Errorf("%s, %s: %s: %v", name, l.URL, c.tool, err)
				}
			}
		}
	}
}
