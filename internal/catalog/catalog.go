// Package catalog merges what servers list into one immutable View: entries under their
// exposed names, and the encoded list. It is pure but for Catalog, the one place that the
// current View is published. It starts nothing and reaches no server.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
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

// An Entry is one tool as clients see it.
type Entry struct {
	Target     mcp.Target
	Definition []byte // raw, under its exposed name
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
			Target:     mcp.Target{Server: server, Kind: "tool", Canonical: canonical, Origin: name, Definition: tool, Handler: handler},
			Definition: rawjson.AppendEdited(nil, tool, rawjson.Edit{Key: "name", Value: rawjson.AppendText(nil, canonical)}),
		})
	}
	return p
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

// A View is one consistent state of everything that clients see.
type View struct {
	list         []byte
	fingerprint  string
	entries      map[string]*Entry
	order        []*Entry
	instructions []Instruction
	left         []string
}

// An Instruction is a server's own account of how to use it.
type Instruction struct{ Server, Text string }

// maxInstruction bounds what one server may say in the gateway's instructions.
const maxInstruction = 4 << 10

// Merge makes a View of parts, in their order.
func Merge(parts []*Part, b Bounds) *View {
	v := &View{entries: map[string]*Entry{}, list: []byte(`{"tools":[`)}
	for _, p := range parts {
		if p.Instructions != "" {
			v.instructions = append(v.instructions, Instruction{p.Server, cut(p.Instructions, maxInstruction)})
		}
		for i := range p.Entries {
			e := &p.Entries[i]
			if len(v.list)+len(e.Definition) > b.CatalogBytes {
				v.left = append(v.left, fmt.Sprintf("%s: the list of all tools reached its bound of %d bytes", e.Target.Canonical, b.CatalogBytes))
				continue
			}
			if len(v.order) > 0 {
				v.list = append(v.list, ',')
			}
			v.list = append(v.list, e.Definition...)
			v.order = append(v.order, e)
			v.entries[e.Target.Canonical] = e
		}
	}
	v.list = append(v.list, "]}"...)
	sum := sha256.Sum256(v.list)
	v.fingerprint = hex.EncodeToString(sum[:])
	return v
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// Tool finds a tool by an exposed name.
func (v *View) Tool(name string) *Entry { return v.entries[name] }

// Tools are all entries in the order of the list. The slice is not to be changed.
func (v *View) Tools() []*Entry { return v.order }

// ToolList is the encoded result of a tools/list. It is not to be changed.
func (v *View) ToolList() []byte { return v.list }

// Fingerprint is equal for views that list the same.
func (v *View) Fingerprint() string { return v.fingerprint }

// Instructions are those of the servers that gave any, in order.
func (v *View) Instructions() []Instruction { return v.instructions }

// Left tells what bounds kept out of the merged list.
func (v *View) Left() []string { return v.left }

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
