package main

import (
	"errors"

	"mcpgateway/internal/app"

	"github.com/spf13/cobra"
)

func callCommand() *cobra.Command {
	var o options
	var hand app.ByHand
	var args app.Arguments
	c := &cobra.Command{
		Use:   "call NAME [key=value… | --args JSON] --config FILE | --url URL",
		Short: "Call a tool",
		Long: "call calls one tool and prints the text of its result. Each value gets the type that the tool's\n" +
			"schema gives its parameter; lists and objects are written in JSON; @FILE stands for the text of a\n" +
			"file, @- for standard input, @@ for one @. It exits 1 if the tool, or anything before it, failed.",
		Example: "  mcp-gateway call calculator.add a=2 b=3 --config servers.json\n" +
			"  mcp-gateway call calculator.add --args '{\"a\": 2, \"b\": 3}' --url http://127.0.0.1:8080/mcp",
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) == 0 {
				return errors.New("name the tool: mcp-gateway call NAME [key=value…]; mcp-gateway tools lists them")
			}
			return nil
		},
		RunE: func(c *cobra.Command, given []string) error {
			ao, err := handOptions(o)
			if err != nil {
				return err
			}
			args.Pairs, args.Whole = given[1:], c.Flags().Changed("args")
			return app.CallTool(c.Context(), ao, onTerminal(hand), given[0], args)
		},
	}
	handFlags(c, &o, &hand)
	c.Flags().StringVar(&args.JSON, "args", "", "all arguments as one JSON object, which goes to the server as it is; @FILE reads a file, @- standard input")
	c.Flags().BoolVar(&hand.JSON, "json", false, "print the result as it came, in JSON")
	return c
}
