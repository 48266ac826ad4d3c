package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExpand(t *testing.T) {
	e := env("A", "1", "EMPTY", "", "NESTED", "${A}$$", "HOME", "/h")
	for _, c := range []struct {
		in, want string
		missing  []string
		wrong    string
		foreign  []string
	}{
		{in: "", want: ""},
		{in: "x${A}y${A}", want: "x1y1"},
		{in: "${EMPTY}|${EMPTY:-d}|${NO:-d}|${NO:-}", want: "|d|d|"},
		{in: "${A:-d}", want: "1"},
		{in: "${NO:-a:-b c$d}", want: "a:-b c$d"},
		{in: "$HOME $(id) $ $1 a$", want: "$HOME $(id) $ $1 a$"},
		{in: "$$ $${A} $$${A} $$$$", want: "$ ${A} $1 $$"},
		{in: "${NESTED}", want: "${A}$$"},
		{in: "${NO}x${NO2}${NO}", want: "x", missing: []string{"NO", "NO2"}},
		{in: "ab${A", wrong: "is not closed"},
		{in: "${}", wrong: "a name of letters"},
		{in: "${1A}", wrong: "a name of letters"},
		{in: "${A-b}", wrong: "a name of letters"},
		{in: "${A:?b}", wrong: "a name of letters"},
		{in: "${A:=b}", wrong: "a name of letters"},
		{in: "${A:+b}", wrong: "a name of letters"},
		{in: "${env:A}|${env:NO:-d}|${env:P(x86):-e}", want: "1|d|e"},
		{in: "${env:NO}", want: "", missing: []string{"NO"}},
		{in: "${env:}", wrong: "a name of letters"},
		{in: "${env:A b}", wrong: "a name of letters"},
		{in: "${env:/}", wrong: "a name of letters"},
		{in: "${userHome}${/}x", want: "/h/x"},
		{in: "${workspaceFolder}${pathSeparator}${workspaceFolderBasename}", want: "/p/p"},
		{in: "${env:workspaceFolder}", want: "", missing: []string{"workspaceFolder"}},
		{in: "a${input:api-key}b${A}", want: "ab1", foreign: []string{"${input:api-key}"}},
		{in: "${command:a.b}${config:x}${input:}", want: "", foreign: []string{"${command:a.b}", "${config:x}", "${input:}"}},
		{in: "${input:a\nb}", wrong: "a name of letters"},
		{in: "${input:a${A}}", wrong: "a name of letters"},
		{in: "${A:-${B}}", wrong: "cannot hold another"},
	} {
		got, wrong := expand(c.in, e, (&reader{env: e, folder: "/p/.vscode"}).predefined)
		switch {
		case c.wrong != "":
			if wrong == nil || !strings.Contains(wrong.message, c.wrong) || !strings.HasPrefix(c.in[wrong.at:], "${") {
				t.Errorf("%q: got %+v, want %q", c.in, wrong, c.wrong)
			}
		case wrong != nil:
			t.Errorf("%q: %+v", c.in, wrong)
		case got.text != c.want || !slices.Equal(got.missing, c.missing) || !slices.Equal(got.foreign, c.foreign):
			t.Errorf("%q: got %+v, want %q %v %v", c.in, got, c.want, c.missing, c.foreign)
		}
	}
}

func TestGateway(t *testing.T) {
	c, err := Parse("f.json", []byte(`{"mcpServers": {}, "gateway": {
		"allowedHosts": ["Gateway.Example.com", "[::1]", "10.0.0.1"],
		"allowedOrigins": ["https://App.example.com:443", "http://localhost:3000", "vscode-webview://abc"],
		"admin": {"auth": "none"}, "names": "safe",
		"auth": {"tokens": [{"name": "a@b", "token": "${T}"}, {"token": "0123456789abcde=", "name": "c"}]},
		"limits": {"depth": 7, "listGrace": 90, "sessions": {"idle": "1h"}, "inFlight": {"all": 2}, "eventBytes": {"session": 5}},
	}}`), env("T", "ABCDEFGHIJKLMNOP"))
	if err != nil {
		t.Fatal(err)
	}
	want := Gateway{
		AllowedHosts:   []string{"gateway.example.com", "::1", "10.0.0.1"},
		AllowedOrigins: []string{"https://app.example.com", "http://localhost:3000", "vscode-webview://abc"},
		Admin:          Admin{Auth: "none"},
		Names:          "safe",
		Auth:           Auth{Tokens: []Token{{"a@b", "ABCDEFGHIJKLMNOP"}, {"c", "0123456789abcde="}}},
		Limits:         Defaults(),
	}
	want.Limits.Depth = 7
	want.Limits.ListGrace = 90 * time.Second
	want.Limits.Sessions.Idle = time.Hour
	want.Limits.InFlight.All = 2
	want.Limits.EventBytes.Session = 5
	if !reflect.DeepEqual(c.Gateway, want) {
		t.Errorf("got  %+v\nwant %+v", c.Gateway, want)
	}
	c, _ = Parse("f.json", []byte(`{"mcpServers": {}}`), nil)
	if c.Gateway.Admin.Auth != "token" || c.Gateway.Names != "dotted" || c.Gateway.Limits != Defaults() {
		t.Errorf("defaults: %+v", c.Gateway)
	}
}

// Every bound is documented as a default above zero and as one that cannot be
// switched off.
func TestNoBoundCanBeSwitchedOff(t *testing.T) {
	var each func(v reflect.Value, path []string)
	each = func(v reflect.Value, path []string) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			path := append(slices.Clone(path), strings.ToLower(name[:1])+name[1:])
			if v.Field(i).Kind() == reflect.Struct {
				each(v.Field(i), path)
				continue
			}
			if v.Field(i).Int() <= 0 {
				t.Errorf("%v has the default %d", path, v.Field(i).Int())
			}
			for _, value := range []string{"0", "-1", "null", "99999999999999999999", "-99999999999999999999", `""`, "1e999"} {
				data := `{"mcpServers": {}, "gateway": {"limits": {"` + strings.Join(path, `": {"`) + `": ` + value + strings.Repeat("}", len(path)) + `}}`
				p := problems(t, data, nil)
				if len(p) != 1 || p[0].Path != "gateway.limits."+strings.Join(path, ".") || !strings.HasPrefix(p[0].Message, "must be ") {
					t.Errorf("%s: %v", data, p)
				}
			}
		}
	}
	each(reflect.ValueOf(Defaults()), nil)
}

// TestNoPagesNeedNoPageSize: whoever writes 0 to have no pages is told how.
func TestNoPagesNeedNoPageSize(t *testing.T) {
	for _, size := range []string{"0", "-1"} {
		p := problems(t, `{"mcpServers": {}, "gateway": {"pageSize": `+size+`}}`, nil)
		if want := "f.json:1:44: gateway.pageSize: must be at least 1; leave it out for lists of one page"; len(p) != 1 || p[0].Error() != want {
			t.Errorf("%s: %v", size, p)
		}
	}
}

func TestTokensProblems(t *testing.T) {
	const long = `"0123456789abcdef"`
	for tokens, want := range map[string]string{
		`[{"name": "a", "token": ` + long + `}, {"name": "b", "token": ` + long + `}]`: `gateway.auth.tokens[1]: has the same token as "a"`,
		`[{"name": "a", "token": "${NO}"}]`:                                            "gateway.auth.tokens[0].token: variable NO is not set",
		`[{"name": "a", "token": "${input:t-k}"}]`:                                     "gateway.auth.tokens[0].token: ${input:t-k} is a value that an editor asks for, which the gateway cannot; write ${T_K}",
		`[{"name": "a", "token": "${LINE}"}]`:                                          "gateway.auth.tokens[0].token: must hold letters",
		`[{"name": "a", "token": ""}]`:                                                 "gateway.auth.tokens[0].token: must have at least 16 characters",
		`[{"name": "", "token": ` + long + `}]`:                                        "gateway.auth.tokens[0].name: must have 1 to 64",
		`[{"name": "a"}]`:                                                              "gateway.auth.tokens[0]: needs \"token\"",
		`[{"name": "a", "tokn": "x", "token": ` + long + `}]`:                          `gateway.auth.tokens[0].tokn: is not a known key; did you mean "token"?`,
		`{"a": "b"}`: "gateway.auth.tokens: must be a list",
		`["x"]`:      "gateway.auth.tokens[0]: must be an object",
	} {
		p := problems(t, `{"mcpServers": {}, "gateway": {"auth": {"tokens": `+tokens+`}}}`, env("LINE", "hunter2hunter2hunter2\n"))
		if len(p) != 1 || !strings.HasPrefix(p[0].Path+": "+p[0].Message, want) || strings.Contains(p.Error(), "hunter2") {
			t.Errorf("%s:\n got %v\nwant %s", tokens, p, want)
		}
	}
}

func TestDuplicateKeysAnywhere(t *testing.T) {
	p := problems(t, `{"x": [{"a": 1,
 "\u0061": 2}], "mcpServers": {"s": {"command": "x", "env": {"A": "1", "A": "2"}}, "s": {}}, "x": 0}`, nil)
	var got []string
	for _, p := range p {
		got = append(got, p.Error())
	}
	want := []string{
		"f.json:2:2: x[0].a: this key stands here twice; remove one",
		"f.json:2:72: mcpServers.s.env.A: this key stands here twice; remove one",
		"f.json:2:84: mcpServers.s: this key stands here twice; remove one",
		"f.json:2:94: x: this key stands here twice; remove one",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestURLs(t *testing.T) {
	for _, good := range []string{"http://h", "https://h:8443/mcp?x=y", "HTTP://[::1]:80/", "http://127.0.0.1:8000/sse"} {
		if m := wrongURL(good); m != "" {
			t.Errorf("%s: %s", good, m)
		}
	}
	for _, bad := range []string{
		"", "h/mcp", "//h/mcp", "ftp://h", "http:h", "http://", "http:///mcp", "http://:80/", "http://u@h", "http://u:p@h/",
		"http://h:0/", "http://h:65536/", "http://h:x/", "http://h/#f", "http://h/#", "http://h h/", "http://h/\n", "http://[::1", "http://h/%zz",
	} {
		if wrongURL(bad) == "" {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestHalfSurrogates(t *testing.T) {
	for literal, want := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\u00e9 é 😀 \ufffd"`: false, `"\\ud83d"`: false, `1`: false,
		`"\ud83d"`: true, `"\ude00"`: true, `"\ud83d\ud83d\ude00"`: true, `"\uD83D x"`: true, `"\\\ud83d"`: true,
	} {
		if loneSurrogate([]byte(literal)) != want {
			t.Errorf("%s: %v", literal, !want)
		}
	}
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{
		"my server": "my-server", "a.b..c": "a-b-c", "@org/x": "org-x", "_a_": "a", "服务器": "", "": "", "-": "", "x — y": "x-y",
		strings.Repeat("a", 70): strings.Repeat("a", 64),
	} {
		if got := slug(in); got != want || got != "" && !validName(got) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestClosest(t *testing.T) {
	for in, want := range map[string]string{
		"comand": "command", "Command": "command", "ulr": "url", "URL": "url", "start_timeout": "startTimeout", "cmd": "command",
		"heders": "headers", "toolTimeout": "callTimeout", "alwaysAllow": "", "gallery": "", "": "", strings.Repeat("x", 9999): "",
	} {
		if got := closest(in, serverKeys); got != want {
			t.Errorf("%.20q: %q, want %q", in, got, want)
		}
	}
}

func TestChildsEnvironment(t *testing.T) {
	s := Server{InheritEnv: []string{"AWS_PROFILE", "my_fn"}, Env: []Var{{"A", "1"}, {"HOME", "/other"}, {"A", "2"}, {"E", ""}}}
	ours := []string{
		"PATH=/bin", "HOME=/home/me", "SECRET=s", "AWS_PROFILE=p", "Path=x", "LC_ALL=C", "https_proxy=http://p",
		"TERM=() { :; }", "my_fn=() { :; }", "PATH=/bin2", "EQ=a=b", "broken", "=C:=C:\\", "TMP=/t", "TMPDIR=/t",
	}
	got := s.environ("linux", ours)
	want := []string{"PATH=/bin2", "HOME=/other", "AWS_PROFILE=p", "LC_ALL=C", "https_proxy=http://p", "my_fn=() { :; }", "TMPDIR=/t", "A=2", "E="}
	if !slices.Equal(got, want) {
		t.Errorf("linux:\n got %q\nwant %q", got, want)
	}
	s = Server{InheritEnv: []string{"aws_profile"}, Env: []Var{{"path", "C:\\mine"}}}
	got = s.environ("windows", []string{"Path=C:\\bin", "SYSTEMROOT=C:\\Windows", "comspec=cmd.exe", "Secret=s", "AWS_Profile=p", "=C:=C:\\x", "ProgramFiles(x86)=y"})
	want = []string{"path=C:\\mine", "SYSTEMROOT=C:\\Windows", "comspec=cmd.exe", "AWS_Profile=p", "ProgramFiles(x86)=y"}
	if !slices.Equal(got, want) {
		t.Errorf("windows:\n got %q\nwant %q", got, want)
	}
	if got := (Server{Env: []Var{{"ONLY", "x"}}}).Environ(func() []string { return nil }); !slices.Equal(got, []string{"ONLY=x"}) {
		t.Errorf("got %q", got)
	}
}
