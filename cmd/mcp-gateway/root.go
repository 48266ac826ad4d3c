package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"mcpgateway/internal/app"

	"github.com/spf13/cobra"
)

// stopTime bounds an orderly end: calls 20 s, servers 6 s, and some air.
const stopTime = 30 * time.Second

// options are what the flags set.
type options struct {
	config, transport, host, state string
	names                          string
	port                           int
	verbose                        bool
}

func root() *cobra.Command {
	var o options
	serve := &cobra.Command{
		Use:   "mcp-gateway --config FILE",
		Short: "Many MCP servers behind one MCP endpoint",
		Long: "mcp-gateway starts or reaches every MCP server of a config file and offers their tools,\n" +
			"prompts and resources on one endpoint: on stdio, or over HTTP (Streamable HTTP at /mcp,\n" +
			"the older HTTP+SSE at /sse, management at /servers). Tools and prompts are named\n" +
			"<server>.<name>; resources keep their URIs.",
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return run(c, o) },
	}
	flags(serve, &o)
	spelled := &cobra.Command{Use: "serve --config FILE", Short: "Run the gateway; the same as no subcommand", Args: noArgs, RunE: serve.RunE}
	flags(spelled, &o)
	serve.AddCommand(spelled, checkCommand(), toolsCommand(), callCommand(), versionCommand(), tokenCommand(), demoCommand(), watchdogCommand())
	serve.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return fmt.Errorf("%w; see %s --help", err, c.CommandPath()) })
	serve.CompletionOptions.HiddenDefaultCmd = true
	return serve
}

func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasParent():
		return fmt.Errorf("%s takes flags only, not %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	return fmt.Errorf("%q is no subcommand; see mcp-gateway --help", args[0])
}

var errNoConfig = errors.New("--config FILE is missing; one to start with is {\"mcpServers\": {\"echo\": {\"command\": \"${MCP_GATEWAY}\", \"args\": [\"demo\", \"echo\"]}}}")

func flags(c *cobra.Command, o *options) {
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "the config file, {\"mcpServers\": {...}} in JSON with comments; required")
	f.StringVar(&o.transport, "transport", app.Stdio, "how clients reach the gateway: stdio, sse or streamable-http; either of the last two serves both, at /sse and /mcp")
	f.StringVar(&o.host, "host", loopback, "the address to listen on; one that other machines reach needs tokens for clients in the config (gateway.auth.tokens)")
	f.IntVar(&o.port, "port", usualPort, "the port to listen on, 0 for any; with --transport stdio HTTP is served only where this is given")
	f.StringVar(&o.state, "state", "", "the folder for what must outlive the gateway, such as the management token (default ${XDG_STATE_HOME:-~/.local/state}/mcp-gateway)")
	f.StringVar(&o.names, "names", "", "how tools and prompts are named where a client does not say: dotted (server.name) or safe (server__name, letters, digits, _ and - only, 48 at most); the default is the config's gateway.names, else dotted")
	f.BoolVar(&o.verbose, "verbose", false, "tell about every call on stderr; arguments and results are never shown")
}

// Where HTTP is served unless a flag says otherwise.
const (
	loopback  = "127.0.0.1"
	usualPort = 8080
)

func appOptions(c *cobra.Command, o options) (app.Options, error) {
	switch o.transport {
	case app.Stdio, app.SSE, app.StreamableHTTP:
	case "http", "streamable_http", "streamableHttp":
		o.transport = app.StreamableHTTP
	default:
		return app.Options{}, fmt.Errorf("--transport must be stdio, sse or streamable-http, not %q", o.transport)
	}
	if o.names != "" && o.names != "dotted" && o.names != "safe" {
		return app.Options{}, fmt.Errorf("--names must be dotted or safe, not %q", o.names)
	}
	if o.port < 0 || o.port > 65535 {
		return app.Options{}, fmt.Errorf("--port must be 0 to 65535, not %d", o.port)
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	self, err := os.Executable()
	if err != nil {
		return app.Options{}, fmt.Errorf("find our own binary: %w", err)
	}
	return app.Options{
		Config: o.config, Transport: o.transport, Host: o.host, Port: o.port, HTTP: c.Flags().Changed("port"), Names: o.names, StateDir: o.state, Version: version(),
		Executable: self, Watchdog: []string{"watchdog"}, LookupEnv: os.LookupEnv, Environ: os.Environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LogLevel: level,
	}, nil
}

// run serves until a signal comes or the stdio client goes.
func run(c *cobra.Command, o options) error {
	if o.config == "" {
		return errNoConfig
	}
	ao, err := appOptions(c, o)
	if err != nil {
		return err
	}
	a, err := app.New(ao)
	if err != nil {
		return err
	}
	ctx := c.Context()
	if err := a.Start(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "stopping")
	case <-a.Done():
	}
	end, stop := context.WithTimeout(context.Background(), stopTime)
	defer stop()
	end, again := signal.NotifyContext(end, os.Interrupt)
	defer again()
	err = errors.Join(a.Stop(end), a.Err())
	if end.Err() != nil {
		err = errors.Join(err, errors.New("stopped before every call had ended"))
	}
	return err
}
