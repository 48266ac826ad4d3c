package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTimesOfOtherClients(t *testing.T) {
	for _, c := range []struct {
		members     string
		call, start time.Duration
	}{
		{`"timeout": 60`, time.Minute, startStdio},
		{`"timeout": 999.5`, 999500 * time.Millisecond, startStdio},
		{`"timeout": 1000`, time.Second, startStdio},
		{`"timeout": 600000`, 10 * time.Minute, startStdio},
		{`"timeout": "90s"`, 90 * time.Second, startStdio},
		{`"tool_timeout_sec": 1200`, 20 * time.Minute, startStdio},
		{`"startupTimeout": 5000`, callTimeout, 5 * time.Second},
		{`"startup_timeout_sec": 20`, callTimeout, 20 * time.Second},
		{`"startup_timeout_ms": 500`, callTimeout, 500 * time.Millisecond},
		{`"callTimeout": 5, "timeout": 60`, 5 * time.Second, startStdio},
		{`"startupTimeout": 7, "startup_timeout_ms": 500`, callTimeout, 500 * time.Millisecond},
	} {
		s := one(t, `"command": "x", `+c.members, nil)
		if s.CallTimeout != c.call || s.StartTimeout != c.start {
			t.Errorf("%s: call %s start %s", c.members, s.CallTimeout, s.StartTimeout)
		}
	}
}

func TestWordsOfOtherClients(t *testing.T) {
	on, off := `"enabled": true`, `"disabled": true`
	for members, want := range map[string]bool{
		`"a": 0`: true, off: false, `"disabled": false`: true, `"enabled": false, ` + off: false, on + `, "disabled": false`: true, `"disabled": null`: true,
	} {
		if s := one(t, `"command": "x", `+members, nil); s.Enabled != want {
			t.Errorf("%s: enabled %v", members, s.Enabled)
		}
	}
	for _, c := range []struct{ members, transport string }{
		{`"serverUrl": "http://h/"`, StreamableHTTP},
		{`"url": "http://h/", "serverUrl": "http://h/"`, StreamableHTTP},
		{`"serverUrl": "http://h/", "type": "sse"`, SSE},
		{`"httpUrl": "http://h/", "command": null, "args": null, "env": null`, StreamableHTTP},
	} {
		s := one(t, c.members, nil)
		named := strings.Contains(c.members, "type") || strings.Contains(c.members, "httpUrl")
		if s.URL != "http://h/" || s.Transport != c.transport || s.TransportNamed != named {
			t.Errorf("%s: %s", c.members, dump(s))
		}
	}
	// VS Code tries HTTP+SSE where its "http" gets no answer; others do not.
	for block, named := range map[string]bool{"mcpServers": true, "servers": false} {
		c, err := Parse("f.json", []byte(`{"`+block+`": {"a": {"type": "http", "url": "http://h/"}}}`), nil)
		if err != nil || c.Servers[0].TransportNamed != named {
			t.Errorf("%s: %v %v", block, c, err)
		}
	}
}

func TestKeysOfOtherClientsPassInRequests(t *testing.T) {
	var members []string
	for _, kind := range withoutEffect {
		for _, key := range kind.keys {
			members = append(members, fmt.Sprintf(`%q: {"x": [1]}`, key))
		}
	}
	body := `{"mcpServers": {"a": {"serverUrl": "http://h/", "disabled": true, "timeout": 1000, ` + strings.Join(members, ", ") + `}}}`
	got, p := ParseServers([]byte(body), nil)
	if len(p) > 0 || got[0].URL != "http://h/" || got[0].Enabled || got[0].CallTimeout != time.Second {
		t.Errorf("%v %v", got, p)
	}
	for _, key := range foreignKeys {
		if slices.Contains(serverKeys, key) || closest(key, serverKeys) == key {
			t.Errorf("%s is ours", key)
		}
	}
}

func TestPrefixes(t *testing.T) {
	c, err := Parse("f.json", []byte(`{"mcpServers": {
		"a": {"command": "x"}, "b": {"command": "x", "prefix": ""}, "c": {"command": "x", "prefix": "fs"},
		"d": {"command": "x", "prefix": "D"}, "e": {"command": "x", "prefix": ""}, "f": {"command": "x", "prefix": null}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, s := range c.Servers {
		if s.Prefix == nil {
			got += "nil "
		} else {
			got += fmt.Sprintf("%q ", *s.Prefix)
		}
	}
	if want := `nil "" "fs" "D" "" nil `; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	// A name that was made to fit is a name.
	p := problems(t, `{"mcpServers": {"a b": {"command": "x"}, "c": {"command": "x", "prefix": "A-B"}}}`, nil)
	if len(p) != 1 || p[0].Path != "mcpServers.c.prefix" || !strings.Contains(p[0].Message, `is the name of server "a b"`) {
		t.Error(p)
	}
}

func TestEnvFiles(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "[]"},
		{"\uFEFFA=1\r\nB= 2 \r\n", "[A=1 B=2]"},
		{"# c\n\n  export A=1 # c\nexport\tB = x#y\nexport=3", "[A=1 B=x#y export=3]"},
		{`A="x # y" # c` + "\n" + `B='\n$X'` + "\n" + "C=`a'b\"`", "[A=x # y B=\\n$X C=a'b\"]"},
		{`A="C:\dir\\n\"\t."`, "[A=C:\\dir\\n\"\t.]"},
		{"A=\"one\r\ntwo\"\nB=3", "[A=one\ntwo B=3]"},
		{"A=1\nB=2\nA=3", "[A=3 B=2]"},
		{"A=\nB=#c\nC==x=", "[A= B= C==x=]"},
		{"a.b-c=1", "[a.b-c=1]"},
		{"A=it's", "[A=it's]"},
		{"A=1\nhunter2", "line 2 is not KEY=VALUE; a comment begins with #"},
		{"A B=hunter2", "line 1 is not KEY=VALUE; a comment begins with #"},
		{"=hunter2", "line 1 is not KEY=VALUE; a comment begins with #"},
		{"A=\"1\n2\"\nB=\"hunter2", "line 3 begins a quote that is never closed"},
		{"A='1'hunter2", "line 1 goes on after its closing quote; only a comment may stand there"},
		{"A=hunter2\x00", "line 1 holds a NUL character"},
		{"A=\xff", "is not UTF-8"},
		{strings.Repeat("#", maxEnvFile+1), "is larger than 1 MiB; it is no file of variables"},
	} {
		f := parseEnvFile([]byte(c.text), nil)
		got := fmt.Sprint(reveal(f.vars))
		if f.message != "" {
			got = f.message
		}
		if got != c.want || strings.Contains(f.message, "hunter2") {
			t.Errorf("%.40q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
	var b strings.Builder
	for i := range maxEnvVars + 1 {
		fmt.Fprintf(&b, "A%d=\n", i)
	}
	if f := parseEnvFile([]byte(b.String()), nil); f.message != "holds more than 4096 variables" {
		t.Error(f.message)
	}
}

func TestEnvFilesFaultsStayWithTheirServer(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "good.env"), []byte("SECRET=hunter2"), 0o600)
	os.WriteFile(filepath.Join(dir, "bad.env"), []byte("SECRET hunter2"), 0o600)
	e := env("DIR", dir, "HOME", dir)
	for _, c := range []struct{ path, want string }{
		{"good.env", ""},
		{"${DIR}/good.env", ""},
		{"bad.env", "envFile " + dir + "/bad.env line 1 is not KEY=VALUE; a comment begins with #"},
		{`a\nb\u009b.env`, `envFile "` + dir + `/a\nb\u009b.env" does not exist`},
		{"none.env", "envFile " + dir + "/none.env does not exist"},
		{"${DIR}/none.env", "envFile ${DIR}/none.env does not exist"},
		{"${userHome}/none.env", "envFile ${userHome}/none.env does not exist"},
		{"${workspaceFolder}${/}none.env", "envFile " + dir + "/none.env does not exist"},
		{".", "envFile " + dir + " is no plain file"},
		{"/dev/zero", "envFile /dev/zero is no plain file"},
		{"${NO}/x", "variable NO is not set; set it or write ${NO:-default}"},
		{"${input:file}", "${input:file} is a value that an editor asks for, which the gateway cannot; write ${FILE} in its place and set that variable"},
	} {
		c1, err := Parse(filepath.Join(dir, "f.json"), []byte(`{"mcpServers": {"a": {"command": "x", "envFile": "`+c.path+`"}, "b": {"command": "x"}}}`), e)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		s := c1.Servers[0]
		if s.Problem != c.want || c1.Servers[1].Problem != "" {
			t.Errorf("%s:\n got %s\nwant %s", c.path, s.Problem, c.want)
		}
		if c.want == "" && (len(s.Env) != 1 || s.Env[0].Value.Reveal() != "hunter2" || strings.Contains(fmt.Sprintf("%+v", s.Env), "hunter2")) {
			t.Errorf("%s: %v", c.path, reveal(s.Env))
		}
	}
	if f := parseEnvFile(nil, fs.ErrPermission); f.message != "may not be read by the gateway's user" {
		t.Error(f.message)
	}
	// Nothing begins a URL's server with a file of variables.
	c, err := Parse("f.json", []byte(`{"mcpServers": {"a": {"url": "http://h/", "envFile": ".env"}}}`), nil)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "has no effect on a streamable-http server") {
		t.Error(c, err)
	}
}

func FuzzEnvFile(f *testing.F) {
	for _, s := range []string{"A=1\nexport B='2'", "A=\"x\\n\ny\" # c\r\nB=`", "\uFEFF#\n=\n", "A=\"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := parseEnvFile(data, nil)
		if e.message != "" && (e.vars != nil || strings.ContainsAny(e.message, "\n\x00")) {
			t.Fatalf("%+v", e)
		}
		seen := make(map[string]bool)
		for _, v := range e.vars {
			if !validEnvName(v.Name) || seen[v.Name] || strings.Contains(v.Value.Reveal(), "\x00") {
				t.Fatalf("%q", reveal(e.vars))
			}
			seen[v.Name] = true
		}
	})
}
