package stateful

import (
	"bytes"
	"strings"

	"mcpgateway/internal/rawjson"
)

// Projection: the stateless revisions allow any JSON Schema as outputSchema and any value
// as structuredContent (2026-07-28, changelog, minor change 10). Stateful clients know
// objects only, and one other tool makes the TypeScript SDK refuse the whole list. Such a
// schema is wrapped in an object with one property, and so is the value.

const wrapPath = "#/properties/result"

// projectTools rewrites the tools of a list that stateful clients could not read. It
// gives result itself where there are none.
func projectTools(result []byte) []byte {
	tools := rawjson.Get(result, "tools")
	out := []byte{'['}
	changed := false
	for tool := range rawjson.Elements(tools) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		p, rewritten := projectTool(tool)
		changed = changed || rewritten
		out = append(out, p...)
	}
	if !changed {
		return result
	}
	return rawjson.AppendEdited(nil, result, rawjson.Edit{Key: "tools", Value: append(out, ']')})
}

func projectTool(tool []byte) (projected []byte, rewritten bool) {
	var edits []rawjson.Edit
	if in := rawjson.Get(tool, "inputSchema"); in != nil {
		if p := projectProperties(in); p != nil {
			edits = append(edits, rawjson.Edit{Key: "inputSchema", Value: p})
		}
	}
	if out := rawjson.Get(tool, "outputSchema"); out != nil {
		if !isObjectSchema(out) {
			edits = append(edits, rawjson.Edit{Key: "outputSchema", Value: wrapSchema(out)})
		} else if p := projectProperties(out); p != nil {
			edits = append(edits, rawjson.Edit{Key: "outputSchema", Value: p})
		}
	}
	if edits == nil {
		return tool, false
	}
	return rawjson.AppendEdited(nil, tool, edits...), true
}

func isObjectSchema(schema []byte) bool {
	return schema[0] == '{' && string(rawjson.Get(schema, "type")) == `"object"`
}

// projectProperties replaces boolean property schemas by objects that mean the same. It
// is nil where there are none.
func projectProperties(schema []byte) []byte {
	properties := rawjson.Get(schema, "properties")
	var edits []rawjson.Edit
	out := []byte{'{'}
	found := false
	for f := range rawjson.Members(properties) {
		v := f.Value
		switch string(v) {
		case "true":
			v, found = []byte("{}"), true
		case "false":
			v, found = []byte(`{"not":{}}`), true
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, f.Key...), ':'), v...)
	}
	if !found {
		return nil
	}
	edits = append(edits, rawjson.Edit{Key: "properties", Value: append(out, '}')})
	return rawjson.AppendEdited(nil, schema, edits...)
}

// wrapSchema makes an object schema whose one property is schema.
func wrapSchema(schema []byte) []byte {
	out := []byte(`{`)
	inner := schema
	if dialect := rawjson.Get(schema, "$schema"); dialect != nil {
		out = append(append(append(out, `"$schema":`...), dialect...), ',')
		inner = rawjson.AppendEdited(nil, schema, rawjson.Edit{Key: "$schema"})
	}
	if bytes.Contains(inner, []byte(`Ref"`)) || bytes.Contains(inner, []byte(`"$ref"`)) {
		inner = appendMoved(nil, inner)
	}
	out = append(out, `"type":"object","properties":{"result":`...)
	out = append(out, inner...)
	return append(out, `},"required":["result"]}`...)
}

// appendMoved appends a schema that moves to wrapPath, its references to itself rewritten.
// The recursion is as deep as the scan allowed.
func appendMoved(dst, v []byte) []byte {
	switch v[0] {
	case '[':
		dst = append(dst, '[')
		first := true
		for e := range rawjson.Elements(v) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendMoved(dst, e)
		}
		return append(dst, ']')
	case '{':
		if id := rawjson.Get(v, "$id"); id != nil && id[0] == '"' {
			return append(dst, v...) // a root of its own: its references are to itself
		}
		return appendObject(dst, v, appendMovedMember)
	}
	return append(dst, v...)
}

// appendObject appends an object with each value as member writes it.
func appendObject(dst, v []byte, member func(dst []byte, key string, v []byte) []byte) []byte {
	dst = append(dst, '{')
	first := true
	for f := range rawjson.Members(v) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, f.Key...), ':')
		dst = member(dst, string(f.Key), f.Value)
	}
	return append(dst, '}')
}

func appendMovedMember(dst []byte, key string, v []byte) []byte {
	switch key {
	case `"$ref"`, `"$dynamicRef"`:
		if ref, ok := rawjson.Text(v); ok && (ref == "#" || strings.HasPrefix(ref, "#/")) {
			return rawjson.AppendText(dst, wrapPath+ref[1:])
		}
	case `"const"`, `"enum"`, `"default"`, `"examples"`: // data, not schemas
		return append(dst, v...)
	case `"properties"`, `"patternProperties"`, `"dependentSchemas"`, `"$defs"`, `"definitions"`: // names, not keywords
		if v[0] == '{' {
			return appendObject(dst, v, func(dst []byte, _ string, v []byte) []byte { return appendMoved(dst, v) })
		}
	}
	return appendMoved(dst, v)
}

// projectResult wraps structuredContent for a client that was shown a wrapped schema, or
// that could not read a value that is no object.
func projectResult(result, definition []byte) []byte {
	v := rawjson.Get(result, "structuredContent")
	if v == nil {
		return result
	}
	schema := rawjson.Get(definition, "outputSchema")
	if v[0] == '{' && (schema == nil || isObjectSchema(schema)) {
		return result
	}
	wrapped := append(append([]byte(`{"result":`), v...), '}')
	edits := []rawjson.Edit{{Key: "structuredContent", Value: wrapped}}
	if !hasText(rawjson.Get(result, "content")) {
		edits = append(edits, rawjson.Edit{Key: "content", Value: withText(rawjson.Get(result, "content"), v)})
	}
	return rawjson.AppendEdited(nil, result, edits...)
}

func hasText(content []byte) bool {
	for block := range rawjson.Elements(content) {
		if string(rawjson.Get(block, "type")) == `"text"` {
			return true
		}
	}
	return false
}

func withText(content, value []byte) []byte {
	block := rawjson.AppendText([]byte(`{"type":"text","text":`), string(value))
	out := []byte{'['}
	for b := range rawjson.Elements(content) {
		out = append(append(out, b...), ',')
	}
	return append(append(out, block...), '}', ']')
}
