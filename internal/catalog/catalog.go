// Package catalog merges what servers list into one immutable View: entries under their
// exposed names, and the encoded list. It is pure but for Catalog, the one place that the
// current View is published. It starts nothing and reaches no server.
package catalog

import (
	"fmt"
	"slices"
	"sync/atomic"
	"unicode"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds on what one server may list, and on all lists together.
type Bounds struct {
	ToolsPerServer int
	ToolBytes      int // of one definition
	CatalogBytes   int // of the encoded list
}

// An Entry is one tool. What clients call it depends on the View.
type Entry struct {
	Target     mcp.Target
	Definition []byte // raw, under its canonical name

	prefixed [styles]string // its names under its server's prefix, which only it has
	bare     [styles]string // its names without; empty where its server has a prefix
}

// A Part is what one server contributes.
type Part struct {
	Server       string
	Instructions string
	Entries      []Entry
	Left         []string // what was left out and why, for operators
}

// separator stands between a server's name and a tool's in the canonical name. Server
// names have none of it, so the first one tells them apart.
const separator = "."

// Prepare makes a Part of a server's raw tool definitions. What cannot be shown is left
// out and reported; it never hides the rest.
func Prepare(server, instructions string, tools [][]byte, handler mcp.Handler, b Bounds) *Part {
	p := &Part{Server: server, Instructions: instructions}
	known := map[string]bool{}
	for i, tool := range tools {
		if len(p.Entries) >= b.ToolsPerServer {
			p.Left = append(p.Left, fmt.Sprintf("%d tools beyond the bound of %d", len(tools)-i, b.ToolsPerServer))
			break
		}
		name, fault := inspect(tool, b.ToolBytes)
		if fault == "" && known[name] {
			fault = "its name is listed twice; the first one is kept"
		}
		if fault != "" {
			p.Left = append(p.Left, fmt.Sprintf("tool %d (%.80q): %s", i+1, name, fault))
			continue
		}
		known[name] = true
		canonical := server + separator + name
		p.Entries = append(p.Entries, Entry{
			prefixed:   [styles]string{dotted(server, name, canonical), safe(server, name, canonical)},
			Target:     mcp.Target{Server: server, Kind: "tool", Canonical: canonical, Origin: name, Definition: tool, Handler: handler},
			Definition: rawjson.AppendEdited(nil, tool, rawjson.Edit{Key: "name", Value: rawjson.AppendText(nil, canonical)}),
		})
	}
	return p
}

// Prefix puts another prefix before the names, which is one that no other server has, or
// none at all. It may be called before the Part is merged.
func (p *Part) Prefix(prefix string) {
	for i := range p.Entries {
		e := &p.Entries[i]
		name, canonical := e.Target.Origin, e.Target.Canonical
		under := prefix
		if prefix == "" { // where its bare name is taken it yields to the prefixed one
			under = p.Server
			e.bare = [styles]string{dotted("", name, canonical), safe("", name, canonical)}
		}
		e.prefixed = [styles]string{dotted(under, name, canonical), safe(under, name, canonical)}
	}
}

// inspect reads a definition's name and says what keeps it from being shown.
func inspect(tool []byte, most int) (name, fault string) {
	if tool[0] != '{' {
		return "", "it is no object"
	}
	name, ok := rawjson.Text(rawjson.Get(tool, "name"))
	switch {
	case !ok || name == "":
		return "", "it has no name"
	case len(name) > 256:
		return name, "its name is longer than 256 bytes"
	case slices.ContainsFunc([]rune(name), unprintable):
		return name, "its name has control or direction characters"
	case len(tool) > most:
		return name, fmt.Sprintf("its definition is larger than %d bytes", most)
	case rawjson.CheckMembers(tool) != nil:
		return name, "its definition has a member twice"
	}
	schema := rawjson.Get(tool, "inputSchema")
	if len(schema) == 0 || schema[0] != '{' || string(rawjson.Get(schema, "type")) != `"object"` {
		return name, `its inputSchema is not an object schema ("type":"object")`
	}
	return name, ""
}

// unprintable tells control, format and direction characters, and what is no character.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}

// Catalog publishes the current View. Reading takes no lock.
type Catalog struct {
	now atomic.Pointer[state]
}

type state struct {
	view    *View
	changed chan struct{}
}

// New makes a Catalog with an empty View.
func New() *Catalog {
	c := &Catalog{}
	c.now.Store(&state{Merge(nil, Bounds{}), make(chan struct{})})
	return c
}

// View is the current View.
func (c *Catalog) View() *View { return c.now.Load().view }

// Watch gives the current View and a channel that is closed when it is replaced.
func (c *Catalog) Watch() (*View, <-chan struct{}) {
	s := c.now.Load()
	return s.view, s.changed
}

// Swap replaces the View. Only the registry calls it.
func (c *Catalog) Swap(v *View) {
	old := c.now.Swap(&state{v, make(chan struct{})})
	close(old.changed)
}
