package app

import (
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/registry"
	"mcpgateway/internal/route"
)

// presence is how the gateway shows itself: by a name of its own on the endpoints of all
// servers, and as the server itself on a server's own.
type presence struct {
	router       *route.Router
	registry     *registry.Registry
	dotted, safe []byte
	version      string
}

const ourTitle = "MCP Gateway"

// self is our Implementation object, as servers see it.
func self(version string) []byte { return era.Implementation("mcp-gateway", ourTitle, version) }

func newPresence(version string, router *route.Router, r *registry.Registry) *presence {
	return &presence{router: router, registry: r, version: version,
		dotted: self(version), safe: era.Implementation("mcp-gateway-safe", ourTitle, version)}
}

// Self is the Implementation object of a scope.
func (p *presence) Self(s mcp.Scope) []byte {
	switch {
	case s.Server != "":
		if own := p.registry.ServerInfo(s.Server); own != nil {
			return own
		}
		return era.Implementation(s.Server, "", p.version)
	case s.Safe:
		return p.safe
	}
	return p.dotted
}

// Instructions are the router's.
func (p *presence) Instructions(s mcp.Scope) string { return p.router.Instructions(s) }

// everything is what endpoints of all servers offer, whichever servers there are: who comes
// later offers it too.
const everything = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},"extensions":` + extensions + `}`

const extensions = `{"` + mcp.ExtensionUI + `":{},"` + mcp.ExtensionTasks + `":{}}`

// Capabilities are what we carry; on a server's own endpoint what that server has of it, once
// it is known. Each list announces its changes, since we look at servers that do not.
func (p *presence) Capabilities(s mcp.Scope) []byte {
	own := p.registry.Capabilities(s.Server)
	if s.Server == "" || own == nil {
		return []byte(everything)
	}
	var edits []rawjson.Edit
	for f := range rawjson.Members([]byte(everything)) {
		key, _ := rawjson.Text(f.Key)
		declared := rawjson.Get(own, key)
		switch {
		case key == "extensions":
			edits = append(edits, rawjson.Edit{Key: key, Value: p.extensions(s.Server, declared)})
		case declared == nil:
			edits = append(edits, rawjson.Edit{Key: key})
		case key == "resources" && string(rawjson.Get(declared, "subscribe")) != "true":
			edits = append(edits, rawjson.Edit{Key: key, Value: []byte(`{"listChanged":true}`)})
		}
	}
	return rawjson.AppendEdited(nil, []byte(everything), edits...)
}

// extensions are those that we carry of a server's own; nil for none.
func (p *presence) extensions(server string, declared []byte) []byte {
	var keep []string
	if rawjson.Get(declared, mcp.ExtensionUI) != nil {
		keep = append(keep, mcp.ExtensionUI)
	}
	if p.registry.Tasks(server) {
		keep = append(keep, mcp.ExtensionTasks)
	}
	return era.Cut([]byte(extensions), keep...)
}
