package route

import (
	"bytes"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// shownLinks is a result whose URIs are those that the caller's endpoint shows; the same
// slice where they are. URIs that nobody lists are remembered for the caller, if without that
// it could not be known whose they are.
func (r *Router) shownLinks(view *catalog.View, c *mcp.Call, result []byte) []byte {
	server := c.Target.Server
	if server == "" {
		return result
	}
	read := c.Method == mcp.ResourcesRead && c.Name != c.Target.Origin
	alone := c.From.Scope.Server != "" || view.Only() == server
	if alone && !read || !mayLink(result) {
		return result
	}
	shown := func(uri string) string {
		if read && uri == c.Target.Origin {
			return c.Name
		}
		if alone {
			return uri
		}
		link := view.Link(server, uri)
		if link == uri && !view.Lists(server, uri) {
			r.given.put(c.From, uri, server)
		}
		return link
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
