package main

import (
	"fmt"
	"os"

	"mcpgateway/internal/app"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func toolsCommand() *cobra.Command {
	var o options
	var hand app.ByHand
	c := &cobra.Command{
		Use:   "tools --config FILE | --url URL",
		Short: "List the tools of servers",
		Long: "tools starts the servers of a config, or reaches the server or gateway at a URL, prints their\n" +
			"tools with their parameters, and ends what it started. Servers that fail are told on stderr.",
		Example: "  mcp-gateway tools --config servers.json\n  mcp-gateway tools --url http://127.0.0.1:8080/mcp --json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ao, err := handOptions(o)
			if err != nil {
				return err
			}
			return app.ListTools(c.Context(), ao, onTerminal(hand))
		},
	}
	handFlags(c, &o, &hand)
	c.Flags().BoolVar(&hand.JSON, "json", false, "print the list {\"tools\": […]} as it is")
	return c
}

// handFlags are those of the commands that reach servers by hand.
func handFlags(c *cobra.Command, o *options, hand *app.ByHand) {
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "start the servers of this config file, as long as they are needed")
	f.StringVar(&hand.URL, "url", "", "reach the MCP server or gateway at this URL, such as http://127.0.0.1:8080/mcp")
	f.StringArrayVar(&hand.Headers, "header", nil, "a header for the URL, 'Name: value'; may be given more than once")
	f.StringVar(&hand.Token, "token", "", "a bearer token for the URL; other users of this machine may see it, which @FILE, read from a file, spares you")
	f.BoolVar(&hand.Verbose, "verbose", false, "tell on stderr what is going on")
}

// handOptions are the world around a command that serves nobody.
func handOptions(o options) (app.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return app.Options{}, fmt.Errorf("find our own binary: %w", err)
	}
	return app.Options{
		Config: o.config, Version: version(), Executable: self, Watchdog: []string{"watchdog"},
		LookupEnv: os.LookupEnv, Environ: os.Environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}, nil
}

const usualWidth = 100 // where there is no terminal that says

// onTerminal adds what the terminal says.
func onTerminal(hand app.ByHand) app.ByHand {
	hand.Terminal = term.IsTerminal(int(os.Stdout.Fd()))
	hand.ErrTerminal = term.IsTerminal(int(os.Stderr.Fd()))
	hand.Width = usualWidth
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			hand.Width = width
			break
		}
	}
	return hand
}
