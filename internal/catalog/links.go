package catalog

import (
	"slices"
	"strings"
	"sync"

	"mcpgateway/internal/mcp"
)

// uriIndex holds what only URIs need that nobody lists as they are.
type uriIndex struct {
	once      sync.Once
	normal    map[string]*Entry // resources by their exposed URI, normalised
	templates []*Entry          // the most specific first
}

func (v *View) index() *uriIndex {
	v.uris.once.Do(func() {
		v.uris.normal = map[string]*Entry{}
		for _, e := range v.shelves[mcp.Resources].all {
			uri := e.Target.Origin
			if v.moved[e] {
				uri = e.Target.Canonical
			}
			if n := Normal(uri); v.uris.normal[n] == nil {
				v.uris.normal[n] = e
			}
		}
		v.uris.templates = slices.Clone(v.shelves[mcp.Templates].entries)
		slices.SortStableFunc(v.uris.templates, func(a, b *Entry) int { return b.match.literals - a.match.literals })
	})
	return &v.uris
}

// FindNormal finds a resource by its exposed URI, normalised.
func (v *View) FindNormal(uri string) *Entry { return v.index().normal[Normal(uri)] }

// FindTemplate finds the template that a URI comes of, the most specific of several.
func (v *View) FindTemplate(uri string) *Entry {
	if len(uri) > MaxURI {
		return nil
	}
	for _, e := range v.index().templates {
		if e.match.matches(uri) {
			return e
		}
	}
	return nil
}

// Server is the name of a server as it is written, for one in which the case of letters may
// have been lost. It is the same name where there is no such server.
func (v *View) Server(name string) string {
	if p := v.servers[strings.ToLower(name)]; p != nil {
		return p.Server
	}
	return name
}

// Only is the only server that has resources; empty where none or several have.
func (v *View) Only() string {
	if len(v.readable) == 1 {
		return v.readable[0]
	}
	return ""
}

// Link is what a URI that a server gave is called where all servers are shown: itself,
// unless it means something else there.
func (v *View) Link(server, uri string) string {
	same := v.shelves[mcp.Resources].origin[uri]
	for _, e := range same {
		if e.Target.Server == server {
			if v.moved[e] {
				return e.Target.Canonical
			}
			return uri
		}
	}
	if len(same) > 0 {
		return Moved(server, uri)
	}
	if _, _, ours := Unmoved(uri); ours {
		return Moved(server, uri)
	}
	return uri
}

// Lists tells whether the server lists the resource, or a tool of it is shown by it.
func (v *View) Lists(server, uri string) bool {
	return slices.ContainsFunc(v.shelves[mcp.Resources].origin[uri], func(e *Entry) bool { return e.Target.Server == server })
}
