package app

import (
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
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
