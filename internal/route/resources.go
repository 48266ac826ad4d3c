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
	switch {
	case uri == "":
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"uri" must name a resource`)
	case len(uri) > mcp.MaxWatched:
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"uri" is longer than %d bytes`, mcp.MaxWatched)
	}
	_, target, err := r.resource(ctx, from, uri)
	if err != nil {
		return nil, err
	}
	target.Handler = nil // the watch may outlive the server
	return r.house.WatchResource(ctx, target.Server, from, target.Origin, func(below string) {
		inbox.Put(mcp.NoteUpdated, append(rawjson.AppendText([]byte(`{"uri":`), r.beneath(from, uri, &target, below)), '}'))
	})
}

// beneath is the URI of a part of a watched resource, in the form that the caller used; moved
// where that would lead to another server.
func (r *Router) beneath(from *mcp.Caller, uri string, target *mcp.Target, below string) string {
	view, part := r.view(from), target.Origin+below
	switch {
	case below == "":
		return uri
	case uri != target.Origin && looksMoved(uri):
		return catalog.Moved(target.Server, part)
	case from.Scope.Server != "" || r.alone(view, from, target.Server):
		return uri + below
	}
	if link := r.link(view, from, target.Server, part); link != part {
		return link
	}
	return uri + below
}

// resource finds who has a resource. Where nobody seems to, its server may not have listed
// yet.
func (r *Router) resource(ctx context.Context, from *mcp.Caller, uri string) (*catalog.View, mcp.Target, error) {
	view := r.view(from)
	t, known := r.holder(view, from, uri)
	if !known {
		r.house.WaitListed(ctx, "")
		r.house.WaitOwn(ctx, from, "")
		view = r.view(from)
		if t, known = r.holder(view, from, uri); !known {
			if only := view.Only(); only != "" {
				t = r.at(view, only, uri)
			}
		}
	}
	if t.Handler != nil {
		return view, t, nil
	}
	return view, mcp.Target{}, &mcp.Error{Code: mcp.NotFound, Reason: "unknown_resource", Message: "resource not found",
		Data: append(rawjson.AppendText([]byte(`{"uri":`), uri), '}')}
}

// holder finds who has a resource: the one server of the caller's endpoint, or whose moved URI
// it is, who lists it, who gave it to this caller, where else it leads. URIs are compared as
// they are, then normalised. Moved URIs come first, so that no server can list another's. What
// is known to be of a server that is gone has no handler: nobody stands in for it.
func (r *Router) holder(view *catalog.View, from *mcp.Caller, uri string) (t mcp.Target, known bool) {
	server, origin, moved := catalog.Unmoved(uri)
	alone := from.Scope.Server
	if alone == "" && moved {
		return r.at(view, view.Server(server), origin), true
	}
	if e := view.Find(mcp.Resources, from.Scope, uri); e != nil {
		return e.Target, true
	}
	if alone != "" {
		if moved && view.Server(server) == alone {
			uri = origin
		}
		return r.at(view, alone, uri), true
	}
	if server, origin, ok := r.given.find(from, uri); ok {
		return r.at(view, server, origin), true
	}
	if server, origin = view.Leads(uri); server != "" {
		return r.at(view, server, origin), true
	}
	return mcp.Target{}, false
}

// at is a resource at a server, listed or not. It has no handler where there is no such
// server.
func (r *Router) at(view *catalog.View, server, origin string) mcp.Target {
	if e := view.Find(mcp.Resources, mcp.Scope{Server: server}, origin); e != nil {
		return e.Target
	}
	return mcp.Target{Server: server, Kind: "resource", Canonical: catalog.Moved(server, origin), Origin: origin, Handler: r.house.Handler(server)}
}

// complete routes a completion/complete to the server of the prompt or template that it is
// for (2026-07-28, server, utilities, Completion, Reference Types).
func (r *Router) complete(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	key, name, bad := mcp.Reference(c.Params.Raw)
	if bad != nil {
		return nil, bad
	}
	if name == "" {
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
