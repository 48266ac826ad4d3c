package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
	"mcpgateway/internal/gatetest/court"
)

// utterance is one message on a tape. asked tells that the side said it that had connected or started
// the other: the client of the two.
type utterance struct {
	raw   json.RawMessage
	asked bool
}

// dialogue is the messages of one session; where there are no sessions, of one HTTP exchange.
type dialogue struct {
	binding string // stdio, streamable, sse
	version string // what the MCP-Protocol-Version header says, if there is one
	said    []utterance
}

// hear adds what one body, event or line holds: a message, or a batch of 2025-03-26.
func (d *dialogue) hear(asked bool, raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if !json.Valid(raw) {
		return fmt.Errorf("heard what is no JSON: %.200q", raw)
	}
	all := []json.RawMessage{raw}
	if raw[0] == '[' {
		all = nil
		if err := json.Unmarshal(raw, &all); err != nil {
			return err
		}
	}
	for _, one := range all {
		d.said = append(d.said, utterance{one, asked})
	}
	return nil
}

// seen is a dialogue as the gateway's peer saw it; asks tells that the peer is the client.
func (d *dialogue) seen(asks bool) []gatetest.Seen {
	all := make([]gatetest.Seen, len(d.said))
	questions := map[string][]int{} // where in all, by id and who asked
	for i, u := range d.said {
		all[i] = gatetest.Seen{Raw: u.raw, Sent: u.asked == asks, Binding: d.binding}
		all[i].Classify()
		if all[i].Kind == "request" {
			k := questionKey(u.raw, u.asked)
			questions[k] = append(questions[k], i)
		}
	}
	answered := map[int]int{} // by where the answer is: where its question is
	spoken := ""
	for i, u := range d.said {
		s := &all[i]
		k := questionKey(u.raw, !u.asked)
		if s.Kind != "result" && s.Kind != "error" || len(questions[k]) == 0 {
			continue
		}
		question := questions[k][0]
		if len(questions[k]) > 1 { // an answer may be heard twice, when a stream is resumed
			questions[k] = questions[k][1:]
		}
		answered[i], s.Method = question, all[question].Method
		if s.Method == "initialize" && s.Kind == "result" {
			spoken = court.Fact{Seen: *s}.Spoken()
		}
	}
	d.date(all, answered, spoken)
	return all
}

func questionKey(raw json.RawMessage, asked bool) string {
	return fmt.Sprint(string(gatetest.Member(raw, "id")), asked)
}

// date finds the revision of each message: its own, that of the question it answers, or the session's.
func (d *dialogue) date(all []gatetest.Seen, answered map[int]int, spoken string) {
	own := func(s gatetest.Seen) string { return court.Fact{Seen: s}.Spoken() }
	if spoken == "" {
		spoken = d.version
	}
	for _, s := range all {
		if spoken == "" && s.Method != "initialize" {
			spoken = own(s)
		}
	}
	for i := range all {
		if s := &all[i]; own(*s) == "" {
			s.Revision = spoken
		}
	}
	for i, question := range answered {
		if s := &all[i]; s.Method != "initialize" || s.Kind == "error" {
			s.Revision = own(all[question])
		}
	}
}

// onTape is what a client and a server said on one connection. Lines end as HTTP wants them.
func onTape(in, out string) *tape {
	k := &tape{}
	k.in.WriteString(strings.ReplaceAll(in, "\n", "\r\n"))
	k.out.WriteString(strings.ReplaceAll(out, "\n", "\r\n"))
	return k
}

// posted is an HTTP request with a message.
func posted(path, headers, message string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\nHost: h\nContent-Length: %d\n%s\n%s", path, len(message), headers, message)
}

func answered(status, headers, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\nContent-Length: %d\n%s\n%s", status, len(strings.ReplaceAll(body, "\n", "\r\n")), headers, body)
}

const (
	hello    = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	welcome  = `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}`
	list     = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	tools    = `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`
	note     = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	ask      = `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`
	roots    = `{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`
	discover = `{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	refused  = `{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}`
)

// TestTapesTellWhatWasSaid: each message, who said it, in which revision and in answer to what,
// whether or not a session, a header or the message itself tells.
func TestTapesTellWhatWasSaid(t *testing.T) {
	const js, sse, session = "Content-Type: application/json\n", "Content-Type: text/event-stream\n", "Mcp-Session-Id: s\n"
	for name, c := range map[string]struct {
		tapes []*tape
		lines bool
		want  []string
	}{
		"lines": {lines: true, tapes: []*tape{onTape(discover+"\n"+hello+"\n"+list+"\n"+roots+"\n", refused+"\n"+welcome+"\n"+ask+"\n"+tools+"\n"+note)}, want: []string{
			"client 2026-07-28 stdio request server/discover", "client 2025-11-25 stdio request initialize", "client 2025-06-18 stdio request tools/list", "client 2025-06-18 stdio result roots/list",
			"server 2026-07-28 stdio error server/discover", "server 2025-06-18 stdio result initialize", "server 2025-06-18 stdio request roots/list", "server 2025-06-18 stdio result tools/list"}},
		"lines without a session": {lines: true, tapes: []*tape{onTape(discover+"\n", note+"\n")}, want: []string{
			"client 2026-07-28 stdio request server/discover", "server 2026-07-28 stdio notification notifications/tools/list_changed"}},
		"a session on two connections": {tapes: []*tape{
			onTape("GET /mcp HTTP/1.1\nHost: h\n"+session+"\n"+posted("/mcp", session, roots), "HTTP/1.1 200 OK\n"+sse+"Transfer-Encoding: chunked\n\n6\n: hi\n\n2\n\n\n0\n\n"+answered("202 Accepted", "", "")),
			onTape(posted("/mcp", "", hello)+posted("/mcp", session, list), answered("200 OK", js+session, welcome)+answered("200 OK", sse, "id: 1\ndata:\n\ndata: "+ask+"\n\ndata: "+tools+"\n\ndata: {\n")),
		}, want: []string{
			"client 2025-06-18 streamable result roots/list", "client 2025-11-25 streamable request initialize", "server 2025-06-18 streamable result initialize",
			"client 2025-06-18 streamable request tools/list", "server 2025-06-18 streamable request roots/list", "server 2025-06-18 streamable result tools/list"}},
		"a header, and an answer that breaks off": {tapes: []*tape{
			onTape(posted("/mcp", "MCP-Protocol-Version: 2025-03-26\n", "["+list+","+note+"]"), "HTTP/1.1 200 OK\n"+js+"Content-Length: 99\n\n{\"json")}, want: []string{
			"client 2025-03-26 streamable request tools/list", "client 2025-03-26 streamable notification notifications/tools/list_changed"}},
		"an endpoint": {tapes: []*tape{
			onTape(posted("/messages?id=1", "", hello)+posted("/messages?id=1", "", list), answered("202 Accepted", "", "Accepted")+answered("202 Accepted", "", "")),
			onTape("GET /sse HTTP/1.1\nHost: h\n\n", "HTTP/1.1 200 OK\n"+sse+"\nevent: endpoint\ndata: /messages?id=1\n\nevent: message\ndata: "+welcome+"\n\nevent: message\ndata: "+tools+"\n\n"),
		}, want: []string{
			"server 2025-06-18 sse result initialize", "server 2025-06-18 sse result tools/list", "client 2025-11-25 sse request initialize", "client 2025-06-18 sse request tools/list"}},
	} {
		t.Run(name, func(t *testing.T) {
			var all []*dialogue
			var err error
			if c.lines {
				all = make([]*dialogue, 1)
				all[0], err = readLines(c.tapes[0])
			} else {
				all, err = readHTTP(c.tapes)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range all {
				for _, s := range d.seen(true) {
					who := map[bool]string{true: "client", false: "server"}[s.Sent]
					got = append(got, fmt.Sprint(who, " ", court.Fact{Seen: s}.Spoken(), " ", s.Binding, " ", s.Kind, " ", s.Method))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("heard were\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestTapesHideNothing: what cannot be read as messages is an error, unless it broke off.
func TestTapesHideNothing(t *testing.T) {
	const js = "Content-Type: application/json\n"
	for name, k := range map[string]*tape{
		"no JSON":       onTape(posted("/mcp", "", "hello"), ""),
		"another type":  onTape(posted("/mcp", "", list), answered("200 OK", "Content-Type: text/plain\n", "hello")),
		"compressed":    onTape(posted("/mcp", "", list), answered("200 OK", js+"Content-Encoding: gzip\n", "x")),
		"no HTTP":       onTape("hello\n\n", ""),
		"a false event": onTape(posted("/mcp", "", list), answered("200 OK", "Content-Type: text/event-stream\n", "data: hello\n\n")),
	} {
		if _, err := readHTTP([]*tape{k}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := readLines(onTape("", "hello\n")); err == nil {
		t.Error("a line that is no message: no error")
	}
}
