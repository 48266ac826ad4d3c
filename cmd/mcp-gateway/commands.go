package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"mcpgateway/internal/app"

	"github.com/spf13/cobra"
)

// release is set by the linker in released binaries.
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.1.0-dev"
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		fmt.Fprintln(c.OutOrStdout(), "mcp-gateway", version())
		return nil
	}}
}

func tokenCommand() *cobra.Command {
	var o options
	c := &cobra.Command{Use: "token", Short: "Print the management token, which changes to servers need", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		token, err := app.Token(app.Options{StateDir: o.state})
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), token)
		return nil
	}}
	c.Flags().StringVar(&o.state, "state", "", "the gateway's --state folder (default ${XDG_STATE_HOME:-~/.local/state}/mcp-gateway)")
	return c
}

const demoLong = "demo runs one of two small MCP servers, on stdio or over HTTP: calculator has tools; echo has tools,\n" +
	"a prompt and a resource."

func demoCommand() *cobra.Command {
	var o options
	one := func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return errors.New("name one demo server: mcp-gateway demo calculator, or mcp-gateway demo echo")
		}
		return nil
	}
	c := &cobra.Command{Use: "demo calculator|echo", Short: "Run a small MCP server to try the gateway with", Long: demoLong, Args: one, RunE: func(c *cobra.Command, args []string) error {
		ao, err := appOptions(c, o)
		if err != nil {
			return err
		}
		return app.Demo(c.Context(), args[0], ao)
	}}
	f := c.Flags()
	f.StringVar(&o.transport, "transport", app.Stdio, "stdio, sse or streamable-http; either of the last two serves both, at /sse and /mcp")
	f.StringVar(&o.host, "host", loopback, "the address to listen on over HTTP; a demo server listens on loopback only")
	f.IntVar(&o.port, "port", usualPort, "the port to listen on over HTTP, 0 for any")
	return c
}

// watchdogCommand is what the gateway starts beside itself: when the pipe on its standard
// input ends without a farewell, the gateway was killed, and its servers' processes go too.
func watchdogCommand() *cobra.Command {
	return &cobra.Command{Use: "watchdog RUN", Hidden: true, Args: cobra.ExactArgs(1), Run: func(_ *cobra.Command, args []string) {
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		app.Watch(args[0], os.Stdin)
	}}
}
