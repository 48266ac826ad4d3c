package catalog

import (
	"fmt"
	"slices"
	"unicode"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// keys are the members that identify entries, and words what people call one.
var (
	keys  = [mcp.Kinds]string{mcp.Tools: "name", mcp.Prompts: "name", mcp.Resources: "uri", mcp.Templates: "uriTemplate"}
	words = [mcp.Kinds]string{mcp.Tools: "tool", mcp.Prompts: "prompt", mcp.Resources: "resource", mcp.Templates: "template"}
)

const maxName = 256

// separator stands between a server's name and a tool's in the canonical name. Server
// names have none of it, so the first one tells them apart.
const separator = "."

// prepare takes in one list.
func (p *Part) prepare(kind mcp.Kind, definitions [][]byte, handler mcp.Handler, b Bounds) {
	known := map[string]bool{}
	for i, raw := range definitions {
		if len(p.Entries[kind]) >= b.ToolsPerServer {
			p.Left = append(p.Left, fmt.Sprintf("%d %ss beyond the bound of %d", len(definitions)-i, words[kind], b.ToolsPerServer))
			break
		}
		key, fault := inspect(kind, raw, b.ToolBytes)
		if fault == "" && known[key] {
			fault = "its " + keys[kind] + " is listed twice; the first one is kept"
		}
		if fault != "" {
			p.Left = append(p.Left, fmt.Sprintf("%s %d (%.80q): %s", words[kind], i+1, key, fault))
			continue
		}
		known[key] = true
		p.Entries[kind] = append(p.Entries[kind], p.entry(kind, key, raw, handler))
	}
}

func (p *Part) entry(kind mcp.Kind, key string, raw []byte, handler mcp.Handler) Entry {
	switch kind {
	case mcp.Resources:
		return uriEntry(p.Server, words[kind], key, Moved(p.Server, key), raw, handler)
	case mcp.Templates:
		e := uriEntry(p.Server, words[kind], key, movedTemplate(p.Server, key), raw, handler)
		e.match = newMatcher(key)
		return e
	}
	canonical := p.Server + separator + key
	e := Entry{
		prefixed:   [styles]string{dotted(p.Server, key, canonical), safe(p.Server, key, canonical)},
		Target:     mcp.Target{Server: p.Server, Kind: words[kind], Canonical: canonical, Origin: key, Definition: raw, Handler: handler},
		Definition: rawjson.AppendEdited(nil, raw, rawjson.Edit{Key: "name", Value: rawjson.AppendText(nil, canonical)}),
	}
	if kind == mcp.Tools {
		e.app = appOf(raw)
	}
	return e
}

// uriEntry is an entry whose name is a URI: bare where it can be, else moved, which names
// its server. A URI that looks like a moved one is always moved once more, so that each
// exposed URI has one meaning whatever other servers list.
func uriEntry(server, word, uri, moved string, raw []byte, handler mcp.Handler) Entry {
	e := Entry{
		prefixed:   [styles]string{moved, moved},
		Target:     mcp.Target{Server: server, Kind: word, Canonical: moved, Origin: uri, Definition: raw, Handler: handler},
		Definition: raw,
	}
	if _, _, ours := Unmoved(uri); !ours {
		e.bare = [styles]string{uri, uri}
	}
	return e
}

// inspect reads what identifies a definition and says what keeps it from being shown.
func inspect(kind mcp.Kind, raw []byte, most int) (key, fault string) {
	if raw[0] != '{' {
		return "", "it is no object"
	}
	member, longest := keys[kind], maxName
	if kind == mcp.Resources || kind == mcp.Templates {
		longest = MaxURI
	}
	key, ok := rawjson.Text(rawjson.Get(raw, member))
	switch {
	case !ok || key == "":
		return "", "it has no " + member
	case len(key) > longest:
		return key, fmt.Sprintf("its %s is longer than %d bytes", member, longest)
	case slices.ContainsFunc([]rune(key), unprintable):
		return key, "its " + member + " has control or direction characters"
	case len(raw) > most:
		return key, fmt.Sprintf("its definition is larger than %d bytes", most)
	case rawjson.CheckMembers(raw) != nil:
		return key, "its definition has a member twice"
	}
	if kind != mcp.Tools {
		return key, ""
	}
	schema := rawjson.Get(raw, "inputSchema")
	if len(schema) == 0 || schema[0] != '{' || string(rawjson.Get(schema, "type")) != `"object"` {
		return key, `its inputSchema is not an object schema ("type":"object")`
	}
	return key, ""
}

// unprintable tells control, format and direction characters, and what is no character.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}
