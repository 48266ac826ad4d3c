// Package catalog merges what servers list into one immutable View: entries of every kind
// under their exposed names and URIs, and the encoded lists. It is pure but for Catalog, the
// one place that the current View is published. It starts nothing and reaches no server.
package catalog

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds on what one server may list, and on all lists together.
type Bounds struct {
	ToolsPerServer int // entries of each kind
	ToolBytes      int // of one definition
	CatalogBytes   int // of the encoded list of each kind
}

// A List is what a server listed of one kind.
type List struct {
	Entries [][]byte  // raw definitions, in the server's order
	Fresh   time.Time // until when the list is fresh; zero where that is not known
	None    bool      // the server does not offer the kind at all
}

// Lists are what a server listed of all kinds.
type Lists [mcp.Kinds]List

// An Entry is one tool, prompt, resource or template. What clients call it depends on the
// View.
type Entry struct {
	Target     mcp.Target
	Definition []byte // raw; of tools and prompts under the canonical name

	prefixed [styles]string // its names under its server's prefix, which only it has
	bare     [styles]string // its names without; empty where its server has a prefix
	app      string         // of a tool: the URI of the resource that shows it; empty for none
	match    *matcher       // of a template
}

// A Part is what one server contributes.
type Part struct {
	Server       string
	Instructions string
	Rank         int // orders the servers of a View; never smaller for a later one
	Entries      [mcp.Kinds][]Entry
	Left         []string // what was left out and why, for operators
	Gateways     []string // ids of the gateways that its entries come through

	sum    [sha256.Size]byte // of what it lists; equal for parts that show the same
	apps   []Entry           // resources that its tools are shown by, and that it does not list
	fresh  [mcp.Kinds]time.Time
	none   [mcp.Kinds]bool
	prefix string // before its names in place of Server; empty for none
}

// Prepare makes a Part of what a server listed. handler answers calls of its entries. What
// cannot be shown is left out and reported; it never hides the rest.
func Prepare(server, instructions string, lists Lists, handler mcp.Handler, b Bounds) *Part {
	p := &Part{Server: server, Instructions: instructions}
	for kind := range mcp.Kinds {
		p.prepare(kind, lists[kind].Entries, handler, b)
		p.fresh[kind], p.none[kind] = lists[kind].Fresh, lists[kind].None
	}
	p.addApps(handler)
	p.sum = p.digest()
	return p
}

// digest is a sum of what the part lists.
func (p *Part) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	for kind := range mcp.Kinds {
		_, _ = fmt.Fprintf(h, "%d %t\n", kind, p.none[kind])
		for i := range p.Entries[kind] {
			_, _ = h.Write(p.Entries[kind][i].Target.Definition)
			_, _ = h.Write([]byte{'\n'})
		}
	}
	h.Sum(sum[:0])
	return sum
}

// Bytes is how large the definitions are.
func (p *Part) Bytes() (n int) {
	for kind := range mcp.Kinds {
		for i := range p.Entries[kind] {
			n += len(p.Entries[kind][i].Definition)
		}
	}
	return n
}

// Same tells whether two parts of one server show the same.
func (p *Part) Same(q *Part) bool { return p.sum == q.sum }

// Count is how many entries of each kind there are.
func (p *Part) Count() (n [mcp.Kinds]int) {
	for kind := range mcp.Kinds {
		n[kind] = len(p.Entries[kind])
	}
	return n
}

// Prefix puts another prefix before the names, which is one that no other server has, or
// none at all. It may be called before the Part is merged. URIs have no prefix.
func (p *Part) Prefix(prefix string) {
	p.prefix = prefix
	for _, kind := range [...]mcp.Kind{mcp.Tools, mcp.Prompts} {
		for i := range p.Entries[kind] {
			e := &p.Entries[kind][i]
			name, canonical := e.Target.Origin, e.Target.Canonical
			under := prefix
			if prefix == "" { // where its bare name is taken it yields to the prefixed one
				under = p.Server
				e.bare = [styles]string{dotted("", name, canonical), safe("", name, canonical)}
			}
			e.prefixed = [styles]string{dotted(under, name, canonical), safe(under, name, canonical)}
		}
	}
}

// hasResources tells whether somebody may read of this server.
func (p *Part) hasResources() bool {
	return !p.none[mcp.Resources] || !p.none[mcp.Templates] || len(p.apps) > 0 ||
		len(p.Entries[mcp.Resources]) > 0 || len(p.Entries[mcp.Templates]) > 0
}

// addApps makes the resources known that tools are shown by: MCP Apps need not list them.
func (p *Part) addApps(handler mcp.Handler) {
	known := map[string]bool{}
	for i := range p.Entries[mcp.Resources] {
		known[p.Entries[mcp.Resources][i].Target.Origin] = true
	}
	for i := range p.Entries[mcp.Tools] {
		if uri := p.Entries[mcp.Tools][i].app; uri != "" && !known[uri] {
			known[uri] = true
			p.apps = append(p.apps, uriEntry(p.Server, "resource", uri, Moved(p.Server, uri), nil, handler))
		}
	}
}

// appOf is the URI of the resource that shows a tool (MCP Apps, SEP-1865, Tool-UI Linkage):
// _meta.ui.resourceUri, or its older flat form.
func appOf(tool []byte) string {
	meta := rawjson.Get(tool, "_meta")
	uri, ok := rawjson.Text(rawjson.Get(rawjson.Get(meta, "ui"), "resourceUri"))
	if !ok {
		uri, ok = rawjson.Text(rawjson.Get(meta, FlatApp))
	}
	if !ok || len(uri) > MaxURI {
		return ""
	}
	return uri
}

// FlatApp is the older place of the URI in the _meta of tools and results.
const FlatApp = "ui/resourceUri"

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

// Wake has everybody who watches look again, since some see something else than before. Only
// the registry calls it.
func (c *Catalog) Wake() { c.Swap(c.View()) }
