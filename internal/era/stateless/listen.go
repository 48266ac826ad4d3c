package stateless

import (
	"context"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// quietTime keeps a client from being told more often.
const quietTime = time.Second

// listen serves subscriptions/listen until the client or the gateway ends it
// (2026-07-28, subscriptions): first the acknowledgement with what is honoured, then a
// notification whenever the caller's own view changed, at most once a second.
func (b *Inbound) listen(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	filter := rawjson.Get(c.Params.Raw, "notifications")
	if len(filter) == 0 || filter[0] != '{' {
		return *refuse(in.Message, era.InvalidParams, `"notifications" must be an object`, nil)
	}
	if b.p.Streams.Take(in.Principal) != nil {
		return b.failure(in.Message.ID, mcp.Errorf(mcp.Overloaded, "streams", "too many streams are open"))
	}
	defer b.p.Streams.Give(in.Principal)
	id := in.Message.ID
	meta := append(append([]byte(`{"`+mcp.MetaSubscription+`":`), id...), '}')
	tools := string(rawjson.Get(filter, "toolsListChanged")) == "true"
	seen, changed := b.p.Feed.Tools(c.From)
	in.Out.Notify(acknowledged(meta, tools))
	if !tools {
		changed = nil
	}
	var quiet <-chan time.Time // for a second after each notification
	news := false              // since then the view was another, though it may be the old one again
	for {
		if news && quiet == nil {
			params := append(append([]byte(`{"_meta":`), meta...), '}')
			in.Out.Notify(jsonrpc.AppendNotification(nil, mcp.NoteToolsListChanged, params))
			news, quiet = false, time.After(quietTime)
		}
		select {
		case <-ctx.Done():
			return era.Answer{Dropped: true}
		case <-b.closing:
			return b.teardown(in, meta)
		case <-quiet:
			quiet = nil
		case <-changed:
			var now string
			now, changed = b.p.Feed.Tools(c.From)
			news = news || now != seen
			seen = now
		}
	}
}

func acknowledged(meta []byte, tools bool) []byte {
	params := append(append([]byte(`{"_meta":`), meta...), `,"notifications":{`...)
	if tools {
		params = append(params, `"toolsListChanged":true`...)
	}
	return jsonrpc.AppendNotification(nil, mcp.NoteAcknowledged, append(params, '}', '}'))
}

// teardown ends a subscription on our initiative: the request's result, and before it, on
// a pipe, the cancellation that a server must send (2026-07-28, cancellation).
func (b *Inbound) teardown(in *era.Incoming, meta []byte) era.Answer {
	if in.Header == nil {
		params := append(append([]byte(`{"requestId":`), in.Message.ID...), '}')
		in.Out.Notify(jsonrpc.AppendNotification(nil, mcp.NoteCancelled, params))
	}
	meta = rawjson.AppendEdited(nil, meta, rawjson.Edit{Key: mcp.MetaServerInfo, Value: b.p.Presence.Self(in.Scope)})
	return ok(in.Message.ID, append(append([]byte(`{"resultType":"complete","_meta":`), meta...), '}'))
}
