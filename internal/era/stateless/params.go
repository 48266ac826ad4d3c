package stateless

import (
	"bytes"
	"strings"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// admission makes the check of the headers that mirror a tool's arguments, which needs the
// tool's definition. It is nil where there are no headers.
func admission(in *era.Incoming, c *mcp.Call) func(t *mcp.Target) error {
	if in.Header == nil || c.Method != mcp.ToolsCall {
		return nil
	}
	return func(t *mcp.Target) error {
		if !bytes.Contains(t.Definition, []byte(annotation)) {
			return nil
		}
		mirrors, err := readMirrors(rawjson.Get(t.Definition, "inputSchema"))
		if err != nil {
			return nil // no rule of the revision: no client mirrors by it
		}
		arguments := rawjson.Get(c.Params.Raw, "arguments")
		for _, m := range mirrors {
			if err := checkMirror(m, arguments, in.Header(m.header)); err != nil {
				return err
			}
		}
		return nil
	}
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
