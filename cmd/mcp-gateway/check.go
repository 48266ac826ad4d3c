package main

import (
	"mcpgateway/internal/app"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var o options
	var strict bool
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check a config file and start nothing",
		Long: "check tells every problem of a config file at once, with its line and column, and exits 1 if\n" +
			"there is one. Else it prints a line for each server. A server that cannot start, because a\n" +
			"variable is not set for example, keeps no other from working: it is shown, and exits 0.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.config == "" {
				return errNoConfig
			}
			ao, err := handOptions(o)
			if err != nil {
				return err
			}
			return app.Check(ao, strict)
		},
	}
	c.Flags().StringVar(&o.config, "config", "", "the config file; required")
	c.Flags().BoolVar(&strict, "strict", false, "exit 1 for warnings, and for enabled servers that cannot start, too")
	return c
}
