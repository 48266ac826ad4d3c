package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// env is a fixed environment.
func env(kv ...string) Env {
	m := make(map[string]string)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

// one parses a file of one server, which is given by its members.
func one(t *testing.T, members string, e Env) Server {
	t.Helper()
	c, err := Parse("/etc/gw/servers.json", []byte(`{"mcpServers": {"s": {`+members+`}}}`), e)
	if err != nil {
		t.Fatalf("%s:\n%v", members, err)
	}
	return c.Servers[0]
}

func problems(t *testing.T, data string, e Env) Problems {
	t.Helper()
	c, err := Parse("f.json", []byte(data), e)
	if err == nil {
		return nil
	}
	var p Problems
	if !errors.As(err, &p) || c != nil {
		t.Fatalf("Parse gave %v and %T, want no config and Problems", c, err)
	}
	return p
}

func TestEveryProblemAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/wrong.jsonc")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("wrong.jsonc", data, env("HOME", "/h"))
	if err == nil {
		t.Fatal("no problems found")
	}
	got := err.Error() + "\n"
	if *update {
		os.WriteFile("testdata/wrong.golden", []byte(got), 0o644)
	}
	want, _ := os.ReadFile("testdata/wrong.golden")
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("line %d\n got %s\nwant %s", i+1, a, b)
		}
	}
}

func TestSyntaxErrorIsOneProblemAtItsPlace(t *testing.T) {
	deep := strings.Repeat("[", 2_000_000)
	for _, c := range []struct {
		data, want string
	}{
		{"", "f.json:1:1: there is nothing here"},
		{" \n// nothing\n", "f.json:3:1: ends too early; there is nothing here"},
		{"{\n  \"mcpServers\": {\n", "f.json:3:1: ends too early; the { of line 2 is still open: a closing } is missing for it, or for one within it"},
		{"{\n  \"mcpServers\": {\"a\": {\n  \"args\": [\"]\",\n  \"}\"\n", "f.json:5:1: ends too early; the [ of line 3 is still open: a closing ] is missing"},
		{"{\n  \"mcpServers\": {\n  \"a\": {},\n}\n", "f.json:5:1: ends too early; the { of line 1 is still open"},
		{"mcpServers:\n  a:\n    command: x\n", "f.json:1:1: must be JSON: {\"mcpServers\": {"},
		{"\n# YAML\n---\nmcpServers:\n  a: {command: \"x\n", "f.json:2:1: must be JSON: {\"mcpServers\": {"},
		{"// x\n[mcp_servers.a]\ncommand = \"x\"\n", "f.json:2:1: must be JSON: {\"mcpServers\": {"},
		{"[[tools]]\n", "f.json:1:1: must be JSON: "},
		{"<html></html>", "f.json:1:1: must be JSON: "},
		{"# JSON all the same\n{\"mcpServers\": {}}", "f.json:1:1: a comment begins with //"},
		{"{\n  \"é\": 1 2}", "f.json:2:10: a comma is missing before this"},
		{"{\"a\": hunter2}", "f.json:1:7: is no JSON value"},
		{"{\"a\": 'hunter2'}", "f.json:1:7: text stands in \"double quotes\""},
		{"{\"a\": \"hunter2\n\"}", "f.json:1:7: this string does not end on its line"},
		{"{\"a\": \"hunter2", "f.json:1:7: this string is not closed"},
		{"{\"a\": \"hunter2\t\"}", "f.json:1:7: this string holds a raw control character; write it as \\u0009"},
		{`{"a": "C:\hunter2"}`, "f.json:1:7: this string holds a wrong escape"},
		{"{} /* x", "f.json:1:4: this comment is not closed"},
		{"{\"ä\xff\": 1}", "f.json:1:4: is not UTF-8"},
		{"{} {}", "f.json:1:4: the end was before this"},
		{"{\n  \"a\": 1\n  \"b\": \"hunter2\"}", "f.json:3:3: a comma is missing before \"b\""},
		{"{\"a\": \"say \"hunter2\" now\"}", "f.json:1:13: a comma is missing before this, or it belongs inside quotes"},
		{"{\"a\": \"say\"\"hunter2\"}", "f.json:1:12: a comma is missing before this"},
		{"{\"a\": [1] \"hunter2\" /**/ : 2}", "f.json:1:11: a comma is missing before this"},
		{"{\"a\": 1 {\"b\": 2}}", "f.json:1:9: a comma and a name are missing before this"},
		{"{\"a\": \"b\": 1}", "f.json:1:10: this colon is one too many"},
		{"{\"a\": {\"b\": 1]}", "f.json:1:14: a } is missing before this ]"},
		{"[\"a\"\n \"hunter2\"]", "f.json:2:2: a comma is missing before this"},
		{"[\"a\" \"b\": 1]", "f.json:1:6: a comma is missing before this"},
		{"{\"a\": [\"b\": 1]}", "f.json:1:11: a list has no names"},
		{"{\"a\": [1}", "f.json:1:9: a ] is missing before this }"},
		{"{\"a\": [1,}", "f.json:1:10: a ] is missing before this }"},
		{"{\"a\": 1,, \"b\": 2}", "f.json:1:9: this comma is one too many"},
		{"{\"a\": // [\n \"[\", \"b\": }", "f.json:2:12: a value is missing before this }"},
		{"{\"a\": ]}", "f.json:1:7: a } is missing before this ]"},
		{"{: 1}", "f.json:1:2: this colon is one too many, or a name"},
		{"{\"a\" \"hunter2\"}", "f.json:1:6: a colon is missing before this"},
		{"{\"a\", \"b\": 1}", "f.json:1:5: a colon and a value are missing before this"},
		{"{1: 2}", "f.json:1:2: here stands a name in \"double quotes\""},
		{"{hunter2: 2}", "f.json:1:2: is no JSON value; text stands in \"double quotes\""},
		{"{\"a\": 1}}", "f.json:1:9: this } is one too many"},
		{"]", "f.json:1:1: this ] closes nothing"},
		{"{\"a\": @hunter2}", "f.json:1:7: no value begins so"},
		{"{\"a\": “hunter2”}", "f.json:1:7: text stands in straight \"double quotes\""},
		{"{\"a\": 1，\"b\": 2}", "f.json:1:8: write a plain comma (,)"},
		{"{\"a\"：1}", "f.json:1:5: write a plain colon (:)"},
		{"{\"a\" = 1}", "f.json:1:6: a colon stands between a name and its value"},
		{"{\"a\": 1; \"b\": 2}", "f.json:1:8: a comma stands between two values"},
		{"{\"a\": 1 # hunter2\n}", "f.json:1:9: a comment begins with //"},
		{"{\"a\":\u00a01}", "f.json:1:6: here is an invisible character, U+00A0"},
		{"{// \u2028\n}", "f.json:1:5: here is an invisible character, U+2028"},
		{deep, "f.json:1:65: is nested deeper than 64 levels"},
		{"[" + strings.Repeat("1,", 300_000), "f.json:1:400001: holds more than 200000 values"},
	} {
		p := problems(t, c.data, nil)
		if len(p) != 1 || !strings.HasPrefix(p[0].Error(), c.want) {
			t.Errorf("%.40q:\n got %v\nwant %s", c.data, p, c.want)
		}
		if strings.Contains(p.Error(), "hunter2") {
			t.Errorf("%.40q: the message quotes what may be a secret: %v", c.data, p)
		}
	}
}

func TestCommentsCommasAndByteOrderMarkAreFine(t *testing.T) {
	c, err := Parse("f.json", []byte("\uFEFF// first\r\n{\"mcpServers\": {/* none */},} // last, without a line end"), nil)
	if err != nil || len(c.Servers) != 0 {
		t.Fatal(c, err)
	}
}

func TestTransportFollowsFromCommandOrURL(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{`"command": "x"`, "stdio"},
		{`"url": "http://h/"`, "streamable-http"},
		{`"url": "http://h/", "transport": "http"`, "streamable-http"},
		{`"url": "http://h/", "type": "streamable_http"`, "streamable-http"},
		{`"url": "http://h/", "type": "streamableHttp", "transport": "streamable-http"`, "streamable-http"},
		{`"url": "http://h/", "type": "sse"`, "sse"},
		{`"command": "x", "type": "stdio"`, "stdio"},
	} {
		s := one(t, c.members, nil)
		if s.Transport != c.want {
			t.Errorf("%s: transport %s, want %s", c.members, s.Transport, c.want)
		}
		named := strings.Contains(c.members, `"type"`) || strings.Contains(c.members, `"transport"`)
		if s.TransportNamed != named {
			t.Errorf("%s: TransportNamed %v, want %v", c.members, s.TransportNamed, named)
		}
	}
}

func TestServerAsWritten(t *testing.T) {
	got := one(t, `
		"command": "${BIN}", "args": ["-v", "$HOME", "$(id)", "$${X}", "${PORT:-80}"],
		"env": {"B": "${TOKEN}", "A": ""}, "inheritEnv": ["AWS_PROFILE"], "cwd": "work",
		"enabled": false, "startTimeout": 1.5, "callTimeout": "2m", "protocol": "stateful"`,
		env("BIN", "bin/x", "TOKEN", "t"))
	want := Server{
		Name: "s", Transport: "stdio", Command: "/etc/gw/bin/x", Args: []string{"-v", "$HOME", "$(id)", "${X}", "80"},
		Env: []Var{{"B", "t"}, {"A", ""}}, InheritEnv: []string{"AWS_PROFILE"}, Cwd: "/etc/gw/work",
		StartTimeout: 1500 * time.Millisecond, CallTimeout: 2 * time.Minute, Protocol: "stateful", Sessions: "shared", Instructions: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", dump(got), dump(want))
	}
	got = one(t, `"url": "${BASE}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}`, env("BASE", "https://h", "TOKEN", "t"))
	want = Server{
		Name: "s", Transport: "streamable-http", URL: "https://h/mcp", Headers: []Var{{"Authorization", "Bearer t"}},
		Enabled: true, StartTimeout: 30 * time.Second, CallTimeout: 10 * time.Minute, Protocol: "auto", Sessions: "shared", Instructions: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", dump(got), dump(want))
	}
	if s := one(t, `"command": "npx"`, nil); s.Command != "npx" || s.StartTimeout != 2*time.Minute || s.Cwd != "" {
		t.Errorf("bare command: %s", dump(s))
	}
}

// dump shows what Server's own printing hides.
func dump(s Server) string {
	type plain Server
	return fmt.Sprintf("%+v env %s headers %s", plain(s), reveal(s.Env), reveal(s.Headers))
}

func reveal(vars []Var) (list []string) {
	for _, v := range vars {
		list = append(list, v.Name+"="+v.Value.Reveal())
	}
	return list
}

func TestEnvironmentsFaultsStayWithTheirServer(t *testing.T) {
	e := env("EMPTY", "", "BAD_URL", "ftp://hunter2", "LINES", "hunter2\r\nX: y", "HOMEY", "~/hunter2")
	for _, c := range []struct{ members, want string }{
		{`"command": "x", "args": ["${GITHUB_TOKEN}"]`, "variable GITHUB_TOKEN is not set; set it or write ${GITHUB_TOKEN:-default}"},
		{`"command": "x", "args": ["${A}"], "env": {"X": "${B}${A}"}`, "variables A and B are not set; set them or write ${A:-default}"},
		{`"url": "${A}"`, "variable A is not set; set it or write ${A:-default}"},
		{`"url": "${BAD_URL}/"`, "url must be an absolute URL such as https://example.com/mcp or http://127.0.0.1:8000/mcp; see the value of ${BAD_URL}"},
		{`"url": "http://h/", "headers": {"X-A": "${LINES}"}`, "headers.X-A must not hold line breaks or other control characters; see the value of ${LINES}"},
		{`"command": "${EMPTY}"`, "command must not be empty; write the program to start; see the value of ${EMPTY}"},
		{`"command": "x", "cwd": "${HOMEY}"`, "cwd must not begin with ~, which only a shell understands; write ${HOME} for it; see the value of ${HOMEY}"},
		{`"command": "x", "env": {"E": "${EMPTY}"}`, ""},
		{`"command": "${A:-x}"`, ""},
	} {
		if got := one(t, c.members, e).Problem; got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.members, got, c.want)
		}
	}
	if p := problems(t, `{"mcpServers": {"s": {"url": "${A:-ftp://h}"}}}`, e); len(p) != 1 || p[0].Path != "mcpServers.s.url" {
		t.Errorf("a wrong default is the file's: %v", p)
	}
}

func TestUnknownKeysAreWarnings(t *testing.T) {
	c, err := Parse("f.json", []byte(`{
  "plugins": [{"id": "x"}],
  "mcpServers": {
    "my server.1": {"command": "x", "retries": 3, "comand": "y", "alwaysAllow": [], "headers": {"A": "b"}, "autoAprove": []},
    "b": {"url": "http://h/", "args": [], "env": {}, "cwd": "${NOT_SET}"},
  },
}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`f.json:2:3: plugins: is not a known key and is ignored; known are "mcpServers" and "gateway"`,
		`f.json:4:5: mcpServers["my server.1"]: is called "my-server-1" here, because a server's name has letters, digits, _ and - only, begins with a letter or digit, and has at most 64 characters`,
		`f.json:4:37: mcpServers["my server.1"].retries: is not a known key and is ignored; known are transport, type, command, args, env, envFile, inheritEnv, cwd, url, headers, prefix, enabled, startTimeout, callTimeout, protocol, sessions, roots, instructions`,
		`f.json:4:51: mcpServers["my server.1"].comand: is not a known key and is ignored; did you mean "command"?`,
		`f.json:4:85: mcpServers["my server.1"].headers: has no effect on a stdio server; remove it`,
		`f.json:4:108: mcpServers["my server.1"].autoAprove: is not a known key and is ignored; did you mean "autoApprove"?`,
		`f.json:5:54: mcpServers.b.cwd: has no effect on a streamable-http server; remove it`,
	}
	for i := range max(len(want), len(c.Warnings)) {
		if i >= len(want) || i >= len(c.Warnings) || c.Warnings[i].Error() != want[i] {
			t.Fatalf("warning %d of %d:\n%v\nwant %s", i, len(want), Problems(c.Warnings), want[min(i, len(want)-1)])
		}
	}
	if c.Servers[0].Name != "my-server-1" || c.Servers[1].Problem != "" {
		t.Errorf("%s %s", dump(c.Servers[0]), dump(c.Servers[1]))
	}
}

func TestBodyIsStricterThanFile(t *testing.T) {
	got, p := ParseServers([]byte(`{"mcpServers": {"a": {"command": "./x", "cwd": "y"}, "b": {"url": "${U}"}}}`), nil)
	if len(p) > 0 || len(got) != 2 || got[0].Command != "./x" || got[0].Cwd != "y" || got[1].Problem == "" {
		t.Errorf("%v %v", got, p)
	}
	for data, want := range map[string]string{
		`{"mcpServers": {}}`: "body:1:16: mcpServers: is empty",
		`{"mcpServers": {"a": {"command": "x"}}, "gateway": {}}`:                        "body:1:41: gateway: does not belong here",
		`{"mcpServers": {"a": {"command": "x"}}, "inputs": []}`:                         "body:1:41: inputs: is not a known key",
		`{"mcpServers": {"a b": {"command": "x"}}}`:                                     `body:1:17: mcpServers["a b"]: a server's name has`,
		`{"mcpServers": {"a": {"command": "x", "timout": 1}}}`:                          `body:1:39: mcpServers.a.timout: is not a known key; did you mean "timeout"?`,
		`{"mcpServers": {"a": {"command": "x", "prefix": "b"}, "b": {"command": "x"}}}`: `body:1:49: mcpServers.a.prefix: is the name of server "b"`,
		`{"mcpServers": {"a": {"command": "x"}}, "servers": {}}`:                        "body:1:41: servers: is not a known key; only",
		`{"mcpServers": {"a": {"command": "x", "cmd": "y"}}}`:                           `body:1:39: mcpServers.a.cmd: is not a known key; did you mean "command"?`,
		`{"mcpServers": {"a": {"command": "x", "headers": {"A": "b"}}}}`:                "body:1:39: mcpServers.a.headers: has no effect on a stdio server",
		`{"servers": {"a": {"command": "x"}}}`:                                          "body:1:1: \"mcpServers\" is missing",
		`{"mcpservers": {"a": {"command": "x"}}}`:                                       `body:1:2: mcpservers: is not a known key; did you mean "mcpServers"?`,
		`[]`: "body:1:1: must be an object",
		`{"mcpServers": {"a": {"command": "x"}, "A": {"command": "x"}}}`:     `body:1:40: mcpServers.A: "a" and "A" would be one name, "a" (case does not count); rename one`,
		`{"mcpServers": {"` + strings.Repeat("a", 65) + `": {"url": "x:"}}}`: "body:1:17: mcpServers.",
	} {
		got, p := ParseServers([]byte(data), nil)
		if got != nil || len(p) == 0 || !strings.HasPrefix(p[0].Error(), want) {
			t.Errorf("%s:\n got %v %v\nwant %s", data, got, p, want)
		}
	}
}

func TestTooManyServers(t *testing.T) {
	const servers = `"mcpServers": {"a": {"command": "x"}, "b": {"command": "x"}, "c": {"command": "x"}}`
	p := problems(t, `{`+servers+`, "gateway": {"limits": {"servers": 2}}}`, nil)
	if len(p) != 1 || p[0].Column != 63 || !strings.Contains(p[0].Message, "holds 3 servers, but gateway.limits.servers allows 2") {
		t.Error(p)
	}
	if p := problems(t, `{`+servers+`, "gateway": {"limits": {"servers": 3}}}`, nil); p != nil {
		t.Error(p)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&b, `"%s%d": 1,`, strings.Repeat("é", 40), i)
	}
	_, p := ParseServers([]byte(`{"mcpServers": {"a": {"command": "x", `+b.String()+`}}}`), nil)
	if len(p) != maxProblems+1 || p[maxProblems].Message != "and 29000 more after this place" {
		t.Errorf("%d problems, the last %v", len(p), p[len(p)-1])
	}
}

func TestMissingFileSaysWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.json")
	_, err := Load(path, nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) || !strings.HasSuffix(err.Error(), "--config FILE") {
		t.Error(err)
	}
	if _, err := Load(t.TempDir(), nil); err == nil {
		t.Error("a folder was loaded")
	}
	os.WriteFile(path, []byte(`{"mcpServers": {"a": {"command": "./x"}}}`), 0o600)
	c, err := Load(path, nil)
	if err != nil || c.File != path || c.Servers[0].Command != filepath.Join(filepath.Dir(path), "x") {
		t.Error(c, err)
	}
}

func FuzzParse(f *testing.F) {
	wrong, err := os.ReadFile("testdata/wrong.jsonc")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrong)
	f.Add([]byte(`{"mcpServers": {"a b": {"command": "${X:-$$}", "args": ["${Y}"], "env": {"A": "b"}}, "c": {"url": "http://h/"}}}`))
	f.Add([]byte(`{"mcpServers": {}, "gateway": {"auth": {"tokens": [{"name": "a", "token": "${LONG}"}]}, "limits": {"depth": 1}}}`))
	f.Add([]byte("{\"mcpServers\": {/*"))
	for _, s := range samples {
		data, err := os.ReadFile(filepath.Join("testdata/clients", s.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"servers": {"a": {"command": {"path": "${env:X:-y}", "args": null}, "timeout": 1e400, "disabled": false}}, "mcp": {"servers": {"a": 1}}}`))
	f.Add([]byte(`{"context_servers": {"z": {}, "y": {"httpUrl": "http://h/", "url": null, "prefix": "z"}, "x": {"command": "${/}x${input:}", "prefix": ""}}}`))
	f.Add([]byte(`{"mcpServers": {"a": {"command": "x", "env": {"A": "1"}, "envFile": "A=2\nB='3\n4'\n export C = \"\\n\" # d"}}}`))
	e := env("X", "", "LONG", "0123456789abcdef", "HOME", "/h")
	// A file's name is its content, so that no file is read.
	open := func(path string) ([]byte, error) { return []byte(strings.TrimPrefix(path, "/d/")), nil }
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		a, err := parse("/d/f.json", data, e, open)
		b, again := parse("/d/f.json", data, e, open)
		if string(data) != before {
			t.Fatal("the input was changed")
		}
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(err, again) {
			t.Fatalf("two readings differ: %v %v", err, again)
		}
		var p Problems
		if err != nil && (!errors.As(err, &p) || len(p) == 0) {
			t.Fatalf("an error without problems: %v", err)
		}
		for _, p := range p {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.Contains(p.Error(), "\n") {
				t.Fatalf("no place or words: %q", p.Error())
			}
		}
		if a == nil {
			return
		}
		for i, s := range a.Servers {
			if !validName(s.Name) || s.Fingerprint() != b.Servers[i].Fingerprint() {
				t.Fatalf("server %q", s.Name)
			}
			if strings.ContainsAny(s.Problem, "\r\n\x00") || s.Prefix != nil && *s.Prefix != "" && !validName(*s.Prefix) {
				t.Fatalf("server %q: prefix %v, problem %q", s.Name, s.Prefix, s.Problem)
			}
		}
	})
}
