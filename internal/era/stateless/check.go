package stateless

import (
	"fmt"
	"net/http"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// checkRequest holds a request against the rules of the revision: headers that mirror the
// body (2026-07-28, Streamable HTTP, Server Validation), a version that we speak
// (versioning, Protocol Version Negotiation), and the fields that _meta must have (basic,
// Per-request protocol fields). It is nil where all is well.
func checkRequest(in *era.Incoming, c *mcp.Call) *era.Answer {
	m := in.Message
	var version string
	raw := rawjson.Get(c.Params.Meta, mcp.MetaVersion)
	if raw != nil {
		var isText bool
		if version, isText = rawjson.Text(raw); !isText {
			return refuse(m, era.InvalidParams, fmt.Sprintf("%q in _meta must be a string", mcp.MetaVersion), nil)
		}
	}
	if in.Header != nil {
		if refusal := checkHeaders(in, c, version); refusal != nil {
			return refusal
		}
	}
	if version == "" {
		return refuse(m, era.InvalidParams, fmt.Sprintf("_meta must name %q", mcp.MetaVersion), nil)
	}
	if !era.IsStateless(version) {
		return unsupported(m, version)
	}
	caps := rawjson.Get(c.Params.Meta, mcp.MetaClientCaps)
	if caps == nil || caps[0] != '{' {
		return refuse(m, era.InvalidParams, fmt.Sprintf("_meta must hold %q, an object", mcp.MetaClientCaps), nil)
	}
	if level := rawjson.Get(c.Params.Meta, mcp.MetaLogLevel); level != nil {
		if text, _ := rawjson.Text(level); era.Severity(text) < 0 { // 2026-07-28, logging, Error Handling
			return refuse(m, era.InvalidParams, fmt.Sprintf("%q in _meta must be a log level", mcp.MetaLogLevel), nil)
		}
	}
	return nil
}

func checkHeaders(in *era.Incoming, c *mcp.Call, version string) *era.Answer {
	m := in.Message
	given, bad := one(in, era.HeaderVersion)
	if bad != nil {
		return bad
	}
	if given == "" {
		return mismatch(m, "the header MCP-Protocol-Version is missing")
	}
	if version == "" {
		if !era.IsStateless(given) {
			return unsupported(m, given)
		}
		return nil // the missing field is the caller's own problem, told by checkRequest
	}
	if given != version {
		return mismatch(m, fmt.Sprintf("the header MCP-Protocol-Version is %q, the body says %q", given, version))
	}
	if !era.IsStateless(version) {
		return unsupported(m, version)
	}
	method, bad := one(in, era.HeaderMethod)
	if bad != nil {
		return bad
	}
	if method != m.Method {
		return mismatch(m, fmt.Sprintf("the header Mcp-Method is %q, the body says %q", method, m.Method))
	}
	switch {
	case mcp.MayAsk(m.Method):
		return checkName(in, c.Name, true)
	case isTask(m.Method): // SEP-2663, Streamable HTTP: it is there for those in between
		id, _ := rawjson.Text(rawjson.Get(m.Params, mcp.MemberTaskID))
		return checkName(in, id, false)
	}
	return nil
}

// checkName holds the header that names what is asked for against the body.
func checkName(in *era.Incoming, want string, needed bool) *era.Answer {
	name, bad := one(in, era.HeaderName)
	switch {
	case bad != nil:
		return bad
	case name == "" && !needed:
		return nil
	case name == "" && want != "":
		return mismatch(in.Message, "the header Mcp-Name is missing")
	}
	if decoded, valid := era.DecodeHeader(name); !valid || decoded != want {
		return mismatch(in.Message, fmt.Sprintf("the header Mcp-Name is %q, the body says %q", name, want))
	}
	return nil
}

// one reads a header that may be given once.
func one(in *era.Incoming, name string) (string, *era.Answer) {
	values := in.Header(name)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", mismatch(in.Message, fmt.Sprintf("the header %s is given %d times", name, len(values)))
}

func mismatch(m *jsonrpc.Message, message string) *era.Answer {
	return refuse(m, era.HeaderMismatch, message, nil)
}

func unsupported(m *jsonrpc.Message, requested string) *era.Answer {
	data := append([]byte(`{"supported":`), era.Dates()...)
	data = rawjson.AppendText(append(data, `,"requested":`...), requested)
	return refuse(m, era.UnsupportedVersion, "unsupported protocol version", append(data, '}'))
}

func refuse(m *jsonrpc.Message, number int, message string, data []byte) *era.Answer {
	object := era.AppendErrorObject(nil, number, message, data)
	return &era.Answer{Status: http.StatusBadRequest, Body: jsonrpc.AppendError(nil, m.ID, object)}
}
