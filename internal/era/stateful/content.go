package stateful

import (
	"strings"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Content: sounds came with 2025-03-26, links to resources with 2025-06-18 (the changelog of
// each). A peer of an earlier revision refuses the whole message for one block of a type that it
// does not know, so such a block becomes a text there. It keeps all its other members as they
// are, and its text says in words what it is.

// readsAll tells whether every type of content can be shown to clients of a revision.
func readsAll(r era.Revision) bool { return r.Sounds && r.Links }

// projectContent rewrites the blocks of a tool's result that the revision does not have.
func projectContent(result []byte, r era.Revision) []byte {
	if readsAll(r) {
		return result
	}
	result, _ = rewritten(result, "content", func(block []byte) ([]byte, bool) { return projectBlock(block, r) })
	return result
}

// projectMessages rewrites the messages of a prompt in the same way. Each has one block.
func projectMessages(result []byte, r era.Revision) []byte {
	if readsAll(r) {
		return result
	}
	result, _ = rewritten(result, "messages", func(message []byte) ([]byte, bool) {
		block, changed := projectBlock(rawjson.Get(message, "content"), r)
		if !changed {
			return message, false
		}
		return withContent(message, block), true
	})
	return result
}

func withContent(message, content []byte) []byte {
	return rawjson.AppendEdited(nil, message, rawjson.Edit{Key: "content", Value: content})
}

// rewritten gives an object with the elements of one list as f writes them, where f changes
// one; else the object itself.
func rewritten(object []byte, list string, f func([]byte) ([]byte, bool)) (out []byte, changed bool) {
	all := []byte{'['}
	for e := range rawjson.Elements(rawjson.Get(object, list)) {
		e, other := f(e)
		changed = changed || other
		if len(e) == 0 {
			continue
		}
		if len(all) > 1 {
			all = append(all, ',')
		}
		all = append(all, e...)
	}
	if !changed {
		return object, false
	}
	return rawjson.AppendEdited(nil, object, rawjson.Edit{Key: list, Value: append(all, ']')}), true
}

func projectBlock(block []byte, r era.Revision) (projected []byte, changed bool) {
	kind := member(block, "type")
	if kind == "audio" && !r.Sounds || kind == "resource_link" && !r.Links {
		return asText(block), true
	}
	return block, false
}

// asText is a block of another type as a text.
func asText(block []byte) []byte {
	return rawjson.AppendEdited(nil, block,
		rawjson.Edit{Key: "type", Value: []byte(`"text"`)},
		rawjson.Edit{Key: "text", Value: rawjson.AppendText(nil, words(block))})
}

// words are what a block says in words: its text, or what it is.
func words(block []byte) string {
	switch kind := member(block, "type"); kind {
	case "text":
		return member(block, "text")
	case "image", "audio":
		return kind + " (" + member(block, "mimeType") + ")"
	case "resource_link":
		return member(block, "name") + ": " + member(block, "uri")
	case "resource":
		resource := rawjson.Get(block, "resource")
		if text := member(resource, "text"); text != "" {
			return text
		}
		return "resource: " + member(resource, "uri")
	case "tool_use":
		return "use of the tool " + member(block, "name") + " (" + member(block, "id") + "): " + string(rawjson.Get(block, "input"))
	case "tool_result":
		outcome := "result"
		if string(rawjson.Get(block, "isError")) == "true" {
			outcome = "error"
		}
		return outcome + " of " + member(block, "toolUseId") + ": " + allWords(rawjson.Get(block, "content"))
	default:
		return kind
	}
}

// allWords are those of several blocks, from one line to the next.
func allWords(blocks []byte) string {
	var all []string
	for block := range rawjson.Elements(blocks) {
		if said := words(block); said != "" {
			all = append(all, said)
		}
	}
	return strings.Join(all, "\n")
}

// member is a text of an object; empty where it has none.
func member(object []byte, name string) string {
	s, _ := rawjson.Text(rawjson.Get(object, name))
	return s
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
