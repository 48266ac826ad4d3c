package config

import "net/url"

// roots reads a list of {"uri": "file:///…", "name": "…"}.
func (n node) roots() []Root {
	var out []Root
	for _, e := range n.list() {
		var root Root
		said := false
		e.read(
			setting{"uri", func(n node) {
				said = true
				s, ok := n.text()
				if !ok {
					return
				}
				if u, err := url.Parse(s); err != nil || u.Scheme == "" {
					n.problem("must be a URI such as \"file:///home/me/project\"")
					return
				}
				root.URI = s
			}},
			setting{"name", func(n node) { root.Name, _ = n.text() }},
		)
		switch {
		case root.URI != "":
			out = append(out, root)
		case e.isObject() && !said:
			e.problem("needs \"uri\", such as \"file:///home/me/project\"")
		}
	}
	return out
}
