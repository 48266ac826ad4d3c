package app_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/what-crosses.md"

// sections are the rows of the page, in order. Each has a conversation for every pair, or a
// reason why not.
var sections = []struct {
	name string
	rows []string
}{
	{"Tools", []string{
		"Tools: list and call", "Tools: fields nobody knows and long numbers stay as they are", "Tools: lists of several pages",
		"Tools: news of a changed list", "Tools: `_meta` and traces", "Tools: results of any shape, with their schema",
		"Tools: parameters as headers (`x-mcp-header`)", "Tools: those that run as a task of 2025-11-25 only",
		"Tools: a client that makes a task of its call itself (2025-11-25)",
	}},
	{"Prompts", []string{"Prompts: list and get", "Prompts: news of a changed list", "Prompts: a question while one is made"}},
	{"Resources", []string{
		"Resources: list and read", "Resources: templates", "Resources: news of a changed list", "Resources: subscription and updates",
		"Resources: links in results", "Resources: a question while one is read", "MCP Apps: the resource of a tool",
	}},
	{"Completion", []string{"Completion: of a prompt's argument", "Completion: of a template's variable"}},
	{"During a call", []string{
		"Progress", "Cancellation", "A client that leaves", "Log lines at the level that the client asked for",
		"A client's broken stream is resumed", "A busy server puts a call off",
	}},
	{"Forms (elicitation)", rounds("Form")},
	{"URLs (elicitation)", append(rounds("URL"), "URL: the server says that it is done", "URL: a call that needs one first")},
	{"Sampling", rounds("Sampling")},
	{"Roots", append(rounds("Roots"), "Roots: the client tells that they changed")},
	{"More on questions", []string{
		"Questions: two at once", "Questions: one is taken back", "Questions: the client declared nothing", "Questions: a server that asks for ever",
		"Questions: the client tells of its progress with one",
	}},
	{"The rest", []string{
		"What a server says about itself (instructions)", "Ping", "How long a list stays fresh (caching hints)",
		"Requests that the gateway does not know, at a server's own endpoint", "Tasks (extension): a task is made, asked for, answered",
		"Tasks (extension): news of a task", "Tasks (extension): a client that did not declare it",
	}},
}

// rounds are the rows that each kind of question has.
func rounds(kind string) []string {
	return []string{kind + ": one question", kind + ": three, one after another", kind + ": declined", kind + ": answered with an error",
		kind + ": the client goes away", kind + ": nobody answers in time"}
}

// reasons are why a row may have no conversation of a pair, and what that means.
var reasons = []struct{ short, long string }{
	{"not in this revision", "one side speaks a revision of the protocol that does not have this, so there is nothing to carry."},
	{"needs `per-client`", "the server must have a connection for each client; set `\"sessions\": \"per-client\"` for it. Then it passes."},
	{"not on this transport", "the transport has no such thing: no headers on a pipe, no stream to resume."},
	{"by decision", "the gateway could, and does not: [why](adr/0010-what-does-not-cross.md)."},
	{"not built", "it is not there yet."},
}

// A row is one line of the table.
type row struct {
	name   string
	talks  []*conversation
	reason map[pair]string
}

// tabulate sorts the conversations into rows. It fails for a row that is not known, for a pair
// that has neither a conversation nor a reason, and for one that has both.
func tabulate(all []*conversation) (rows []*row, err error) {
	known := map[string]*row{}
	for _, s := range sections {
		for _, name := range s.rows {
			known[name] = &row{name: name, reason: map[pair]string{}}
			rows = append(rows, known[name])
		}
	}
	var problems []error
	for _, v := range all {
		for _, x := range v.reasons {
			if !slices.ContainsFunc(reasons, func(r struct{ short, long string }) bool { return r.short == x.reason }) {
				problems = append(problems, fmt.Errorf("%s: %q is no reason", v.name, x.reason))
			}
		}
		for _, name := range v.rows {
			if r := known[name]; r != nil {
				r.add(v)
			} else {
				problems = append(problems, fmt.Errorf("%s: no row is called %q", v.name, name))
			}
		}
	}
	for _, r := range rows {
		var empty []string
		for _, p := range pairs() {
			if r.performs(p) {
				delete(r.reason, p)
			} else if r.reason[p] == "" {
				empty = append(empty, p.String())
			}
		}
		if empty != nil {
			problems = append(problems, fmt.Errorf("%s: neither a conversation nor a reason for %d pairs: %s", r.name, len(empty), strings.Join(empty, ", ")))
		}
	}
	return rows, errors.Join(problems...)
}

func (r *row) add(v *conversation) {
	if v.talk != nil {
		r.talks = append(r.talks, v)
	}
	for _, x := range v.reasons {
		for _, p := range pairs() {
			if x.what.matches(p) && r.reason[p] == "" {
				r.reason[p] = x.reason
			}
		}
	}
}

func (r *row) performs(p pair) bool {
	return slices.ContainsFunc(r.talks, func(v *conversation) bool { return v.covers(p) })
}

// text says of one cell how much of it passed, and why not the rest.
func (r *row) text(cell int, done *tally) string {
	total, passed, mark := 0, 0, ""
	var why []string
	for _, p := range pairs() {
		if p.cell() != cell {
			continue
		}
		total++
		if r.performs(p) {
			if r.passed(p, done) {
				passed++
			}
			if r.own(p) {
				mark = " \\*"
			}
		} else if !slices.Contains(why, r.reason[p]) {
			why = append(why, r.reason[p])
		}
	}
	switch {
	case passed == total:
		return fmt.Sprintf("all %d%s", total, mark)
	case passed == 0:
		return strings.Join(why, "; ")
	}
	return fmt.Sprintf("%d of %d%s; else %s", passed, total, mark, strings.Join(why, "; "))
}

// own tells whether the server of a pair needs a connection for each client.
func (r *row) own(p pair) bool {
	return !p.server.stateless && slices.ContainsFunc(r.talks, func(v *conversation) bool { return v.covers(p) && strings.Contains(v.config, "per-client") })
}

// passed tells whether every conversation of the pair passed, as often as it was performed.
func (r *row) passed(p pair, done *tally) bool {
	some := false
	for _, v := range r.talks {
		if v.covers(p) {
			some = true
			if done.failed[v][p] > 0 || done.passed[v][p] == 0 {
				return false
			}
		}
	}
	return some
}

const intro = `# What crosses the gateway

<!-- Written by the test: UPDATE_DOCS=1 go test ./internal/app -run 'TestWhatCrosses$' -->

Your client and your server need not speak the same version of MCP, nor the same transport. The gateway stands between
them and says what one of them says in the way that the other understands. This page tells what that is, and what is not carried. It is
written by a test, which holds each of these conversations with scripted clients and servers through a real gateway; only
what passed is counted.

There are two families of versions. **Stateful** ones are 2024-11-05, 2025-03-26, 2025-06-18 and 2025-11-25: client and server
greet each other, and a server may ask its client things. **Stateless** is 2026-07-28: each request stands for itself, and a
server that wants to ask something answers "input required". So there are four cases, from the client's family to the
server's. Stateful clients and servers use Streamable HTTP, HTTP with SSE or stdio; stateless ones Streamable HTTP or stdio.
"All 9" means: with each of three transports of the client and each of three of the server.

`

const own = `\* with ` + "`\"sessions\": \"per-client\"`" + ` in the server's entry: always for roots, which concern no other client; and for servers on stdio and
HTTP+SSE, which all clients share, since after a call that was cancelled, or while several run, nobody knows whose the server's question is.
[Which servers need it](configuration.md#servers-that-ask-their-client).

`

// render makes the page.
func render(rows []*row, done *tally) string {
	var b strings.Builder
	b.WriteString(intro)
	at := 0
	for _, s := range sections {
		fmt.Fprintf(&b, "## %s\n\n| |", s.name)
		for _, name := range cellNames {
			b.WriteString(" " + name + " |")
		}
		b.WriteString("\n|---|---|---|---|---|\n")
		for range s.rows {
			r := rows[at]
			at++
			_, name, split := strings.Cut(r.name, ": ")
			if !split || !strings.HasPrefix(s.name, strings.TrimSuffix(r.name, ": "+name)) {
				name = r.name
			}
			b.WriteString("| " + name + " |")
			for cell := range cellNames {
				b.WriteString(" " + r.text(cell, done) + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	b.WriteString(own + "## What the reasons mean\n\n")
	for _, r := range reasons {
		if strings.Contains(b.String(), r.short) {
			fmt.Fprintf(&b, "- **%s**: %s\n", r.short, r.long)
		}
	}
	return b.String()
}

func checkPage(t *testing.T, rows []*row, done *tally) {
	t.Helper()
	want := render(rows, done)
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("docs/what-crosses.md is not what passed; UPDATE_DOCS=1 writes it (%v)\n%s", err, want)
	}
}

// partial tells whether only some of the conversations are performed.
func partial() bool {
	run := flag.Lookup("test.run")
	return run != nil && strings.Contains(run.Value.String(), "/")
}
