// Command mcpgo-server is an MCP server made with mcp-go (github.com/mark3labs/mcp-go), for the
// interop tests. It serves the same tools as gosdk-server and one more, over stdio, Streamable HTTP or
// the 2024-11-05 transport. It speaks both eras, as this library's servers do where nothing else is
// said, even over the 2024-11-05 transport; over Streamable HTTP it can be kept to the stateful one,
// the only place where the library lets that be chosen. It never imports the gateway.
package main

import (
	"context"
	"os"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"mcpgateway/test/interop/cmd/internal/peer"
)

func main() {
	s := server.NewMCPServer("mcpgo-server", "1.0.0",
		server.WithToolCapabilities(true), server.WithInstructions("Tools for interop tests."))
	addTools(s)
	peer.Main("mcpgo-server", "stateless",
		peer.Transport{Name: "stdio", Serve: func(ctx context.Context, _ peer.How) error {
			return server.NewStdioServer(s).Listen(ctx, os.Stdin, os.Stdout)
		}},
		peer.Transport{Name: "http", Serve: func(ctx context.Context, h peer.How) error {
			return peer.HTTP(ctx, h.Listen, "/mcp", server.NewStreamableHTTPServer(s,
				server.WithStateLess(h.Stateless), server.WithStreamableHTTPProtocolVersions(offered(h.Stateless)...)))
		}},
		peer.Transport{Name: "sse", Serve: func(ctx context.Context, h peer.How) error {
			return peer.HTTP(ctx, h.Listen, "/sse", server.NewSSEServer(s))
		}})
}

func offered(stateless bool) []string {
	versions := slices.Clone(mcp.ValidProtocolVersions)
	if !stateless {
		versions = slices.DeleteFunc(versions, mcp.IsModernProtocol)
	}
	return versions
}
