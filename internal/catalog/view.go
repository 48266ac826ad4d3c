package catalog

import (
	"fmt"
	"strings"
	"time"

	"mcpgateway/internal/mcp"
)

// The styles of exposed names. URIs are the same in both.
const (
	styleDotted = iota
	styleSafe
	styles
)

// A View is one consistent state of everything that clients see. It does not change, but
// for lists that are encoded when somebody first asks for them.
type View struct {
	shelves      [mcp.Kinds]shelf
	parts        []*Part
	servers      map[string]*Part // by name in small letters
	ranks        map[string]int
	readable     []string        // servers that have resources
	moved        map[*Entry]bool // resources and templates that are not shown by their plain URI
	instructions []Instruction
	gateways     []string
	left         map[string][]string
	uris         uriIndex
	bounds       Bounds
	variants     variants
}

// A shelf is everything of one kind.
type shelf struct {
	kind      mcp.Kind
	all       []*Entry         // in order
	entries   []*Entry         // those that are listed
	names     [styles][]string // parallel to entries
	table     [styles]map[string]*Entry
	canonical map[string]*Entry
	origin    map[string][]*Entry
	behind    map[string][]*Entry // by what a gateway that is a server put its prefix before
	merged    [styles]*scope
	servers   map[string]*scope
}

// An Instruction is a server's own account of how to use it.
type Instruction struct{ Server, Text string }

// maxInstruction bounds what one server may say in the gateway's instructions.
const maxInstruction = 4 << 10

// Merge makes a View of parts, in their order.
func Merge(parts []*Part, b Bounds) *View {
	v := &View{parts: parts, servers: map[string]*Part{}, ranks: map[string]int{}, moved: map[*Entry]bool{}, left: map[string][]string{}, bounds: b}
	for _, p := range parts {
		v.servers[strings.ToLower(p.Server)], v.ranks[p.Server] = p, p.Rank
		if p.Instructions != "" {
			v.instructions = append(v.instructions, Instruction{p.Server, cut(p.Instructions, maxInstruction)})
		}
		v.gateways = append(v.gateways, p.Gateways...)
		if p.hasResources() {
			v.readable = append(v.readable, p.Server)
		}
	}
	for kind := range mcp.Kinds {
		v.shelves[kind].fill(v, kind, b)
	}
	return v
}

// fill puts the parts' entries of one kind on the shelf.
func (s *shelf) fill(v *View, kind mcp.Kind, b Bounds) {
	*s = shelf{kind: kind, canonical: map[string]*Entry{}, origin: map[string][]*Entry{}, behind: map[string][]*Entry{}, servers: map[string]*scope{}}
	bytes := 0
	for _, p := range v.parts {
		alone := &scope{shelf: s}
		s.servers[p.Server] = alone
		for i := range p.Entries[kind] {
			e := &p.Entries[kind][i]
			if bytes += len(e.Definition) + 1; bytes > b.CatalogBytes {
				bytes -= len(e.Definition) + 1
				v.left[p.Server] = append(v.left[p.Server], fmt.Sprintf("%s %.80q: the list of all %ss reached its bound of %d bytes", words[kind], e.Target.Origin, words[kind], b.CatalogBytes))
				continue
			}
			s.all = append(s.all, e)
			s.entries = append(s.entries, e)
			alone.entries = append(alone.entries, e)
			alone.names = append(alone.names, e.Target.Origin)
			if under, own := parts(e.Target.Origin); under != "" && len(p.Gateways) > 0 && !s.isURI() {
				s.behind[own] = append(s.behind[own], e)
			}
		}
		if kind == mcp.Resources {
			for i := range p.apps {
				s.all = append(s.all, &p.apps[i])
			}
		}
	}
	s.expose(v)
}

// expose gives every entry its names. Prefixed and canonical names of either style are
// reserved, those of bare entries included, so that a bare name never displaces one and a
// name means the same at every endpoint; of two equal bare ones the earlier entry has it,
// and the other yields to its prefixed name.
func (s *shelf) expose(v *View) {
	reserved := make(map[string]bool, 3*len(s.all))
	for _, e := range s.all {
		s.canonical[e.Target.Canonical] = e
		s.origin[e.Target.Origin] = append(s.origin[e.Target.Origin], e)
		reserved[e.Target.Canonical] = true
		for style := range styles {
			reserved[e.prefixed[style]] = true
		}
	}
	for style := range styles {
		if style > 0 && s.isURI() {
			s.names[style], s.table[style], s.merged[style] = s.names[0], s.table[0], s.merged[0]
			continue
		}
		table := make(map[string]*Entry, len(s.all))
		taken := map[string]bool{}
		names := make([]string, 0, len(s.entries))
		for _, e := range s.all {
			name := e.prefixed[style]
			if bare := e.bare[style]; bare != "" && !reserved[bare] && !taken[bare] {
				name = bare
				taken[bare] = true
			} else if s.isURI() {
				v.moved[e] = true
			}
			table[name] = e
			if len(names) < len(s.entries) && s.entries[len(names)] == e {
				names = append(names, name)
			}
		}
		s.names[style], s.table[style] = names, table
		s.merged[style] = &scope{shelf: s, view: v, entries: s.entries, names: names}
	}
}

func (s *shelf) isURI() bool { return s.kind == mcp.Resources || s.kind == mcp.Templates }

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

func style(s mcp.Scope) int {
	if s.Safe {
		return styleSafe
	}
	return styleDotted
}

func (v *View) scope(kind mcp.Kind, s mcp.Scope) *scope {
	shelf := &v.shelves[kind]
	if s.Server == "" {
		return shelf.merged[style(s)]
	}
	if one := shelf.servers[s.Server]; one != nil {
		return one
	}
	return &scope{shelf: shelf}
}

// Find finds what a caller of this scope means: by the name it is shown, then by the other
// style's, the canonical one, and an origin name that one entry alone has, since the pages
// of MCP Apps know no other. Of a server behind another gateway they know what stands behind that
// gateway's prefix, which is found last. It looks up and never splits.
func (v *View) Find(kind mcp.Kind, s mcp.Scope, name string) *Entry {
	shelf := &v.shelves[kind]
	if s.Server != "" {
		for _, e := range shelf.origin[name] {
			if e.Target.Server == s.Server {
				return e
			}
		}
		return only(shelf.behind[name], s.Server)
	}
	first := style(s)
	for _, table := range []map[string]*Entry{shelf.table[first], shelf.table[styles-1-first], shelf.canonical} {
		if e := table[name]; e != nil {
			return e
		}
	}
	if same := shelf.origin[name]; len(same) > 0 {
		return only(same, "")
	}
	return only(shelf.behind[name], "")
}

// only gives the one entry that there is, of one server where it is named; nil where there are
// several.
func only(all []*Entry, server string) (found *Entry) {
	for _, e := range all {
		if server != "" && e.Target.Server != server {
			continue
		}
		if found != nil {
			return nil
		}
		found = e
	}
	return found
}

// Meant gives the names, as this scope shows them, of entries that an unknown name may mean:
// those that share it as their origin name, else those that look alike. Whoever names a server
// that is there means none of another's.
func (v *View) Meant(kind mcp.Kind, s mcp.Scope, name string) (same, near []string) {
	shown := v.scope(kind, s)
	if s.Server != "" {
		return nil, Near(name, shown.names)
	}
	if len(shown.shelf.origin[name]) > 1 {
		for i, e := range shown.entries {
			if e.Target.Origin == name {
				same = append(same, shown.names[i])
			}
		}
		return same, nil
	}
	return nil, Near(name, v.ofNamed(shown, name))
}

// ofNamed gives the names of the servers whose prefix a name begins with; all where there are none.
func (v *View) ofNamed(shown *scope, name string) []string {
	servers := map[string]bool{}
	for _, p := range v.parts {
		if beginsAs(name, p.Server) || p.prefix != "" && beginsAs(name, p.prefix) {
			servers[p.Server] = true
		}
	}
	if len(servers) == 0 {
		return shown.names
	}
	var names []string
	for i, e := range shown.entries {
		if servers[e.Target.Server] {
			names = append(names, shown.names[i])
		}
	}
	return names
}

// Entries are all of a kind in the order of the list. The slice is not to be changed.
func (v *View) Entries(kind mcp.Kind) []*Entry { return v.shelves[kind].entries }

// Exposed gives the names of entry i of a kind in the two styles.
func (v *View) Exposed(kind mcp.Kind, i int) (dotted, safe string) {
	names := &v.shelves[kind].names
	return names[styleDotted][i], names[styleSafe][i]
}

// Count is how many entries of a kind a server has in the lists.
func (v *View) Count(kind mcp.Kind, server string) int {
	if one := v.shelves[kind].servers[server]; one != nil {
		return len(one.entries)
	}
	return 0
}

// Fresh is how long what a scope shows of a kind stays fresh at least: the least of its
// servers, 0 where one of them does not say.
func (v *View) Fresh(kind mcp.Kind, s mcp.Scope, now time.Time) time.Duration {
	var least time.Duration
	for _, p := range v.parts {
		if p.none[kind] || s.Server != "" && s.Server != p.Server {
			continue
		}
		left := p.fresh[kind].Sub(now)
		if left <= 0 {
			return 0
		}
		if least == 0 || left < least {
			least = left
		}
	}
	return least
}

// Instructions are those of the servers that gave any, in order.
func (v *View) Instructions() []Instruction { return v.instructions }

// Gateways are the ids of those that the servers' entries come through.
func (v *View) Gateways() []string { return v.gateways }

// Left tells what bounds kept out of the merged lists, by server.
func (v *View) Left(server string) []string { return v.left[server] }
