package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Question is what the other side asked a client.
type Question struct {
	ID     string // raw id of the request; empty where it is part of input_required
	Key    string // of inputRequests; empty elsewhere
	Method string
	Params json.RawMessage
	// On is the raw id of the client's request on whose stream it came, or that it
	// answered; empty where the binding does not tell.
	On        string
	Open      []string // the client's requests without an answer when it came, by raw id
	Late      bool     // the request of On was over
	Withdrawn bool     // by notifications/cancelled
	Answered  bool     // this client sent an answer
}

func (c *core) Asked() []Question {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Question
	for _, q := range c.questions {
		all = append(all, *q)
	}
	return all
}

// asked takes a request of the other side.
func (c *core) asked(m *message, on *Pending) {
	switch {
	case c.stateless:
		// 2026-07-28, stdio and streamable-http, Receiving Messages: no requests.
		c.lost(m.raw)
		c.fault("a request from the answering side: %.300s", m.raw)
	case m.method == "ping":
		c.reply(m, result(m.id, `{}`))
	case required(m.method, m.params) == "" && field([]byte(c.opts.capabilities()), "tasks") == nil:
		c.lost(m.raw)
		c.reply(m, failure(m.id, errorObject(codeMethod, "Method not found")))
	default:
		c.questioned(m, on)
	}
}

func (c *core) questioned(m *message, on *Pending) {
	q := &Question{ID: string(m.id), Method: m.method, Params: m.params}
	c.mu.Lock()
	if slices.ContainsFunc(c.questions, func(other *Question) bool { return other.ID == q.ID }) {
		c.faults = append(c.faults, "the id of a question comes twice: "+string(m.raw))
	}
	if on != nil {
		q.On, q.Late = on.ID, on.over
	}
	c.record(q)
	revision := c.version
	c.mu.Unlock()
	if !askable([]byte(c.opts.capabilities()), revision, m.method, m.params) {
		c.fault("%s was asked, which was not declared: %.300s", m.method, m.raw)
		code := codeMethod
		if field([]byte(c.opts.capabilities()), "elicitation") != nil && m.method == "elicitation/create" {
			code = codeParams // 2025-11-25, client, Elicitation, Error Handling: a mode that is not declared
		}
		c.reply(m, failure(m.id, errorObject(code, "not declared")))
		return
	}
	if c.opts.OnAsk == nil {
		return
	}
	c.running.Go(func() {
		given, refused := c.opts.OnAsk(m.method, m.params)
		c.mu.Lock()
		drop := q.Withdrawn || given == "" && refused == ""
		q.Answered = !drop
		c.mu.Unlock()
		switch {
		case drop:
		case refused != "":
			c.send(m, failure(m.id, refused))
		default:
			c.send(m, result(m.id, given))
		}
	})
}

// record keeps a question; c.mu is held.
func (c *core) record(q *Question) {
	for id, p := range c.pending {
		if c.listens[id] == nil && !p.over {
			q.Open = append(q.Open, id)
		}
	}
	slices.Sort(q.Open)
	if id := field(q.Params, "elicitationId"); id != nil {
		c.used["e"+string(id)] = true
	}
	c.questions = append(c.questions, q)
}

func (c *core) reply(m *message, answer string) { c.running.Go(func() { c.send(m, answer) }) }

func (c *core) send(m *message, answer string) {
	if err := c.say(answer, m.method); err != nil && c.ctx.Err() == nil {
		c.fault("answering %s: %v", m.method, err)
	}
}

// demanded notes the elicitations that an error -32042 demands (2025-11-25, client,
// Elicitation, URL Elicitation Required Error).
func (c *core) demanded(m *message) {
	if string(field(m.err, "code")) != "-32042" {
		return
	}
	var all []json.RawMessage
	if json.Unmarshal(field(m.err, "data", "elicitations"), &all) != nil {
		c.fault("-32042 without elicitations: %.300s", m.raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range all {
		c.used["e"+string(field(e, "elicitationId"))] = true
	}
}

// judgeInput holds an input_required to its rules and keeps its questions (2026-07-28,
// patterns, Multi Round-Trip Requests, Server Requirements).
func (c *core) judgeInput(p *Pending, m *message) {
	requests, state := field(m.result, "inputRequests"), field(m.result, "requestState")
	if !slices.Contains(mayAsk, p.method) {
		c.fault("%s was answered with input_required", p.method)
	}
	if requests == nil && state == nil {
		c.fault("input_required with neither inputRequests nor requestState: %.300s", m.raw)
	}
	if _, ok := text(state); state != nil && !ok || requests != nil && !isObject(requests) {
		c.fault("input_required with members of wrong types: %.300s", m.raw)
	}
	walk(requests, func(at member) bool {
		one := requests[at.from:at.to]
		method, _ := text(field(one, "method"))
		params := field(one, "params")
		if required(method, params) == "" || !askable(p.caps, Stateless, method, params) {
			c.fault("%s was asked, which was not declared: %.300s", method, m.raw)
		}
		c.mu.Lock()
		c.record(&Question{Key: at.key, Method: method, Params: params, On: p.ID})
		c.mu.Unlock()
		return true
	})
}

// ErrRefused is what DoAll gives beside the input_required that OnAsk would not answer.
var ErrRefused = errors.New("the client would not answer")

const maxRounds = 20

func (c *core) DoAll(ctx context.Context, method, params string) (a *Answer, rounds int, err error) {
	first := params
	if first == "" {
		first = `{}`
	}
	for rounds < maxRounds {
		p := c.Start(method, params)
		rounds++
		if a, err = p.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				p.Cancel()
			}
			return nil, rounds, err
		}
		kind, _ := text(field(a.Result, "resultType"))
		if !c.stateless || kind != "input_required" {
			return a, rounds, nil
		}
		responses, err := c.respond(ctx, p.ID, field(a.Result, "inputRequests"))
		if err != nil {
			return a, rounds, err
		}
		raw := []byte(first)
		if responses != "" {
			raw = with(raw, "inputResponses", responses)
		}
		if state := field(a.Result, "requestState"); state != nil {
			raw = with(raw, "requestState", string(state))
		}
		params = string(raw)
	}
	return a, rounds, fmt.Errorf("%s does not end within %d rounds", method, maxRounds)
}

// respond answers the questions of one round.
func (c *core) respond(ctx context.Context, on string, requests json.RawMessage) (string, error) {
	if requests == nil {
		// The other side is busy and wants to be asked again.
		select {
		case <-time.After(20 * time.Millisecond):
			return "", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	var all []string
	var err error
	walk(requests, func(at member) bool {
		one := requests[at.from:at.to]
		method, _ := text(field(one, "method"))
		var given, refused string
		if c.opts.OnAsk != nil {
			given, refused = c.opts.OnAsk(method, field(one, "params"))
		}
		switch {
		case refused != "":
			err = fmt.Errorf("%w: %s: %s", ErrRefused, method, refused)
		case given == "":
			<-ctx.Done()
			err = fmt.Errorf("%s has no answer: %w", method, ctx.Err())
		}
		all = append(all, quote(at.key)+":"+given)
		c.mu.Lock()
		for _, q := range c.questions {
			q.Answered = q.Answered || q.On == on && q.Key == at.key && given != ""
		}
		c.mu.Unlock()
		return err == nil
	})
	return "{" + strings.Join(all, ",") + "}", err
}
