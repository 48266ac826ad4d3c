package gatetest

import (
	"encoding/json"
	"slices"
)

// arrive takes one message. On is the request on whose own stream it came, nil on a
// stream that all share.
func (c *core) arrive(raw []byte, on *Pending) {
	m, err := parse(raw)
	c.saw(m, raw)
	switch {
	case err != nil:
		c.fault("%v: %.300s", err, raw)
		c.lost(raw)
	case m.request():
		c.asked(m, on)
	case m.note():
		c.noted(m, on)
	default:
		c.answered(m, on)
	}
}

func (c *core) saw(m *message, raw []byte) {
	s := Seen{Raw: raw, Binding: c.binding, Revision: c.Revision()}
	c.mu.Lock()
	if p := c.pending[string(m.id)]; p != nil && m.method == "" {
		if s.Method = p.method; p.method == "initialize" {
			s.Revision, _ = text(field(m.result, "protocolVersion"))
		}
	}
	c.mu.Unlock()
	c.log.add(s)
}

func (c *core) noted(m *message, on *Pending) {
	switch m.method {
	case toolsListChanged, "notifications/prompts/list_changed", "notifications/resources/list_changed", resourceUpdated, taskChanged:
		c.told(m, on)
		return
	case "notifications/subscriptions/acknowledged":
		if !c.acknowledged(m, on) {
			c.lost(m.raw)
		}
		return
	case "notifications/cancelled":
		c.withdrawn(m)
		return
	case "notifications/elicitation/complete":
		c.completed(m)
		return
	case "notifications/message":
		if on == nil && c.judgeLog(m, nil) {
			c.keep(m)
			return
		}
		if on != nil && !c.judgeLog(m, on) {
			c.lost(m.raw)
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := on
	if m.method == "notifications/progress" {
		token := field(m.params, "progressToken")
		if p = c.tokens[string(token)]; on != nil && p != on {
			p = nil
		}
		if !c.used[string(token)] {
			c.faults = append(c.faults, "progress with a token that was never given: "+string(m.raw))
		}
	}
	if p == nil || p.over || c.listens[p.ID] != nil {
		c.stray = append(c.stray, m.raw)
		return
	}
	p.notes = append(p.notes, m.raw)
}

// keep adds to what belongs to no call.
func (c *core) keep(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, note{m.method, m.raw})
}

func (c *core) Notes(method string) []json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []json.RawMessage
	for _, n := range c.notes {
		if method == "" || n.method == method {
			all = append(all, n.raw)
		}
	}
	return all
}

// judgeLog says whether a log line may come, and where it came: at or above the level
// that was asked for, in the stateless era for a request that asked (utilities, Logging,
// of each revision).
func (c *core) judgeLog(m *message, on *Pending) bool {
	level, _ := text(field(m.params, "level"))
	c.mu.Lock()
	want := c.level
	undeclared := c.hello != nil && field(c.hello, "capabilities", "logging") == nil
	if on != nil && c.stateless {
		want = on.level
	}
	c.mu.Unlock()
	switch {
	case !slices.Contains(logLevels, level):
		c.fault("a log line of level %q: %.300s", level, m.raw)
	case undeclared:
		c.fault("a log line, though logging is not declared: %.300s", m.raw)
	case want == "" && c.stateless:
		c.fault("a log line that was not asked for: %.300s", m.raw)
		return false
	case want != "" && severity(level) < severity(want):
		c.fault("a log line below %q: %.300s", want, m.raw)
	}
	return true
}

// completed takes the end of a URL elicitation (2025-11-25, client, Elicitation): for who
// was asked, in the revision that has it.
func (c *core) completed(m *message) {
	id := string(field(m.params, "elicitationId"))
	c.mu.Lock()
	known := c.used["e"+id] && c.version == Stateful
	c.mu.Unlock()
	if !known {
		c.fault("the end of an elicitation %s that never began: %.300s", id, m.raw)
		c.lost(m.raw)
		return
	}
	c.keep(m)
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
	if p.method == "initialize" && m.result != nil {
		c.mu.Lock()
		c.hello = m.result
		c.version, _ = text(field(m.result, "protocolVersion"))
		c.mu.Unlock()
	}
	if !c.settle(p, &Answer{Raw: m.raw, Result: m.result, Error: m.err, Status: p.status}, nil) {
		c.lost(m.raw)
	}
}

// hinted are the results that carry hints (2026-07-28, utilities, Caching).
var hinted = []string{"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}

// judge holds an answer to the rules of its era.
func (c *core) judge(p *Pending, m *message) {
	if !c.stateless {
		c.demanded(m)
		return
	}
	if m.result == nil {
		return
	}
	kind, ok := text(field(m.result, "resultType"))
	switch {
	case !ok:
		c.fault("%s: a result without resultType: %.300s", p.method, m.result)
	case kind == "input_required":
		c.judgeInput(p, m)
	case kind == "task" && isObject(field(p.caps, "extensions", tasksExtension)):
	case kind != "complete":
		c.fault("%s: a result of a type that was not declared: %.300s", p.method, m.result)
	}
	if p.method == "tools/list" {
		c.remember(m.result)
	}
	if !slices.Contains(hinted, p.method) || kind != "complete" {
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
