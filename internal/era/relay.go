package era

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Relay gives what a server says during the call with this id to the caller: progress of
// that call under the caller's own token, log lines, and where the caller sees this server
// alone whatever else there is.
func Relay(ctx context.Context, c *mcp.Call, id []byte) func(*jsonrpc.Message) {
	return func(m *jsonrpc.Message) {
		if m.Kind != jsonrpc.Notification {
			return
		}
		params := m.Params
		switch {
		case m.Method == mcp.NoteProgress:
			token := c.Params.ProgressToken
			if token == nil || !bytes.Equal(rawjson.Get(params, mcp.MetaProgressToken), id) {
				return
			}
			params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: mcp.MetaProgressToken, Value: token})
		case m.Method == mcp.NoteMessage, c.From.Scope.Server != "":
			params = CleanResult(params)
		default:
			return
		}
		_ = c.Back.Notify(ctx, m.Method, params)
	}
}

// OfNoCall tells whether a notification speaks of the server and not of a call, on whatever
// stream it comes.
func OfNoCall(method string) bool {
	switch method {
	case mcp.Tools.Changed(), mcp.Prompts.Changed(), mcp.Resources.Changed(), mcp.NoteUpdated, mcp.NoteTask:
		return true
	}
	return false
}

// Missed tells that changes may have passed unheard: of every list that the server
// announces, and of these resources.
func (e *Ear) Missed(announces [mcp.Kinds]bool, uris []string) {
	for _, k := range [...]mcp.Kind{mcp.Tools, mcp.Prompts, mcp.Resources} {
		if announces[k] {
			e.Changed(k)
		}
	}
	for _, uri := range uris {
		e.Updated(append(rawjson.AppendText([]byte(`{"uri":`), uri), '}'))
	}
}

// Unwatched is what Watch returns where the server refused some of the resources, and the
// others are watched: why, by URI.
type Unwatched map[string]error

func (u Unwatched) Error() string {
	var all []string
	for uri, err := range u {
		all = append(all, fmt.Sprintf("subscribing to %.200q: %v", uri, err))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// Unwrap gives the reasons.
func (u Unwatched) Unwrap() []error { return slices.Collect(maps.Values(u)) }

// Via is the _meta member that lists the gateways which a request has passed: those of the
// sender's _meta, and own. It is no edit where own is empty.
func Via(sent []byte, own string) []rawjson.Edit {
	if own == "" {
		return nil
	}
	passed := []byte{'['}
	for id := range rawjson.Elements(rawjson.Get(sent, mcp.MetaVia)) {
		passed = append(append(passed, id...), ',')
	}
	return []rawjson.Edit{{Key: mcp.MetaVia, Value: append(rawjson.AppendText(passed, own), ']')}}
}
