package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/registry"
)

// gateway shows the registry and the catalog to the operators' API.
type gateway struct{ a *App }

func (g gateway) Servers() []admin.Server {
	var out []admin.Server
	view := g.a.catalog.View()
	for _, s := range g.a.registry.List() {
		st := s.Status
		out = append(out, admin.Server{
			Name: s.Def.Name, Transport: st.Transport, State: string(st.State), Reason: st.Reason,
			Protocol: st.Info.Revision, ServerInfo: st.Info.ServerInfo, Tools: st.Entries[mcp.Tools],
			Prompts: view.Count(mcp.Prompts, s.Def.Name), Resources: view.Count(mcp.Resources, s.Def.Name) + view.Count(mcp.Templates, s.Def.Name), Since: st.Since.UTC(), Restarts: st.Restarts,
			Source: s.Source, Partial: st.Partial, LeftOut: slices.Concat(st.Left, view.Left(s.Def.Name)), Stderr: st.Stderr, Advice: st.Advice, Clients: st.Clients,
		})
	}
	return out
}

func (g gateway) Tools() []admin.Tool {
	var out []admin.Tool
	view := g.a.catalog.View()
	for i, e := range view.Entries(mcp.Tools) {
		dotted, safe := view.Exposed(mcp.Tools, i)
		out = append(out, admin.Tool{Server: e.Target.Server, OriginName: e.Target.Origin, Dotted: dotted, Safe: safe, Definition: e.Definition})
	}
	return out
}

func (g gateway) Parse(body []byte) ([]config.Server, []config.Problem) {
	return config.ParseServers(body, g.a.lookup)
}

func (g gateway) Add(defs []config.Server) error {
	err := g.a.registry.Add(defs)
	var conflict *registry.Conflict
	switch {
	case errors.As(err, &conflict):
		return &admin.Conflict{Names: conflict.Names}
	case errors.Is(err, registry.ErrFull):
		return fmt.Errorf("%w: there may be %d", admin.ErrFull, g.a.cfg.Gateway.Limits.Servers)
	}
	return err
}

func (g gateway) WaitTried(ctx context.Context, names ...string) {
	g.a.registry.WaitTried(ctx, names...)
}

func (g gateway) Remove(ctx context.Context, name string) error {
	if errors.Is(g.a.registry.Remove(ctx, name), registry.ErrUnknown) {
		return admin.ErrUnknown
	}
	return nil
}

func (g gateway) Waiting() []string { return g.a.registry.Untried() }

func (g gateway) Ready() bool { return !g.a.stopping.Load() && g.a.registry.Tried() }
