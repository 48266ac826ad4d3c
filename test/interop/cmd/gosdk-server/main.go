// Command gosdk-server is an MCP server made with the official Go SDK, for the interop tests.
// It serves the same tools in either era, over stdio or Streamable HTTP. A stateful one never
// speaks a stateless revision; a stateless one prefers it, and answers initialize too, as every
// server of this SDK does. It never imports the gateway.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// firstStateless is the first revision without initialize and sessions.
const firstStateless = "2026-07-28"

func main() {
	log.SetFlags(0)
	log.SetPrefix("gosdk-server: ")
	transport := flag.String("transport", "stdio", "stdio or http")
	era := flag.String("era", "stateful", "stateful or stateless")
	addr := flag.String("listen", "127.0.0.1:0", "address for -transport http; the URL is printed on stderr")
	flag.Parse()
	if *era != "stateful" && *era != "stateless" {
		log.Fatalf("-era %q: want stateful or stateless", *era)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := newServer(*era == "stateless")
	var err error
	switch *transport {
	case "stdio":
		err = server.Run(ctx, &mcp.StdioTransport{})
		if errors.Is(err, io.EOF) {
			err = nil
		}
	case "http":
		err = serveHTTP(ctx, server, *addr, *era == "stateless")
	default:
		err = fmt.Errorf("-transport %q: want stdio or http", *transport)
	}
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
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

func serveHTTP(ctx context.Context, server *mcp.Server, addr string, stateless bool) error {
	handler := mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: stateless})
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- web.Serve(ln) }()
	fmt.Fprintf(os.Stderr, "listening on http://%s/mcp\n", ln.Addr())
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		// Event streams stay open as long as their client likes, so this does not wait for them.
		web.Close()
		<-done
		return nil
	}
}
