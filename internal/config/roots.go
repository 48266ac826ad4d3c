package config

import (
	"net/url"

	"github.com/tailscale/hujson"
)

// rootsLook is what to write, told to whoever wrote something else.
const rootsLook = `[{"uri": "file:///home/me"}]`

// roots reads a list of {"uri": "file:///…", "name": "…"}.
func (r *serverReader) roots(n node) []Root {
	list, ok := n.value.(*hujson.Array)
	if !ok {
		n.problem("must be a list of objects: %s", rootsLook)
		return nil
	}
	var out []Root
	for _, e := range n.elements(list) {
		if !e.isObject() {
			e.problem("must be an object, as in %s", rootsLook)
			continue
		}
		var root Root
		said := false
		e.read(
			setting{"uri", func(n node) {
				said = true
				root.URI = r.rootURI(n)
			}},
			setting{"name", func(n node) {
				name, _ := r.expanded(n)
				root.Name = name.text
			}},
		)
		switch {
		case root.URI != "":
			out = append(out, root)
		case !said:
			e.problem("needs \"uri\", such as \"file:///home/me/project\"")
		}
	}
	return out
}

// rootURI reads a URI; it is empty where what stands there is none.
func (r *serverReader) rootURI(n node) string {
	e, ok := r.expanded(n)
	if !ok {
		return ""
	}
	if u, err := url.Parse(e.text); err != nil || u.Scheme == "" {
		r.fault(n, e, "must be a URI such as \"file:///home/me/project\"")
		return ""
	}
	return e.text
}
