package stateless

import (
	"errors"
	"fmt"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// readReply sorts the result of a call.
func readReply(c *mcp.Call, result []byte) (*mcp.Reply, error) {
	switch t := resultType(result); t {
	case era.TypeComplete:
		return completeReply(c, era.CleanResult(result))
	case era.TypeInputRequired:
		if !mcp.MayAsk(c.Method) { // 2026-07-28, patterns, Multi Round-Trip Requests, Supported Requests
			return nil, mcp.Errorf(mcp.Internal, "server_invalid", "server %q asks for input where a server must not", c.Target.Server)
		}
		return &mcp.Reply{Kind: mcp.InputRequired, Result: era.CleanResult(result)}, nil
	case typeTask:
		switch {
		case !takesTasks(c.From):
		case c.Method == mcp.ToolsCall:
			return createdTask(c, era.CleanResult(result))
		case c.Method == mcp.TasksGet: // as an example of SEP-2663 has it, though its text has not
			return completeReply(c, era.CleanResult(result, era.MemberType))
		}
		fallthrough
	default:
		// 2026-07-28, basic, ResultType: a type that nobody declared makes the result invalid.
		return nil, mcp.Errorf(mcp.Internal, "server_invalid", "server %q gave a result of unknown type %.40q", c.Target.Server, t)
	}
}

// resultType is complete where a result does not say.
func resultType(result []byte) string {
	raw := rawjson.Get(result, era.MemberType)
	if raw == nil {
		return era.TypeComplete
	}
	t, ok := rawjson.Text(raw)
	if !ok {
		return string(raw)
	}
	return t
}

// handleError keeps errors that speak of our hop, not the caller's, from passing as the
// server's own.
func handleError(c *mcp.Call, err error) error {
	var remote *mcp.Remote
	if errors.As(err, &remote) && (remote.Number == era.HeaderMismatch || remote.Number == era.UnsupportedVersion) {
		code := mcp.Internal
		if remote.Number == era.UnsupportedVersion {
			code = mcp.Unavailable // it is not the server that was discovered
		}
		return &mcp.Error{Code: code, Reason: "server_refused", Message: fmt.Sprintf("server %q refused the gateway's request", c.Target.Server), Err: err}
	}
	return era.Unavailable(c.Target.Server, err)
}

// bridged are the capabilities of a request: its caller's.
func bridged(from *mcp.Caller) []byte { return era.Bridged(from.Capabilities, takesTasks(from)) }
