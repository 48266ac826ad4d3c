package stateless

import (
	"bytes"
	"slices"
	"strings"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// Bounds of the headers for parameters that pass unread.
const (
	maxAside      = 32
	maxAsideBytes = 8 << 10
)

// admission makes the check of the headers that mirror a tool's arguments, which needs the
// tool's definition. What that does not speak of is kept for whoever is further on
// (2026-07-28, Streamable HTTP, Server Behavior for Custom Headers). It is nil where there are
// no headers.
func admission(in *era.Incoming, c *mcp.Call) func(t *mcp.Target) error {
	if in.Header == nil || c.Method != mcp.ToolsCall {
		return nil
	}
	return func(t *mcp.Target) error {
		var mirrors []mirror
		if bytes.Contains(t.Definition, []byte(annotation)) {
			// Annotations that break the rules of the revision are none: no client mirrors by them.
			mirrors, _ = readMirrors(rawjson.Get(t.Definition, "inputSchema"))
		}
		arguments := rawjson.Get(c.Params.Raw, "arguments")
		for _, m := range mirrors {
			if err := checkMirror(m, arguments, in.Header(m.header)); err != nil {
				return err
			}
		}
		return keepAside(in, c, mirrors)
	}
}

// keepAside keeps the headers for parameters that mirror nothing.
func keepAside(in *era.Incoming, c *mcp.Call, mirrors []mirror) error {
	if in.Headers == nil {
		return nil
	}
	var kept []mcp.Aside
	size := 0
	for _, name := range in.Headers(paramPrefix) {
		if slices.ContainsFunc(mirrors, func(m mirror) bool { return strings.EqualFold(m.header, name) }) {
			continue
		}
		for _, value := range in.Header(name) {
			kept, size = append(kept, mcp.Aside{Name: name, Value: value}), size+len(name)+len(value)
		}
	}
	if len(kept) > maxAside || size > maxAsideBytes {
		return mcp.Errorf(mcp.InvalidRequest, "headers", "more than %d headers %s…, or %d bytes of them, that the tool's definition does not speak of", maxAside, paramPrefix, maxAsideBytes)
	}
	c.Aside = kept
	return nil
}

// aside gives the headers that pass unread, but for those that are there already: a header is
// named in one way only.
func aside(kept []mcp.Aside, there []transport.Header) (out []transport.Header) {
	for _, k := range kept {
		if !slices.ContainsFunc(there, func(h transport.Header) bool { return strings.EqualFold(h.Name, k.Name) }) {
			out = append(out, transport.Header{Name: k.Name, Value: k.Value})
		}
	}
	return out
}

// checkMirror holds one header against the argument that it mirrors (2026-07-28, Streamable
// HTTP, Server Behavior for Custom Headers).
func checkMirror(m mirror, arguments []byte, given []string) error {
	v := arguments
	for _, name := range m.path {
		v = property(v, name)
	}
	_, mirrors := headerText(v)
	switch {
	case len(given) > 1:
		return mcp.Errorf(mcp.HeaderMismatch, "header", "the header %s is given %d times", m.header, len(given))
	case len(given) == 0 && mirrors:
		return mcp.Errorf(mcp.HeaderMismatch, "header", "the header %s is missing, which mirrors the argument %.128q", m.header, strings.Join(m.path, "."))
	case len(given) == 0:
		return nil
	}
	decoded, valid := era.DecodeHeader(given[0])
	if !valid {
		return mcp.Errorf(mcp.HeaderMismatch, "header", "the header %s is not validly encoded", m.header)
	}
	if !isMirror(v, decoded) {
		return mcp.Errorf(mcp.HeaderMismatch, "header", "the header %s is %.128q, which is not the argument %.128q", m.header, decoded, strings.Join(m.path, "."))
	}
	return nil
}

// isMirror tells whether a header's text is that of an argument. Numbers are compared as
// numbers.
func isMirror(v []byte, text string) bool {
	if len(v) == 0 {
		return false
	}
	switch v[0] {
	case '"':
		s, ok := rawjson.Text(v)
		return ok && s == text
	case 't', 'f':
		return string(v) == text
	case '{', '[', 'n':
		return false
	}
	if string(v) == text {
		return true
	}
	want, ok := headerText(v)
	if !ok || strings.Trim(text, "+-.0123456789eE") != "" || strings.Trim(text, "+-.eE") == "" {
		return false
	}
	got, ok := headerText([]byte(strings.TrimPrefix(text, "+")))
	return ok && got == want
}
