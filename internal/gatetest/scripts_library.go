package gatetest

import (
	"encoding/json"
	"strings"
)

// HiddenResource is read from the library though no list has it; the tool link leads to it.
const HiddenResource = "hidden://library/cellar"

// libraryServer has resources, templates, prompts and completion. Its tools: touch says
// that arguments.uri changed, link gives a link to what no list has, and embed a resource
// within its result.
func libraryServer() *Server {
	return &Server{
		Name: "library", PageSize: 2, TTL: 1000, Completions: true, Tools: tools("touch", "link", "embed"), Call: callLibrary, Handle: handleLibrary,
		Resources: raws(
			`{"uri":"file:///library/a.txt","name":"a","title":"A text","mimeType":"text/plain","size":11,"annotations":{"audience":["user"],"priority":0.5}}`,
			`{"uri":"file:///library/b.png","name":"b","mimeType":"image/png"}`,
			`{"uri":"ui://library/card","name":"card","mimeType":"text/html;profile=mcp-app","_meta":{"ui":{"prefersBorder":true}}}`,
		),
		Templates: raws(
			`{"uriTemplate":"file:///library/books/{title}","name":"book","mimeType":"text/plain"}`,
			`{"uriTemplate":"library://{shelf}/{book}","name":"shelf","description":"A book by its shelf"}`,
		),
		Prompts: raws(
			`{"name":"greet","description":"Greets"}`,
			`{"name":"review","title":"A review","arguments":[{"name":"code","description":"What to review","required":true},{"name":"style"}]}`,
		),
	}
}

func raws(all ...string) (out []json.RawMessage) {
	for _, s := range all {
		out = append(out, json.RawMessage(s))
	}
	return out
}

func callLibrary(c *Call) {
	switch c.Name {
	case "touch":
		uri, _ := text(field(c.Arguments, "uri"))
		c.Server.Updated(uri)
		c.Text("touched " + uri)
	case "link":
		c.Result(`{"content":[{"type":"resource_link","uri":"` + HiddenResource + `","name":"cellar","mimeType":"text/plain"}]}`)
	case "embed":
		c.Result(`{"content":[{"type":"resource","resource":{"uri":"` + HiddenResource + `","mimeType":"text/plain","text":"embedded"}}]}`)
	default:
		c.textName()
	}
}

func handleLibrary(c *Call) {
	if c.Method == "resources/read" && strings.HasPrefix(c.Name, HiddenResource) {
		c.Contents(`"text/plain"`)
		return
	}
	c.Default()
}

// loggingServer has the tool log, which logs arguments.text at arguments.level.
func loggingServer() *Server {
	return &Server{Name: "logging", Logging: true, Tools: tools("log"), Call: func(c *Call) {
		level, _ := text(field(c.Arguments, "level"))
		data := field(c.Arguments, "text")
		if data == nil {
			data = json.RawMessage(`""`)
		}
		c.Log(level, string(data))
		c.Text("logged")
	}}
}
