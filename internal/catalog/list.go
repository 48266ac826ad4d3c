package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"sync"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A scope is what one endpoint shows of one kind.
type scope struct {
	shelf   *shelf
	view    *View // nil for a server alone, whose URIs stay as they are
	entries []*Entry
	names   []string // parallel to entries

	once        sync.Once
	list        []byte
	fingerprint string
}

// List is the encoded result of listing a kind. It is not to be changed.
func (v *View) List(kind mcp.Kind, s mcp.Scope) []byte { return v.scope(kind, s).encoded().list }

// Fingerprint is equal for views that list the same.
func (v *View) Fingerprint(kind mcp.Kind, s mcp.Scope) string {
	return v.scope(kind, s).encoded().fingerprint
}

func (c *scope) encoded() *scope {
	c.once.Do(func() {
		c.list = c.appendList(nil, 0, len(c.entries))
		c.list = append(c.list, '}')
		sum := sha256.Sum256(c.list)
		c.fingerprint = hex.EncodeToString(sum[:])
	})
	return c
}

// appendList appends the beginning of a result, with entries from to to; the closing brace
// is the caller's.
func (c *scope) appendList(dst []byte, from, to int) []byte {
	dst = append(append(append(dst, `{"`...), c.shelf.kind.Member()...), `":[`...)
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = c.appendEntry(dst, c.entries[i], c.names[i])
	}
	return append(dst, ']')
}

// appendEntry appends a definition under its exposed name; all else in it stays as it is.
func (c *scope) appendEntry(dst []byte, e *Entry, name string) []byte {
	raw := e.Target.Definition
	edits := make([]rawjson.Edit, 0, 2)
	switch {
	case name == e.Target.Origin:
	case name == e.Target.Canonical && !c.shelf.isURI():
		raw = e.Definition
	default:
		edits = append(edits, rawjson.Edit{Key: keys[c.shelf.kind], Value: rawjson.AppendText(nil, name)})
	}
	if e.app != "" && c.view != nil {
		if app := c.view.Link(e.Target.Server, e.app); app != e.app {
			edits = append(edits, rawjson.Edit{Key: "_meta", Value: WithApp(rawjson.Get(raw, "_meta"), func(string) string { return app })})
		}
	}
	if len(edits) == 0 {
		return append(dst, raw...)
	}
	return rawjson.AppendEdited(dst, raw, edits...)
}

// WithApp gives a _meta whose references to the resource of an MCP App are what f makes of
// them. It is the same slice where f changes nothing.
func WithApp(meta []byte, f func(uri string) string) []byte {
	edited := func(obj []byte, key string) []byte {
		uri, ok := rawjson.Text(rawjson.Get(obj, key))
		if !ok {
			return obj
		}
		next := f(uri)
		if next == uri {
			return obj
		}
		return rawjson.AppendEdited(nil, obj, rawjson.Edit{Key: key, Value: rawjson.AppendText(nil, next)})
	}
	if len(meta) == 0 || meta[0] != '{' {
		return meta
	}
	if ui := rawjson.Get(meta, "ui"); len(ui) > 0 && ui[0] == '{' {
		if next := edited(ui, "resourceUri"); len(next) != len(ui) || &next[0] != &ui[0] {
			meta = rawjson.AppendEdited(nil, meta, rawjson.Edit{Key: "ui", Value: next})
		}
	}
	return edited(meta, FlatApp)
}

// A Place is where a page of a list ended: after an entry of a server. Before are the keys
// of that entry and of those before it, the last one first.
type Place struct {
	Server string
	Rank   int
	Before []uint64
}

// maxBefore is how many entries may go from a list before a page is shown twice.
const maxBefore = 8

// Page gives the entries of a list that follow a place, nil for its beginning, and the
// place where the page ends, nil at the end of the list. What goes from the list or comes to
// it in between costs no other entry its turn.
func (v *View) Page(kind mcp.Kind, s mcp.Scope, after *Place, size int) (list []byte, next *Place) {
	c := v.scope(kind, s)
	from := 0
	if after != nil {
		from = c.after(v, after)
	}
	to := min(from+size, len(c.entries))
	list = c.appendList(nil, from, to)
	if to < len(c.entries) {
		next = c.place(v, to-1)
	}
	return list, next
}

func key(e *Entry) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.Target.Origin))
	return h.Sum64()
}

func (c *scope) place(v *View, last int) *Place {
	server := c.entries[last].Target.Server
	p := &Place{Server: server, Rank: v.ranks[server]}
	for i := last; i >= 0 && len(p.Before) < maxBefore && c.entries[i].Target.Server == server; i-- {
		p.Before = append(p.Before, key(c.entries[i]))
	}
	return p
}

// after is the index of what follows a place: in the list of its server, or where that is
// gone, with the servers that come after it.
func (c *scope) after(v *View, p *Place) int {
	begin, end := len(c.entries), len(c.entries)
	found := map[uint64]int{}
	for i, e := range c.entries {
		switch server := e.Target.Server; {
		case server == p.Server:
			begin = min(begin, i)
			found[key(e)] = i
		case v.ranks[server] >= p.Rank:
			end = min(end, i)
		}
	}
	if len(found) == 0 {
		return end
	}
	for _, k := range p.Before {
		if i, ok := found[k]; ok {
			return i + 1
		}
	}
	return begin
}
