// Package app wires the house together: it reads the config, builds every part, starts
// what listens, and undoes all of it in reverse. The gateway's own logic is elsewhere; what
// stands here beside the wiring is the commands check, tools and call, which show people
// what the parts can tell.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/catalog"
	"mcpgateway/internal/config"
	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/era/stateless"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/kinds"
	"mcpgateway/internal/listen"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/observe"
	"mcpgateway/internal/policy"
	"mcpgateway/internal/policy/inflight"
	"mcpgateway/internal/quota"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/registry"
	"mcpgateway/internal/route"
	"mcpgateway/internal/session"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/upstream"
)

// Transports that clients may use.
const (
	Stdio          = "stdio"
	SSE            = "sse"
	StreamableHTTP = "streamable-http"
)

// Options are what a person says on the command line, and the world around it.
type Options struct {
	Config    string // path of the config file
	Transport string // Stdio, SSE or StreamableHTTP
	Host      string
	Port      int
	HTTP      bool   // serve HTTP beside stdio
	Names     string // "dotted" or "safe"; empty: as the config says
	StateDir  string // empty: the usual place, found when it is needed
	Version   string

	Executable string   // our own binary, for ${MCP_GATEWAY}
	Watchdog   []string // arguments that make it a watchdog, before the run id; nil for none
	LookupEnv  config.Env
	Environ    func() []string

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	LogLevel       slog.Level
}

// An App is one gateway. New builds it, Start starts it, Stop ends it.
type App struct {
	o   Options
	cfg *config.Config
	log *slog.Logger
	run string // marks every process of ours
	id  string // names this gateway to other gateways

	catalog  *catalog.Catalog
	registry *registry.Registry
	calls    *quota.Quota
	store    *session.Store
	edges    listen.Edges
	listener *listen.Listener
	api      *admin.API
	guard    listen.Guard

	first    sync.Once // starts the servers
	stopping atomic.Bool
	done     chan struct{} // closed when the stdio client is gone, or serving failed
	doneOnce sync.Once
	failed   error // read after done
	undo     cleanups
	addr     net.Addr
}

// New reads the config and builds everything; no server is started and nothing listens.
// Stop undoes it.
func New(o Options) (*App, error) {
	out := newLines(o.Stderr)
	a := &App{o: o, log: NewLog(out, o.LogLevel), run: rand.Text(), id: rand.Text(), done: make(chan struct{})}
	a.undo.add("log", func(context.Context) error { out.close(lastWords); return nil })
	err := a.prepare()
	if err != nil {
		err = errors.Join(err, a.Stop(context.Background()))
		return nil, err
	}
	return a, nil
}

// prepare reads the config and builds everything.
func (a *App) prepare() error {
	cfg, err := config.Load(a.o.Config, a.lookup)
	if err != nil {
		return err
	}
	a.cfg = cfg
	if err := a.checkOrigin(); err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		a.log.Warn(w.Error())
	}
	if err := a.checkExposure(); err != nil {
		return err
	}
	a.build()
	a.undo.add("servers", func(context.Context) error { a.registry.Close(); return nil })
	a.undo.add("sessions", func(context.Context) error { a.store.Close(); return nil })
	return a.registry.Apply(cfg.Servers)
}

// lookup is our environment, and the path of our own binary.
func (a *App) lookup(name string) (string, bool) {
	if name == "MCP_GATEWAY" {
		return a.o.Executable, true
	}
	return a.o.LookupEnv(name)
}

func (a *App) serveHTTP() bool { return a.o.Transport != Stdio || a.o.HTTP }

// checkExposure refuses to be reachable from other machines without knowing who calls.
func (a *App) checkExposure() error {
	if !a.serveHTTP() || isLoopback(a.o.Host) {
		return nil
	}
	if len(a.cfg.Gateway.Auth.Tokens) == 0 {
		return fmt.Errorf("--host %s can be reached from other machines, and anybody there could call every tool; "+
			"name tokens for MCP clients in %s, \"gateway\": {\"auth\": {\"tokens\": [{\"name\": \"alice\", \"token\": \"${ALICE_TOKEN}\"}]}}, or stay on 127.0.0.1", a.o.Host, a.o.Config)
	}
	if a.cfg.Gateway.Admin.Auth == config.AdminNone {
		return fmt.Errorf("--host %s can be reached from other machines, so \"gateway\": {\"admin\": {\"auth\": \"none\"}} in %s would let anybody start programs here; take it out", a.o.Host, a.o.Config)
	}
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// buildRegistry makes what holds the servers and their tools.
func (a *App) buildRegistry() {
	limits := a.cfg.Gateway.Limits
	bounds := catalog.Bounds{ToolsPerServer: limits.ToolsPerServer, ToolBytes: limits.ToolBytes, CatalogBytes: limits.CatalogBytes}
	a.catalog = catalog.New()
	a.registry = registry.New(registry.Params{Catalog: a.catalog, Bounds: bounds, Build: a.buildServer, ListWait: limits.ListWait, Most: limits.Servers})
}

// maxBytes bounds what all clients together may make us hold: their messages, and what waits for
// them. Past it new requests are refused; what calls in flight have to say still goes out.
const maxBytes = 512 << 20

// build wires the path, from the listener to the servers. It cannot fail.
func (a *App) build() {
	limits := a.cfg.Gateway.Limits
	a.buildRegistry()
	a.calls = quota.New(limits.InFlight.Principal, limits.InFlight.All)
	observed := func(next mcp.Handler) mcp.Handler { return observe.New(a.log, next) }
	router := route.New(a.catalog, a.registry, policy.Chain(route.Dispatch, observed, inflight.New(a.calls)), a.cfg.Gateway.PageSize)

	streams := quota.New(2*limits.Sessions.Principal, 2*limits.Sessions.All)
	p := era.Params{Handler: router, Feed: router, Log: a.log, Presence: newPresence(a.o.Version, router, a.registry), Streams: streams,
		Via: a.id, ParkedOwn: limits.Parked.Principal, Parked: limits.Parked.All, QuestionTime: limits.QuestionTime}
	a.store = session.NewStore(session.Bounds{PerPrincipal: limits.Sessions.Principal, All: limits.Sessions.All, Idle: limits.Sessions.Idle,
		Events: limits.EventBytes.Session, AllEvents: limits.EventBytes.All})
	a.edges = listen.Edges{Stateful: stateful.NewInbound(p, a.store), Stateless: stateless.NewInbound(p)}
	a.listener = listen.New(listen.Params{
		Edges: a.edges, Store: a.store, Body: limits.RequestBody, Requests: limits.InFlight.All, Tokens: a.tokens(), Log: a.log, First: a.startServers,
		Names: mcp.Scope{Safe: a.safeNames()}, Known: a.registry.Has, Streams: streams, Bytes: maxBytes,
		Limits: bounded(jsonrpc.ClientLimits, limits.Depth, limits.RequestTokens),
	})
	a.guard = listen.Guard{Loopback: isLoopback(a.o.Host), Bind: a.o.Host, Hosts: a.cfg.Gateway.AllowedHosts, Origins: a.cfg.Gateway.AllowedOrigins}
}

// bounded puts the config's bounds in place of the usual ones.
func bounded(l jsonrpc.Limits, depth, tokens int) jsonrpc.Limits {
	l.Depth, l.Tokens = depth, tokens
	return l
}

// safeNames tells whether clients that do not say get names of the safe style.
func (a *App) safeNames() bool {
	if a.o.Names != "" {
		return a.o.Names == "safe"
	}
	return a.cfg.Gateway.Names == "safe"
}

func (a *App) tokens() []listen.Token {
	var out []listen.Token
	for _, t := range a.cfg.Gateway.Auth.Tokens {
		out = append(out, listen.Token{Name: t.Name, Secret: t.Token.Reveal()})
	}
	return out
}

// buildServer makes one server of its definition.
func (a *App) buildServer(def config.Server, watches *upstream.Watches, publish func(*catalog.Part), renewed func()) *upstream.Server {
	limits := a.cfg.Gateway.Limits
	log := a.log.With("server", def.Name)
	shared := kinds.Params{RunID: a.run, Origin: origin(a.o.Config), MaxMessage: limits.MessageBytes, UserAgent: "mcp-gateway/" + a.o.Version,
		Limits: bounded(jsonrpc.ServerLimits, limits.Depth, limits.AnswerTokens), Environ: a.o.Environ, Log: log}
	dialer, stderr := kinds.Dialer(def, shared)
	var older transport.Dialer
	if def.Transport == config.StreamableHTTP && !def.TransportNamed && def.Protocol != config.Stateless {
		def := def
		def.Transport = config.SSE
		older, _ = kinds.Dialer(def, shared)
	}
	protocol := def.Protocol
	if def.Transport == config.SSE { // no stateless revision has this transport
		protocol = upstream.Stateful
	}
	return upstream.New(upstream.Params{
		Name: def.Name, Transport: def.Shown(), Protocol: protocol, Dialer: dialer, Older: older, OlderTransport: config.SSE, Self: self(a.o.Version), Via: a.id,
		PerClient: def.Sessions == config.SessionsPerClient, Clients: limits.Clients, Roots: roots(def.Roots), Instructions: def.Instructions, Prefix: def.Prefix,
		StartTimeout: def.StartTimeout, CallTimeout: def.CallTimeout, CallMax: limits.CallMax, InFlight: limits.InFlight.Server,
		List:    era.ListBounds{Pages: limits.ListPages, Entries: limits.ToolsPerServer, Time: limits.ListTime},
		Catalog: catalog.Bounds{ToolsPerServer: limits.ToolsPerServer, ToolBytes: limits.ToolBytes, CatalogBytes: limits.CatalogBytes},
		Grace:   limits.ListGrace, Stderr: stderr, Publish: publish, Renewed: renewed, Watches: watches, Log: log,
	})
}

// roots is the raw array of what a config names; nil for nothing.
func roots(list []config.Root) []byte {
	if list == nil {
		return nil
	}
	out := []byte{'['}
	for i, r := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.AppendText(append(out, `{"uri":`...), r.URI)
		if r.Name != "" {
			out = rawjson.AppendText(append(out, `,"name":`...), r.Name)
		}
		out = append(out, '}')
	}
	return append(out, ']')
}

// buildAPI makes the operators' API. It may have to make their token.
func (a *App) buildAPI() error {
	p := admin.Params{Gateway: gateway{a}, Reads: !isLoopback(a.o.Host), MaxBody: a.cfg.Gateway.Limits.RequestBody, IsBearer: listen.HasBearer, IsJSON: listen.IsJSON, Log: a.log}
	if a.cfg.Gateway.Admin.Auth != config.AdminNone {
		dir, err := a.stateDir()
		if err != nil {
			return err
		}
		if p.Token, err = admin.Token(dir); err != nil {
			return err
		}
	}
	a.api = admin.New(p)
	return nil
}

func (a *App) stateDir() (string, error) {
	if a.o.StateDir != "" {
		return a.o.StateDir, nil
	}
	return admin.StateDir(os.Getenv)
}

// Addr is where HTTP is served, once started; empty without it.
func (a *App) Addr() string {
	if a.addr == nil {
		return ""
	}
	return a.addr.String()
}

// Done is closed when there is nothing left to serve: the stdio client has gone, or
// serving failed. Err then says why.
func (a *App) Done() <-chan struct{} { return a.done }

// Err is why serving ended; nil where it ended well. It is valid once Done is closed.
func (a *App) Err() error { return a.failed }

func (a *App) finish(err error) {
	a.doneOnce.Do(func() {
		a.failed = err
		close(a.done)
	})
}

func joinHost(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// cleanups are undone in reverse, each by name.
type cleanups struct {
	mu    sync.Mutex
	steps []cleanup // guarded by mu
}

type cleanup struct {
	name string
	f    func(context.Context) error
}

func (c *cleanups) add(name string, f func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, cleanup{name, f})
}

// addSecond adds a step that is undone last but for the very first.
func (c *cleanups) addSecond(name string, f func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = slices.Insert(c.steps, min(1, len(c.steps)), cleanup{name, f})
}

func (c *cleanups) run(ctx context.Context) error {
	c.mu.Lock()
	steps := c.steps
	c.steps = nil
	c.mu.Unlock()
	var errs []error
	for i := len(steps) - 1; i >= 0; i-- {
		if err := steps[i].f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", steps[i].name, err))
		}
	}
	return errors.Join(errs...)
}
