package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// hashOf is how a name ends that could not stay as it is.
func hashOf(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(sum[:])[:10]
}

// exposed are the rows of GET /tools: canonical name, dotted, safe.
func exposed(t testing.TB, g *gateway) (rows []string) {
	t.Helper()
	var list struct {
		Tools []struct {
			Name, Server, OriginName string
			Exposed                  struct{ Dotted, Safe string }
		}
	}
	if err := json.Unmarshal([]byte(g.must(http.StatusOK, "GET", "/tools", "")), &list); err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		if tool.Name != tool.Server+"."+tool.OriginName {
			t.Errorf("%+v", tool)
		}
		rows = append(rows, tool.Name+" "+tool.Exposed.Dotted+" "+tool.Exposed.Safe)
	}
	return rows
}

// TestPrefixes: a prefix stands in for the server's name, none gives bare names, and of two
// equal ones the earlier server keeps it.
func TestPrefixes(t *testing.T) {
	one := speaking(t, "one", []string{"read", "list", "two.read"}, "prefix", "")
	g := start(t, servers(
		"files", speaking(t, "files", []string{"read"}, "prefix", "fs"),
		"one", one,
		"two", speaking(t, "two", []string{"read"}, "prefix", ""))).ready()
	want := []string{"files.read fs.read fs__read", "one.read read read", "one.list list list", "one.two.read one.two.read two_read_" + hashOf("one.two.read"), "two.read two.read two__read"}
	if got := exposed(t, g); !slices.Equal(got, want) {
		t.Errorf("GET /tools gives %q\nnot %q", got, want)
	}
	all := append(visitors(t, g, "", ""), visitors(t, g, "", "?names=safe")...)
	for i, c := range all {
		if i < 3 {
			wantListed(t, c, "fs.read", "read", "list", "one.two.read", "two.read")
		} else {
			wantListed(t, c, "fs__read", "read", "list", "two_read_"+hashOf("one.two.read"), "two__read")
		}
		wantSaid(t, c, "fs.read", "files:read", "fs__read", "files:read", "files.read", "files:read", "read", "one:read", "one.read", "one:read",
			"two.read", "two:read", "two__read", "two:read", "one.two.read", "one:two.read", "list", "one:list")
	}
	wantRefused(t, all[0], "files__read", "unknown_tool", `unknown tool: "files__read"; did you mean fs.read?`)

	g.must(http.StatusNoContent, "DELETE", "/servers/one", "")
	for i, c := range all {
		told(t, c, "one went")
		if i < 3 {
			wantListed(t, c, "fs.read", "read")
		} else {
			wantListed(t, c, "fs__read", "read")
		}
		wantSaid(t, c, "read", "two:read", "two.read", "two:read", "fs.read", "files:read")
	}
	// Who comes back comes last, and displaces nobody.
	g.must(http.StatusCreated, "POST", "/servers", servers("one", one))
	for i, c := range all {
		told(t, c, "one came back")
		if i < 3 {
			wantListed(t, c, "fs.read", "read", "one.read", "list", "one.two.read") // two.read is two's own, shown or not
		} else {
			wantListed(t, c, "fs__read", "read", "one__read", "list", "two_read_"+hashOf("one.two.read"))
		}
		wantSaid(t, c, "read", "two:read", "two.read", "two:read", "one.read", "one:read", "fs__read", "files:read")
		noStray(t, c)
	}
}

// TestTakenPrefixes: what stands before a tool's name belongs to one server.
func TestTakenPrefixes(t *testing.T) {
	define := func(more ...any) string { return speaking(t, "s", []string{"read"}, more...) }
	g := start(t, servers("files", define("prefix", "fs"), "plain", define(), "bare", define("prefix", ""))).ready()
	before := exposed(t, g)
	for _, tt := range []struct{ name, body string }{
		{"fs", servers("fine", define(), "fs", define())},
		{"FS", servers("FS", define("prefix", "other"))},
		{"new", servers("new", define("prefix", "fs"))},
		{"new", servers("fine", define(), "new", define("prefix", "PLAIN"))},
		{"new", servers("new", define("prefix", "files"))},
		{"new", servers("new", define("prefix", "bare"))},
		{"plain", servers("plain", define("prefix", "unique"))},
	} {
		var said struct {
			Error string
			Names []string
		}
		text := g.must(http.StatusConflict, "POST", "/servers", tt.body)
		if err := json.Unmarshal([]byte(text), &said); err != nil || !slices.Equal(said.Names, []string{tt.name}) || !strings.Contains(said.Error, "prefix") {
			t.Errorf("%s: %s", tt.body, text)
		}
	}
	for _, body := range []string{
		servers("new", define("prefix", "next"), "next", define()),
		servers("new", define("prefix", "x"), "next", define("prefix", "X")),
		servers("new", define("prefix", "not valid")),
		servers("new", define("prefix", "a.b")),
		servers("new", define("prefix", 5)),
	} {
		if text := g.must(http.StatusBadRequest, "POST", "/servers", body); !strings.Contains(text, "prefix") {
			t.Errorf("%s: %s", body, text)
		}
	}
	if got := exposed(t, g); !slices.Equal(got, before) {
		t.Errorf("GET /tools gives %q after refusals, not %q", got, before)
	}
	g.must(http.StatusCreated, "POST", "/servers", servers("new", define("prefix", "new"), "another", define("prefix", "")))
	want := append(before, "new.read new.read new__read", "another.read another.read another__read")
	if got := exposed(t, g); !slices.Equal(got, want) {
		t.Errorf("GET /tools gives %q, not %q", got, want)
	}
	g.must(http.StatusNoContent, "DELETE", "/servers/files", "")
	g.must(http.StatusCreated, "POST", "/servers", servers("fs", define())) // its prefix went with it
	wantSaid(t, gatetest.DialStateless(t, g.url), "fs.read", "s:read")
}
