package interop

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// own is a server that lists other tools to clients who can be asked, with a connection for each client.
var own = group{name: "own", servers: func(f *fleet, dir, mark string) ([]server, error) {
	servers, err := f.askingServers(dir, mark)
	return slices.DeleteFunc(servers, func(s server) bool { return s.name != "own-stdio" && s.name != "own-http" }), err
}}

// TestEachClientIsListedWhatItCanUse: through a gateway with a connection for each client, every client sees the
// tools that the server lists to it directly, whether it declares that it can be asked or not.
func TestEachClientIsListedWhatItCanUse(t *testing.T) {
	g := startGateway(t, own)
	through := link{Transport: "http", URL: g.base + "/mcp"}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			direct := g.servers[1].link // both are one program
			sessions, err := c.run(context.Background(), []job{{link: through}, {link: through, Steps: lists()}, {link: direct}, {link: direct, Steps: lists()}})
			if err != nil {
				t.Fatal(err)
			}
			fewer := 0
			for i, declares := range []string{"nothing", "all"} {
				var want []string
				for _, s := range g.servers {
					for _, tool := range toolNames(t, sessions[2+i].Tools) {
						want = append(want, styles[0].of(s.name, tool))
					}
				}
				if got := toolNames(t, sessions[i].Tools); !slices.Equal(got, want) {
					t.Errorf("a client that declares %s is listed\n%s\nwant\n%s", declares, strings.Join(got, " "), strings.Join(want, " "))
				}
				if i == 0 {
					fewer = len(want)
				} else if len(want) <= fewer {
					t.Errorf("a client that declares all is listed %d tools, one that declares nothing %d", len(want), fewer)
				}
			}
		})
	}
}

func toolNames(t *testing.T, tools []json.RawMessage) (names []string) {
	t.Helper()
	for _, raw := range tools {
		var tool struct{ Name string }
		if err := json.Unmarshal(raw, &tool); err != nil {
			t.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	return names
}

// TestAToolThatRunsAsATaskOnly is called like any other: what its task asks reaches the caller, and so does what
// came of it.
func TestAToolThatRunsAsATaskOnly(t *testing.T) {
	g := startGateway(t, own)
	for _, name := range []string{"ts-v1", "ts-v2-auto", "go-auto", "mcpgo-auto"} {
		for _, s := range g.servers {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel() // it takes its time
				research := way{server: s, style: styles[0]}.tool("research", "simulate-research-query", map[string]any{"topic": "python", "ambiguous": true}).
					answering("accept", map[string]any{"interpretation": "snake"})
				sessions, err := clientNamed(name).run(context.Background(), []job{{link: link{Transport: "http", URL: g.base + "/mcp"}, Steps: []step{research}}})
				if err != nil {
					t.Fatal(err)
				}
				said := sessions[0].Said[0]
				forms := slices.DeleteFunc(said.Asked, func(h heard) bool { return h.Method == "roots/list" })
				if text := resultText(said.Result); !strings.Contains(text, "Research Report: python (snake)") || len(forms) != 1 {
					t.Errorf("error %s, result %s, asked %d times", said.Error, said.Result, len(forms))
				}
			})
		}
	}
}
