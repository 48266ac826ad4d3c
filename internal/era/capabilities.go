package era

import (
	"slices"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// AllQuestions are the capabilities that a shared connection declares: every question that
// some client may be able to answer, and MCP Apps, which some can show (SEP-1865, Client Capability
// Negotiation). Whether the one that is asked can is seen then.
const AllQuestions = `{` + questions + `,"extensions":{` + apps + `}}`

// AllQuestionsAndRoots is the same where the gateway itself says what the roots are.
const AllQuestionsAndRoots = `{` + questions + `,"roots":{},"extensions":{` + apps + `}}`

// AllOfLists is what a list for every client is asked for with, where each request declares what
// its client can.
const AllOfLists = `{` + questions + `,"roots":{},"extensions":{` + apps + `,"` + mcp.ExtensionTasks + `":{}}}`

const (
	questions = `"elicitation":{"form":{},"url":{}},"sampling":{"context":{},"tools":{}}`
	apps      = `"` + mcp.ExtensionUI + `":{"mimeTypes":["text/html;profile=mcp-app"]}`
)

// Bridged cuts what a client declared to what the gateway carries, whichever way the client
// itself is asked.
func Bridged(declared []byte, tasks bool) []byte {
	caps := Cut(declared, "elicitation", "sampling", "roots", "extensions")
	var edits []rawjson.Edit
	for f := range rawjson.Members(caps) {
		key, _ := rawjson.Text(f.Key)
		switch {
		case f.Value[0] != '{':
			edits = append(edits, rawjson.Edit{Key: key})
		case key == "extensions":
			carried := []string{mcp.ExtensionUI}
			if tasks {
				carried = append(carried, mcp.ExtensionTasks)
			}
			if kept := Cut(f.Value, carried...); len(kept) != len(f.Value) {
				edits = append(edits, rawjson.Edit{Key: key, Value: kept})
			}
		}
	}
	if edits == nil {
		return caps
	}
	return rawjson.AppendEdited(nil, caps, edits...)
}

// Cut gives of an object only the named members, as they are. It is nil where there are
// none.
func Cut(object []byte, keep ...string) []byte {
	var drop []rawjson.Edit
	kept := 0
	for f := range rawjson.Members(object) {
		key, ok := rawjson.Text(f.Key)
		if ok && slices.Contains(keep, key) {
			kept++
		} else if ok {
			drop = append(drop, rawjson.Edit{Key: key})
		}
	}
	switch {
	case kept == 0:
		return nil
	case drop == nil:
		return object
	}
	return rawjson.AppendEdited(nil, object, drop...)
}
