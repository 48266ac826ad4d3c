package era

import (
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Members of a result that only the stateless revisions define, and only for one hop.
const (
	MemberType  = "resultType"
	MemberTTL   = "ttlMs"
	MemberScope = "cacheScope"

	TypeComplete      = "complete"
	TypeInputRequired = "input_required"
)

// CleanMeta gives a _meta object without the keys that speak of one hop. It is nil where
// nothing is left, and meta itself where nothing was to be taken out.
func CleanMeta(meta []byte, add ...rawjson.Edit) []byte {
	edits := make([]rawjson.Edit, 0, len(mcp.HopMeta)+len(add))
	kept := 0
	for f := range rawjson.Members(meta) {
		if key := hopKey(f.Key); key != "" {
			edits = append(edits, rawjson.Edit{Key: key})
		} else {
			kept++
		}
	}
	if len(edits) == 0 && len(add) == 0 {
		return meta
	}
	if kept == 0 && len(add) == 0 {
		return nil
	}
	for _, a := range add {
		edits = setEdit(edits, a)
	}
	return rawjson.AppendEdited(nil, meta, edits...)
}

// setEdit puts a in the place of the removal of the same key.
func setEdit(edits []rawjson.Edit, a rawjson.Edit) []rawjson.Edit {
	for i := range edits {
		if edits[i].Key == a.Key {
			edits[i] = a
			return edits
		}
	}
	return append(edits, a)
}

func hopKey(token []byte) string {
	for _, k := range mcp.HopMeta {
		if len(token) == len(k)+2 && string(token[1:len(token)-1]) == k {
			return k
		}
	}
	return ""
}

// CleanResult takes out of a server's result the named members and the _meta keys of its
// hop. Where there are none it is the same slice.
func CleanResult(result []byte, drop ...string) []byte {
	var edits []rawjson.Edit
	for _, k := range drop {
		if rawjson.Get(result, k) != nil {
			edits = append(edits, rawjson.Edit{Key: k})
		}
	}
	if meta := rawjson.Get(result, "_meta"); len(meta) > 0 && meta[0] == '{' {
		if clean := CleanMeta(meta); len(clean) != len(meta) {
			edits = append(edits, rawjson.Edit{Key: "_meta", Value: clean})
		}
	}
	if edits == nil {
		return result
	}
	return rawjson.AppendEdited(nil, result, edits...)
}
