package gatetest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// Default answers as a server does that has what the fields say:
//
//   - prompts/get: one message of the prompt's name and the raw arguments
//   - resources/read: the URI, and a text or a blob that says it
//   - completion/complete: the value that was given
//   - resources/subscribe and unsubscribe: keeps the set, for Updated
//   - logging/setLevel: keeps the level, for Log
//   - tools/call: the tool's name
//
// Any other method is not found.
func (c *Call) Default() {
	if need := needs(c.Method); need == nil || !c.Server.declares(need...) {
		c.Error(errorObject(codeMethod, "Method not found"))
		return
	}
	switch c.Method {
	case "prompts/get":
		c.prompt()
	case "resources/read":
		c.read()
	case "completion/complete":
		c.complete()
	case "resources/subscribe":
		c.subscription(true)
	case "resources/unsubscribe":
		c.subscription(false)
	case "logging/setLevel":
		level, _ := text(field(c.Params, "level"))
		if !slices.Contains(logLevels, level) {
			c.Error(errorObject(codeParams, "Invalid log level"))
			return
		}
		c.v.mu.Lock()
		c.v.level = level
		c.v.mu.Unlock()
		c.Result(`{}`)
	default:
		c.textName()
	}
}

func (c *Call) prompt() {
	def := c.Server.entry("prompts/list", "name", c.Name)
	if def == nil {
		c.Error(errorObject(codeParams, "Unknown prompt: "+c.Name))
		return
	}
	var wanted []json.RawMessage
	if all := field(def, "arguments"); all != nil && json.Unmarshal(all, &wanted) != nil {
		wanted = nil
	}
	for _, a := range wanted {
		name, _ := text(field(a, "name"))
		if string(field(a, "required")) == "true" && field(c.Arguments, name) == nil {
			c.Error(errorObject(codeParams, "Missing argument: "+name))
			return
		}
	}
	said := c.Name
	if c.Arguments != nil {
		said += " " + string(c.Arguments)
	}
	c.Result(`{"description":` + quote(c.Name) + `,"messages":[{"role":"user","content":{"type":"text","text":` + quote(said) + `}}]}`)
}

func (c *Call) read() {
	def := c.Server.entry("resources/list", "uri", c.Name)
	for _, t := range c.Server.have("resources/templates/list") {
		template, _ := text(field(t, "uriTemplate"))
		if start, _, _ := strings.Cut(template, "{"); def == nil && strings.HasPrefix(c.Name, start) {
			def = t
		}
	}
	if def == nil {
		code := codeResource
		if c.Stateless {
			code = codeParams
		}
		c.Error(`{"code":` + code + `,"message":"Resource not found","data":{"uri":` + quote(c.Name) + `}}`)
		return
	}
	c.Contents(string(field(def, "mimeType")))
}

// Contents answers a resources/read with a text that names the URI, or a blob of it
// where the raw media type is not that of a text.
func (c *Call) Contents(mimeType string) {
	said := "contents of " + c.Name
	body := `"text":` + quote(said)
	media, _ := text([]byte(mimeType))
	if media != "" && !strings.HasPrefix(media, "text/") && media != "application/json" {
		body = `"blob":` + quote(base64.StdEncoding.EncodeToString([]byte(said)))
	}
	if mimeType != "" {
		body = `"mimeType":` + mimeType + `,` + body
	}
	c.Result(`{"contents":[{"uri":` + quote(c.Name) + `,` + body + `}]}`)
}

func (c *Call) complete() {
	kind, _ := text(field(c.Params, "ref", "type"))
	var def json.RawMessage
	switch kind {
	case "ref/prompt":
		name, _ := text(field(c.Params, "ref", "name"))
		def = c.Server.entry("prompts/list", "name", name)
	case "ref/resource":
		uri, _ := text(field(c.Params, "ref", "uri"))
		if def = c.Server.entry("resources/templates/list", "uriTemplate", uri); def == nil {
			def = c.Server.entry("resources/list", "uri", uri)
		}
	}
	value := field(c.Params, "argument", "value")
	if _, ok := text(value); def == nil || !ok {
		c.Error(errorObject(codeParams, "nothing to complete: "+string(field(c.Params, "ref"))))
		return
	}
	c.Result(`{"completion":{"values":[` + string(value) + `],"total":1,"hasMore":false}}`)
}

func (c *Call) subscription(on bool) {
	if c.Name == "" {
		c.Error(errorObject(codeParams, "no uri"))
		return
	}
	v := c.v
	v.mu.Lock()
	had := v.subs[c.Name]
	switch {
	case v.finished:
		on = had
	case on:
		v.subs[c.Name] = true
	default:
		delete(v.subs, c.Name)
	}
	v.mu.Unlock()
	if on && !had {
		c.Server.subscriber(c.Name, 1)
	}
	if !on && had {
		c.Server.subscriber(c.Name, -1)
	}
	c.Result(`{}`)
}
