package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/config"
	"mcpgateway/internal/demo"
	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/listen"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
	"mcpgateway/internal/session"
)

// Demo serves one of the demo servers until ctx ends or, on stdio, its input does.
func Demo(ctx context.Context, name string, o Options) error {
	d := demo.Find(name)
	if d == nil {
		return fmt.Errorf("no demo server %q; there are %s", name, strings.Join(demo.Names(), " and "))
	}
	limits := config.Defaults()
	log := NewLog(o.Stderr, o.LogLevel)
	store := session.NewStore(session.Bounds{PerPrincipal: limits.Sessions.Principal, All: limits.Sessions.All, Idle: limits.Sessions.Idle,
		Events: limits.EventBytes.Session, AllEvents: limits.EventBytes.All})
	defer store.Close()
	streams := quota.New(2*limits.Sessions.Principal, 2*limits.Sessions.All)
	p := era.Params{Handler: d, Feed: d, Log: log, Presence: demoPresence{d, era.Implementation(d.Name, d.Title, o.Version)}, Streams: streams}
	edges := listen.Edges{Stateful: stateful.NewInbound(p, store), Stateless: stateless.NewInbound(p)}
	l := listen.New(listen.Params{Edges: edges, Store: store, Limits: jsonrpc.ClientLimits, Body: limits.RequestBody, Requests: limits.InFlight.All, Streams: streams, Bytes: maxBytes, Log: log, First: func() {}})
	if o.Transport == Stdio {
		return l.ServeStdio(ctx, o.Stdin, o.Stdout)
	}
	if !isLoopback(o.Host) {
		return fmt.Errorf("a demo server listens on loopback only, not on %s", o.Host)
	}
	ln, err := net.Listen("tcp", joinHost(o.Host, o.Port))
	if err != nil {
		return fmt.Errorf("listen on %s: %w; see --host and --port", joinHost(o.Host, o.Port), err)
	}
	mux := http.NewServeMux()
	l.Routes(mux)
	srv := listen.NewServer(listen.Guard{Loopback: true, Bind: o.Host}.Wrap(mux), context.Background())
	defer context.AfterFunc(ctx, func() {
		edges.Stateless.Close()
		l.Close()
		_ = srv.Close()
	})()
	log.Info(fmt.Sprintf("demo %s: http://%s/mcp (Streamable HTTP), http://%s/sse (HTTP+SSE)", d.Name, ln.Addr(), ln.Addr()))
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Token gives the management token, made where there is none yet.
func Token(o Options) (string, error) {
	a := &App{o: o}
	dir, err := a.stateDir()
	if err != nil {
		return "", err
	}
	return admin.Token(dir)
}

// demoPresence shows a demo server as itself.
type demoPresence struct {
	d    *demo.Server
	self []byte
}

func (p demoPresence) Self(mcp.Scope) []byte         { return p.self }
func (p demoPresence) Instructions(mcp.Scope) string { return p.d.Instructions }

// Capabilities are the demo's.
func (p demoPresence) Capabilities(mcp.Scope) []byte { return p.d.Capabilities() }
