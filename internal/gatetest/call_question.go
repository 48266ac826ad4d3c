package gatetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Q is a question that a script asks in either era.
type Q struct {
	Key    string // unique within the call
	Method string
	Params string // raw; empty: none
}

// Question asks the client, in each era's own way. A stateful server asks in place. A
// stateless one looks for the answer in what the retry brought and otherwise answers
// input_required; then ok is false, the call is answered, and the script returns. It is
// run again from its beginning for the retry and must ask the same again. OK is also
// false when the client cannot be asked, refuses, or cancels the call.
func (c *Call) Question(key, method, params string) (result json.RawMessage, ok bool) {
	all, ok := c.Questions(Q{key, method, params})
	return all[key], ok
}

// Questions asks several at the same time.
func (c *Call) Questions(all ...Q) (answers map[string]json.RawMessage, ok bool) {
	for _, q := range all {
		if !c.Server.AskAnyway && !c.CanAsk(q.Method, q.Params) {
			c.cannot(q)
			return nil, false
		}
	}
	if c.Stateless {
		return c.rounds(all)
	}
	var open []*Inquiry
	for _, q := range all {
		i, err := c.Begin(q.Method, q.Params)
		if err != nil {
			return nil, false
		}
		open = append(open, i)
	}
	answers = map[string]json.RawMessage{}
	for n, i := range open {
		given, refused, err := i.Wait()
		if err != nil {
			return nil, false
		}
		if refused != nil {
			for _, other := range open[n+1:] {
				c.Withdraw(other.ID)
			}
			c.giveUp(i.Method + ": " + string(refused))
			return nil, false
		}
		answers[all[n].Key] = given
	}
	return answers, true
}

// cannot answers where the client did not declare a capability: a stateless server must
// say so (2026-07-28, basic, Per-request protocol fields).
func (c *Call) cannot(q Q) {
	if c.Stateless {
		c.Error(`{"code":` + codeCapability + `,"message":"Missing required client capability","data":{"requiredCapabilities":` +
			required(q.Method, []byte(q.Params)) + `}}`)
		return
	}
	c.giveUp(q.Method + ": " + ErrNotDeclared.Error())
}

// giveUp answers that the call failed.
func (c *Call) giveUp(why string) {
	if c.Method == "tools/call" {
		c.Result(`{"content":[{"type":"text","text":` + quote(why) + `}],"isError":true}`)
		return
	}
	c.Error(errorObject(codeInternal, why))
}

// A memory is what a stateless server has its caller keep in requestState. Answers are
// kept as the bytes they came as.
type memory struct {
	For     string            `json:"for"` // the request that it belongs to
	Round   int               `json:"round"`
	Asked   []string          `json:"asked"`
	Answers map[string][]byte `json:"answers"`
}

// statePrefix has what must survive a way through others' hands: it is no ASCII and has
// characters that may be escaped.
const statePrefix = "gatetest/é==\"<&>."

// rounds is Questions of a stateless server.
func (c *Call) rounds(all []Q) (map[string]json.RawMessage, bool) {
	if c.memory == nil {
		if !c.remember() {
			return nil, false
		}
	}
	answers := map[string]json.RawMessage{}
	var open []string
	for _, q := range all {
		if given, ok := c.memory.Answers[q.Key]; ok {
			answers[q.Key] = given
			continue
		}
		params := ""
		if q.Params != "" {
			params = `,"params":` + q.Params
		}
		open = append(open, quote(q.Key)+`:{"method":`+quote(q.Method)+params+`}`)
		if !slices.Contains(c.memory.Asked, q.Key) {
			c.memory.Asked = append(c.memory.Asked, q.Key)
		}
	}
	if open == nil {
		return answers, true
	}
	c.memory.Round++
	state, err := json.Marshal(c.memory)
	if err != nil {
		panic(err)
	}
	c.Server.add("asked", len(open))
	c.Input("{"+strings.Join(open, ",")+"}", statePrefix+base64.StdEncoding.EncodeToString(state))
	return nil, false
}

// remember reads what the retry brought; false if it is not ours, which is answered.
func (c *Call) remember() bool {
	c.memory = &memory{For: c.fingerprint(), Answers: map[string][]byte{}}
	if c.RequestState != nil {
		state, _ := text(c.RequestState)
		coded, prefixed := strings.CutPrefix(state, statePrefix)
		raw, err := base64.StdEncoding.DecodeString(coded)
		var kept memory
		if !prefixed || err != nil || json.Unmarshal(raw, &kept) != nil {
			c.Server.fault("%s: requestState %.200s is none that was given", c.Method, c.RequestState)
			c.Error(errorObject(codeParams, "the requestState is not one that was given"))
			return false
		}
		if kept.For != c.memory.For {
			c.Server.fault("%s %s: the requestState is that of another request", c.Method, c.Name)
			c.Error(errorObject(codeParams, "the requestState is that of another request"))
			return false
		}
		c.memory = &kept
	}
	given, _ := fields(c.InputResponses)
	for key, answer := range given {
		// What was not asked for is ignored (patterns, Multi Round-Trip Requests, Error Handling).
		if _, have := c.memory.Answers[key]; !have && slices.Contains(c.memory.Asked, key) {
			c.memory.Answers[key] = answer
			c.Server.add("answered", 1)
		}
	}
	return true
}

// fingerprint tells requests apart: a retry has the same.
func (c *Call) fingerprint() string {
	var args bytes.Buffer
	if json.Compact(&args, c.Arguments) != nil {
		args.Write(c.Arguments)
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(c.Method+"\x00"+c.Name+"\x00"+args.String())))
}
