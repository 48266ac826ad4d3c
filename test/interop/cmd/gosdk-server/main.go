// Command gosdk-server is an MCP server made with the official Go SDK, for the interop tests.
// It serves the same tools in either era, over stdio or Streamable HTTP. A stateful one never
// speaks a stateless revision; a stateless one prefers it, and answers initialize too, as every
// server of this SDK does. It never imports the gateway.
package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"mcpgateway/test/interop/cmd/internal/peer"
)

// firstStateless is the first revision without initialize and sessions.
const firstStateless = "2026-07-28"

func main() {
	peer.Main("gosdk-server", "stateful",
		peer.Transport{Name: "stdio", Serve: func(ctx context.Context, h peer.How) error {
			return newServer(h.Stateless).Run(ctx, &mcp.StdioTransport{})
		}},
		peer.Transport{Name: "http", Serve: func(ctx context.Context, h peer.How) error {
			server := newServer(h.Stateless)
			mux := http.NewServeMux()
			mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(
				func(*http.Request) *mcp.Server { return server },
				&mcp.StreamableHTTPOptions{Stateless: h.Stateless}))
			return peer.HTTP(ctx, h.Listen, "/mcp", mux)
		}})
}

func newServer(stateless bool) *mcp.Server {
	versions := mcp.SupportedProtocolVersions()
	if !stateless {
		versions = slices.DeleteFunc(versions, func(v string) bool { return v >= firstStateless })
	}
	server := mcp.NewServer(
		&mcp.Implementation{Name: "gosdk-server", Title: "Go SDK interop server", Version: "1.0.0"},
		&mcp.ServerOptions{
			SupportedProtocolVersions: versions,
			Instructions:              "Tools for interop tests.",
			SubscribeHandler:          subscribed,
			UnsubscribeHandler:        unsubscribed,
		})
	addTools(server)
	addWatched(server)
	return server
}
