package stateless

import (
	"fmt"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// lists are the kinds of lists that a client may hear of, by the field of the filter and the
// capability that stands for it (2026-07-28, subscriptions, Notification Filter).
var lists = [...]struct {
	field, capability string
	kinds             []mcp.Kind
}{
	{"toolsListChanged", "tools", []mcp.Kind{mcp.Tools}},
	{"promptsListChanged", "prompts", []mcp.Kind{mcp.Prompts}},
	{"resourcesListChanged", "resources", []mcp.Kind{mcp.Resources, mcp.Templates}},
}

const fieldURIs = "resourceSubscriptions"

// A filter is what a client wants to hear of, or what it will hear of.
type filter struct {
	lists [len(lists)]bool
	uris  []string
	tasks []string // ids as the client has them
}

func readFilter(raw []byte) (filter, *mcp.Error) {
	var f filter
	if len(raw) == 0 || raw[0] != '{' {
		return f, badFilter(`"notifications" must be an object`)
	}
	if err := rawjson.CheckMembers(raw, lists[0].field, lists[1].field, lists[2].field, fieldURIs, fieldTasks); err != nil {
		return f, badFilter(err.Error())
	}
	for i, l := range lists {
		switch v := rawjson.Get(raw, l.field); string(v) {
		case "true":
			f.lists[i] = true
		case "false", "":
		default:
			return f, badFilter(`"` + l.field + `" must be a boolean`)
		}
	}
	var bad *mcp.Error
	if f.uris, bad = readTexts(raw, fieldURIs, "resources"); bad != nil {
		return f, bad
	}
	f.tasks, bad = readTexts(raw, fieldTasks, "tasks")
	return f, bad
}

// readTexts reads a member of a filter that is an array of strings, each of which counts once.
func readTexts(filter []byte, field, what string) (out []string, bad *mcp.Error) {
	list := rawjson.Get(filter, field)
	if list != nil && list[0] != '[' {
		return nil, badFilter(`"` + field + `" must be an array of strings`)
	}
	known := map[string]bool{}
	for e := range rawjson.Elements(list) {
		text, ok := rawjson.Text(e)
		switch {
		case !ok:
			return nil, badFilter(`"` + field + `" must be an array of strings`)
		case len(text) > mcp.MaxWatched:
			return nil, badFilter(fmt.Sprintf("what %q names is longer than %d bytes", field, mcp.MaxWatched))
		case known[text]:
		case len(out) == maxURIs:
			return nil, mcp.Errorf(mcp.InvalidParams, "uris", "one subscriptions/listen may name %d %s at most", maxURIs, what)
		default:
			known[text], out = true, append(out, text)
		}
	}
	return out, nil
}

func badFilter(message string) *mcp.Error {
	return mcp.Errorf(mcp.InvalidParams, "params", "%s", message)
}

// append writes the filter as it stands in an acknowledgement.
func (f filter) append(dst []byte) []byte {
	first := len(dst)
	for i, l := range lists {
		if f.lists[i] {
			dst = append(append(append(dst, `,"`...), l.field...), `":true`...)
		}
	}
	if len(f.uris) > 0 {
		dst = appendTexts(append(dst, ','), fieldURIs, f.uris)
	}
	if len(f.tasks) > 0 {
		dst = appendTexts(append(dst, ','), fieldTasks, f.tasks)
	}
	if len(dst) > first {
		dst[first] = '{'
		return append(dst, '}')
	}
	return append(dst, '{', '}')
}
