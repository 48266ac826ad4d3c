package gatetest

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
)

// askingServer asks its callers, the same in every era:
//
//   - form, url, sample, roots: arguments.rounds questions (default 1), one after the
//     other, then a text of arguments.tag and each raw answer, a line each
//   - url: with arguments.complete it also says that the interaction is complete, where
//     the revision has such a message
//   - both: a form and a sampling at the same time
//   - withdraw: asks a form, takes it back and answers (stateful)
//   - forever: asks forms without end
//   - late: hangs until it is cancelled and then asks all the same (stateful); "late
//     asked", "late answered" and "late refused" count what becomes of it
//   - plain: asks nothing
//   - prompts/get of "ask" and resources/read of ask://resource ask a form of their own
//     name and answer with what came
func askingServer() *Server {
	return &Server{
		Name: "asking", Tools: tools("form", "url", "sample", "roots", "both", "withdraw", "forever", "late", "hang", "plain"), Call: callAsking,
		Prompts:   []json.RawMessage{json.RawMessage(`{"name":"ask","description":"Asks for a name"}`)},
		Resources: []json.RawMessage{json.RawMessage(`{"uri":"ask://resource","name":"ask","mimeType":"text/plain"}`)},
		Handle:    handleAsking,
	}
}

func callAsking(c *Call) {
	switch c.Name {
	case "form", "url", "sample", "roots":
		c.interview()
	case "both":
		all, ok := c.Questions(c.question("form", 0), c.question("sample", 0))
		if ok {
			c.Text(c.tag() + "\n" + string(all["form0"]) + "\n" + string(all["sample0"]))
		}
	case "withdraw":
		c.regret()
	case "forever":
		for i := 0; ; i++ {
			q := c.question("form", i)
			if _, ok := c.Question(q.Key, q.Method, q.Params); !ok {
				return
			}
		}
	case "late":
		c.hang()
		if !c.Stateless {
			c.askLate()
		}
	case "hang":
		c.hang()
	default:
		c.Text(c.tag())
	}
}

func (c *Call) tag() string {
	tag, _ := text(field(c.Arguments, "tag"))
	return tag
}

// interview asks as often as the arguments say.
func (c *Call) interview() {
	rounds, err := strconv.Atoi(string(field(c.Arguments, "rounds")))
	if err != nil {
		rounds = 1
	}
	said := []string{c.tag()}
	for i := range rounds {
		q := c.question(c.Name, i)
		given, ok := c.Question(q.Key, q.Method, q.Params)
		if !ok {
			return
		}
		said = append(said, string(given))
		if id := field([]byte(q.Params), "elicitationId"); id != nil && string(field(c.Arguments, "complete")) == "true" {
			c.Notify("notifications/elicitation/complete", `{"elicitationId":`+string(id)+`}`)
		}
	}
	c.Text(strings.Join(said, "\n"))
}

// question makes the question of a round. Its key, message or URL tell the tag and the
// round.
func (c *Call) question(kind string, i int) Q {
	key := kind + strconv.Itoa(i)
	message := quote(c.tag() + " " + strconv.Itoa(i))
	form := ""
	if c.Revision >= Stateful {
		form = `"mode":"form",` // earlier ones know no modes
	}
	switch kind {
	case "form":
		return Q{key, "elicitation/create", `{` + form + `"message":` + message +
			`,"requestedSchema":{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}}`}
	case "url":
		id := ""
		if !c.Stateless {
			// 2025-11-25, client, Elicitation: unique within the server.
			id = `,"elicitationId":` + quote(rand.Text())
		}
		return Q{key, "elicitation/create", `{"mode":"url","message":` + message + `,"url":"https://asking.example/` + key + `"` + id + `}`}
	case "sample":
		return Q{key, "sampling/createMessage", `{"messages":[{"role":"user","content":{"type":"text","text":` + message + `}}],"maxTokens":10}`}
	}
	return Q{key, "roots/list", ""}
}

// regret asks and takes the question back.
func (c *Call) regret() {
	q := c.question("form", 0)
	i, err := c.Begin(q.Method, q.Params)
	if err != nil {
		c.giveUp(err.Error())
		return
	}
	c.Withdraw(i.ID)
	_, _, err = i.Wait()
	if err == nil {
		c.giveUp("the answer was there already")
		return
	}
	c.Text(c.tag() + "\n" + err.Error())
}

func (c *Call) askLate() {
	q := c.question("form", 0)
	i := c.AskLate(q.Method, q.Params)
	c.Server.add("late asked", 1)
	_, refused, err := i.WaitLate()
	switch {
	case err != nil:
	case refused != nil:
		c.Server.add("late refused", 1)
	default:
		c.Server.add("late answered", 1)
	}
}

func handleAsking(c *Call) {
	if c.Method != "prompts/get" && c.Method != "resources/read" || c.Name != "ask" && c.Name != "ask://resource" {
		c.Default()
		return
	}
	given, ok := c.Question("who", "elicitation/create", `{"message":`+quote(c.Name)+
		`,"requestedSchema":{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}}`)
	switch {
	case !ok:
	case c.Method == "prompts/get":
		c.Result(`{"messages":[{"role":"user","content":{"type":"text","text":` + quote(string(given)) + `}}]}`)
	default:
		c.Result(`{"contents":[{"uri":` + quote(c.Name) + `,"mimeType":"text/plain","text":` + quote(string(given)) + `}]}`)
	}
}
