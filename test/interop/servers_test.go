package interop

import "path/filepath"

// server is one MCP server and what is known about it.
type server struct {
	name      string
	link      link
	stateless bool // speaks 2026-07-28
	plainOnly bool // no good comes of asking it server/discover: see its entry
	calls     func(cell string) []call

	own    bool               // each client of the gateway has a connection of its own to it
	more   map[string]any     // of its entry in the gateway's config
	peer   string             // servers with the same are the same when spoken to directly
	both   bool               // the peer speaks both eras, and the client chooses
	script func(w way) []step // what it asks and tells
}

// link is how a client reaches a server.
type link struct {
	Transport string            `json:"transport"` // stdio, sse, http
	URL       string            `json:"url,omitempty"`
	Command   string            `json:"command,omitempty"`
	Args      []string          `json:"args,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Cwd       string            `json:"cwd,omitempty"`
}

func (l link) environ() []string {
	var out []string
	for k, v := range l.Env {
		out = append(out, k+"="+v)
	}
	return out
}

// group is servers that stand behind one gateway, and the clients that speak to them.
type group struct {
	name    string
	clients []string
	servers func(f *fleet, dir, mark string) ([]server, error)
}

// wide is all kinds of servers that start quickly, for every client. slow is those that take seconds
// to start, for some.
var (
	wide = group{name: "wide", servers: (*fleet).wideServers, clients: []string{
		"ts-v1", "ts-v2-stateful", "ts-v2-auto", "go-stateful", "go-auto", "mcpgo-stateful", "mcpgo-auto"}}
	slow = group{name: "slow", servers: (*fleet).slowServers, clients: []string{"ts-v1", "go-auto", "mcpgo-auto"}}
)

// wideServers are in the order of the config. The memory server keeps its file in dir; the stdio
// servers carry mark in their environment.
func (f *fleet) wideServers(dir, mark string) ([]server, error) {
	npm := map[string]string{}
	for _, name := range []string{"server-everything", "server-filesystem", "server-memory"} {
		script, err := npmServer(name)
		if err != nil {
			return nil, err
		}
		npm[name] = script
	}
	stdio := stdioWith(mark)
	memory := stdio(f.node, npm["server-memory"])
	memory.Env["MEMORY_FILE_PATH"] = filepath.Join(dir, "memory.jsonl")
	files := func(string) []call { return filesystemCalls(f.files) }
	remote := func(transport, name string) link { return link{Transport: transport, URL: f.urls[name]} }
	return []server{
		{name: "everything-stdio", link: stdio(f.node, npm["server-everything"]), calls: everythingCalls},
		{name: "everything-sse", link: remote("sse", "everything-sse"), calls: everythingCalls},
		{name: "everything-http", link: remote("http", "everything-http"), calls: everythingCalls},
		{name: "filesystem", link: stdio(f.node, npm["server-filesystem"], f.files), calls: files},
		{name: "memory", link: memory, calls: memoryCalls},
		{name: "go-stateful-stdio", link: stdio(f.goServer, "-era", "stateful"), calls: goCalls},
		{name: "go-stateful-http", link: remote("http", "go-stateful-http"), calls: goCalls},
		{name: "go-stateless-stdio", link: stdio(f.goServer, "-era", "stateless"), stateless: true, calls: goCalls},
		{name: "go-stateless-http", link: remote("http", "go-stateless-http"), stateless: true, calls: goCalls},
		{name: "mcpgo-stdio", link: stdio(f.mcpgoServer), stateless: true, calls: mcpgoCalls},
		// Offers 2026-07-28 on a transport that has no binding for it, and then asks for that revision's headers.
		{name: "mcpgo-sse", link: remote("sse", "mcpgo-sse"), plainOnly: true, calls: mcpgoCalls},
		{name: "mcpgo-stateful-http", link: remote("http", "mcpgo-stateful-http"), calls: mcpgoCalls},
		{name: "mcpgo-stateless-http", link: remote("http", "mcpgo-stateless-http"), stateless: true, calls: mcpgoCalls},
		// Refuses the POST, and leaves whoever does not expect that without a connection.
		{name: "gopls-sse", link: remote("sse", "gopls-sse"), plainOnly: true, calls: f.goplsCalls},
	}, nil
}

func (f *fleet) slowServers(dir, mark string) ([]server, error) {
	monitor, err := npmServer("server-system-monitor")
	if err != nil {
		return nil, err
	}
	stdio := stdioWith(mark)
	gopls := stdio(f.gopls, "mcp")
	gopls.Cwd = f.module
	// As people have it in their configs who reach an HTTP server from a client that knows stdio only.
	remote, err := f.remote(dir, f.urls["go-stateful-http"])
	if err != nil {
		return nil, err
	}
	remote.Env[markVar] = mark
	return []server{
		{name: "gopls", link: gopls, calls: f.goplsCalls},
		{name: "monitor", link: stdio(f.node, monitor, "--stdio"), calls: monitorCalls},
		{name: "remote", link: remote, calls: goCalls},
	}, nil
}

// remote is mcp-remote, a stdio server that is a client of the one at url. It keeps its state in dir.
func (f *fleet) remote(dir, url string, more ...string) (link, error) {
	script, err := npmScript("mcp-remote", "dist/proxy.js")
	return link{
		Transport: "stdio", Command: f.node, Args: append([]string{script, url}, more...),
		Env: map[string]string{"MCP_REMOTE_CONFIG_DIR": filepath.Join(dir, "mcp-remote")},
	}, err
}

func stdioWith(mark string) func(command string, args ...string) link {
	return func(command string, args ...string) link {
		return link{Transport: "stdio", Command: command, Args: args, Env: map[string]string{markVar: mark}}
	}
}
