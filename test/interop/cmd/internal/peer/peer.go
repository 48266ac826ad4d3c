// Package peer is what the servers for the interop tests share, whatever library they are made
// with: flags, signals, and a listener that says where it is. It knows no library.
package peer

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
	"strings"
	"syscall"
	"time"
)

// How is how a server is to be served.
type How struct {
	Stateless bool
	Listen    string // address for what is served over HTTP
}

// A Transport serves until ctx ends.
type Transport struct {
	Name  string
	Serve func(ctx context.Context, h How) error
}

// Main reads the flags and serves over the transport that they name, by default the first.
func Main(name, era string, transports ...Transport) {
	log.SetFlags(0)
	log.SetPrefix(name + ": ")
	var names []string
	for _, t := range transports {
		names = append(names, t.Name)
	}
	choice := strings.Join(names, ", ")
	transport := flag.String("transport", names[0], "one of "+choice)
	which := flag.String("era", era, "stateful or stateless")
	listen := flag.String("listen", "127.0.0.1:0", "address for what is served over HTTP; the URL is printed on stderr")
	flag.Parse()
	if *which != "stateful" && *which != "stateless" {
		log.Fatalf("-era %q: want stateful or stateless", *which)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, t := range transports {
		if t.Name != *transport {
			continue
		}
		err := t.Serve(ctx, How{Stateless: *which == "stateless", Listen: *listen})
		if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil { // on stdio the end of the input is the end
			log.Fatal(err)
		}
		return
	}
	log.Fatalf("-transport %q: want one of %s", *transport, choice)
}

// HTTP serves until ctx ends.
func HTTP(ctx context.Context, listen, path string, handler http.Handler) error {
	ln, err := net.Listen("tcp", listen)
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
