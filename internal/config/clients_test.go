package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sample is one client's file and what becomes of it. {dir} is the folder of the file,
// {work} that of its project.
type sample struct {
	file     string
	env      Env
	servers  []Server
	warnings []string // without the file's name
}

// stdioServer and httpServer fill in what no sample changes.
func stdioServer(name, command string, change func(*Server)) Server {
	s := Server{Name: name, Transport: Stdio, Command: command, Enabled: true, StartTimeout: startStdio, CallTimeout: callTimeout, Protocol: Auto, Sessions: SessionsShared, Instructions: true}
	if change != nil {
		change(&s)
	}
	return s
}

func httpServer(name, url string, change func(*Server)) Server {
	s := stdioServer(name, "", func(s *Server) { s.Transport, s.URL, s.StartTimeout = StreamableHTTP, url, startHTTP })
	if change != nil {
		change(&s)
	}
	return s
}

var samples = []sample{
	{
		file: "claude_desktop_config.json",
		servers: []Server{
			stdioServer("filesystem", "npx", func(s *Server) {
				s.Args = []string{"-y", "@modelcontextprotocol/server-filesystem", "/Users/username/Desktop", "/Users/username/Downloads"}
			}),
			stdioServer("Brave-Search", "/opt/homebrew/bin/uvx", func(s *Server) {
				s.Args = []string{"mcp-server-brave"}
				s.Env = []Var{{"BRAVE_API_KEY", "YOUR_API_KEY"}}
			}),
		},
		warnings: []string{
			`2:3: globalShortcut: is not a known key and is ignored, as are "preferences"; known are "mcpServers" and "gateway"`,
			`13:5: mcpServers["Brave Search"]: is called "Brave-Search" here, because`,
		},
	},
	{
		file: "claude-code/.mcp.json",
		env:  env("HOME", "/home/me", "API_KEY", "k"),
		servers: []Server{
			stdioServer("shared-server", "{dir}/tools/server", func(s *Server) {
				s.TransportNamed = true
				s.Args = []string{"--config", "/home/me/server.json"}
				s.Env = []Var{{"CACHE_DIR", "/tmp"}}
			}),
			httpServer("api-server", "https://api.example.com/mcp", func(s *Server) {
				s.TransportNamed = true
				s.Headers = []Var{{"Authorization", "Bearer k"}}
				s.CallTimeout = 10 * time.Minute
			}),
			httpServer("events", "https://mcp.example.com/sse", func(s *Server) { s.Transport, s.TransportNamed = SSE, true }),
		},
		warnings: []string{
			`18:7: mcpServers.api-server.oauth: has no effect here: the gateway does not log in to servers; write a token into "headers"`,
			`23:7: mcpServers.events.headersHelper: has no effect here: the gateway does not log in`,
			`24:7: mcpServers.events.alwaysLoad: has no effect here`,
		},
	},
	{
		file: "project/.cursor/mcp.json",
		env:  env("API_KEY", "k", "HOME", "/home/me"),
		servers: []Server{
			stdioServer("local", "python", func(s *Server) {
				s.TransportNamed = true
				s.Args = []string{"{work}/tools/server.py", "--name", "project"}
				s.Env = []Var{
					{"TOKEN", "a b\n#c"}, {"SINGLE", `as $is "\n"`}, {"EMPTY", ""}, {"URL", "https://example.com/#part"}, {"MANY", "one\ntwo"},
					{"API_KEY", "k"}, {"SHARED", "from env"},
				}
			}),
			httpServer("remote", "https://api.example.com/mcp", func(s *Server) { s.Headers = []Var{{"Authorization", "Bearer k"}} }),
			stdioServer("home", "/home/me/bin/server", func(s *Server) { s.Problem = "envFile {work}/missing.env does not exist" }),
		},
		warnings: []string{`17:7: mcpServers.remote.auth: has no effect here: the gateway does not log in`},
	},
	{
		file: "project/.vscode/mcp.json",
		servers: []Server{
			stdioServer("playwright", "npx", func(s *Server) { s.Args = []string{"-y", "@playwright/mcp@latest"} }),
			stdioServer("perplexity", "npx", func(s *Server) {
				s.TransportNamed = true
				s.Args = []string{"-y", "server-perplexity-ask"}
				s.Env = []Var{{"PERPLEXITY_API_KEY", ""}}
				s.Problem = "${input:perplexity-key} is a value that an editor asks for, which the gateway cannot; write ${PERPLEXITY_KEY} in its place and set that variable"
			}),
			httpServer("github", "https://api.githubcopilot.com/mcp/", nil),
			httpServer("events", "http://localhost:3000/sse", func(s *Server) {
				s.Transport, s.TransportNamed = SSE, true
				s.Headers = []Var{{"Authorization", "Bearer "}, {"X-Version", "1"}}
				s.Problem = "${input:perplexity-key} is a value that an editor asks for, which the gateway cannot; write ${PERPLEXITY_KEY} in its place and set that variable"
			}),
			stdioServer("database", "node", func(s *Server) {
				s.TransportNamed = true
				s.Args = []string{"{work}/build/index.js"}
				s.Cwd = "{work}"
				s.Env = []Var{{"DB_URL", "later"}}
			}),
			stdioServer("chosen", "node", func(s *Server) {
				s.Args = []string{"", ""}
				s.Problem = "${command:pickFile} means nothing here; write its value in its place, or ${PICKFILE} and set that variable; " +
					"${config:my.setting} means nothing here; write its value in its place, or ${MY_SETTING} and set that variable"
			}),
		},
		warnings: []string{
			"15:7: servers.playwright.gallery: has no effect here",
			"16:7: servers.playwright.version: has no effect here",
			"39:7: servers.database.dev: has no effect here",
			"40:7: servers.database.sandboxEnabled: has no effect here: the server runs without a sandbox",
			"41:7: servers.database.sandbox: has no effect here: the server runs without a sandbox",
		},
	},
	{
		file: "vscode-settings.json",
		servers: []Server{
			stdioServer("fetch", "uvx", func(s *Server) { s.Args = []string{"mcp-server-fetch"} }),
			stdioServer("time", "uvx", func(s *Server) { s.Args = []string{"mcp-server-time"} }),
		},
		warnings: []string{
			`2:3: ["editor.fontSize"]: is not a known key and is ignored, as are "files.exclude", "chat.mcp.access", "telemetry.telemetryLevel" and 1 more;`,
		},
	},
	{
		file: "mcp_config.json",
		env:  env("GITHUB_TOKEN", "g", "API_KEY", "k"),
		servers: []Server{
			stdioServer("github", "npx", func(s *Server) {
				s.Args = []string{"-y", "@modelcontextprotocol/server-github"}
				s.Env = []Var{{"GITHUB_PERSONAL_ACCESS_TOKEN", "g"}}
				s.Enabled = false
			}),
			httpServer("remote-http-mcp", "https://your-server.example.com/mcp", func(s *Server) { s.Headers = []Var{{"API_KEY", "Bearer k"}} }),
			httpServer("kept", "https://kept.example.com/mcp", func(s *Server) {
				s.Headers = []Var{{"Authorization", ""}}
				s.CallTimeout = time.Minute
				s.Problem = "${file:/etc/token} means nothing here; write its value in its place, or ${ETC_TOKEN} and set that variable"
			}),
		},
		warnings: []string{
			"8:7: mcpServers.github.alwaysAllow: has no effect here: whether a call needs a person's consent is for each client to ask",
			"9:7: mcpServers.github.disabledTools: has no effect here: all tools of the server are shown (and in 1 other server)",
			`24:3: plugins: is not a known key and is ignored; known are "mcpServers" and "gateway"`,
		},
	},
	{
		file: "zed-settings.json",
		servers: []Server{
			stdioServer("local", "some-command", func(s *Server) { s.Args = []string{"arg-1", "arg-2"} }),
			stdioServer("nested", "npx", func(s *Server) {
				s.Args = []string{"-y", "@notionhq/notion-mcp-server"}
				s.Env = []Var{{"NOTION_TOKEN", "ntn_x"}}
			}),
			httpServer("remote", "https://example.com/mcp", func(s *Server) { s.Headers = []Var{{"Authorization", "Bearer abc"}} }),
			stdioServer("postgres-context-server", "", func(s *Server) {
				s.Enabled = false
				s.Problem = `it is an extension of Zed, which only Zed can start; write "command" and what to start, or "enabled": false`
			}),
			stdioServer("mcp-server-github", "", func(s *Server) {
				s.Problem = `it is an extension of Zed, which only Zed can start; write "command" and what to start, or "enabled": false`
			}),
		},
		warnings: []string{
			`3:3: theme: is not a known key and is ignored, as are "vim_mode" and "agent";`,
			"30:7: context_servers.postgres-context-server.settings: has no effect here (and in 1 other server)",
		},
	},
}

func TestFilesOfOtherClientsLoadAsTheyAre(t *testing.T) {
	for _, c := range samples {
		t.Run(c.file, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join("testdata/clients", c.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Load(path, c.env)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Dir(path)
			place := strings.NewReplacer("{dir}", dir, "{work}", filepath.Dir(dir))
			if len(got.Servers) != len(c.servers) {
				t.Fatalf("%d servers, want %d", len(got.Servers), len(c.servers))
			}
			for i, want := range c.servers {
				want.Args = slices.Clone(want.Args)
				for i := range want.Args {
					want.Args[i] = place.Replace(want.Args[i])
				}
				want.Command, want.Cwd, want.Problem = place.Replace(want.Command), place.Replace(want.Cwd), place.Replace(want.Problem)
				if !reflect.DeepEqual(got.Servers[i], want) {
					t.Errorf("got  %s\nwant %s", dump(got.Servers[i]), dump(want))
				}
			}
			for i := range max(len(got.Warnings), len(c.warnings)) {
				if i >= len(got.Warnings) || i >= len(c.warnings) || !strings.HasPrefix(got.Warnings[i].Error(), path+":"+c.warnings[i]) {
					t.Fatalf("warning %d of %d:\n%v\nwant %v", i, len(c.warnings), Problems(got.Warnings), c.warnings)
				}
			}
		})
	}
}

// A person who tries ten things and gets all wrong reads of all of them at once.
func TestTenKindsOfMistakesAreTenProblems(t *testing.T) {
	data, err := os.ReadFile("testdata/ten.jsonc")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []struct{ mistake, place string }{
		{"two names that differ by case only", "5:5: mcpServers.Dup: "},
		{"command and url", `6:33: mcpServers.both.url: stands beside "command"`},
		{"neither", `7:16: mcpServers.none: needs "command"`},
		{"a number for a text", `8:28: mcpServers.type.command: must be text in "quotes"`},
		{"an unknown transport", `9:56: mcpServers.choice.type: must be "stdio", "sse" or "streamable-http"; did you mean "http"?`},
		{"a URL without its scheme", "10:24: mcpServers.url.url: must be an absolute URL"},
		{"no time", "11:48: mcpServers.time.callTimeout: must be more than 0"},
		{"an open ${", "12:43: mcpServers.var.args[0]: ${ is not closed"},
		{"a key twice", "13:33: mcpServers.twice.command: this key stands here twice"},
		{"a misspelt setting", `15:26: gateway.limits.inflight: is not a known key; did you mean "inFlight"?`},
	}
	p := problems(t, string(data), nil)
	if len(p) != len(kinds) {
		t.Errorf("%d problems:\n%v", len(p), p)
	}
	for i, kind := range kinds {
		if i < len(p) && !strings.HasPrefix(p[i].Error(), "f.json:"+kind.place) {
			t.Errorf("%s:\n got %v\nwant %s", kind.mistake, p[i], kind.place)
		}
	}
	// One broken comma is the one problem there is.
	broken := strings.Replace(string(data), `"url": "example.com/mcp"},`, `"url": "example.com/mcp"}`, 1)
	if p := problems(t, broken, nil); len(p) != 1 || p[0].Line != 11 || p[0].Column != 5 || p[0].Path != "" {
		t.Errorf("a syntax error: %v", p)
	}
}
