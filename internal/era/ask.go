package era

import (
	"fmt"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// MayAsk holds a server's question against the capabilities that a client declared, which may
// be nil. It is nil where the client may be asked (2025-11-25, lifecycle, Capability
// Negotiation; client features, Capabilities of each). An empty elicitation capability means
// forms only.
func MayAsk(caps []byte, method string, params []byte) *mcp.Error {
	switch method {
	case mcp.Elicit:
		return mayElicit(declared(caps, "elicitation"), params)
	case mcp.CreateMessage:
		sampling := declared(caps, "sampling")
		if sampling == nil {
			return noCapability("sampling")
		}
		tools := rawjson.Get(params, "tools") != nil || rawjson.Get(params, "toolChoice") != nil
		if tools && declared(sampling, "tools") == nil {
			return noMode("the client's sampling takes no tools")
		}
		return nil
	case mcp.RootsList:
		if declared(caps, "roots") == nil {
			return noCapability("roots")
		}
		return nil
	}
	return mcp.Errorf(mcp.UnknownMethod, "method", "clients answer no requests of method %.256q", method)
}

func mayElicit(elicitation, params []byte) *mcp.Error {
	if elicitation == nil {
		return noCapability("elicitation")
	}
	form, url := declared(elicitation, "form"), declared(elicitation, "url")
	switch mode := ElicitMode(params); mode {
	case "form":
		if form == nil && url != nil {
			return noMode("the client shows no forms")
		}
	case "url":
		if url == nil {
			return noMode("the client opens no URLs")
		}
	default:
		return noMode(fmt.Sprintf("the client knows no elicitation of mode %.64q", mode))
	}
	return nil
}

// ElicitMode is the mode of an elicitation. One that names none is a form (2025-11-25,
// elicitation, Elicitation Requests). It is empty where the mode is no text.
func ElicitMode(params []byte) string {
	raw := rawjson.Get(params, "mode")
	if raw == nil {
		return "form"
	}
	mode, _ := rawjson.Text(raw)
	return mode
}

// Attributed puts the server's name before an elicitation's message, since the client knows
// only one server, the gateway. server is empty where the client knows whom it speaks with.
func Attributed(server, method string, params []byte) []byte {
	if server == "" || method != mcp.Elicit {
		return params
	}
	message, ok := rawjson.Text(rawjson.Get(params, "message"))
	if !ok {
		return params
	}
	return rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "message", Value: rawjson.AppendText(nil, server+": "+message)})
}

// declared gives a capability, which is an object; nil for none.
func declared(caps []byte, name string) []byte {
	if len(caps) == 0 || caps[0] != '{' {
		return nil
	}
	if c := rawjson.Get(caps, name); len(c) > 0 && c[0] == '{' {
		return c
	}
	return nil
}

func noCapability(name string) *mcp.Error {
	return mcp.Errorf(mcp.UnknownMethod, "capability", "the client did not declare the capability %q", name)
}

func noMode(message string) *mcp.Error {
	return &mcp.Error{Code: mcp.InvalidParams, Reason: "capability", Message: message}
}
