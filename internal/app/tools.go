package app

import (
	"context"
	"errors"
	"fmt"

	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/upstream"
)

// ListTools prints the tools of every server that can be started or reached, under their
// canonical names; those of a URL as that lists them. Servers that failed are told on
// stderr, and it is an error only if none is left.
func ListTools(ctx context.Context, o Options, hand ByHand) (err error) {
	c, err := newClient(o, hand)
	if err != nil {
		return err
	}
	defer c.end(&err)
	servers := c.enabled()
	if len(servers) == 0 {
		return fmt.Errorf("no server of %s is enabled; mcp-gateway check --config %s shows them", o.Config, o.Config)
	}
	if err := c.start(ctx, func(config.Server) bool { return true }); err != nil {
		return err
	}
	if len(servers) == 1 {
		if err := c.failure(servers[0].Name); err != nil {
			return err
		}
	}
	c.tellFailed()
	if len(c.failed) == len(servers) {
		return errors.New("no server could be listed; the lines above say why")
	}
	c.tellLeftOut()
	return c.printTools()
}

// tellLeftOut warns of what the lists lack.
func (c *client) tellLeftOut() {
	view := c.catalog.View()
	for _, s := range c.registry.List() {
		if s.Status.State != upstream.Ready {
			continue
		}
		if s.Status.Partial != "" {
			c.warn(printable(fmt.Sprintf("%s listed its tools in part: %s", c.called(s.Def.Name), s.Status.Partial)))
		}
		for _, left := range append(s.Status.Left, view.Left(s.Def.Name)...) {
			c.warn(printable(fmt.Sprintf("%s: left out is %s", c.called(s.Def.Name), left)))
		}
	}
}

func (c *client) printTools() error {
	view := c.catalog.View()
	if c.hand.JSON {
		list := []byte(`{"tools":[`)
		if c.scope.Server != "" {
			list = view.List(mcp.Tools, c.scope)
		} else {
			for i, e := range view.Entries(mcp.Tools) {
				if i > 0 {
					list = append(list, ',')
				}
				list = append(list, e.Definition...)
			}
			list = append(list, "]}"...)
		}
		return c.printJSON(list)
	}
	var rows []row
	for _, e := range view.Entries(mcp.Tools) {
		name := e.Target.Canonical
		if c.scope.Server != "" {
			name = e.Target.Origin
		}
		rows = append(rows, rowOf(name, e.Definition))
	}
	if len(rows) == 0 {
		fmt.Fprintln(c.o.Stderr, "there are no tools")
	}
	return c.print(table(rows, c.hand.Width))
}
