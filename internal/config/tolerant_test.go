package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What only another program can reach is a problem of that one server, in any block; a slip
// is one of the file.
func TestWhatOnlyOthersReachIsThatServersProblem(t *testing.T) {
	const has = ` is no transport that the gateway has; it has "stdio", "sse" and "streamable-http"`
	const sdk = `type "sdk" is a server inside the program that this was written for; nothing else can reach it`
	const notURL = "; url must be an absolute URL such as https://example.com/mcp or http://127.0.0.1:8000/mcp"
	over := func(scheme string) string {
		return "url must begin with http:// or https://; the gateway does not reach servers over " + scheme + "://"
	}
	e := env("SOCKET", "unix:///hunter2.sock", "HOST", "hunter2")
	for _, c := range []struct{ members, transport, want string }{
		{`"type": "http", "url": "unix:///tmp/server.sock"`, StreamableHTTP, over("unix")},
		{`"url": "UNIX:///tmp/server.sock#/mcp"`, StreamableHTTP, over("unix")},
		{`"type": "http", "url": "pipe:///pipe/mcp"`, StreamableHTTP, over("pipe")},
		{`"type": "sse", "url": "wss://h/mcp", "headers": {"A": "b"}`, SSE, over("wss")},
		{`"serverUrl": "ws://h/mcp"`, StreamableHTTP, "serverUrl" + strings.TrimPrefix(over("ws"), "url")},
		{`"url": "ws://${NO:-h}/"`, StreamableHTTP, over("ws")},
		{`"url": "ws://${HOST}/"`, StreamableHTTP, over("ws") + "; see the value of ${HOST}"},
		{`"url": "${SOCKET}"`, StreamableHTTP, over("unix") + "; see the value of ${SOCKET}"},
		{`"url": "ws://${NO}/"`, StreamableHTTP, "variable NO is not set; set it or write ${NO:-default}"},
		{`"type": "ws", "url": "wss://h/mcp", "headers": {"A": "b"}`, StreamableHTTP, `type "ws"` + has},
		{`"type": "ws", "url": "/not/ours#x"`, StreamableHTTP, `type "ws"` + has + notURL},
		{`"type": "ws", "url": "/${HOST}"`, StreamableHTTP, `type "ws"` + has + notURL + "; see the value of ${HOST}"},
		{`"type": "websocket", "url": "https://h/"`, StreamableHTTP, `type "websocket"` + has},
		{`"transport": "grpc", "command": "x"`, Stdio, `transport "grpc"` + has},
		{`"transport": "grpc", "type": "stdio", "command": "x"`, Stdio, `transport "grpc"` + has + `; transport says "grpc", but "type" says "stdio"; keep one of the two`},
		{`"type": "ws", "transport": "sse", "url": "http://h/"`, SSE, `type "ws"` + has + `; type says "ws", but "transport" says "sse"; keep one of the two`},
		{`"type": "ws", "transport": "grpc", "url": "ws://h/"`, StreamableHTTP, `transport "grpc"` + has + `; type "ws"` + has + `; type says "ws", but "transport" says "grpc"; keep one of the two`},
		{`"type": "ws", "transport": "ws", "url": "ws://h/"`, StreamableHTTP, `transport "ws"` + has + `; type "ws"` + has},
		{`"type": "sdk", "name": "mine"`, Stdio, sdk},
		{`"type": "sdk", "env": {"A": "${NO}"}`, Stdio, sdk + "; variable NO is not set; set it or write ${NO:-default}"},
	} {
		for _, block := range []string{ours, vsCode, zed} {
			c1, err := Parse("f.json", []byte(`{"`+block+`": {"a": {`+c.members+`}, "b": {"command": "x"}}}`), e)
			if err != nil {
				t.Errorf("%s:\n%v", c.members, err)
				continue
			}
			a, b := c1.Servers[0], c1.Servers[1]
			if a.Transport != c.transport || a.Problem != c.want || !a.Enabled || b.Problem != "" {
				t.Errorf("%s in %s: %s\n got %s\nwant %s", c.members, block, a.Transport, a.Problem, c.want)
			}
			for _, w := range c1.Warnings {
				if !strings.Contains(w.Path, ".name") {
					t.Errorf("%s: %v", c.members, w)
				}
			}
		}
	}
	for members, want := range map[string]string{
		`"type": "htpp", "url": "http://h/"`:                          `1:31: mcpServers.a.type: must be "stdio", "sse" or "streamable-http"; did you mean "http"?`,
		`"type": "HTTP", "url": "http://h/"`:                          `1:31: mcpServers.a.type: must be "stdio", "sse" or "streamable-http"; did you mean "http"?`,
		`"type": "studio", "command": "x"`:                            `1:31: mcpServers.a.type: must be "stdio", "sse" or "streamable-http"; did you mean "stdio"?`,
		`"type": "ssse", "url": "http://h/"`:                          `1:31: mcpServers.a.type: must be "stdio", "sse" or "streamable-http"; did you mean "sse"?`,
		`"type": "sdk", "transport": "streamable-htp"`:                `1:51: mcpServers.a.transport: must be "stdio", "sse" or "streamable-http"; did you mean "streamable-http"?`,
		`"type": "", "command": "x"`:                                  `1:31: mcpServers.a.type: must be "stdio", "sse" or "streamable-http"`,
		`"type": 7, "command": "x"`:                                   `1:31: mcpServers.a.type: must be text in "quotes"`,
		`"type": "ws", "url": "http://h/", "command": "x"`:            `1:37: mcpServers.a.url: stands beside "command"`,
		`"url": "unx:///tmp/server.sock"`:                             `1:30: mcpServers.a.url: must be an absolute URL`,
		`"type": "streamable-http", "transport": "http", "url": "h/"`: `1:78: mcpServers.a.url: must be an absolute URL`,
	} {
		p := problems(t, `{"mcpServers": {"a": {`+members+`}}}`, e)
		if len(p) != 1 || !strings.HasPrefix(p[0].Error(), "f.json:"+want) {
			t.Errorf("%s:\n got %v\nwant %s", members, p, want)
		}
	}
	// Whoever sends a request can mend it at once.
	for members, want := range map[string]string{
		`"type": "ws", "url": "ws://h/"`:     `body:1:31: mcpServers.a.type: "ws"` + has,
		`"type": "sdk"`:                      `body:1:31: mcpServers.a.` + strings.Replace(sdk, " ", ": ", 1),
		`"type": "http", "url": "unix:///s"`: "body:1:46: mcpServers.a." + strings.Replace(over("unix"), " ", ": ", 1),
	} {
		_, p := ParseServers([]byte(`{"mcpServers": {"a": {`+members+`}}}`), nil)
		if len(p) != 1 || p[0].Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", members, p, want)
		}
	}
}

// TestTheWordOfTheFileIsShown: a transport of another program's is not told as one of ours.
func TestTheWordOfTheFileIsShown(t *testing.T) {
	for members, want := range map[string]string{
		`"type": "ws", "url": "ws://h/"`:       "ws",
		`"type": "sdk"`:                        "sdk",
		`"transport": "grpc", "command": "x"`:  "grpc",
		`"type": "\u001b[1m", "command": "x"`:  `\x1b[1m`,
		`"type": "http", "url": "http://h/"`:   StreamableHTTP,
		`"type": "http", "url": "unix:///s"`:   StreamableHTTP,
		`"command": "x"`:                       Stdio,
		`"transport": "sse", "url": "ws://h/"`: SSE,
	} {
		s := one(t, members, nil)
		j, err := s.MarshalJSON()
		if s.Shown() != want || s.String() != "s ("+want+")" || err != nil || !strings.Contains(string(j), `"transport":`+strconv.Quote(want)) {
			t.Errorf("%s: %s, %s", members, s, j)
		}
	}
}

// TestBlocksOfVSCode: the path of keys may be one key, and a workspace's settings are read.
func TestBlocksOfVSCode(t *testing.T) {
	const servers = `{"a": {"type": "http", "url": "http://h/"}}`
	for file, known := range map[string]string{
		`{"x": 1, "mcp": {"servers": ` + servers + `}}`:                                       `"mcp" and "gateway"`,
		`{"x": 1, "mcp.servers": ` + servers + `}`:                                            `"mcp.servers" and "gateway"`,
		`{"x": 1, "folders": [], "settings": {"y": 1, "mcp": {"servers": ` + servers + `}}}`:  `"settings" and "gateway"`,
		`{"x": 1, "settings": {"mcp.servers": ` + servers + `}}`:                              `"settings" and "gateway"`,
		`{"x": 1, "servers": ` + servers + `, "gateway": {}}`:                                 `"servers" and "gateway"`,
		`{"x": 1, "servers": ` + servers + `, "context_servers": {"z": {"command": "x"}}}`:    `"servers", "context_servers" and "gateway"`,
		`{"x": 1, "settings": {"mcp": 1}, "mcp": [], "mcpServers": {"a": {"command": "x"}} }`: `"mcpServers" and "gateway"`,
	} {
		c, err := Parse("f.json", []byte(file), nil)
		if err != nil || len(c.Servers) == 0 || c.Servers[0].Name != "a" || c.Servers[0].TransportNamed {
			t.Errorf("%s: %v %v", file, c, err)
			continue
		}
		if w := c.Warnings; len(w) != 1 || !strings.HasPrefix(w[0].Error(), "f.json:1:2: x: is not a known key") || !strings.HasSuffix(w[0].Message, "; known are "+known) {
			t.Errorf("%s: %v", file, w)
		}
	}
	p := problems(t, `{"settings": {"mcp": {"servers": {"a": {}}}}}`, nil)
	if len(p) != 1 || p[0].Path != "settings.mcp.servers.a" {
		t.Error(p)
	}
}

// TestServersOfProjectsAreNotPassedOverInSilence: Claude Code keeps some by project.
func TestServersOfProjectsAreNotPassedOverInSilence(t *testing.T) {
	const say = `servers under "projects" are not read; give one project's .mcp.json`
	const projects = `"projects": {"/a": {"allowedTools": []}, "/b": 1, "/c": {"mcpServers": {"s": {"command": "x"}}}}`
	c, err := Parse("f.json", []byte(`{"mcpServers": {}, `+projects+`}`), nil)
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Error() != "f.json:1:20: projects: "+say {
		t.Errorf("%v %v", c, err)
	}
	if p := problems(t, `{`+projects+`}`, nil); len(p) != 1 || !strings.HasSuffix(p[0].Message, "; "+say) {
		t.Error(p)
	}
	c, err = Parse("f.json", []byte(`{"mcpServers": {}, "projects": {"/a": {"mcpServers": {}}}}`), nil)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "is not a known key") {
		t.Errorf("%v %v", c, err)
	}
}

func TestNumbersAndBooleansAreText(t *testing.T) {
	const values = `{"N": 8080, "LONG": 12345678901234567890.10, "E": -1e400, "T": true, "F": false, "NO": null, "A=B": null, "S": "7"}`
	const want = "[N=8080 LONG=12345678901234567890.10 E=-1e400 T=true F=false S=7]"
	for _, members := range []string{`"command": "x", "env": ` + values, `"command": {"path": "x", "env": ` + values + `}`} {
		if got := fmt.Sprint(reveal(one(t, members, nil).Env)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", members, got, want)
		}
	}
	s := one(t, `"url": "http://h/", "headers": {"X-Version": 2.0, "X-Debug": true, "x-debug": null, "Host": null}`, nil)
	if got := fmt.Sprint(reveal(s.Headers)); got != "[X-Version=2.0 X-Debug=true]" {
		t.Errorf("headers: %s", got)
	}
	// Null does not take away what an env file sets.
	c, err := parse("/d/f.json", []byte(`{"mcpServers": {"a": {"command": "x", "envFile": "e", "env": {"A": null, "B": 2}}}}`), nil,
		func(string) ([]byte, error) { return []byte("A=1\nB=1"), nil })
	if err != nil || !slices.Equal(reveal(c.Servers[0].Env), []string{"A=1", "B=2"}) {
		t.Errorf("%v %v", c, err)
	}
	if got, p := ParseServers([]byte(`{"mcpServers": {"a": {"command": "x", "env": {"A": 1, "B": null}}}}`), nil); len(p) > 0 || fmt.Sprint(reveal(got[0].Env)) != "[A=1]" {
		t.Errorf("%v %v", got, p)
	}
	p := problems(t, `{"mcpServers": {"a": {"command": "x", "env": {"A": [1], "B": {}}}, "b": {"url": "http://h/", "headers": {"A": [1]}}}}`, nil)
	if len(p) != 3 || p[0].Message != `must be text in "quotes"` {
		t.Errorf("lists and objects: %v", p)
	}
}

func TestTimesThatCannotBeKeptAreWarnings(t *testing.T) {
	const most = "is more than 24h, the longest there is, which counts"
	none := func(d string) string {
		return "is not more than 0, and there is no time without end; the default, " + d + ", counts"
	}
	for _, c := range []struct {
		key, value, want string
		call, start      time.Duration
	}{
		{"timeout", "0", none("10m"), callTimeout, startStdio},
		{"timeout", "-1", none("10m"), callTimeout, startStdio},
		{"timeout", "-1e999", none("10m"), callTimeout, startStdio},
		{"timeout", "1e-30", none("10m"), callTimeout, startStdio},
		{"timeout", `"0s"`, none("10m"), callTimeout, startStdio},
		{"timeout", "2147483647", most, maxTime, startStdio},
		{"timeout", "1e999", most, maxTime, startStdio},
		{"timeout", `"48h"`, most, maxTime, startStdio},
		{"timeout", `"soon"`, "is no time; the default, 10m, counts", callTimeout, startStdio},
		{"timeout", "{}", "is no time; the default, 10m, counts", callTimeout, startStdio},
		{"tool_timeout_sec", "90000", most, maxTime, startStdio},
		{"startupTimeout", "0", none("2m"), callTimeout, startStdio},
		{"startup_timeout_sec", "-5", none("2m"), callTimeout, startStdio},
		{"startup_timeout_ms", "86400001", most, callTimeout, maxTime},
		{"startup_timeout_ms", "86400000", "", callTimeout, maxTime},
	} {
		data := `{"mcpServers": {"a": {"command": "x", "` + c.key + `": ` + c.value + `}}}`
		got, err := Parse("f.json", []byte(data), nil)
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if s := got.Servers[0]; s.CallTimeout != c.call || s.StartTimeout != c.start || s.Problem != "" {
			t.Errorf("%s: %s", data, dump(s))
		}
		said := ""
		for _, w := range got.Warnings {
			said += w.Error()
		}
		want := ""
		if c.want != "" {
			want = fmt.Sprintf("f.json:1:%d: mcpServers.a.%s: %s", 43+len(c.key), c.key, c.want)
		}
		if said != want {
			t.Errorf("%s:\n got %s\nwant %s", data, said, want)
		}
		if _, p := ParseServers([]byte(data), nil); len(p) != len(got.Warnings) {
			t.Errorf("in a request %s: %v", data, p)
		}
	}
	c, err := Parse("f.json", []byte(`{"mcpServers": {"a": {"url": "http://h/", "startupTimeout": 0}}}`), nil)
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Message != none("30s") {
		t.Error(c, err)
	}
	// A time of ours is ours to refuse.
	if p := problems(t, `{"mcpServers": {"a": {"command": "x", "callTimeout": 0, "timeout": 0}}}`, nil); len(p) != 1 || p[0].Path != "mcpServers.a.callTimeout" {
		t.Error(p)
	}
}

func TestNamesWithoutALetterGetANumber(t *testing.T) {
	c, err := Parse("f.json", []byte(`{"mcpServers": {"服务": {"command": "x"}, "服务器": {"command": "x"}, "": {"command": "x"}, "服务1": {"command": "x"}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"server-ec309a", "server-2388cb", "server-e3b0c4", "1"} {
		s := c.Servers[i]
		if s.Name != want || !validName(s.Name) {
			t.Errorf("%s, want %s", s.Name, want)
		}
		if w := c.Warnings[i].Message; !strings.HasPrefix(w, fmt.Sprintf("is called %q here, because a server's name has letters, digits,", want)) {
			t.Error(w)
		}
	}
	if p := problems(t, `{"mcpServers": {"": {"command": "x"}, "Server-E3B0C4": {"command": "x"}}}`, nil); len(p) != 1 || !strings.Contains(p[0].Message, `would be one name, "server-e3b0c4"`) {
		t.Error(p)
	}
	_, p := ParseServers([]byte(`{"mcpServers": {"服务": {"command": "x"}}}`), nil)
	if len(p) != 1 || !strings.HasSuffix(p[0].Message, "; choose another name") {
		t.Error(p)
	}
}
