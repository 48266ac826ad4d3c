package stateful

import (
	"mcpgateway/internal/era"
	"mcpgateway/internal/rawjson"
)

// Sampling: several blocks of content in one message, and tools for the model, came with
// 2025-11-25 (its changelog, major change 7). A client reads questions, and a server answers, as
// its own revision has them. A tool is used only by a client that was asked with tools, which a
// server of an earlier revision does not do; if a model says all the same that it wants one, the
// server can run none, but can read what was wanted.

// projectQuestion is what a client of a revision can read of a sampling's params: of a message
// with several blocks, a message for each. Tools are as in lists.
func projectQuestion(params []byte, r era.Revision) []byte {
	params, _ = rewritten(projectTools(params), "messages", func(message []byte) ([]byte, bool) {
		message, changed := projectMessage(message, r)
		blocks := several(message, r)
		if blocks == nil {
			return message, changed
		}
		var all []byte
		for block := range rawjson.Elements(blocks) {
			if all != nil {
				all = append(all, ',')
			}
			all = append(all, withContent(message, block)...)
		}
		return all, true
	})
	return params
}

// projectAnswer is what a server of a revision can read of a client's answer to that.
func projectAnswer(result []byte, r era.Revision) []byte {
	result, _ = projectMessage(result, r)
	if blocks := several(result, r); blocks != nil {
		return withContent(result, oneBlock(blocks))
	}
	return result
}

// projectMessage rewrites each block of a message that the revision does not have.
func projectMessage(message []byte, r era.Revision) (projected []byte, changed bool) {
	content := rawjson.Get(message, "content")
	if isArray(content) {
		return rewritten(message, "content", func(block []byte) ([]byte, bool) { return projectPart(block, r) })
	}
	block, changed := projectPart(content, r)
	if !changed {
		return message, false
	}
	return withContent(message, block), true
}

// projectPart is projectBlock for a message that may tell of tools.
func projectPart(block []byte, r era.Revision) (projected []byte, changed bool) {
	kind := member(block, "type")
	switch {
	case (kind == "tool_use" || kind == "tool_result") && !r.Uses:
		return asText(block), true
	case kind == "tool_result":
		shown := projectResult(block, nil)
		return shown, len(shown) != len(block)
	}
	return projectBlock(block, r)
}

// several gives the array of a message's blocks where its revision wants one block.
func several(message []byte, r era.Revision) []byte {
	if content := rawjson.Get(message, "content"); !r.Blocks && isArray(content) {
		return content
	}
	return nil
}

// oneBlock makes one block of an array: the only one that says something, or a text of what all
// of them say. Of a text and an image the text is kept, since it is what servers read.
func oneBlock(blocks []byte) []byte {
	var only []byte
	n := 0
	for block := range rawjson.Elements(blocks) {
		if words(block) != "" {
			only = block
			n++
		}
	}
	if n == 1 {
		return only
	}
	return append(rawjson.AppendText([]byte(`{"type":"text","text":`), allWords(blocks)), '}')
}

func isArray(v []byte) bool { return len(v) > 0 && v[0] == '[' }
