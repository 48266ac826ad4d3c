package config

import (
	"fmt"
	"strings"
)

// Keys that hold servers.
const (
	ours   = "mcpServers"      // and Claude Desktop's, Claude Code's, Cursor's, Windsurf's
	vsCode = "servers"         // its mcp.json; in its settings.json within "mcp"
	zed    = "context_servers" // its settings.json

	vsCodeFlat = "mcp.servers" // VS Code's settings again, as it writes a path of keys as one
)

// A block is an object of servers, by which of the keys it was found, and the key of the top
// level that it stands in or at.
type block struct {
	node
	kind string
	top  string
}

// topLevel finds the servers and tolerates the keys of other programs whose files we
// are given. A key that is all but one of ours is no such key: passing over a
// misspelt "gateway" would leave out the tokens it sets. It reports whether
// mcpServers is misspelt.
func (r *reader) topLevel(o object) (blocks []block, misspelt bool) {
	var unknown []node
	for _, m := range o.members {
		near := closest(m.key, []string{ours, "gateway"})
		switch b, ok := r.block(m); {
		case ok:
			blocks = append(blocks, b)
		case m.key == "gateway":
		case near != "":
			misspelt = misspelt || near == ours
			m.problemAt(m.keyAt, "is not a known key; did you mean %q?", near)
		case r.body:
			m.problemAt(m.keyAt, "is not a known key; only \"mcpServers\" stands here")
		case m.key == "inputs" || m.key == "$schema": // the first counts only where ${input:…} is used
		case ofProjects(m):
			m.warnAt(m.keyAt, "servers under \"projects\" are not read; give one project's .mcp.json")
		default:
			unknown = append(unknown, m)
		}
	}
	if len(unknown) > 0 {
		first := unknown[0]
		first.warnAt(first.keyAt, "is not a known key and is ignored%s; known are %s", andOthers(unknown[1:]), known(blocks))
	}
	return blocks, misspelt
}

// block is the servers at a key of the top level, if they are there. A request's body
// has ours only.
func (r *reader) block(m node) (block, bool) {
	switch {
	case m.key == ours:
		return block{m, ours, ours}, true
	case r.body:
	case m.key == vsCode || m.key == zed:
		return block{m, m.key, m.key}, true
	case m.key == vsCodeFlat, m.key == "mcp":
		if n, ok := inSettings(m); ok {
			return block{n, vsCode, m.key}, true
		}
	case m.key == "settings" && m.isObject(): // of VS Code's .code-workspace
		o, _ := m.object()
		for _, setting := range o.members {
			if n, ok := inSettings(setting); ok {
				return block{n, vsCode, m.key}, true
			}
		}
	}
	return block{}, false
}

// inSettings is the block of servers at one of VS Code's settings. Other programs mean other
// things by "mcp".
func inSettings(m node) (node, bool) {
	switch {
	case m.key == vsCodeFlat:
		return m, true
	case m.key == "mcp" && m.isObject():
		o, _ := m.object()
		return o.get(vsCode)
	}
	return node{}, false
}

// known names the keys of the top level that stand for something, as this file has them.
func known(blocks []block) string {
	var keys []string
	for _, b := range blocks {
		keys = appendNew(keys, quote(b.top))
	}
	if keys == nil {
		keys = []string{quote(ours)}
	}
	return joined(append(keys, quote("gateway")), "and")
}

// ofProjects reports the servers that Claude Code's ~/.claude.json keeps for one project
// each. Which of them are meant depends on where one works.
func ofProjects(m node) bool {
	if m.key != "projects" || !m.isObject() {
		return false
	}
	o, _ := m.object()
	for _, project := range o.members {
		if !project.isObject() {
			continue
		}
		p, _ := project.object()
		if n, ok := p.get(ours); ok && !n.blank() {
			return true
		}
	}
	return false
}

// andOthers keeps an editor's whole settings to one warning.
func andOthers(rest []node) string {
	const most = 3
	if len(rest) == 0 {
		return ""
	}
	var names []string
	for _, n := range rest[:min(len(rest), most)] {
		names = append(names, quote(n.key))
	}
	if len(rest) > most {
		names = append(names, fmt.Sprintf("%d more", len(rest)-most))
	}
	return ", as are " + joined(names, "and")
}

func missingServers(o object) string {
	say := "\"mcpServers\" is missing; write {\"mcpServers\": {\"NAME\": {\"command\": \"…\"}}}"
	if n, ok := o.get("projects"); ok && ofProjects(n) {
		return say + "; servers under \"projects\" are not read; give one project's .mcp.json"
	}
	for _, other := range []string{vsCode, zed, "mcp"} {
		if _, ok := o.get(other); ok {
			return fmt.Sprintf("%s (here it is called %q)", say, other)
		}
	}
	return say
}

// servers reads all blocks, in the file's order.
func (r *reader) servers(blocks []block, most int) []Server {
	var list []Server
	var prefixes []node
	names := make(map[string]node)
	var beyond node // the first server too many
	for _, b := range blocks {
		o, ok := b.object()
		if !ok {
			continue
		}
		if r.body && len(o.members) == 0 {
			b.problem("is empty; name one server or more")
		}
		for _, m := range o.members {
			if len(list) == most {
				beyond = m
			}
			s, prefix := r.server(m, b.kind)
			s.Name = r.name(m, names)
			list = append(list, s)
			prefixes = append(prefixes, prefix)
		}
	}
	if !r.body && len(list) > most {
		beyond.parent.problemAt(beyond.keyAt, "the file holds %d servers, but gateway.limits.servers allows %d; remove some or raise it", len(list), most)
	}
	checkPrefixes(list, prefixes, names)
	return list
}

// checkPrefixes makes sure that what stands before a tool's name belongs to one server,
// whoever else has a prefix: a server's own name stays its name in logs and messages.
func checkPrefixes(list []Server, at []node, names map[string]node) {
	taken := make(map[string]string)
	for i, s := range list {
		if s.Prefix == nil || *s.Prefix == "" {
			continue
		}
		folded := strings.ToLower(*s.Prefix)
		if other, ok := names[folded]; ok && other.at != at[i].parent.at {
			at[i].problem("is the name of server %s (case does not count); choose another", quote(other.key))
		} else if other, ok := taken[folded]; ok {
			at[i].problem("is the prefix of server %s already (case does not count); choose another", quote(other))
		}
		taken[folded] = s.Name
	}
}

// name makes sure of a server's name. Tools bear it as a prefix, so that only few
// characters will do; what a file brings from another program is made to fit.
func (r *reader) name(m node, taken map[string]node) string {
	name := m.key
	if !validName(name) {
		name = slug(m.key)
		const rule = "a server's name has letters, digits, _ and - only, begins with a letter or digit, and has at most 64 characters"
		switch {
		case name == "" && r.body:
			m.problemAt(m.keyAt, "%s; choose another name", rule)
			return m.key
		case r.body:
			m.problemAt(m.keyAt, "%s; write %q", rule, name)
		default:
			if name == "" {
				name = numbered(m.key)
			}
			m.warnAt(m.keyAt, "is called %q here, because %s", name, rule)
		}
	}
	folded := strings.ToLower(name)
	other, ok := taken[folded]
	switch {
	case ok && other.key == m.key:
		m.problemAt(m.keyAt, "a server of this name stands in %s already; rename or remove one", other.parent.path())
	case ok:
		m.problemAt(m.keyAt, "%s and %s would be one name, %q (case does not count); rename one", quote(other.key), quote(m.key), folded)
	default:
		taken[folded] = m
	}
	return name
}
