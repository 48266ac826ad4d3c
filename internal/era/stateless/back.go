package stateless

import (
	"bytes"
	"context"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A carrier is the request that a call answers to now.
type carrier struct {
	out   era.Outlet
	from  *mcp.Caller
	token []byte // its progress token; nil for none
	began []byte // that of the request which began the call
}

func newCarrier(in *era.Incoming, c, first *mcp.Call) *carrier {
	return &carrier{out: in.Out, from: c.From, token: c.Params.ProgressToken, began: first.Params.ProgressToken}
}

// tell hands a notification to the client as this request wants it: progress under its own
// token, log lines from its own level on.
func (k *carrier) tell(method string, params []byte) {
	switch method {
	case mcp.NoteProgress:
		if k.token == nil {
			return
		}
		if !bytes.Equal(k.token, k.began) {
			params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: mcp.MetaProgressToken, Value: k.token})
		}
	case mcp.NoteMessage:
		if !era.WantsLine(k.from, params) {
			return
		}
	case mcp.NoteElicited: // this era does not have it
		return
	}
	k.out.Notify(jsonrpc.AppendNotification(nil, method, params))
}

// A note is a notification that waits for the retry of a parked call.
type note struct {
	method string
	params []byte
}

// Notify tells the request that carries the call. For a parked call the newest progress and
// the last log lines are kept.
func (r *run) Notify(ctx context.Context, method string, params []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.finished || r.gone || ctx.Err() != nil:
	case r.carrier != nil:
		r.carrier.tell(method, params)
	default:
		r.keep(note{method, params})
	}
	return nil
}

// keep is called with mu held.
func (r *run) keep(n note) {
	switch n.method {
	case mcp.NoteProgress:
		r.forget(mcp.NoteProgress, 0)
	case mcp.NoteMessage:
		r.forget(mcp.NoteMessage, maxLines-1)
	default:
		return
	}
	for r.noted+len(n.params) > maxKept {
		if !r.forget(mcp.NoteMessage, 0) {
			return
		}
	}
	if r.hold(len(n.params)) {
		r.notes, r.noted = append(r.notes, n), r.noted+len(n.params)
	}
}

// forget takes out the oldest notification of a kind where there are more than these. It is
// false where there are not.
func (r *run) forget(method string, most int) bool {
	oldest, count := -1, 0
	for i, n := range r.notes {
		if n.method != method {
			continue
		}
		if count++; oldest < 0 {
			oldest = i
		}
	}
	if count <= most {
		return false
	}
	n := r.notes[oldest]
	r.notes = append(r.notes[:oldest], r.notes[oldest+1:]...)
	r.noted -= len(n.params)
	r.hold(-len(n.params))
	return true
}

// A plainBack is the Back of a call that must not ask (2026-07-28, Multi Round-Trip Requests,
// Supported Requests).
type plainBack struct {
	*era.CallerBack
}

func (plainBack) Ask(_ context.Context, method string, _ []byte) ([]byte, error) {
	return nil, mcp.Errorf(mcp.UnknownMethod, "not_now", "clients are asked during tools/call, prompts/get and resources/read only; %.256q came during another request", method)
}
