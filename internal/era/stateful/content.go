package stateful

import (
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Content: sounds came with 2025-03-26, links to resources with 2025-06-18, and more than one
// block in a sampling's message with 2025-11-25 (the changelog of each). A client of an earlier
// revision refuses the whole message for one block of a type that it does not know, so such a
// block becomes a text there. It keeps all its other members as they are, and its text says in
// words what it is.

// readsAll tells whether every type of content can be shown to clients of a revision.
func readsAll(r era.Revision) bool { return r.Sounds && r.Links }

// projectContent rewrites the blocks of a tool's result that the revision does not have.
func projectContent(result []byte, r era.Revision) []byte {
	if readsAll(r) {
		return result
	}
	return rewritten(result, "content", func(block []byte) ([]byte, bool) { return projectBlock(block, r) })
}

// projectMessages rewrites the messages of a prompt or of a sampling in the same way.
func projectMessages(object []byte, r era.Revision) []byte {
	if readsAll(r) && r.Blocks {
		return object
	}
	return rewritten(object, "messages", func(message []byte) ([]byte, bool) {
		content := rawjson.Get(message, "content")
		if len(content) == 0 || content[0] != '[' || r.Blocks {
			block, changed := projectBlock(content, r)
			if !changed {
				return message, false
			}
			return rawjson.AppendEdited(nil, message, rawjson.Edit{Key: "content", Value: block}), true
		}
		var out []byte // a message for each block
		for block := range rawjson.Elements(content) {
			if out != nil {
				out = append(out, ',')
			}
			block, _ = projectBlock(block, r)
			out = rawjson.AppendEdited(out, message, rawjson.Edit{Key: "content", Value: block})
		}
		return out, true
	})
}

// rewritten gives an object with the elements of one list as f writes them, where f changes
// one; else the object itself.
func rewritten(object []byte, list string, f func([]byte) ([]byte, bool)) []byte {
	out, changed := []byte{'['}, false
	for e := range rawjson.Elements(rawjson.Get(object, list)) {
		e, other := f(e)
		changed = changed || other
		if len(e) == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	if !changed {
		return object
	}
	return rawjson.AppendEdited(nil, object, rawjson.Edit{Key: list, Value: append(out, ']')})
}

func projectBlock(block []byte, r era.Revision) (projected []byte, changed bool) {
	text := func(member string) string {
		s, _ := rawjson.Text(rawjson.Get(block, member))
		return s
	}
	said := ""
	switch kind := text("type"); {
	case kind == "audio" && !r.Sounds:
		said = "audio (" + text("mimeType") + ")"
	case kind == "resource_link" && !r.Links:
		said = text("name") + ": " + text("uri")
	default:
		return block, false
	}
	return rawjson.AppendEdited(nil, block,
		rawjson.Edit{Key: "type", Value: []byte(`"text"`)},
		rawjson.Edit{Key: "text", Value: rawjson.AppendText(nil, said)}), true
}

// projectReply is what a client of a revision can read of a call's result.
func projectReply(c *mcp.Call, result []byte, r era.Revision) []byte {
	switch c.Method {
	case mcp.ToolsCall:
		return projectContent(projectResult(result, c.Target.Definition), r)
	case mcp.PromptsGet:
		return projectMessages(result, r)
	}
	return result
}
