package route

import (
	"context"
	"encoding/binary"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// list answers with a page of a list, or all of it.
func (r *Router) list(ctx context.Context, c *mcp.Call, kind mcp.Kind) (*mcp.Reply, error) {
	after, err := r.place(c)
	if err != nil {
		return nil, err
	}
	scope := c.From.Scope
	r.house.WaitListed(ctx, scope.Server)
	r.house.Asked()
	r.house.WaitOwn(ctx, c.From, "")
	view := r.view(c.From)
	c.Target = mcp.Target{Kind: "list", Handler: mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		reply := &mcp.Reply{TTL: view.Fresh(kind, scope, time.Now()), Gateways: view.Gateways()}
		if after == nil {
			reply.Seen = view.Fingerprint(kind, scope)
		}
		if r.page == 0 {
			reply.Result = view.List(kind, scope)
			return reply, nil
		}
		page, next := view.Page(kind, scope, after, r.page)
		if next != nil {
			page = rawjson.AppendText(append(page, `,"nextCursor":`...), r.cursor(c, next))
		}
		reply.Result = append(page, '}')
		return reply, nil
	})}
	return r.pass(ctx, c, view)
}

// cursorOf binds a cursor to the list and the principal that it was made for.
func cursorOf(c *mcp.Call) []string {
	style := "dotted"
	if c.From.Scope.Safe {
		style = "safe"
	}
	return []string{"cursor", c.Method, style, c.From.Scope.Server, c.From.Principal}
}

func (r *Router) cursor(c *mcp.Call, p *catalog.Place) string {
	out := binary.AppendUvarint(nil, uint64(p.Rank))
	out = append(out, byte(len(p.Before)))
	for _, k := range p.Before {
		out = binary.BigEndian.AppendUint64(out, k)
	}
	return r.sealed(append(out, p.Server...), cursorOf(c)...)
}

// place reads the cursor of a call; nil where it has none.
func (r *Router) place(c *mcp.Call) (*catalog.Place, error) {
	raw := rawjson.Get(c.Params.Raw, "cursor")
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	bad := mcp.Errorf(mcp.InvalidParams, "cursor", "the cursor is not one of this list")
	text, ok := rawjson.Text(raw)
	if !ok || r.page == 0 { // lists have one page, so no cursor is ours
		return nil, bad
	}
	in, ok := r.opened(text, cursorOf(c)...)
	if !ok {
		return nil, bad
	}
	rank, n := binary.Uvarint(in)
	p := &catalog.Place{Rank: int(rank)}
	for range in[n] {
		p.Before = append(p.Before, binary.BigEndian.Uint64(in[n+1+8*len(p.Before):]))
	}
	p.Server = string(in[n+1+8*len(p.Before):])
	return p, nil
}
