package stateful

import (
	"strings"
	"testing"

	"mcpgateway/internal/era"
)

const (
	text1  = `{"type":"text","text":"one","_meta":{"k":1.0}}`
	text2  = `{"text":"zw\u00f6lf\n", "type":"text"}`
	image  = `{"type":"image","data":"aW1n","mimeType":"image/png"}`
	sound  = `{"type":"audio","data":"c25k","mimeType":"audio/wav"}`
	use    = `{"type":"tool_use","id":"c1","name":"add","input":{"n": 1.0}}`
	gave   = `{"type":"tool_result","toolUseId":"c1","content":[{"type":"text","text":"a"},{"type":"image","mimeType":"image/png","data":""},{"type":"resource","resource":{"uri":"a:b","text":"r"}},{"type":"resource","resource":{"uri":"a:c","blob":""}}]}`
	failed = `{"type":"tool_result","toolUseId":"c2","content":[],"isError":true}`

	soundText  = `{"type":"text","data":"c25k","mimeType":"audio/wav","text":"audio (audio/wav)"}`
	useText    = `{"type":"text","id":"c1","name":"add","input":{"n": 1.0},"text":"use of the tool add (c1): {\"n\": 1.0}"}`
	gaveText   = `{"type":"text","toolUseId":"c1","content":[{"type":"text","text":"a"},{"type":"image","mimeType":"image/png","data":""},{"type":"resource","resource":{"uri":"a:b","text":"r"}},{"type":"resource","resource":{"uri":"a:c","blob":""}}],"text":"result of c1: a\nimage (image/png)\nr\nresource: a:c"}`
	failedText = `{"type":"text","toolUseId":"c2","content":[],"isError":true,"text":"error of c2: "}`
)

// olders are the stateful revisions whose messages have one block.
var olders = []string{"2024-11-05", "2025-03-26", "2025-06-18"}

// One message has one block before 2025-11-25, and models use no tools.
func TestBlocksOfOneMessageBecomeMessages(t *testing.T) {
	const in = `{"messages":[{"role":"user","content":[` + text1 + `,` + text2 + `]},{"role":"assistant","content":[]},{"role":"assistant","content":` + use + `},{"role":"user","content":[` + gave + `, ` + failed + `]},{"role":"user","content":` + sound + `}],"maxTokens":1}`
	const split = `{"messages":[{"role":"user","content":` + text1 + `},{"role":"user","content":` + text2 + `},{"role":"assistant","content":` + useText + `},{"role":"user","content":` + gaveText + `},{"role":"user","content":` + failedText + `},{"role":"user","content":` + sound + `}],"maxTokens":1}`
	oldest := strings.Replace(split, sound, soundText, 1)
	for date, want := range map[string]string{"2024-11-05": oldest, "2025-03-26": split, "2025-06-18": split, "2025-11-25": in} {
		r, _ := era.Find(date)
		if got := string(projectQuestion([]byte(in), r)); got != want {
			t.Errorf("%s: %s\nnot %s", date, got, want)
		}
	}
}

// TestToolsOfASamplingAreAsInLists, and what they gave as in results: no stateful revision reads
// the shapes that came with 2026-07-28.
func TestToolsOfASamplingAreAsInLists(t *testing.T) {
	const in = `{"tools":[{"name":"a","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}],"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"c","content":[],"structuredContent":[1.0]}]}]}`
	const want = `{"tools":[{"name":"a","inputSchema":{"type":"object"},"outputSchema":{"type":"object","properties":{"result":{"type":"array"}},"required":["result"]}}],` +
		`"messages":[{"role":"user","content":[{"type":"tool_result","toolUseId":"c","content":[{"type":"text","text":"[1.0]"}],"structuredContent":{"result":[1.0]}}]}]}`
	if got := string(projectQuestion([]byte(in), era.Newest(false))); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
}

// TestAnswersFitTheServersRevision: there, an answer is one block of a type that the revision
// has, and the other members of the answer are as the client gave them.
func TestAnswersFitTheServersRevision(t *testing.T) {
	answer := func(content string) string {
		return `{"role":"assistant", "content":` + content + `,"model":"m","stopReason":"toolUse","x":1e400}`
	}
	for _, tt := range []struct {
		what, content, want string
		oldest              string // where 2024-11-05 reads another
	}{
		{"one block", text1, text1, ""},
		{"one image", image, image, ""},
		{"a sound", sound, sound, soundText},
		{"an array of one block", `[ ` + text2 + ` ]`, text2, ""},
		{"an array of a sound", `[` + sound + `]`, sound, soundText},
		{"several texts", `[` + text1 + `,` + text2 + `]`, `{"type":"text","text":"one\nzwölf\n"}`, ""},
		{"a text and an image", `[` + text1 + `,` + image + `]`, `{"type":"text","text":"one\nimage (image/png)"}`, ""},
		{"an image and a sound", `[` + image + `,` + sound + `]`, `{"type":"text","text":"image (image/png)\naudio (audio/wav)"}`, ""},
		{"an empty text and an image", `[{"type":"text","text":""},` + image + `]`, image, ""},
		{"nothing", `[]`, `{"type":"text","text":""}`, ""},
		{"a use of a tool", use, useText, ""},
		{"a text and a use of a tool", `[` + text1 + `,` + use + `]`, `{"type":"text","text":"one\nuse of the tool add (c1): {\"n\": 1.0}"}`, ""},
		{"a result of a tool", `[` + failed + `]`, failedText, ""},
		{"a link", `[{"type":"resource_link","name":"n","uri":"a:b"},` + text1 + `]`, `{"type":"text","text":"n: a:b\none"}`, ""},
		{"a type that nobody knows", `[{"type":"x-smell","x":1},` + text1 + `]`, `{"type":"text","text":"x-smell\none"}`, ""},
		{"no blocks", `[1,null,[]]`, `{"type":"text","text":""}`, ""},
	} {
		for _, date := range olders {
			r, _ := era.Find(date)
			want := tt.want
			if date == "2024-11-05" && tt.oldest != "" {
				want = tt.oldest
			}
			if got := string(projectAnswer([]byte(answer(tt.content)), r)); got != answer(want) {
				t.Errorf("%s, %s: %s\nnot %s", tt.what, date, got, answer(want))
			}
		}
		in := []byte(answer(tt.content))
		if out := projectAnswer(in, era.Newest(false)); &out[0] != &in[0] || len(out) != len(in) {
			t.Errorf("%s: the newest revision has it, and it was rewritten to %s", tt.what, out)
		}
	}
}

// TestAnswersThatFitStay: the very same bytes, and what is no message at all as well.
func TestAnswersThatFitStay(t *testing.T) {
	for _, s := range []string{`{}`, `{"content":null}`, `{"content":"t"}`, `{"content":{}}`, "{ \"content\" :\t{\"text\":\"\\u0074\",\"type\":\"text\"},\"role\":7 }", `{"content":{"type":"x-smell"}}`, `{"role":"user","content":` + image + `}`} {
		for _, r := range era.Revisions {
			in := []byte(s)
			if out := projectAnswer(in, r); &out[0] != &in[0] || len(out) != len(in) {
				t.Errorf("%s: %s was rewritten to %s", r.Date, in, out)
			}
		}
	}
}

// TestAnAnswersToolResultOfAnyShape is wrapped for the stateful revision that has tool results.
func TestAnAnswersToolResultOfAnyShape(t *testing.T) {
	const in = `{"content":{"type":"tool_result","toolUseId":"c","content":[{"type":"text","text":"7"}],"structuredContent":7}}`
	const want = `{"content":{"type":"tool_result","toolUseId":"c","content":[{"type":"text","text":"7"}],"structuredContent":{"result":7}}}`
	if got := string(projectAnswer([]byte(in), era.Newest(false))); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
}
