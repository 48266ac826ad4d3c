package mcp

import "mcpgateway/internal/rawjson"

// Reference reads what a completion is for from its params (2026-07-28, completion, Reference
// Types): the member of ref that names it, "name" of a prompt or "uri" of a resource or
// template, and that name.
func Reference(params []byte) (key, name string, bad *Error) {
	ref := rawjson.Get(params, "ref")
	switch kind, _ := rawjson.Text(rawjson.Get(ref, "type")); kind {
	case "ref/prompt":
		key = "name"
	case "ref/resource":
		key = "uri"
	default:
		return "", "", Errorf(InvalidParams, "params", `"ref" must be of type "ref/prompt" or "ref/resource"`)
	}
	name, ok := rawjson.Text(rawjson.Get(ref, key))
	if !ok {
		return "", "", Errorf(InvalidParams, "params", `"ref" must have %q, a string`, key)
	}
	return key, name, nil
}
