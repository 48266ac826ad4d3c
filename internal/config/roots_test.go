package config

import (
	"slices"
	"strings"
	"testing"
)

func TestSessionsRootsAndInstructions(t *testing.T) {
	const file = `{"mcpServers": {"files": {"command": "x", "sessions": "per-client", "instructions": false,
  "roots": [{"uri": "file:///home/me"}, {"uri": "file:///srv", "name": "data"}]}, "other": {"command": "y"}}}`
	cfg, err := Parse("gateway.json", []byte(file), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	s := cfg.Servers[0]
	if s.Sessions != SessionsPerClient || s.Instructions || !slices.Equal(s.Roots, []Root{{"file:///home/me", ""}, {"file:///srv", "data"}}) {
		t.Errorf("got %q %v %v", s.Sessions, s.Instructions, s.Roots)
	}
	if o := cfg.Servers[1]; o.Sessions != SessionsShared || !o.Instructions || o.Roots != nil {
		t.Errorf("without any: %q %v %v", o.Sessions, o.Instructions, o.Roots)
	}
	if s.Fingerprint() == func() string { s.Roots = s.Roots[:1]; return s.Fingerprint() }() {
		t.Error("roots do not count in the fingerprint")
	}
}

func TestRootsMustBeURIs(t *testing.T) {
	for roots, want := range map[string]string{
		`[{"uri": "/home/me"}]`:         "must be a URI",
		`[{"name": "x"}]`:               `needs "uri"`,
		`[{"uri": "file:///", "x": 1}]`: "roots[0].x",
	} {
		_, err := Parse("gateway.json", []byte(`{"mcpServers": {"a": {"command": "x", "roots": `+roots+`}}}`), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", roots, err, want)
		}
	}
}

func noEnv(string) (string, bool) { return "", false }
