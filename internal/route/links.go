package route

import (
	"bytes"
	"strings"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// shownLinks is a result whose URIs are those that lead this caller back to the server that
// gave them; the same slice where they are. A resource that was read comes back under the URI
// that the caller asked for, and with a moved one all that came with it is moved.
//
// The only server that has resources needs none of this: what nobody lists leads to it.
func (r *Router) shownLinks(view *catalog.View, c *mcp.Call, result []byte) []byte {
	server := c.Target.Server
	if server == "" || !mayLink(result) {
		return result
	}
	read := c.Method == mcp.ResourcesRead
	alone := c.From.Scope.Server != "" || r.alone(view, c.From, server) && !mayLookMoved(result)
	if alone && (!read || c.Name == c.Target.Origin) {
		return result
	}
	moved := read && c.Name != c.Target.Origin && looksMoved(c.Name)
	shown := func(uri string) string {
		switch {
		case read && uri == c.Target.Origin:
			return c.Name
		case moved:
			return catalog.Moved(server, uri)
		case alone:
			return uri
		}
		return r.link(view, c.From, server, uri)
	}
	switch {
	case c.Method == mcp.ToolsCall:
		return toolLinks(result, shown)
	case c.Method == mcp.TasksGet: // what the task came to is a tool's result
		return editMember(result, "result", func(v []byte) []byte { return toolLinks(v, shown) })
	case c.Method == mcp.PromptsGet:
		return editMember(result, "messages", func(v []byte) []byte {
			return editElements(v, func(m []byte) []byte {
				return editMember(m, "content", func(v []byte) []byte { return contentLinks(v, shown) })
			})
		})
	case c.Method == mcp.ResourcesRead:
		return editMember(result, "contents", func(v []byte) []byte {
			return editElements(v, func(one []byte) []byte { return editText(one, "uri", shown) })
		})
	}
	return result
}

// alone tells whether what nobody lists leads this caller to the server.
func (r *Router) alone(view *catalog.View, to *mcp.Caller, server string) bool {
	return view.Only() == server && !r.given.any(to)
}

// link is the form of a URI that leads the caller back to the server that gave it: the plain
// one, unless that leads to another server, or was another's for this caller before.
//
// A web address of a server that has no resources stays: it cannot be read there under any
// name, and clients open it themselves (2026-07-28, server, Resources, Common URI Schemes).
func (r *Router) link(view *catalog.View, to *mcp.Caller, server, uri string) string {
	link := view.Link(server, uri)
	if link == uri && !view.Lists(server, uri) && !r.given.claim(to, uri, server) {
		link = catalog.Moved(server, uri)
	}
	if link != uri && isWeb(uri) && !view.Readable(server) {
		return uri
	}
	return link
}

func isWeb(uri string) bool {
	scheme, _, _ := strings.Cut(uri, "://")
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")
}

func looksMoved(uri string) bool {
	if _, _, ok := catalog.Unmoved(uri); ok {
		return true
	}
	_, _, ok := catalog.Unmoved(catalog.Normal(uri))
	return ok
}

// mayLookMoved tells at little cost of most results that no URI in them looks like a moved
// one. Of a server that spells such a URI otherwise its own link leads nowhere or astray.
func mayLookMoved(result []byte) bool {
	for _, part := range [...]string{"gw.", "GW.", "ateway:", "ATEWAY:"} {
		if bytes.Contains(result, []byte(part)) {
			return true
		}
	}
	return false
}

// mayLink tells at little cost of most results that no URI is in them.
func mayLink(result []byte) bool {
	return bytes.Contains(result, []byte(`"uri"`)) || bytes.Contains(result, []byte(`esourceUri"`))
}

func toolLinks(result []byte, shown func(string) string) []byte {
	result = editMember(result, "content", func(v []byte) []byte { return contentLinks(v, shown) })
	return editMember(result, "_meta", func(meta []byte) []byte { return catalog.WithApp(meta, shown) })
}

// contentLinks edits one content block or an array of them (2026-07-28, server, Tools,
// Resource Links and Embedded Resources).
func contentLinks(v []byte, shown func(string) string) []byte {
	if len(v) > 0 && v[0] == '[' {
		return editElements(v, func(one []byte) []byte { return blockLinks(one, shown) })
	}
	return blockLinks(v, shown)
}

func blockLinks(block []byte, shown func(string) string) []byte {
	switch string(rawjson.Get(block, "type")) {
	case `"resource_link"`:
		return editText(block, "uri", shown)
	case `"resource"`:
		return editMember(block, "resource", func(v []byte) []byte { return editText(v, "uri", shown) })
	}
	return block
}

// editMember puts what f makes of a member in its place.
func editMember(obj []byte, key string, f func([]byte) []byte) []byte {
	v := rawjson.Get(obj, key)
	if v == nil {
		return obj
	}
	next := f(v)
	if same(next, v) {
		return obj
	}
	return rawjson.AppendEdited(nil, obj, rawjson.Edit{Key: key, Value: next})
}

func editText(obj []byte, key string, f func(string) string) []byte {
	return editMember(obj, key, func(v []byte) []byte {
		text, ok := rawjson.Text(v)
		if !ok {
			return v
		}
		if next := f(text); next != text {
			return rawjson.AppendText(nil, next)
		}
		return v
	})
}

// editElements puts what f makes of each element in its place.
func editElements(arr []byte, f func([]byte) []byte) []byte {
	var out []byte
	changed := false
	for one := range rawjson.Elements(arr) {
		next := f(one)
		changed = changed || !same(next, one)
		out = append(append(out, ','), next...)
	}
	if !changed {
		return arr
	}
	out[0] = '['
	return append(out, ']')
}

// same tells whether two slices are one.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
