package app

import (
	"fmt"
	"strings"

	"mcpgateway/internal/rawjson"
)

// What tools and call print. All of it is pure: bytes of a server in, text for a person out.

// A row is one tool in the table.
type row struct{ tool, says string }

// rowOf describes a tool: its name with its parameters, and the first line of what it says
// about itself.
func rowOf(name string, definition []byte) row {
	says, _ := rawjson.Text(rawjson.Get(definition, "description"))
	if strings.TrimSpace(says) == "" {
		says, _ = rawjson.Text(rawjson.Get(definition, "title"))
	}
	says, _, _ = strings.Cut(strings.TrimSpace(says), "\n")
	says = strings.ReplaceAll(strings.TrimSpace(says), "\t", " ")
	return row{printable(name + signatureOf(rawjson.Get(definition, "inputSchema")).String()), printable(says)}
}

const (
	gap      = 2  // columns between tool and description
	leastRow = 40 // a narrower terminal is not cut for
)

// table aligns rows in lines of at most width columns. A tool that would leave its
// description no room has it on the next line.
func table(rows []row, width int) string {
	width = max(width, leastRow)
	column := 0
	for _, r := range rows {
		if n := columns(r.tool); n <= width/2 {
			column = max(column, n)
		}
	}
	column = max(column, width/4)
	var b strings.Builder
	for _, r := range rows {
		says := cutTo(r.says, width-column-gap)
		switch {
		case says == "":
			b.WriteString(cutTo(r.tool, width))
		case columns(r.tool) > column:
			b.WriteString(cutTo(r.tool, width) + "\n" + strings.Repeat(" ", column+gap) + says)
		default:
			b.WriteString(padTo(r.tool, column+gap) + says)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// shown is a tool's result as text: its text content as it is, any other content in a line
// that describes it, and the structured content only where there is no text.
func shown(result []byte) string {
	var b strings.Builder
	content, structured := rawjson.Get(result, "content"), rawjson.Get(result, "structuredContent")
	if content == nil && structured == nil {
		return inertJSON(result) + "\n"
	}
	texts := 0
	for c := range rawjson.Elements(content) {
		kind, _ := rawjson.Text(rawjson.Get(c, "type"))
		text, isText := rawjson.Text(rawjson.Get(c, "text"))
		if kind == "text" && isText {
			texts++
			b.WriteString(inert(text))
			if !strings.HasSuffix(text, "\n") {
				b.WriteByte('\n')
			}
			continue
		}
		b.WriteString("[" + printable(described(kind, c)) + "]\n")
	}
	if texts == 0 && structured != nil {
		b.WriteString(inertJSON(structured) + "\n")
	}
	return b.String()
}

// described says in a line what a content block is.
func described(kind string, c []byte) string {
	media, _ := rawjson.Text(rawjson.Get(c, "mimeType"))
	switch kind {
	case "image", "audio":
		if media == "" {
			media = kind
		}
		return fmt.Sprintf("%s, %d bytes", media, decodedLen(rawjson.Get(c, "data")))
	case "resource_link":
		uri, _ := rawjson.Text(rawjson.Get(c, "uri"))
		return joined("resource link "+uri, media)
	case "resource":
		r := rawjson.Get(c, "resource")
		uri, _ := rawjson.Text(rawjson.Get(r, "uri"))
		media, _ := rawjson.Text(rawjson.Get(r, "mimeType"))
		size := decodedLen(rawjson.Get(r, "blob"))
		if text, ok := rawjson.Text(rawjson.Get(r, "text")); ok {
			size = len(text)
		}
		return joined("resource "+uri, media, fmt.Sprintf("%d bytes", size))
	case "":
		return fmt.Sprintf("content without a type, %d bytes of JSON", len(c))
	}
	return fmt.Sprintf("content of type %s, %d bytes of JSON", kind, len(c))
}

func joined(parts ...string) string {
	out := parts[0]
	for _, p := range parts[1:] {
		if p != "" {
			out += ", " + p
		}
	}
	return out
}

// decodedLen is how many bytes a base64 text holds.
func decodedLen(token []byte) int {
	text, _ := rawjson.Text(token)
	text = strings.TrimRight(text, "=")
	return len(text) * 3 / 4
}

// progressText says how far a call is.
func progressText(params []byte) string {
	at := string(rawjson.Get(params, "progress"))
	if total := rawjson.Get(params, "total"); total != nil {
		at += "/" + string(total)
	}
	if message, ok := rawjson.Text(rawjson.Get(params, "message")); ok && message != "" {
		at += ": " + message
	}
	return printable("progress " + at)
}
