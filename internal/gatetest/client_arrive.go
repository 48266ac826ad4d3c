package gatetest

import (
	"encoding/json"
	"strings"
)

// arrive takes one message. On is the request on whose own stream it came, nil on a
// stream that all share.
func (c *core) arrive(raw []byte, on *Pending) {
	m, err := parse(raw)
	switch {
	case err != nil:
		c.fault("%v: %.300s", err, raw)
		c.lost(raw)
	case m.request():
		c.asked(m)
	case m.note():
		c.noted(m, on)
	default:
		c.answered(m, on)
	}
}

// asked answers a request of the other side; this client can do nothing but ping.
func (c *core) asked(m *message) {
	if m.method != "ping" {
		c.lost(m.raw)
	}
	if c.stateless {
		// 2026-07-28, stdio and streamable-http, Receiving Messages: no requests.
		c.fault("a request from the answering side: %.300s", m.raw)
		return
	}
	reply := failure(m.id, errorObject(codeMethod, "Method not found"))
	if m.method == "ping" {
		reply = result(m.id, `{}`)
	}
	c.running.Go(func() {
		if err := c.wire.note([]byte(reply)); err != nil && c.ctx.Err() == nil {
			c.fault("answering %s: %v", m.method, err)
		}
	})
}

func (c *core) noted(m *message, on *Pending) {
	if m.method == toolsListChanged {
		if !c.belongs(m, on) {
			c.lost(m.raw)
			return
		}
		select {
		case c.changed <- struct{}{}:
		default:
			c.fault("more than 4096 unread list_changed")
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.method == "notifications/subscriptions/acknowledged" && c.acknowledged(m) {
		return
	}
	if m.method == "notifications/cancelled" && c.stateless && c.listen != nil && string(field(m.params, "requestId")) == c.listen.ID {
		return // the end of our subscription; its result follows
	}
	p := on
	if m.method == "notifications/progress" {
		p = c.tokens[string(field(m.params, "progressToken"))]
		if on != nil && p != on {
			p = nil
		}
	}
	if p == nil || p.over || p == c.listen {
		c.stray = append(c.stray, m.raw)
		return
	}
	p.notes = append(p.notes, m.raw)
}

// belongs says whether a list_changed came where such a message may come: not on the
// stream of a call, and in the stateless era as part of our subscription.
func (c *core) belongs(m *message, on *Pending) bool {
	c.mu.Lock()
	listen := c.listen
	c.mu.Unlock()
	if !c.stateless {
		return on == nil
	}
	if listen == nil || on != nil && on != listen {
		return false
	}
	if id := field(m.params, "_meta", metaSubscription); string(id) != listen.ID {
		c.fault("list_changed with subscriptionId %s on subscription %s", id, listen.ID)
		return false
	}
	select {
	case <-c.acked:
	default:
		c.fault("list_changed before the acknowledgment")
	}
	return true
}

// acknowledged notes that our subscription stands; c.mu is held.
func (c *core) acknowledged(m *message) bool {
	if c.listen == nil || string(field(m.params, "_meta", metaSubscription)) != c.listen.ID {
		return false
	}
	if string(field(m.params, "notifications", "toolsListChanged")) != "true" {
		c.faults = append(c.faults, "the subscription to list_changed was not agreed to: "+string(m.raw))
	}
	select {
	case <-c.acked:
		return false
	default:
		close(c.acked)
		return true
	}
}

func (c *core) answered(m *message, on *Pending) {
	c.mu.Lock()
	p := c.pending[string(m.id)]
	c.mu.Unlock()
	if p == nil && on != nil && m.err != nil && (m.id == nil || string(m.id) == "null") {
		p = on // an error whose sender could not read the id
	}
	if p == nil || on != nil && p != on {
		if on != nil && on != p && string(m.id) != on.ID {
			c.fault("an answer with id %s on the stream of %s", m.id, on.ID)
		}
		c.lost(m.raw)
		return
	}
	c.judge(p, m)
	if !c.settle(p, &Answer{Raw: m.raw, Result: m.result, Error: m.err, Status: p.status}, nil) {
		c.lost(m.raw)
	}
}

// judge holds an answer to the rules of its era.
func (c *core) judge(p *Pending, m *message) {
	if m.result == nil || !c.stateless {
		return
	}
	kind, ok := text(field(m.result, "resultType"))
	if !ok {
		c.fault("%s: a result without resultType: %.300s", p.method, m.result)
	}
	if p.method == "tools/list" {
		c.remember(m.result)
	}
	list := strings.HasSuffix(p.method, "/list") || p.method == "server/discover" || p.method == "resources/read"
	if !list || kind != "complete" {
		return
	}
	ttl := field(m.result, "ttlMs")
	scope, _ := text(field(m.result, "cacheScope"))
	if !isInteger(ttl) || ttl[0] == '-' || scope != "public" && scope != "private" {
		c.fault("%s: ttlMs %s, cacheScope %q", p.method, ttl, scope)
	}
}

// remember keeps which parameters the listed tools want in headers.
func (c *core) remember(result json.RawMessage) {
	var all []json.RawMessage
	if json.Unmarshal(field(result, "tools"), &all) != nil {
		c.fault("tools is no array: %.300s", result)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, def := range all {
		if name, ok := text(field(def, "name")); ok {
			c.headers[name] = annotated(field(def, "inputSchema"), nil)
		}
	}
}
