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

// Leads tells where a URI leads that nobody lists as it is: to a server, and as what. That is
// whose moved URI it is once normalised, else who lists what is normalised alike, else who has
// the template that it comes of. The server is empty where it leads nowhere.
func (v *View) Leads(uri string) (server, origin string) {
	if len(uri) > MaxURI {
		return "", ""
	}
	normal := Normal(uri)
	if server, origin, ok := Unmoved(normal); ok {
		return v.Server(server), origin
	}
	if e := v.index().normal[normal]; e != nil {
		return e.Target.Server, e.Target.Origin
	}
	e := v.FindTemplate(uri)
	if e == nil {
		e = v.FindTemplate(normal)
	}
	if e == nil {
		return "", ""
	}
	return e.Target.Server, uri
}

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

// Readable tells whether a server has resources.
func (v *View) Readable(server string) bool { return slices.Contains(v.readable, server) }

// Link is what a URI that a server gave is called where all servers are shown: itself, unless
// it leads to another server there, or looks like a moved one, or is too long to be looked up.
// What a caller was given by other servers is not known here.
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
	if _, _, ours := Unmoved(uri); ours || len(same) > 0 || len(uri) > MaxURI {
		return Moved(server, uri)
	}
	if _, _, ours := Unmoved(Normal(uri)); ours {
		return Moved(server, uri)
	}
	to, _ := v.Leads(uri)
	if to == "" {
		to = v.Only()
	}
	if to != "" && to != server {
		return Moved(server, uri)
	}
	return uri
}

// Lists tells whether the server lists the resource, or a tool of it is shown by it.
func (v *View) Lists(server, uri string) bool {
	return slices.ContainsFunc(v.shelves[mcp.Resources].origin[uri], func(e *Entry) bool { return e.Target.Server == server })
}
