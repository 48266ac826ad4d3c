// Command mcpgo-server is an MCP server made with mcp-go (github.com/mark3labs/mcp-go), for the
// interop tests. It serves the same tools as gosdk-server and one more, over stdio, Streamable HTTP or
// the 2024-11-05 transport. It speaks both eras, as this library's servers do where nothing else is
// said, even over the 2024-11-05 transport; over Streamable HTTP it can be kept to the stateful one,
// the only place where the library lets that be chosen. It never imports the gateway.
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

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mcpgo-server: ")
	transport := flag.String("transport", "stdio", "stdio, http or sse")
	era := flag.String("era", "stateless", "with -transport http: stateful or stateless")
	addr := flag.String("listen", "127.0.0.1:0", "address for -transport http and sse; the URL is printed on stderr")
	flag.Parse()
	if *era != "stateful" && *era != "stateless" {
		log.Fatalf("-era %q: want stateful or stateless", *era)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := server.NewMCPServer("mcpgo-server", "1.0.0",
		server.WithToolCapabilities(true), server.WithInstructions("Tools for interop tests."))
	addTools(s)
	var err error
	switch *transport {
	case "stdio":
		err = server.NewStdioServer(s).Listen(ctx, os.Stdin, os.Stdout)
		if errors.Is(err, io.EOF) {
			err = nil
		}
	case "http":
		err = serve(ctx, *addr, "/mcp", server.NewStreamableHTTPServer(s,
			server.WithStateLess(*era == "stateless"), server.WithStreamableHTTPProtocolVersions(offered(*era == "stateless")...)))
	case "sse":
		err = serve(ctx, *addr, "/sse", server.NewSSEServer(s))
	default:
		err = fmt.Errorf("-transport %q: want stdio, http or sse", *transport)
	}
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func offered(stateless bool) []string {
	versions := slices.Clone(mcp.ValidProtocolVersions)
	if !stateless {
		versions = slices.DeleteFunc(versions, mcp.IsModernProtocol)
	}
	return versions
}

func serve(ctx context.Context, addr, path string, handler http.Handler) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- web.Serve(ln) }()
	fmt.Fprintf(os.Stderr, "listening on http://%s%s\n", ln.Addr(), path)
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
