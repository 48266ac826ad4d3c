package demo

import (
	"strings"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A prompt has one message, made of the arguments that a client gives.
type prompt struct {
	name       string
	definition string
	text       func(arguments []byte) (string, error)
}

// A resource is a text that never changes.
type resource struct {
	uri        string
	definition string
	mimeType   string
	text       string
}

// join makes the result of a list.
func join[T any](member string, of []T, definition func(T) string) []byte {
	definitions := make([]string, len(of))
	for i, x := range of {
		definitions[i] = definition(x)
	}
	return []byte(`{"` + member + `":[` + strings.Join(definitions, ",") + `]}`)
}

// makeLists makes the results of the lists that the server has, and says which those are.
func (s *Server) makeLists() {
	s.lists[mcp.Tools] = join("tools", s.tools, func(t tool) string { return t.definition })
	capabilities := `{"tools":{"listChanged":true}`
	if s.prompts != nil {
		s.lists[mcp.Prompts] = join("prompts", s.prompts, func(p prompt) string { return p.definition })
		capabilities += `,"prompts":{"listChanged":true}`
	}
	if s.resources != nil {
		s.lists[mcp.Resources] = join("resources", s.resources, func(r resource) string { return r.definition })
		s.lists[mcp.Templates] = []byte(`{"resourceTemplates":[]}`)
		capabilities += `,"resources":{"listChanged":true}`
	}
	s.capabilities = []byte(capabilities + "}")
}

// get answers prompts/get.
func (s *Server) get(c *mcp.Call) (*mcp.Reply, error) {
	for _, p := range s.prompts {
		if p.name != c.Name {
			continue
		}
		text, err := p.text(rawjson.Get(c.Params.Raw, "arguments"))
		if err != nil {
			return nil, mcp.Errorf(mcp.InvalidParams, "arguments", "%s", err)
		}
		out := rawjson.AppendText([]byte(`{"messages":[{"role":"user","content":{"type":"text","text":`), text)
		return &mcp.Reply{Result: append(out, `}}]}`...)}, nil
	}
	return nil, mcp.Errorf(mcp.InvalidParams, "unknown_prompt", "unknown prompt: %.256q", c.Name)
}

// read answers resources/read.
func (s *Server) read(c *mcp.Call) (*mcp.Reply, error) {
	for _, r := range s.resources {
		if r.uri != c.Name {
			continue
		}
		out := rawjson.AppendText([]byte(`{"contents":[{"uri":`), r.uri)
		out = rawjson.AppendText(append(out, `,"mimeType":`...), r.mimeType)
		out = rawjson.AppendText(append(out, `,"text":`...), r.text)
		return &mcp.Reply{Result: append(out, `}]}`...)}, nil
	}
	return nil, mcp.Errorf(mcp.NotFound, "resource", "no such resource: %.256q", c.Name)
}
