package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	const hidden = "hunter2-hunter2-hunter2"
	c, err := Parse("f.json", []byte(`{
  "mcpServers": {
    "a": {"command": "x", "args": ["--key=${S}"], "env": {"K": "${S}"}},
    "b": {"url": "https://h/?k=${S}", "headers": {"Authorization": "Bearer ${S}"}},
  },
  "gateway": {"auth": {"tokens": [{"name": "ci", "token": "${S}"}]}},
}`), env("S", hidden))
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway.Auth.Tokens[0].Token.Reveal() != hidden || c.Servers[0].Env[0].Value.Reveal() != hidden {
		t.Fatal("Reveal does not give the value")
	}
	things := []any{
		c, *c, c.Servers, c.Servers[0], &c.Servers[1], c.Servers[0].Env, c.Servers[1].Headers[0],
		c.Gateway, c.Gateway.Auth.Tokens, c.Gateway.Auth.Tokens[0].Token, map[string]Secret{"k": hidden},
		fmt.Errorf("wrapped: %v", c.Servers[0]),
	}
	for _, x := range things {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb, x)
		}
		j, err := json.Marshal(x)
		if err != nil {
			t.Errorf("%T: %v", x, err)
		}
		out.Write(j)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "x", x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "x", x)
		if strings.Contains(out.String(), "hunter2") || strings.Contains(strings.ToLower(out.String()), fmt.Sprintf("%x", hidden[:7])) {
			t.Errorf("%T shows the secret:\n%s", x, out.String())
		}
	}
	if s := fmt.Sprint(Secret("x"), Secret("")); s != "••• " && s != "•••" {
		t.Errorf("got %q", s)
	}
	if j, _ := json.Marshal(Var{"K", "x"}); string(j) != `{"Name":"K","Value":"•••"}` {
		t.Errorf("got %s", j)
	}
}

func TestFingerprintIsOfTheWholeDefinition(t *testing.T) {
	base := `"command": "x", "args": ["a", "b"], "env": {"A": "${S}", "B": "2"}, "inheritEnv": ["P", "Q"]`
	same := `"inheritEnv": ["Q", "P"], "env": {"B": "2", "A": "1"}, "args": ["a", "b"], "command": "x", "enabled": true, "callTimeout": 600`
	e := env("S", "1")
	first := one(t, base, e).Fingerprint()
	if len(first) != 64 || one(t, same, e).Fingerprint() != first {
		t.Error("equal definitions have different fingerprints")
	}
	seen := map[string]string{first: base}
	for _, other := range []string{
		strings.Replace(base, `"a", "b"`, `"b", "a"`, 1),
		strings.Replace(base, `"a", "b"`, `"ab"`, 1),
		strings.Replace(base, `${S}`, `3`, 1),
		strings.Replace(base, `${S}`, `${NOT_SET}`, 1),
		strings.Replace(base, `${S}`, `${NOT_SET:-}`, 1),
		base + `, "cwd": "y"`, base + `, "enabled": false`, base + `, "protocol": "stateful"`, base + `, "prefix": ""`, base + `, "prefix": "s"`,
		base + `, "startTimeout": 1`, base + `, "callTimeout": 1`, base + `, "type": "stdio"`,
		`"url": "http://h/"`, `"url": "http://h/", "type": "http"`, `"url": "http://h/", "type": "sse"`,
		`"url": "http://h/", "headers": {"A": "1"}`, `"url": "http://h/", "headers": {"A": "2"}`,
	} {
		f := one(t, other, e).Fingerprint()
		if before, ok := seen[f]; ok {
			t.Errorf("equal fingerprints:\n%s\n%s", before, other)
		}
		seen[f] = other
	}
}
