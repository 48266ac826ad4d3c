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
		`"/home/me"`:                    `roots: must be a list of objects: [{"uri": "file:///home/me"}]`,
		`["/home/me"]`:                  `roots[0]: must be an object, as in [{"uri": "file:///home/me"}]`,
		`[{"uri": "${NO:-/home/me}"}]`:  "roots[0].uri: must be a URI",
		`[{"uri": "${NO"}]`:             "roots[0].uri: ${ is not closed",
	} {
		_, err := Parse("gateway.json", []byte(`{"mcpServers": {"a": {"command": "x", "roots": `+roots+`}}}`), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", roots, err, want)
		}
	}
}

// TestRootsHoldVariables, and are held against the rules with those put in.
func TestRootsHoldVariables(t *testing.T) {
	e := env("HOME", "/home/me", "USER", "me", "PLAIN", "notes")
	for roots, want := range map[string]Server{
		`[{"uri": "file://${HOME}/x", "name": "of ${USER}"}]`: {Roots: []Root{{"file:///home/me/x", "of me"}}},
		`[{"uri": "file:///${USER}/$${x}"}]`:                  {Roots: []Root{{"file:///me/${x}", ""}}},
		`[{"uri": "${PLAIN}"}]`:                               {Problem: "roots[0].uri must be a URI such as \"file:///home/me/project\"; see the value of ${PLAIN}"},
		`[{"uri": "${NO}", "name": "${NO_NAME}"}]`:            {Problem: "variables NO and NO_NAME are not set; set them or write ${NO:-default}"},
	} {
		got := one(t, `"command": "x", "roots": `+roots, e)
		if !slices.Equal(got.Roots, want.Roots) || got.Problem != want.Problem {
			t.Errorf("%s: got %v, problem %q", roots, got.Roots, got.Problem)
		}
	}
}

// TestRootsBesidePerClientAreWarnedOf, since clients' own connections have none of them.
func TestRootsBesidePerClientAreWarnedOf(t *testing.T) {
	const roots = `, "roots": [{"uri": "file:///srv"}]`
	for members, want := range map[string]string{
		`"command": "x", "sessions": "per-client"` + roots:      `f.json:1:65: mcpServers.s.roots: counts only where the server lists for all clients; `,
		`"command": "x", "sessions": "shared"` + roots:          "",
		`"command": "x"` + roots:                                "",
		`"command": "x", "sessions": "per-client", "roots": []`: "",
	} {
		c, err := Parse("f.json", []byte(`{"mcpServers": {"s": {`+members+`}}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := Problems(c.Warnings); want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0].Error(), want)) {
			t.Errorf("%s:\n got %v\nwant %s", members, got, want)
		}
	}
}

func noEnv(string) (string, bool) { return "", false }
