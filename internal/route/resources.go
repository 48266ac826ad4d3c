package route

import (
	"context"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// read routes a resources/read.
func (r *Router) read(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if c.Name == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"uri" must name a resource`)
	}
	view, target, err := r.resource(ctx, c.From, c.Name)
	if err != nil {
		return nil, err
	}
	c.Target = target
	return r.pass(ctx, c, view)
}

// Watch has inbox told when a resource changes, by the URI that the caller used.
func (r *Router) Watch(ctx context.Context, from *mcp.Caller, uri string, inbox mcp.Inbox) (stop func(), err error) {
	if uri == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"uri" must name a resource`)
	}
	_, target, err := r.resource(ctx, from, uri)
	if err != nil {
		return nil, err
	}
	params := append(rawjson.AppendText([]byte(`{"uri":`), uri), '}')
	return r.house.WatchResource(ctx, target.Server, target.Origin, func() { inbox.Put(mcp.NoteUpdated, params) })
}

// resource finds who has a resource. Where nobody seems to, its server may not have listed
// yet.
func (r *Router) resource(ctx context.Context, from *mcp.Caller, uri string) (*catalog.View, mcp.Target, error) {
	view := r.catalog.View()
	if t, ok := r.holder(view, from, uri); ok {
		return view, t, nil
	}
	if from.Scope.Server == "" {
		r.house.WaitListed(ctx, "")
		view = r.catalog.View()
		if t, ok := r.holder(view, from, uri); ok {
			return view, t, nil
		}
		if only := view.Only(); only != "" {
			if t, ok := r.at(view, only, uri); ok {
				return view, t, nil
			}
		}
	}
	return view, mcp.Target{}, &mcp.Error{Code: mcp.NotFound, Reason: "unknown_resource", Message: "resource not found",
		Data: append(rawjson.AppendText([]byte(`{"uri":`), uri), '}')}
}

// holder finds who has a resource: the one server of the caller's endpoint, or who lists it,
// whose moved URI it is, who gave it to this caller, who has a template that it comes of.
// URIs are compared as they are, then normalised.
func (r *Router) holder(view *catalog.View, from *mcp.Caller, uri string) (mcp.Target, bool) {
	if e := view.Find(mcp.Resources, from.Scope, uri); e != nil {
		return e.Target, true
	}
	server, origin, moved := catalog.Unmoved(uri)
	if moved {
		server = view.Server(server)
	}
	if alone := from.Scope.Server; alone != "" {
		if !moved || server != alone {
			origin = uri
		}
		return r.at(view, alone, origin)
	}
	if moved {
		if t, ok := r.at(view, server, origin); ok {
			return t, true
		}
	}
	if server, origin, ok := r.given.find(from, uri); ok {
		if t, ok := r.at(view, server, origin); ok {
			return t, true
		}
	}
	if len(uri) > catalog.MaxURI {
		return mcp.Target{}, false
	}
	if e := view.FindNormal(uri); e != nil {
		return e.Target, true
	}
	normal := catalog.Normal(uri)
	if server, origin, ok := catalog.Unmoved(normal); ok && !moved {
		if t, ok := r.at(view, view.Server(server), origin); ok {
			return t, true
		}
	}
	e := view.FindTemplate(uri)
	if e == nil {
		e = view.FindTemplate(normal)
	}
	if e == nil {
		return mcp.Target{}, false
	}
	return r.at(view, e.Target.Server, uri)
}

// at is a resource at a server, listed or not. It is false where there is no such server.
func (r *Router) at(view *catalog.View, server, origin string) (mcp.Target, bool) {
	if e := view.Find(mcp.Resources, mcp.Scope{Server: server}, origin); e != nil {
		return e.Target, true
	}
	handler := r.house.Handler(server)
	return mcp.Target{Server: server, Kind: "resource", Canonical: catalog.Moved(server, origin), Origin: origin, Handler: handler}, handler != nil
}

// complete routes a completion/complete to the server of the prompt or template that it is
// for (2026-07-28, server, utilities, Completion, Reference Types).
func (r *Router) complete(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	ref := rawjson.Get(c.Params.Raw, "ref")
	kind, _ := rawjson.Text(rawjson.Get(ref, "type"))
	key := map[string]string{"ref/prompt": "name", "ref/resource": "uri"}[kind]
	if key == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"ref" must be of type "ref/prompt" or "ref/resource"`)
	}
	name, ok := rawjson.Text(rawjson.Get(ref, key))
	if !ok || name == "" {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"ref" must have a %q`, key)
	}
	argument := rawjson.Get(c.Params.Raw, "argument")
	_, named := rawjson.Text(rawjson.Get(argument, "name"))
	_, valued := rawjson.Text(rawjson.Get(argument, "value"))
	if !named || !valued {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"argument" must have a "name" and a "value", both strings`)
	}
	c.Name = name
	if key == "uri" {
		return r.completeURI(ctx, c)
	}
	view, e := r.find(ctx, c, mcp.Prompts)
	if e == nil {
		return nil, r.unknown(view, c, mcp.Prompts)
	}
	c.Target = e.Target
	return r.pass(ctx, c, view)
}

func (r *Router) completeURI(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	view, e := r.find(ctx, c, mcp.Templates)
	if e != nil {
		c.Target = e.Target
		return r.pass(ctx, c, view)
	}
	view, target, err := r.resource(ctx, c.From, c.Name)
	if err != nil {
		return nil, mcp.Errorf(mcp.InvalidParams, "unknown_resource", "no server has a resource or template %.256q", c.Name)
	}
	c.Target = target
	return r.pass(ctx, c, view)
}

// callerOf is whose memory of given URIs a call has: its session's, else its principal's.
func callerOf(c *mcp.Caller) string {
	if c.Session != "" {
		return "session " + c.Session
	}
	return "principal " + c.Principal
}
