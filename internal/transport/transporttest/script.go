// Package transporttest is one suite that every transport passes, and the scripted
// servers that it plays with them. The scripts know nothing of MCP: they answer raw
// messages with raw messages, over HTTP in this process or over lines in another one.
package transporttest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/jsonrpc"
)

// A Peer is whoever sent the message that a script is handling.
type Peer interface {
	// Reply says something that belongs to the message: it goes on the message's own
	// stream where there is one.
	Reply(raw string)
	// Tell says something that belongs to no message.
	Tell(raw string)
	// Gone is closed once nobody waits for a Reply any more, as far as the server can see.
	Gone() <-chan struct{}
}

// A Script answers one message. It is called on a goroutine of its own for each.
type Script func(m *jsonrpc.Message, p Peer)

// A Server is one script by its name. Its New makes the state of one fresh server.
type Server struct {
	Name string
	New  func() Script
}

// Together is how many calls the script "shuffle" holds before it answers any.
const Together = 50

// Notes is how many notifications the script "notes" sends before its answer.
const Notes = 100

// Scripts are the servers of the suite by name, for servers in other processes.
var Scripts = map[string]Server{
	"echo":    {"echo", func() Script { return echo }},
	"notes":   {"notes", func() Script { return notes }},
	"shuffle": {"shuffle", shuffle},
	"silent":  {"silent", silent},
	"told":    {"told", func() Script { return told }},
	"stray":   {"stray", func() Script { return stray }},
	"broken":  {"broken", func() Script { return broken }},
}

func result(id []byte, value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(jsonrpc.AppendResult(nil, id, b))
}

// echo answers each request with its params.
func echo(m *jsonrpc.Message, p Peer) {
	if m.Kind == jsonrpc.Request {
		p.Reply(string(jsonrpc.AppendResult(nil, m.ID, m.Params)))
	}
}

// notes sends notifications that belong to the call, numbered, and then answers.
func notes(m *jsonrpc.Message, p Peer) {
	for i := range Notes {
		p.Reply(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, m.ID, i))
	}
	p.Reply(result(m.ID, struct{}{}))
}

// shuffle holds calls until Together of them are open and answers them in random order
// with their own params.
func shuffle() Script {
	var mu sync.Mutex
	var held []func()
	return func(m *jsonrpc.Message, p Peer) {
		done := make(chan struct{})
		mu.Lock()
		held = append(held, func() { echo(m, p); close(done) })
		if len(held) == Together {
			rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			for _, answer := range held {
				answer()
			}
			held = nil
		}
		mu.Unlock()
		select {
		case <-done:
		case <-p.Gone():
		}
	}
}

// silent answers nothing but the method "count": how many messages it got, and of how
// many it saw that nobody waits any more.
func silent() Script {
	var got, gone atomic.Int64
	return func(m *jsonrpc.Message, p Peer) {
		if m.Method == "count" {
			p.Reply(result(m.ID, map[string]int64{"got": got.Load(), "gone": gone.Load()}))
			return
		}
		got.Add(1)
		if m.Kind == jsonrpc.Request {
			<-p.Gone()
			gone.Add(1)
		}
	}
}

// told tells, for each notification it gets, its params, and asks a question; a request is
// answered at once.
func told(m *jsonrpc.Message, p Peer) {
	switch m.Kind {
	case jsonrpc.Request:
		p.Reply(result(m.ID, struct{}{}))
	case jsonrpc.Notification:
		p.Tell(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/told","params":%s}`, m.Params))
		p.Tell(`{"jsonrpc":"2.0","id":"q","method":"question"}`)
	case jsonrpc.Response:
		p.Tell(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/answered","params":%s}`, m.Result))
	}
}

// stray answers for others, in words that are no messages, and with an id of another type,
// before it answers, and once more after.
func stray(m *jsonrpc.Message, p Peer) {
	p.Reply(`{"jsonrpc":"2.0","id":"nobody","result":{"wrong":true}}`)
	p.Reply(`Server listening on port 3000`)
	p.Reply(`{"jsonrpc":"2.0","id":999999,"error":{"code":1,"message":"wrong"}}`)
	p.Reply(fmt.Sprintf(`{"jsonrpc":"2.0","id":"%s","result":{"wrong":true}}`, m.ID))
	p.Reply(`{"jsonrpc":"2.0","id":`)
	p.Reply(result(m.ID, map[string]bool{"right": true}))
	p.Reply(result(m.ID, map[string]bool{"wrong": true}))
}

// broken answers with something that names the call's id and cannot be accepted: which
// thing is the request's method.
func broken(m *jsonrpc.Message, p Peer) {
	id := string(m.ID)
	switch m.Method {
	case "syntax":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `,"result":{"a":}}`)
	case "utf8":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `,"result":{"a":"` + "\xff\xfe" + `"}}`)
	case "both":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `,"result":{},"error":{"code":1,"message":"m"}}`)
	case "neither":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `}`)
	case "deep":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `,"result":` + strings.Repeat(`{"a":`, 1000) + `1` + strings.Repeat(`}`, 1000) + `}`)
	case "long":
		p.Reply(`{"jsonrpc":"2.0","id":` + id + `,"result":{"a":"` + strings.Repeat("x", MaxAnswer) + `"}}`)
	default:
		p.Reply(result(m.ID, struct{}{}))
	}
}
