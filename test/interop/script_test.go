package interop

import (
	"net/url"
	"strings"
)

// way is what a script is run on: a server, and what is between it and the client.
type way struct {
	server    server
	cell      string // of one session with one server, and nothing else's
	style     style
	direct    bool // no gateway
	stateless bool // what the client speaks
	moved     bool // an earlier server of the gateway has the same URIs
}

func (w way) name(origin string) string {
	if w.direct {
		return origin
	}
	return w.style.of(w.server.name, origin)
}

// uri is how a server's URI is listed.
func (w way) uri(origin string) string {
	if w.direct || !w.moved {
		return origin
	}
	escaped := strings.ReplaceAll(url.QueryEscape(origin), "+", "%20")
	return "mcp-gateway:" + w.server.name + "/" + escaped
}

// template is how a server's template is listed, or what comes of it.
func (w way) template(origin string) string {
	if w.direct || !w.moved {
		return origin
	}
	return "mcp-gateway:" + w.server.name + "//" + origin
}

func (w way) tool(label, name string, args map[string]any) step {
	if args == nil {
		args = map[string]any{} // an SDK for Go would send null
	}
	return step{label: label, Do: "tool", Name: w.name(name), Args: args}
}

func (w way) prompt(label, name string, args map[string]any) step {
	return step{label: label, Do: "prompt", Name: w.name(name), Args: args}
}

func (w way) complete(label, prompt, argName, value string, context map[string]string) step {
	s := step{label: label, Do: "complete", Ref: &reference{Type: "ref/prompt", Name: w.name(prompt)}, Argument: &argument{argName, value}}
	if context != nil {
		s.Context = &known{context}
	}
	return s
}

func (w way) read(label, uri string) step { return step{label: label, Do: "read", URI: uri} }

func (s step) answering(action string, content map[string]any) step {
	s.Answer, s.Content = action, content
	return s
}

func (s step) awaiting(method string, n int) step {
	s.Await = map[string]int{method: n}
	return s
}

// The notifications that scripts wait for.
const (
	messages = "notifications/message"
	progress = "notifications/progress"
	updated  = "notifications/resources/updated"
)

const everythingDocument = "demo://resource/static/document/features.md"

// everythingScript is all that server-everything does beyond answering calls.
func everythingScript(w way) []step {
	form := map[string]any{"name": "Ada Lovelace", "check": true, "email": "ada@example.com", "integer": 7, "untitledMultipleSelectEnum": []any{"Piano"}}
	consent := map[string]any{"url": "https://example.com/consent?a=1&b=2", "message": "Please go there", "elicitationId": "consent-1"}
	file := w.cell + ".gz"
	steps := []step{
		{label: "level", Do: "level", Level: "debug"},
		w.tool("annotated", "get-annotated-message", map[string]any{"messageType": "error", "includeImage": true}),
		w.tool("links", "get-resource-links", map[string]any{"count": 3}),
		w.tool("reference", "get-resource-reference", map[string]any{"resourceType": "Text", "resourceId": 1}),
		w.tool("gzip", "gzip-file-as-resource", map[string]any{"name": file, "data": "data:text/plain,Hi", "outputType": "resourceLink"}),
		w.read("read gzip", w.uri("demo://resource/session/"+file)),
		w.tool("long", "trigger-long-running-operation", map[string]any{"duration": 0.03, "steps": 3}).awaiting(progress, 3),
		w.tool("sampling", "trigger-sampling-request", map[string]any{"prompt": "Größe 漢字", "maxTokens": 30}),
		w.tool("form", "trigger-elicitation-request", nil).answering("accept", form),
		w.tool("form declined", "trigger-elicitation-request", nil).answering("decline", nil),
		w.tool("form cancelled", "trigger-elicitation-request", nil).answering("cancel", nil),
		w.tool("url", "trigger-url-elicitation", consent),
		w.tool("url declined", "trigger-url-elicitation", consent).answering("decline", nil),
		everythingURLError(w),
		everythingRoots(w),
		w.prompt("prompt", "simple-prompt", nil),
		w.prompt("prompt with arguments", "args-prompt", map[string]any{"city": "Zürich", "state": "ZH"}),
		w.prompt("prompt with a resource", "resource-prompt", map[string]any{"resourceType": "Text", "resourceId": "1"}),
		w.complete("complete", "completable-prompt", "department", "S", nil),
		w.complete("complete in context", "completable-prompt", "name", "", map[string]string{"department": "Sales"}),
		{label: "complete a template", Do: "complete", Argument: &argument{"resourceId", "7"},
			Ref: &reference{Type: "ref/resource", URI: w.template("demo://resource/dynamic/text/{resourceId}")}},
		w.read("read", w.uri(everythingDocument)),
		w.read("read by template", w.template("demo://resource/dynamic/text/7")),
		w.read("read nothing", "demo://resource/dynamic/text/none"),
		{label: "subscribe", Do: "subscribe", URI: w.uri(everythingDocument)},
		everythingUpdates(w),
		w.tool("updates off", "toggle-subscriber-updates", nil),
		{label: "unsubscribe", Do: "unsubscribe", URI: w.uri(everythingDocument)},
		everythingLog(w),
		w.tool("log off", "toggle-simulated-logging", nil),
	}
	if w.server.own || w.server.link.Transport == "http" || w.direct {
		together := step{label: "together", Do: "together", With: []step{
			w.tool("", "trigger-sampling-request", map[string]any{"prompt": "one", "maxTokens": 30}),
			w.tool("", "trigger-sampling-request", map[string]any{"prompt": "two", "maxTokens": 30}),
		}}
		if w.server.link.Transport == "stdio" {
			together.asked = anyQuestions // one that moves from one call to the other is asked twice
		}
		steps = append(steps, together)
	}
	return steps
}

// everythingURLError is the call that a stateful client has to make again after it went somewhere.
// For a stateless one the gateway does that.
func everythingURLError(w way) step {
	args := map[string]any{"url": "https://example.com/" + w.cell, "message": "Please go there", "errorPath": true}
	s := w.tool("url error", "trigger-url-elicitation", args)
	if w.stateless && !w.direct {
		s.want, s.asked = "User completed the URL elicitation flow", twoQuestions
	}
	return s
}

// everythingUpdates has the server tell of updates to the session in which it is asked to.
func everythingUpdates(w way) step {
	return w.tool("updates on", "toggle-subscriber-updates", nil).awaiting(updated, 1)
}

func everythingRoots(w way) step {
	s := w.tool("roots", "get-roots-list", nil)
	s.asking = true
	if !w.direct && !w.server.own {
		s.want = "1. shared\n   URI: file:///srv/shared" // the config's
	}
	return s
}

// everythingLog has the server send one line of a random level. Over HTTP it sends it on the stream
// that belongs to no call. Where clients share that, or where a client hears nothing outside of calls,
// it comes by chance only: while the call is the only one that has no answer yet.
func everythingLog(w way) step {
	s := w.tool("log on", "toggle-simulated-logging", nil)
	s.random = true
	if w.direct || w.server.link.Transport != "http" || w.server.own && !w.stateless {
		s = s.awaiting(messages, 1)
	}
	return s
}

// goScript is what the Go SDK's conformance server does beyond answering calls.
func goScript(w way) []step {
	name := map[string]any{"name": "Ada", "color": "blue", "ok": true, "context": "a test", "username": "ada"}
	elicit := func(label, tool string) step { return w.tool(label, tool, nil).answering("accept", name) }
	steps := []step{
		{label: "level", Do: "level", Level: "debug"},
		w.tool("image", "test_image_content", nil),
		w.tool("embedded", "test_embedded_resource", nil),
		w.tool("mixed", "test_multiple_content_types", nil),
		w.tool("log", "test_tool_with_logging", nil).awaiting(messages, 3),
		w.tool("progress", "test_tool_with_progress", nil).awaiting(progress, 3),
		elicit("form", "test_input_required_result_elicitation"),
		elicit("state", "test_input_required_result_request_state"),
		w.tool("sampling", "test_input_required_result_sampling", nil),
		w.prompt("prompt that asks", "test_input_required_result_prompt", nil).answering("accept", name),
		w.prompt("prompt with arguments", "test_prompt_with_arguments", map[string]any{"arg1": "one", "arg2": "zwei"}),
		w.prompt("prompt with a resource", "test_prompt_with_embedded_resource", map[string]any{"resourceUri": "test://example"}),
		w.read("read", w.uri("test://static-text")),
		w.read("read by template", w.template("test://template/7/data")),
		w.complete("complete", "test_prompt_with_arguments", "arg1", "te", nil),
	}
	steps[5].random = true // answers with the token that it got
	if w.direct || w.server.own || w.server.stateless {
		steps = append(steps, w.tool("roots", "test_input_required_result_list_roots", nil),
			elicit("all at once", "test_input_required_result_multiple_inputs"))
	}
	if w.direct || w.server.stateless { // in a stateful session this SDK's servers make one round only
		rounds := elicit("rounds", "test_input_required_result_multi_round")
		rounds.want, rounds.asked = "Multi-round complete: Ada likes blue", twoQuestions
		steps = append(steps, rounds)
	}
	if !w.server.stateless && !(w.direct && w.stateless) {
		steps = append(steps, w.tool("sampling on the way", "test_sampling", map[string]any{"prompt": "Why?"}),
			w.tool("form on the way", "test_elicitation", map[string]any{"message": "Who are you?"}).answering("accept", name),
			w.tool("defaults", "test_elicitation_sep1034_defaults", nil).answering("accept", map[string]any{"name": "Ada", "age": 36}),
			w.tool("declined", "test_elicitation", map[string]any{"message": "Who are you?"}).answering("decline", nil))
	}
	return steps
}

const touched = "go://watched"

// touchScript is a subscription at a server that tells of a change when it is asked to.
func touchScript(w way) []step {
	return []step{
		{label: "subscribe", Do: "subscribe", URI: w.uri(touched)},
		w.tool("touch", "touch", nil).awaiting(updated, 1),
		w.read("read", w.uri(touched)),
		{label: "unsubscribe", Do: "unsubscribe", URI: w.uri(touched)},
	}
}
