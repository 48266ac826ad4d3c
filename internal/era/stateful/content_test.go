package stateful

import (
	"testing"

	"mcpgateway/internal/era"
)

// A block that came with a later revision is a text in earlier ones, with all that it had.
func TestContentOfLaterRevisionsIsProjected(t *testing.T) {
	const (
		plain = `{"type":"text","text":"t"}`
		link  = `{"type":"resource_link", "uri":"a:b","name":"n","x":1.0}`
		audio = `{"data":"eA==","mimeType":"audio/wav","type":"audio"}`

		linkText  = `{"type":"text", "uri":"a:b","name":"n","x":1.0,"text":"n: a:b"}`
		audioText = `{"data":"eA==","mimeType":"audio/wav","type":"text","text":"audio (audio/wav)"}`
	)
	for date, want := range map[string][2]string{
		"2024-11-05": {linkText, audioText}, "2025-03-26": {linkText, audio}, "2025-06-18": {link, audio}, "2025-11-25": {link, audio},
	} {
		r, _ := era.Find(date)
		in := `{ "content":[` + plain + `,` + link + `,` + audio + `],"isError":false}`
		out := `{ "content":[` + plain + `,` + want[0] + `,` + want[1] + `],"isError":false}`
		if got := string(projectContent([]byte(in), r)); got != out {
			t.Errorf("%s: content is %s\nnot %s", date, got, out)
		}
		in = `{"messages":[{"role":"user","content":` + link + `},{"content":` + audio + `,"role":"user"}]}`
		out = `{"messages":[{"role":"user","content":` + want[0] + `},{"content":` + want[1] + `,"role":"user"}]}`
		if got := string(projectMessages([]byte(in), r)); got != out {
			t.Errorf("%s: messages are %s\nnot %s", date, got, out)
		}
	}
}

// What no revision knows, and what has no content at all, stays byte for byte.
func TestContentThatNobodyKnowsStays(t *testing.T) {
	r, _ := era.Find("2024-11-05")
	for _, s := range []string{
		`{}`, `{"content":[]}`, `{"content":1}`, "{ \"content\" :\t[ {\"type\":\"x-unknown\"} , 1,null,[] ] }", `{"content":[{"type":1,"text":""},{}]}`,
		`{"messages":[]}`, `{"messages":[1,{},{"content":null},{"content":{"type":"text"}}]}`, `{"messages":{}}`,
	} {
		if got := string(projectContent([]byte(s), r)); got != s {
			t.Errorf("content: %s became %s", s, got)
		}
		if got := string(projectMessages([]byte(s), r)); got != s {
			t.Errorf("messages: %s became %s", s, got)
		}
		if got := string(projectQuestion([]byte(s), r)); got != s {
			t.Errorf("a question: %s became %s", s, got)
		}
	}
}
