package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/registry"
	"mcpgateway/internal/route"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/upstream"
)

// ByHand is what the commands tools and call are told beside Options.
type ByHand struct {
	URL     string   // of an MCP server or gateway; empty: the servers of Options.Config
	Headers []string // "Name: value" each, for URL
	Token   string   // a bearer token for URL; @FILE reads a file
	JSON    bool     // print what came, not what it means
	Verbose bool     // tell on stderr what is going on

	Terminal    bool // stdout is one
	ErrTerminal bool // stderr is one
	Width       int  // of the terminal in columns
}

const (
	patience = 5 * time.Second // until a person is told what is waited for
	lastSaid = 5               // lines of a server's stderr that are shown
)

// A client is a gateway without a listener: it starts or reaches servers, each once, and
// asks them what a person wants to know. Stop ends it.
type client struct {
	*App
	hand   ByHand
	scope  mcp.Scope // the one server of a URL goes by its own names
	router *route.Router
	tried  map[string]bool

	mu     sync.Mutex
	failed map[string]upstream.Status // guarded by mu
}

// newClient reads the config, or takes the URL; nothing is started yet.
func newClient(o Options, hand ByHand) (*client, error) {
	a := &App{o: o, log: slog.New(slog.DiscardHandler), run: rand.Text(), done: make(chan struct{})}
	c := &client{App: a, hand: hand, tried: map[string]bool{}, failed: map[string]upstream.Status{}}
	var err error
	switch {
	case o.Config != "" && hand.URL != "":
		return nil, errors.New("give --config or --url: one of the two, not both")
	case o.Config == "" && hand.URL == "":
		return nil, errors.New("say where the tools are: --config FILE for the servers of a config, or --url URL for a server or gateway that runs")
	case hand.URL != "":
		a.cfg, err = hand.remote(o)
		a.o.Watchdog = nil // there is no process to watch
	case len(hand.Headers) > 0 || hand.Token != "":
		return nil, errors.New("--header and --token go with --url; the config has \"headers\" for each server")
	default:
		a.cfg, err = config.Load(o.Config, a.lookup)
	}
	if err != nil {
		return nil, err
	}
	out := newLines(o.Stderr) // only the log's: progress and results must keep their order
	a.undo.add("log", func(context.Context) error { out.close(lastWords); return nil })
	if hand.Verbose {
		a.log = NewLog(out, slog.LevelDebug)
	}
	for _, w := range a.cfg.Warnings {
		a.log.Warn(w.Error())
	}
	if hand.URL != "" {
		c.scope.Server = a.cfg.Servers[0].Name
	}
	a.buildRegistry()
	a.undo.add("servers", func(context.Context) error { a.registry.Close(); return nil })
	c.router = route.New(a.catalog, a.registry, route.Dispatch, 0)
	return c, nil
}

// remote makes a config of one server, the URL's, by the rules that a config's have.
func (h ByHand) remote(o Options) (*config.Config, error) {
	headers, err := h.headers(o)
	if err != nil {
		return nil, err
	}
	// A $ here means itself: whoever typed it has a shell.
	text := func(dst []byte, s string) []byte {
		return rawjson.AppendText(dst, strings.ReplaceAll(s, "$", "$$"))
	}
	body := text([]byte(`{"mcpServers":{"url":{"url":`), h.URL)
	body = append(body, `,"headers":{`...)
	for i, f := range headers {
		if i > 0 {
			body = append(body, ',')
		}
		body = text(append(rawjson.AppendText(body, f[0]), ':'), f[1])
	}
	servers, problems := config.ParseServers(append(body, `}}}}`...), o.LookupEnv)
	if len(problems) > 0 {
		flag := "--url"
		if rest, ok := strings.CutPrefix(problems[0].Path, "mcpServers.url.headers"); ok {
			flag = strings.TrimSpace("--header " + strings.TrimPrefix(rest, "."))
		}
		return nil, fmt.Errorf("%s: %s", flag, problems[0].Message)
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, errors.New("--url: is no URL")
	}
	if problem := servers[0].Problem; problem != "" {
		return nil, errors.New("--url: " + problem)
	}
	servers[0].Name = u.Host
	return &config.Config{Servers: servers, Gateway: config.Gateway{Limits: config.Defaults()}}, nil
}

// headers are the fields that go along to the URL.
func (h ByHand) headers(o Options) ([][2]string, error) {
	var out [][2]string
	for _, line := range h.Headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok { // it may be a secret, so it is not shown
			return nil, errors.New("--header must be 'Name: value', such as --header 'X-Api-Key: abc'")
		}
		out = append(out, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if h.Token == "" {
		return out, nil
	}
	if slices.ContainsFunc(out, func(f [2]string) bool { return strings.EqualFold(f[0], "Authorization") }) {
		return nil, errors.New("give --token or --header 'Authorization: …', not both")
	}
	token, err := typed(h.Token, o.Stdin)
	if err != nil {
		return nil, fmt.Errorf("--token: %w", err)
	}
	return append(out, [2]string{"Authorization", "Bearer " + strings.TrimSpace(token)}), nil
}

// where names the place the tools are at, for a message.
func (c *client) where() string {
	if c.hand.URL != "" {
		return "--url " + c.hand.URL
	}
	return "--config " + c.o.Config
}

// enabled are the servers that may be started.
func (c *client) enabled() []config.Server {
	return slices.DeleteFunc(slices.Clone(c.cfg.Servers), func(s config.Server) bool { return !s.Enabled })
}

// start tries servers, those of the file that were not tried yet, all at once, and returns
// when each is ready or has failed. One that failed is not tried again.
func (c *client) start(ctx context.Context, want func(config.Server) bool) error {
	var next []config.Server
	var names []string
	for _, def := range c.enabled() {
		if def.Problem != "" {
			if want(def) {
				c.failed[def.Name] = upstream.Status{State: upstream.Failed, Reason: def.Problem}
			}
			continue
		}
		if c.tried[def.Name] || want(def) {
			next = append(next, def)
		}
		if !c.tried[def.Name] && want(def) {
			names = append(names, def.Name)
			c.tried[def.Name] = true
		}
	}
	if err := c.registry.Apply(next); err != nil {
		return err
	}
	c.startServers()
	if c.hand.ErrTerminal {
		late := time.AfterFunc(patience, func() {
			fmt.Fprintln(c.o.Stderr, "waiting for "+printable(strings.Join(names, ", ")))
		})
		defer late.Stop()
	}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { c.await(ctx, name) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

// await waits for a server's first attempt, and takes it out where that failed.
func (c *client) await(ctx context.Context, name string) {
	c.registry.WaitTried(ctx, name)
	status := c.status(name)
	if ctx.Err() != nil || status.State == upstream.Ready {
		return
	}
	c.mu.Lock()
	c.failed[name] = status
	c.mu.Unlock()
	_ = c.registry.Remove(ctx, name)
}

func (c *client) status(name string) upstream.Status {
	all := c.registry.List()
	i := slices.IndexFunc(all, func(s registry.Server) bool { return s.Def.Name == name })
	if i < 0 {
		return upstream.Status{}
	}
	return all[i].Status
}

// failure is why a server is not there, as one line; nil if it is. What the server said
// last is told before.
func (c *client) failure(name string) error {
	c.mu.Lock()
	status, failed := c.failed[name]
	c.mu.Unlock()
	if !failed {
		return nil
	}
	c.tellLast(name, status.Stderr)
	return fmt.Errorf("%s cannot be used: %s%s", c.called(name), printable(status.Reason), c.hint(status))
}

// called names a server for a person.
func (c *client) called(name string) string {
	if c.hand.URL != "" {
		return c.hand.URL
	}
	return "server " + name
}

// tellLast shows the last lines that a server wrote to stderr.
func (c *client) tellLast(name string, lines []string) {
	if len(lines) < 2 { // the reason tells the last one
		return
	}
	for _, line := range lines[max(0, len(lines)-lastSaid):] {
		fmt.Fprintf(c.o.Stderr, "%s said: %s\n", printable(name), printable(line))
	}
}

// hint is what a person may do about a server that failed, where its reason does not say.
func (c *client) hint(s upstream.Status) string {
	u, _ := url.Parse(c.hand.URL)
	switch {
	case s.State == upstream.Failed:
		return "" // it says what to mend
	case strings.Contains(s.Reason, "HTTP 401") && c.hand.URL != "":
		return "; give a token that it takes with --token"
	case strings.Contains(s.Reason, "HTTP 401"):
		return "; give its token in \"headers\""
	case c.hand.URL != "" && strings.Contains(s.Reason, transport.ErrUnreachable.Error()):
		return "; see that it runs, and that host and port are right"
	case c.hand.URL != "" && u != nil && strings.Trim(u.Path, "/") == "":
		return "; most servers have a path, such as " + u.Scheme + "://" + u.Host + "/mcp"
	case c.hand.URL != "":
		return "; see that the URL is right"
	case c.hand.Verbose:
		return ""
	}
	return "; --verbose tells more"
}

// tellFailed warns of every server that failed, but for those of skip.
func (c *client) tellFailed() {
	for _, def := range c.cfg.Servers {
		if err := c.failure(def.Name); err != nil {
			c.warn(err.Error())
		}
	}
}

func (c *client) warn(line string) { fmt.Fprintln(c.o.Stderr, "warning: "+line) }

// print writes what was asked for. Whoever reads it may have had enough, as head has.
func (c *client) print(text string) error {
	_, err := io.WriteString(c.o.Stdout, text)
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// printJSON prints JSON as it came; on a terminal, so that it cannot drive it.
func (c *client) printJSON(raw []byte) error {
	if c.hand.Terminal {
		return c.print(inertJSON(raw) + "\n")
	}
	return c.print(string(raw) + "\n")
}

// end stops every server, and joins what went wrong with that.
func (c *client) end(err *error) {
	*err = errors.Join(*err, c.Stop(context.Background()))
}
