package gatetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// An Inquiry is a question of a stateful server on its way to the client's answer.
type Inquiry struct {
	ID     string // raw
	Method string

	c       *Call
	done    chan struct{}
	withers chan struct{} // closed when the script withdraws it

	// Guarded by the conversation's mu until done is closed.
	over    bool
	result  json.RawMessage
	failure json.RawMessage
}

// Why a question has no answer.
var (
	ErrNotDeclared = errors.New("the client did not declare that it can be asked this")
	ErrWithdrawn   = errors.New("the question was withdrawn")
	ErrEnded       = errors.New("the connection ended")
)

// Ask sends a request to the client and waits for its answer, which is a result or an
// error object (stateful servers). It fails when the call is cancelled or over.
func (c *Call) Ask(method, params string) (result, errObject json.RawMessage, err error) {
	q, err := c.Begin(method, params)
	if err != nil {
		return nil, nil, err
	}
	return q.Wait()
}

// Begin is Ask without the wait.
func (c *Call) Begin(method, params string) (*Inquiry, error) {
	if c.Stateless {
		// 2026-07-28, patterns, Multi Round-Trip Requests: no requests from servers.
		return nil, fmt.Errorf("%s: a stateless server sends no requests", method)
	}
	if !c.CanAsk(method, params) && !c.Server.AskAnyway {
		if !c.Server.Tolerant {
			c.Server.fault("the script asks %s, which %s did not declare", method, c.Capabilities)
		}
		return nil, ErrNotDeclared
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return nil, ErrCanceled
	}
	to := c.to
	if c.Server.AskOnGet {
		to = c.v.side
	}
	return c.inquire(to, method, params), nil
}

// AskLate asks on the stream that belongs to no call, though this call is over or
// cancelled, as a server that lost its count does.
func (c *Call) AskLate(method, params string) *Inquiry {
	return c.inquire(c.v.side, method, params)
}

// inquire sends a question. Ids are numbers from 1, so that they meet the client's own.
func (c *Call) inquire(to *outbox, method, params string) *Inquiry {
	v := c.v
	v.mu.Lock()
	q := &Inquiry{ID: strconv.Itoa(len(v.inquiries) + 1), Method: method, c: c, done: make(chan struct{}), withers: make(chan struct{})}
	v.inquiries[q.ID] = q
	v.mu.Unlock()
	v.s.add("asked", 1)
	to.push(item{raw: []byte(request(q.ID, method, params))})
	return q
}

// Wait waits for the client's answer. It fails when the call is cancelled, the question
// withdrawn or the connection ended.
func (q *Inquiry) Wait() (result, errObject json.RawMessage, err error) {
	select {
	case <-q.done:
		return q.result, q.failure, nil
	default:
	}
	select {
	case <-q.done:
		return q.result, q.failure, nil
	case <-q.withers:
		return nil, nil, ErrWithdrawn
	case <-q.c.Canceled:
		return nil, nil, ErrCanceled
	case <-q.c.v.over:
		return nil, nil, ErrEnded
	}
}

// WaitLate is Wait that does not end with the call.
func (q *Inquiry) WaitLate() (result, errObject json.RawMessage, err error) {
	select {
	case <-q.done:
		return q.result, q.failure, nil
	case <-q.c.v.over:
		return nil, nil, ErrEnded
	}
}

// Withdraw takes a question back that has no answer yet (2025-11-25, utilities,
// Cancellation), on the stream where it was asked.
func (c *Call) Withdraw(id string) {
	v := c.v
	v.mu.Lock()
	q := v.inquiries[id]
	if q == nil || q.over {
		v.mu.Unlock()
		return
	}
	q.over = true
	v.s.add("withdrawn", 1)
	close(q.withers)
	v.mu.Unlock()
	cancelled := notification("notifications/cancelled", `{"requestId":`+id+`,"reason":"not needed any more"}`)
	if c.Server.AskOnGet {
		v.side.push(item{raw: []byte(cancelled)})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.to.push(item{raw: []byte(cancelled)})
	}
}

// asked gives the method of a question by its id.
func (v *conversation) asked(id []byte) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if q := v.inquiries[string(id)]; q != nil {
		return q.Method
	}
	return ""
}

// replied takes a client's answer to a question.
func (v *conversation) replied(m *message) {
	v.mu.Lock()
	q := v.inquiries[string(m.id)]
	known, again := q != nil, false
	if known {
		select {
		case <-q.done:
			again = true
		case <-q.withers:
			// It may have crossed our withdrawal.
			v.s.add(outcome(m), 1)
		default:
			q.over, q.result, q.failure = true, m.result, m.err
			v.s.add(outcome(m), 1) // before the call goes on, and its caller may look
			close(q.done)
		}
	}
	v.mu.Unlock()
	switch {
	case !known:
		v.s.fault("an answer to a question that was never asked: %.200s", m.raw)
	case again:
		v.s.fault("a second answer to question %s: %.200s", m.id, m.raw)
	}
}

// outcome is the counter of an answer to a question.
func outcome(m *message) string {
	if m.err != nil {
		return "refused"
	}
	return "answered"
}

// CanAsk says whether the client declared that it can be asked this, and the revision
// has such a question.
func (c *Call) CanAsk(method, params string) bool {
	return askable(c.Capabilities, c.Revision, method, []byte(params))
}

// askable holds a question to the declared capabilities (client, Elicitation, Sampling
// and Roots, of each revision).
func askable(caps []byte, revision, method string, params []byte) bool {
	switch method {
	case "elicitation/create":
		mode, _ := text(field(params, "mode"))
		all, ok := fields(field(caps, "elicitation"))
		switch {
		case !ok || revision < "2025-06-18":
			return false
		case mode == "url":
			return isObject(all["url"]) && revision >= Stateful
		}
		// An empty object means form alone; before 2025-11-25 there is nothing else.
		return isObject(all["form"]) || all["url"] == nil || revision < Stateful
	case "sampling/createMessage":
		all, ok := fields(field(caps, "sampling"))
		return ok && (field(params, "tools") == nil || isObject(all["tools"]))
	case "roots/list":
		return isObject(field(caps, "roots"))
	}
	return true
}

// required is the capability that a question needs, as -32021 names it; empty for what
// is no question.
func required(method string, params []byte) string {
	switch method {
	case "elicitation/create":
		if mode, _ := text(field(params, "mode")); mode == "url" {
			return `{"elicitation":{"url":{}}}`
		}
		return `{"elicitation":{"form":{}}}`
	case "sampling/createMessage":
		if field(params, "tools") != nil {
			return `{"sampling":{"tools":{}}}`
		}
		return `{"sampling":{}}`
	case "roots/list":
		return `{"roots":{}}`
	}
	return ""
}
