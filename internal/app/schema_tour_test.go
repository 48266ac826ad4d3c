package app_test

import (
	"fmt"
	"strings"
	"sync"

	"mcpgateway/internal/gatetest"
)

func init() { talkers["tour"] = tour() }

// tour is a server that has everything that crosses, in messages that are all valid in the
// revision that it speaks. Beside the tools of asking, library and logging:
//
//   - count: arguments.count progress notifications
//   - rich: every kind of content that its revision has
//   - weather: structured content with the schema of it
//   - refuse: an error of the server's own
//   - visit: a URL must be visited first (2025-11-25)
//   - grow: adds to each list
//   - ping: pings its caller (stateful)
//   - held: asks for a sampling and takes it back once release is called (stateful)
//   - die: breaks the connection
func tour() *gatetest.Server {
	asking, library, logging, echo := gatetest.New("asking"), gatetest.New("library"), gatetest.New("logging"), gatetest.New("echo")
	s := &gatetest.Server{
		Name: "tour", Instructions: "Has everything.", PageSize: 4, TTL: 1000, Completions: true, Logging: true,
		Prompts: append(asking.Prompts, library.Prompts...), Resources: append(asking.Resources, library.Resources...), Templates: library.Templates,
		Handle: asking.Handle,
	}
	s.Tools = append(append(append(s.Tools, asking.Tools...), library.Tools...), logging.Tools...)
	for _, name := range []string{"rich", "refuse", "visit", "grow", "ping", "held", "release", "die"} {
		s.Tools = append(s.Tools, gatetest.Tool(name))
	}
	s.Tools = append(s.Tools, []byte(`{"name":"progress","title":"Counts","inputSchema":{"type":"object","properties":{"count":{"type":"integer"}},"required":["count"]},"annotations":{"readOnlyHint":true}}`),
		[]byte(`{"name":"weather","inputSchema":{"type":"object"},"outputSchema":{"type":"object","properties":{"sky":{"type":"string"}},"required":["sky"]}}`))
	var visits, gates sync.Map
	var grown counter
	s.Call = func(c *gatetest.Call) {
		switch c.Name {
		case "touch", "embed", "link":
			if c.Name == "link" && c.Revision < "2025-06-18" {
				c.Name = "embed" // earlier ones have no links
			}
			library.Call(c)
		case "log":
			logging.Call(c)
		case "progress":
			echo.Call(c)
		case "held", "release":
			g, _ := gates.LoadOrStore(c.Server, make(chan struct{}))
			heldSampling(c, g.(chan struct{}))
		case "visit":
			if c.Revision == gatetest.Stateful {
				mustVisit(c, &visits)
				return
			}
			c.Text("no need")
		case "grow":
			grow(c, grown.add(c.Server, 1))
		case "ping":
			if q, err := c.Begin("ping", ""); err == nil {
				_, _, _ = q.Wait()
			}
			c.Text("pinged")
		case "die":
			c.Die("")
		case "refuse":
			c.Error(`{"code":4711,"message":"no","data":{"why":"because"}}`)
		case "rich":
			c.Result(rich(c.Revision))
		case "weather":
			c.Result(`{"content":[{"type":"text","text":"{\"sky\":\"blue\"}"}],"structuredContent":{"sky":"blue"}}`)
		default:
			asking.Call(c)
		}
	}
	return s
}

// rich has a block of each kind of content that a revision has.
func rich(revision string) string {
	blocks := []string{`{"type":"text","text":"t","annotations":{"audience":["user"],"priority":0.5}}`, `{"type":"image","data":"aW1n","mimeType":"image/png"}`}
	if revision >= "2025-03-26" {
		blocks = append(blocks, `{"type":"audio","data":"c25k","mimeType":"audio/wav"}`)
	}
	return `{"content":[` + strings.Join(blocks, ",") + `]}`
}

func heldSampling(c *gatetest.Call, gate chan struct{}) {
	if c.Name == "release" {
		select {
		case gate <- struct{}{}:
		case <-c.Canceled:
		}
		c.Text("released")
		return
	}
	q, err := c.Begin("sampling/createMessage", `{"messages":[{"role":"user","content":{"type":"text","text":"held"}}],"maxTokens":1}`)
	if err != nil {
		c.Text(err.Error())
		return
	}
	select {
	case <-gate:
	case <-c.Canceled:
		return
	}
	c.Withdraw(q.ID)
	_, _, err = q.Wait()
	c.Text(fmt.Sprint("held: ", err))
}

func grow(c *gatetest.Call, n int) {
	s := c.Server
	name := fmt.Sprint("grown", n)
	s.SetTools(append(s.Tools[:len(s.Tools):len(s.Tools)], gatetest.Tool(name))...)
	s.SetPrompts(append(s.Prompts[:len(s.Prompts):len(s.Prompts)], []byte(`{"name":"`+name+`"}`))...)
	s.SetResources(append(s.Resources[:len(s.Resources):len(s.Resources)], []byte(`{"uri":"grown://`+name+`","name":"`+name+`"}`))...)
	c.Text("grown")
}
