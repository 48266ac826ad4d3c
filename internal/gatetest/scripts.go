package gatetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Scripts are the servers there are, by name, so that a process of its own can serve
// them too. They are templates: New gives a server to use.
var Scripts = map[string]*Server{
	"echo": {
		Name: "echo", Instructions: "Says what it hears.", Call: callEcho,
		Tools: append(tools("echo", "raw", "params", "nonce", "progress", "hang", "hanging", "cancels", "faults"), oddTool),
	},
	"many": {Name: "many", Tools: numbered(250), PageSize: 10, Call: (*Call).textName},
	// loop repeats its cursor for ever.
	"loop": {Name: "loop", Tools: numbered(3), PageSize: 3, Call: (*Call).textName, Cursor: func(int) *string {
		again := "again"
		return &again
	}},
	// blank ends its first page with the empty string, which is a cursor like any other.
	"blank": {Name: "blank", Tools: numbered(4), PageSize: 2, Call: (*Call).textName, Cursor: func(page int) *string {
		if page > 0 {
			return nil
		}
		return new(string)
	}},
	"growing": {Name: "growing", Tools: tools("grow"), Call: callGrow},
	"dying":   {Name: "dying", Tools: tools("die", "die_in_answer", "hang"), Call: callDying},
	"rude":    {Name: "rude", Tools: tools("twice", "unknown_id", "garbage", "stranger", "after"), Call: callRude},
	"headers": {Name: "headers", Tools: []json.RawMessage{headerTool}, Call: callEcho},
	"asking":  askingServer(),
	"library": libraryServer(),
	"logging": loggingServer(),
	"rounds":  {Name: "rounds", Tools: tools("ask"), Call: callRounds},
	"banner":  {Name: "banner", Banner: "Welcome! This line is no message.", Tools: tools("echo"), Call: callEcho},
	"silent":  {Name: "silent", Silent: true, Tools: tools("echo"), Call: callEcho},
	"exiting": {Name: "exiting", Exit: 7, Tools: tools("echo"), Call: callEcho},
}

// Tool gives a plain definition with a name.
func Tool(name string) json.RawMessage {
	return json.RawMessage(`{"name":` + quote(name) + `,"description":"` + "The tool " + name + `","inputSchema":{"type":"object"}}`)
}

func tools(names ...string) []json.RawMessage {
	var all []json.RawMessage
	for _, name := range names {
		all = append(all, Tool(name))
	}
	return all
}

func numbered(n int) []json.RawMessage {
	var all []json.RawMessage
	for i := range n {
		all = append(all, Tool(fmt.Sprintf("t%03d", i)))
	}
	return all
}

// oddTool has a definition that survives only where nobody decodes it.
var oddTool = json.RawMessage(`{"x-odd":{"z":1e400,"a":1.0,"n":1234567890123456789,"":""},"inputSchema":{"type":"object","$comment":"\u0000 🦊","properties":{}},` +
	`"name":"odd","annotations":{"x":-0.0},"description":""}`)

var headerTool = json.RawMessage(`{"name":"raw","inputSchema":{"type":"object","properties":{` +
	`"region":{"type":"string","x-mcp-header":"Region"},` +
	`"where":{"type":"object","properties":{"zone":{"type":"integer","x-mcp-header":"Zone"}}}}}}`)

func (c *Call) textName() { c.Text(c.Name) }

// callEcho is the script that most tests use:
//
//   - echo: arguments.result is the result, byte for byte
//   - raw, params: the arguments, the params as received, as a text
//   - nonce: arguments.nonce as a text, answered in a shuffled order
//   - progress: arguments.count notifications, then the answer
//   - hang: no answer; one notification says that it hangs, cancels counts its cancels
//   - faults: the rules that callers broke so far, one a line
func callEcho(c *Call) {
	switch c.Name {
	case "echo":
		if given := field(c.Arguments, "result"); given != nil {
			if _, ok := fields(given); ok {
				c.Result(string(given))
				return
			}
		}
		c.Text(string(c.Arguments))
	case "params":
		c.Text(string(c.Params))
	case "nonce":
		c.Server.shuffle(c)
	case "progress":
		count, _ := strconv.Atoi(string(field(c.Arguments, "count")))
		for i := 1; i <= count; i++ {
			c.Progress(fmt.Sprintf(`{"progress":%d,"total":%d}`, i, count))
		}
		c.Text(strconv.Itoa(count))
	case "hang":
		c.hang()
	case "hanging":
		c.Text(strconv.Itoa(c.Server.Count("hanging")))
	case "cancels":
		c.Text(strconv.Itoa(c.Server.Count("cancels")))
	case "faults":
		c.Text(strings.Join(c.Server.Faults(), "\n"))
	default:
		c.Text(string(c.Arguments))
	}
}

func (c *Call) hang() {
	c.Server.add("hanging", 1)
	c.Progress(`{"progress":0}`)
	<-c.Canceled
	c.Server.add("hanging", -1)
	c.Server.add("cancels", 1)
}

// shuffle keeps calls back, at most 16 of them or for 2 ms, and answers them in a random
// order.
func (s *Server) shuffle(c *Call) {
	s.mu.Lock()
	s.shuffled = append(s.shuffled, c)
	n := len(s.shuffled)
	s.mu.Unlock()
	switch n {
	case 1:
		time.AfterFunc(2*time.Millisecond, s.deal)
	case 16:
		s.deal()
	}
}

func (s *Server) deal() {
	s.mu.Lock()
	all := s.shuffled
	s.shuffled = nil
	s.mu.Unlock()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, c := range all {
		nonce := field(c.Arguments, "nonce")
		if nonce == nil {
			nonce = json.RawMessage(`""`)
		}
		c.Result(`{"content":[{"type":"text","text":` + string(nonce) + `}]}`)
	}
}

// callGrow adds a tool per call and tells everyone.
func callGrow(c *Call) {
	if c.Name == "grow" {
		all := c.Server.have("tools/list")
		c.Server.SetTools(append(all[:len(all):len(all)], Tool(fmt.Sprintf("grown_%d", len(all))))...)
	}
	c.Text(c.Name)
}

func callDying(c *Call) {
	switch c.Name {
	case "die":
		c.Die("")
	case "die_in_answer":
		c.Die(`{"jsonrpc":"2.0","id":` + string(c.id) + `,"result":{"content":[{"type":"te`)
	case "hang":
		c.hang()
	}
}

// callRude breaks rules that a caller must survive.
func callRude(c *Call) {
	switch c.Name {
	case "twice":
		c.Raw(result(c.id, `{"content":[],"resultType":"complete","n":1}`))
		c.Result(`{"content":[],"n":2}`)
	case "unknown_id":
		c.Raw(result([]byte(`"nobody's"`), `{"content":[],"resultType":"complete"}`))
		c.Text("answered")
	case "garbage":
		c.Raw(`<html>Oops</html>`)
		c.Text("answered")
	case "stranger":
		c.Notify("notifications/x-unknown", `{"a":1.0}`)
		c.Notify("notifications/progress", `{"progressToken":"nobody's","progress":1}`)
		c.Text("answered")
	case "after":
		c.Text("answered")
		if c.Token != nil {
			c.Raw(notification("notifications/progress", `{"progressToken":`+string(c.Token)+`,"progress":1}`))
		}
	}
}

// callRounds asks once for input and answers with what came (2026-07-28, patterns,
// Multi Round-Trip Requests).
func callRounds(c *Call) {
	if !c.Stateless {
		c.Error(errorObject(codeParams, "only in the stateless era"))
		return
	}
	if _, ok := fields(field(c.Meta, metaCapabilities, "elicitation")); !ok {
		c.Error(`{"code":` + codeCapability + `,"message":"elicitation is needed","data":{"requiredCapabilities":{"elicitation":{}}}}`)
		return
	}
	given := field(c.Params, "inputResponses")
	state, _ := text(field(c.Params, "requestState"))
	switch {
	case given == nil:
		c.Result(`{"resultType":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"mode":"form",` +
			`"message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}},"requestState":"s\u0031/é=="}`)
	case state != "s1/é==":
		c.Error(errorObject(codeParams, "the requestState is not the one that was given"))
	default:
		c.Text(string(given))
	}
}
