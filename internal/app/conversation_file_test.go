package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// A conversation is one file of testdata/conversations: what a client and a server say to
// each other through the gateway, in words that are the same for every pair of them.
//
// Its comment has headers, a line each:
//
//	row: the row of docs/what-crosses.md that it shows; there may be several
//	cell: the pairs that it is for; * is all, and patterns of "client>server" as in
//	      "stateful>stateless", "stateless/http>stdio", "*>stateful" narrow them
//	not: pattern: reason   the row has no such pair, for one of the reasons there are
//	client: revisions of the stateful clients; 2025-11-25 unless it says otherwise
//	server: revisions of the stateful servers; the same
//	declares: the capabilities of the client, an object
//	level: the log level that the client asks for
//	endpoint: own   the client comes to the endpoint of the server alone
//	config: members of the servers' definitions, an object
//	gateway: members of the config's "gateway", an object; after a [pattern] for the pairs of
//	      that pattern alone
//
// Its section "server" names scripts, a line each, which the gateway has as servers of these
// names. Its section "talk" has the steps; see conversation_steps_test.go. A file without a
// talk only says why its row has no pairs.
type conversation struct {
	name    string // of the file
	rows    []string
	cells   []pattern
	reasons []exclusion

	clients, servers []string // revisions
	declares, level  string
	own              bool
	config, gateway  string // raw objects, or empty
	gatewayWhen      pattern

	scripts []string
	talk    []line
}

// A line is one step and where it stands.
type line struct {
	where string
	when  pattern
	words string // the first is the verb
}

// An exclusion says why some pairs of a row are left out.
type exclusion struct {
	what   pattern
	reason string
}

// A pair is one way through the gateway.
type pair struct{ client, server binding }

func (p pair) String() string { return p.client.name + " to " + p.server.name }

// A cell is the eras of a pair.
func (p pair) cell() int {
	n := 0
	if p.client.stateless {
		n += 2
	}
	if p.server.stateless {
		n++
	}
	return n
}

var cellNames = []string{"stateful > stateful", "stateful > stateless", "stateless > stateful", "stateless > stateless"}

// The bindings of clients, named as those of servers are.
var clientBindings = []binding{
	{name: "http-stateful"}, {name: "sse", line: true}, {name: "stdio-stateful", line: true, pipe: true},
	{name: "http-stateless", stateless: true}, {name: "stdio-stateless", stateless: true, line: true, pipe: true},
}

func pairs() (all []pair) {
	for _, c := range clientBindings {
		for _, s := range serverBindings {
			all = append(all, pair{c, s.binding})
		}
	}
	return all
}

// A pattern picks pairs: a side is *, an era, a transport (http, sse, stdio), or both with a
// slash between. An empty one picks all.
type pattern struct{ client, server string }

func parsePattern(s string) (pattern, error) {
	client, server, both := strings.Cut(s, ">")
	if !both {
		server = client
		if s != "*" {
			return pattern{}, fmt.Errorf("%q is no pattern of client>server", s)
		}
	}
	for _, side := range []string{client, server} {
		for word := range strings.SplitSeq(side, "/") {
			if !slices.Contains([]string{"*", "stateful", "stateless", "http", "sse", "stdio"}, word) {
				return pattern{}, fmt.Errorf("%q in the pattern %q", word, s)
			}
		}
	}
	return pattern{client, server}, nil
}

// conditional takes the [pattern] off that words may begin with.
func conditional(words string) (when pattern, rest string, err error) {
	rest, ok := strings.CutPrefix(words, "[")
	if !ok {
		return pattern{}, words, nil
	}
	of, rest, _ := strings.Cut(rest, "]")
	when, err = parsePattern(of)
	return when, strings.TrimSpace(rest), err
}

func (p pattern) matches(of pair) bool { return side(p.client, of.client) && side(p.server, of.server) }

func side(want string, b binding) bool {
	for word := range strings.SplitSeq(want, "/") {
		is := true
		switch word {
		case "", "*":
		case "stateful":
			is = !b.stateless
		case "stateless":
			is = b.stateless
		default:
			is = strings.HasPrefix(b.name, word)
		}
		if !is {
			return false
		}
	}
	return true
}

func (v *conversation) covers(p pair) bool {
	return slices.ContainsFunc(v.cells, func(c pattern) bool { return c.matches(p) })
}

// gatewayOf is what a pair needs of the config's "gateway".
func (v *conversation) gatewayOf(p pair) string {
	if !v.gatewayWhen.matches(p) {
		return ""
	}
	return v.gateway
}

// readConversations reads every file, in order.
func readConversations(t *testing.T) (all []*conversation) {
	t.Helper()
	files, err := filepath.Glob("testdata/conversations/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := &conversation{name: strings.TrimSuffix(filepath.Base(file), ".txtar")}
		if err := v.parse(string(raw)); err != nil {
			t.Fatalf("%s:%v", file, err)
		}
		all = append(all, v)
	}
	return all
}

// parse reads a file; its errors begin with a line number.
func (v *conversation) parse(text string) error {
	archive := txtar.Parse([]byte(text))
	n := 0
	for header := range strings.Lines(string(archive.Comment)) {
		n++
		header = strings.TrimSpace(header)
		if header == "" || strings.HasPrefix(header, "#") {
			continue
		}
		if err := v.header(header); err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
	}
	for _, f := range archive.Files {
		n++
		for words := range strings.Lines(string(f.Data)) {
			n++
			words = strings.TrimSpace(words)
			if words == "" || strings.HasPrefix(words, "#") {
				continue
			}
			if err := v.content(f.Name, words, n); err != nil {
				return fmt.Errorf("%d: %w", n, err)
			}
		}
	}
	if v.clients == nil {
		v.clients = []string{"2025-11-25"}
	}
	if v.servers == nil {
		v.servers = []string{"2025-11-25"}
	}
	switch {
	case v.rows == nil:
		return fmt.Errorf("1: no row")
	case len(v.talk) > 0 && (v.cells == nil || v.scripts == nil):
		return fmt.Errorf("1: a talk without cell or server")
	}
	return nil
}

func (v *conversation) header(text string) error {
	key, value, _ := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	switch key {
	case "row":
		v.rows = append(v.rows, value)
	case "cell":
		for word := range strings.FieldsSeq(value) {
			p, err := parsePattern(word)
			if err != nil {
				return err
			}
			v.cells = append(v.cells, p)
		}
	case "not":
		what, reason, _ := strings.Cut(value, ":")
		p, err := parsePattern(strings.TrimSpace(what))
		if err != nil {
			return err
		}
		v.reasons = append(v.reasons, exclusion{p, strings.TrimSpace(reason)})
	case "client":
		v.clients = strings.Fields(value)
	case "server":
		v.servers = strings.Fields(value)
	case "declares":
		v.declares = value
	case "level":
		v.level = value
	case "endpoint":
		v.own = value == "own"
	case "config":
		v.config = value
	case "gateway":
		var err error
		v.gatewayWhen, v.gateway, err = conditional(value)
		return err
	default:
		return fmt.Errorf("no header is called %q", key)
	}
	return nil
}

func (v *conversation) content(section, words string, n int) error {
	switch section {
	case "server":
		v.scripts = append(v.scripts, words)
	case "talk":
		when, words, err := conditional(words)
		if err != nil {
			return err
		}
		v.talk = append(v.talk, line{fmt.Sprintf("testdata/conversations/%s.txtar:%d", v.name, n), when, words})
	default:
		return fmt.Errorf("no section is called %q", section)
	}
	return nil
}
