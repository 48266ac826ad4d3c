package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/config"
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/route"
)

// CallTool calls one tool and prints its result. It is an error if the tool says that it
// failed, though its result is printed all the same.
func CallTool(ctx context.Context, o Options, hand ByHand, name string, args Arguments) (err error) {
	g, err := args.read(o.Stdin)
	if err != nil {
		return err
	}
	c, err := newClient(o, hand)
	if err != nil {
		return err
	}
	defer c.end(&err)
	e, err := c.find(ctx, name)
	if err != nil {
		return err
	}
	arguments, err := g.object(name, signatureOf(rawjson.Get(e.Definition, "inputSchema")))
	if err != nil {
		return err
	}
	reply, err := c.call(ctx, e, arguments)
	if err != nil {
		return c.explain(e, err)
	}
	if c.hand.JSON {
		err = c.printJSON(reply.Result)
	} else {
		err = c.print(shown(reply.Result))
	}
	if err == nil && string(rawjson.Get(reply.Result, "isError")) == "true" {
		err = fmt.Errorf("%s says that it failed; its own words are above", name)
	}
	return err
}

func (c *client) call(ctx context.Context, e *catalog.Entry, arguments []byte) (*mcp.Reply, error) {
	const token = "1"
	meta := []byte(`{"` + mcp.MetaProgressToken + `":` + token + `}`)
	name := e.Target.Canonical
	if c.scope.Server != "" {
		name = e.Target.Origin
	}
	params := rawjson.AppendText([]byte(`{"name":`), name)
	params = append(append(params, `,"arguments":`...), arguments...)
	params = append(append(append(params, `,"_meta":`...), meta...), '}')
	back := &progress{w: c.o.Stderr, shown: c.hand.ErrTerminal || c.hand.Verbose, over: c.hand.ErrTerminal && !c.hand.Verbose, width: c.hand.Width}
	defer back.end()
	call := &mcp.Call{
		Method: mcp.ToolsCall, Name: name, Params: mcp.Params{Raw: params, Meta: meta, ProgressToken: []byte(token)},
		From: &mcp.Caller{Principal: "local", Scope: c.scope}, Back: back,
	}
	if e.Definition == nil { // what is not listed cannot be routed by name
		call.Target = e.Target
		return route.Dispatch.Handle(ctx, call)
	}
	return c.router.Handle(ctx, call)
}

// find starts what can have the tool, and gives it; a URL's that is not listed there has
// no definition. A name that begins with a server's is
// looked for there; only a server without a prefix could have it as well.
func (c *client) find(ctx context.Context, name string) (*catalog.Entry, error) {
	var likely []string
	bare := false
	for _, def := range c.cfg.Servers {
		switch {
		case !begins(name, def):
			bare = bare || def.Enabled && def.Prefix != nil && *def.Prefix == ""
		case !def.Enabled:
			return nil, fmt.Errorf("server %s is disabled in the config, %s; enable it there", def.Name, c.o.Config)
		default:
			likely = append(likely, def.Name)
		}
	}
	if likely != nil && c.scope.Server == "" {
		if err := c.start(ctx, func(def config.Server) bool { return begins(name, def) }); err != nil {
			return nil, err
		}
		if e := c.catalog.View().Find(mcp.Tools, c.scope, name); e != nil {
			return e, nil
		}
		for _, server := range likely {
			if err := c.failure(server); err != nil {
				return nil, err
			}
		}
		if !bare {
			return nil, c.unknown(name)
		}
	}
	if len(c.enabled()) == 0 {
		return nil, fmt.Errorf("no server of %s is enabled; mcp-gateway check --config %s shows them", c.o.Config, c.o.Config)
	}
	if err := c.start(ctx, func(config.Server) bool { return true }); err != nil {
		return nil, err
	}
	if e := c.catalog.View().Find(mcp.Tools, c.scope, name); e != nil {
		return e, nil
	}
	if c.scope.Server != "" {
		if err := c.failure(c.scope.Server); err != nil {
			return nil, err
		}
		// A gateway takes more names than it lists, and any server may: what this one means
		// is for whoever is there to say.
		target := mcp.Target{Server: c.scope.Server, Kind: "tool", Origin: name, Handler: c.registry.Handler(c.scope.Server)}
		return &catalog.Entry{Target: target}, nil
	}
	c.tellFailed() // it may be a tool of theirs
	return nil, c.unknown(name)
}

// begins tells whether a tool's name, of either style, begins as those of a server do.
func begins(name string, def config.Server) bool {
	prefixes := []string{def.Name}
	if def.Prefix != nil && *def.Prefix != "" {
		prefixes = append(prefixes, *def.Prefix)
	}
	for _, p := range prefixes {
		if strings.HasPrefix(name, p+".") || strings.HasPrefix(name, p+"__") {
			return true
		}
	}
	return false
}

// unknown says that there is no such tool, and what may have been meant.
func (c *client) unknown(name string) error {
	view := c.catalog.View()
	same, near := view.Meant(mcp.Tools, c.scope, name)
	ofServer := slices.ContainsFunc(c.cfg.Servers, func(def config.Server) bool { return begins(name, def) })
	if same == nil && near == nil && !ofServer { // or the part after the server's name
		origins := map[string]string{}
		var names []string
		for _, e := range view.Entries(mcp.Tools) {
			if origins[e.Target.Origin] == "" {
				names = append(names, e.Target.Origin)
				origins[e.Target.Origin] = e.Target.Canonical
			}
		}
		for _, n := range catalog.Near(name, names) {
			near = append(near, origins[n])
		}
	}
	switch {
	case same != nil:
		return fmt.Errorf("several servers have a tool %q; say which: %s", name, printable(strings.Join(same, ", ")))
	case near != nil:
		return fmt.Errorf("there is no tool %q; did you mean %s?", name, printable(strings.Join(near, " or ")))
	}
	return fmt.Errorf("there is no tool %q; mcp-gateway tools %s lists those there are", name, c.where())
}

// unlisted adds to what a server says of a name that it does not list, unless it names what
// may have been meant by itself.
func (c *client) unlisted(name, said string) string {
	_, near := c.catalog.View().Meant(mcp.Tools, c.scope, name)
	if near == nil {
		return "; mcp-gateway tools " + c.where() + " lists those there are"
	}
	for _, n := range near {
		if strings.Contains(said, n) {
			return ""
		}
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// explain says why a call has no result, and what to do.
func (c *client) explain(e *catalog.Entry, err error) error {
	name := e.Target.Canonical
	if c.scope.Server != "" {
		name = e.Target.Origin
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: interrupted; the call was cancelled", name)
	}
	var remote *mcp.Remote
	if errors.As(err, &remote) {
		message, _ := rawjson.Text(rawjson.Get(remote.Raw, "message"))
		said := fmt.Sprintf("%s: the server answers with error %d: %s", name, remote.Number, message)
		switch {
		case e.Definition == nil:
			said += c.unlisted(name, message)
		case remote.Number == era.InvalidParams:
			said += "; " + signatureOf(rawjson.Get(e.Definition, "inputSchema")).explained()
		}
		return errors.New(printable(said))
	}
	var ours *mcp.Error
	if !errors.As(err, &ours) {
		return fmt.Errorf("%s: %w", name, err)
	}
	said := name + ": " + ours.Error()
	switch {
	case ours.Code == mcp.TimedOut && c.hand.URL == "":
		said += "; \"callTimeout\" in the config gives it more time"
	case ours.Code == mcp.Unavailable:
		c.registry.Close() // then the server's last words are known
		c.tellLast(e.Target.Server, c.status(e.Target.Server).Stderr)
		if !c.hand.Verbose {
			said += "; --verbose tells more"
		}
	}
	return errors.New(printable(said))
}

// progress shows how far a call is, one line for all on a terminal.
type progress struct {
	w     io.Writer
	shown bool
	over  bool // each line takes the place of the one before
	width int

	mu    sync.Mutex
	open  bool // guarded by mu: a line waits to be replaced
	ended bool // guarded by mu
}

// Notify shows progress.
func (p *progress) Notify(_ context.Context, method string, params []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shown || p.ended || method != mcp.NoteProgress {
		return nil
	}
	line := progressText(params)
	if p.over {
		_, err := io.WriteString(p.w, "\r"+cutTo(line, p.width-1)+"\x1b[K")
		p.open = true
		return err
	}
	_, err := io.WriteString(p.w, line+"\n")
	return err
}

// Ask refuses: nobody is there to be asked.
func (p *progress) Ask(_ context.Context, method string, _ []byte) ([]byte, error) {
	return nil, mcp.Errorf(mcp.UnknownMethod, "method", "the command line answers no questions, and %s is one", method)
}

// end takes the last line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.open {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}
