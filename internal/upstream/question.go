package upstream

import (
	"context"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A watched Back keeps the call's clock: what the server says is a sign of life, and while
// a question of its is open the clock stands still. It puts the server's name before what
// the user is asked, since the client knows only one server, the gateway.
type watched struct {
	mcp.Back
	clock  *clock
	server string // empty where the client knows whom it speaks with
	lines  *lines
}

// nameFor is our name where a caller is asked; empty where it knows whom it speaks with.
func (s *Server) nameFor(from *mcp.Caller) string {
	if from.Scope.Server != "" {
		return ""
	}
	return s.p.Name
}

func (w *watched) Notify(ctx context.Context, method string, params []byte) error {
	w.clock.sign()
	if method == mcp.NoteMessage && !w.lines.admit() {
		return nil
	}
	return w.Back.Notify(ctx, method, params)
}

func (w *watched) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	w.clock.hold()
	defer w.clock.release()
	return w.Back.Ask(ctx, method, era.Attributed(w.server, method, params))
}

// attributedRounds attributes the input requests of a result, or of a task's state.
func attributedRounds(server string, result []byte) []byte {
	requests := rawjson.Get(result, mcp.MemberInputRequests)
	if server == "" || len(requests) == 0 || requests[0] != '{' {
		return result
	}
	out := []byte{'{'}
	changed := false
	for f := range rawjson.Members(requests) {
		method, _ := rawjson.Text(rawjson.Get(f.Value, "method"))
		value := f.Value
		if params := rawjson.Get(value, "params"); params != nil && method == mcp.Elicit {
			value = rawjson.AppendEdited(nil, value, rawjson.Edit{Key: "params", Value: era.Attributed(server, method, params)})
			changed = true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, f.Key...), ':'), value...)
	}
	if !changed {
		return result
	}
	return rawjson.AppendEdited(nil, result, rawjson.Edit{Key: mcp.MemberInputRequests, Value: append(out, '}')})
}
