package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// The styles of exposed names.
const (
	styleDotted = iota
	styleSafe
	styles
)

// A View is one consistent state of everything that clients see. It does not change, but
// for lists that are encoded when somebody first asks for them.
type View struct {
	entries      []*Entry
	names        [styles][]string // parallel to entries
	table        [styles]map[string]*Entry
	canonical    map[string]*Entry
	origin       map[string][]*Entry
	servers      map[string]*scope
	all          [styles]scope
	instructions []Instruction
	left         map[string][]string
}

// A scope is what one endpoint shows of a View.
type scope struct {
	entries []*Entry
	names   []string // parallel to entries

	once        sync.Once
	list        []byte
	fingerprint string
}

// An Instruction is a server's own account of how to use it.
type Instruction struct{ Server, Text string }

// maxInstruction bounds what one server may say in the gateway's instructions.
const maxInstruction = 4 << 10

// Merge makes a View of parts, in their order.
func Merge(parts []*Part, b Bounds) *View {
	v := &View{canonical: map[string]*Entry{}, origin: map[string][]*Entry{}, servers: map[string]*scope{}, left: map[string][]string{}}
	bytes := 0
	for _, p := range parts {
		if p.Instructions != "" {
			v.instructions = append(v.instructions, Instruction{p.Server, cut(p.Instructions, maxInstruction)})
		}
		alone := &scope{}
		v.servers[p.Server] = alone
		for i := range p.Entries {
			e := &p.Entries[i]
			if bytes += len(e.Definition) + 1; bytes > b.CatalogBytes {
				bytes -= len(e.Definition) + 1
				v.left[p.Server] = append(v.left[p.Server], fmt.Sprintf("tool %.80q: the list of all tools reached its bound of %d bytes", e.Target.Origin, b.CatalogBytes))
				continue
			}
			v.entries = append(v.entries, e)
			v.canonical[e.Target.Canonical] = e
			v.origin[e.Target.Origin] = append(v.origin[e.Target.Origin], e)
			alone.entries = append(alone.entries, e)
			alone.names = append(alone.names, e.Target.Origin)
		}
	}
	reserved := make(map[string]bool, 3*len(v.entries))
	for _, e := range v.entries {
		reserved[e.Target.Canonical] = true
		for style := range styles {
			reserved[e.prefixed[style]] = true
		}
	}
	for style := range styles {
		v.expose(style, reserved)
	}
	return v
}

// expose gives every entry its name of one style. Prefixed and canonical names of either
// style are reserved, those of bare entries included, so that a bare name never displaces
// one and a name means the same tool at every endpoint; of two equal bare ones the earlier
// entry has it, and the other yields to its prefixed name.
func (v *View) expose(style int, reserved map[string]bool) {
	table := make(map[string]*Entry, len(v.entries))
	taken := map[string]bool{}
	names := make([]string, len(v.entries))
	for i, e := range v.entries {
		name := e.prefixed[style]
		if bare := e.bare[style]; bare != "" && !reserved[bare] && !taken[bare] {
			name = bare
			taken[bare] = true
		}
		names[i] = name
		table[name] = e
	}
	v.names[style], v.table[style] = names, table
	v.all[style].entries, v.all[style].names = v.entries, names
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

func style(s mcp.Scope) int {
	if s.Safe {
		return styleSafe
	}
	return styleDotted
}

// nothing is the scope of a server that is not there.
var nothing = &scope{}

func (v *View) scope(s mcp.Scope) *scope {
	if s.Server == "" {
		return &v.all[style(s)]
	}
	if one := v.servers[s.Server]; one != nil {
		return one
	}
	return nothing
}

// Tool finds the tool that a caller of this scope means: by the name it is shown, then by
// the other style's, the canonical one, and an origin name that one tool alone has, since
// the pages of MCP Apps know no other. It looks up and never splits.
func (v *View) Tool(s mcp.Scope, name string) *Entry {
	if s.Server != "" {
		for _, e := range v.origin[name] {
			if e.Target.Server == s.Server {
				return e
			}
		}
		return nil
	}
	first := style(s)
	for _, table := range []map[string]*Entry{v.table[first], v.table[styles-1-first], v.canonical} {
		if e := table[name]; e != nil {
			return e
		}
	}
	if same := v.origin[name]; len(same) == 1 {
		return same[0]
	}
	return nil
}

// Meant gives the names, as this scope shows them, of tools that an unknown name may mean:
// those that share it as their origin name, else those that look alike.
func (v *View) Meant(s mcp.Scope, name string) (same, near []string) {
	shown := v.scope(s)
	if s.Server == "" && len(v.origin[name]) > 1 {
		for i, e := range shown.entries {
			if e.Target.Origin == name {
				same = append(same, shown.names[i])
			}
		}
		return same, nil
	}
	return nil, Near(name, shown.names)
}

// Tools are all entries in the order of the list. The slice is not to be changed.
func (v *View) Tools() []*Entry { return v.entries }

// Exposed gives the names of entry i in the two styles.
func (v *View) Exposed(i int) (dotted, safe string) {
	return v.names[styleDotted][i], v.names[styleSafe][i]
}

// ToolList is the encoded result of a tools/list. It is not to be changed.
func (v *View) ToolList(s mcp.Scope) []byte { return v.scope(s).encoded().list }

// Fingerprint is equal for views that list the same.
func (v *View) Fingerprint(s mcp.Scope) string { return v.scope(s).encoded().fingerprint }

func (c *scope) encoded() *scope {
	c.once.Do(func() {
		c.list = []byte(`{"tools":[`)
		for i, e := range c.entries {
			if i > 0 {
				c.list = append(c.list, ',')
			}
			if c.names[i] == e.Target.Canonical {
				c.list = append(c.list, e.Definition...)
			} else {
				c.list = rawjson.AppendEdited(c.list, e.Definition, rawjson.Edit{Key: "name", Value: rawjson.AppendText(nil, c.names[i])})
			}
		}
		c.list = append(c.list, "]}"...)
		sum := sha256.Sum256(c.list)
		c.fingerprint = hex.EncodeToString(sum[:])
	})
	return c
}

// Instructions are those of the servers that gave any, in order.
func (v *View) Instructions() []Instruction { return v.instructions }

// Left tells what bounds kept out of the merged list, by server.
func (v *View) Left(server string) []string { return v.left[server] }
