package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Listening is a subscription that was acknowledged. Its Notes are what came on it
// since; it ends with an answer, an error or Cancel.
type Listening struct {
	*Pending

	acked  chan struct{}
	wanted json.RawMessage
	agreed json.RawMessage // guarded by c.mu until acked is closed
}

// Agreed is the raw filter that the other side acknowledged.
func (l *Listening) Agreed() json.RawMessage {
	<-l.acked
	return l.agreed
}

func (c *core) Listen(ctx context.Context, filter string) (*Listening, error) {
	if !c.stateless {
		return nil, errors.New("subscriptions/listen is stateless")
	}
	l := &Listening{Pending: c.open("subscriptions/listen"), acked: make(chan struct{}), wanted: []byte(filter)}
	c.mu.Lock()
	c.listens[l.ID] = l
	c.mu.Unlock()
	c.begin(l.Pending, `{"notifications":`+filter+`}`)
	select {
	case <-l.acked:
		return l, nil
	case <-l.done:
		if l.err != nil {
			return nil, l.err
		}
		return nil, fmt.Errorf("subscriptions/listen was answered with %s", l.answer.Raw)
	case <-ctx.Done():
		l.Cancel()
		return nil, fmt.Errorf("no acknowledgment of subscriptions/listen: %w", ctx.Err())
	}
}

// subscribe opens the subscription to list_changed that a client has by itself.
func (c *core) subscribe() error {
	if c.opts.NoListen {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, startTime)
	defer cancel()
	l, err := c.Listen(ctx, `{"toolsListChanged":true}`)
	if err != nil {
		return err
	}
	c.listen = l
	if string(field(l.Agreed(), "toolsListChanged")) != "true" {
		c.fault("the subscription to list_changed was not agreed to: %s", l.Agreed())
	}
	return nil
}

// acknowledged notes that a subscription stands (2026-07-28, patterns, Subscriptions,
// Acknowledgment): with a part of what was asked for.
func (c *core) acknowledged(m *message, on *Pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.listens[string(field(m.params, "_meta", metaSubscription))]
	if l == nil || on != nil && on != l.Pending {
		c.faults = append(c.faults, "the acknowledgment of no subscription: "+string(m.raw))
		return false
	}
	select {
	case <-l.acked:
		return false
	default:
	}
	l.agreed = field(m.params, "notifications")
	agreed, ok := fields(l.agreed)
	if !ok {
		c.faults = append(c.faults, "an acknowledgment without notifications: "+string(m.raw))
	}
	for key := range agreed {
		if field(l.wanted, key) == nil {
			c.faults = append(c.faults, "agreed to what was not asked for: "+string(m.raw))
		}
	}
	close(l.acked)
	return true
}

// told takes a change that callers subscribe to.
func (c *core) told(m *message, on *Pending) {
	if !c.belongs(m, on) {
		c.lost(m.raw)
		return
	}
	c.keep(m)
	if m.method != toolsListChanged {
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
		c.fault("more than 4096 unread list_changed")
	}
}

// asksFor is the member of a filter that asks for a notification.
func asksFor(method string) string {
	for _, l := range listings {
		if l.changed == method {
			return l.filter
		}
	}
	if method == taskChanged {
		return "taskIds"
	}
	return "resourceSubscriptions"
}

// belongs says whether a change came where it may come: not on the stream of a call, and
// in the stateless era as part of a subscription that asked for it.
func (c *core) belongs(m *message, on *Pending) bool {
	if !c.stateless {
		c.judgeChange(m)
		return on == nil
	}
	id := string(field(m.params, "_meta", metaSubscription))
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.listens[id]
	if l == nil || on != nil && on != l.Pending {
		c.faults = append(c.faults, fmt.Sprintf("%s with subscriptionId %q, which is not that of its stream", m.method, id))
		return false
	}
	select {
	case <-l.acked:
	default:
		c.faults = append(c.faults, m.method+" before the acknowledgment")
		return true
	}
	if v := field(l.agreed, asksFor(m.method)); v == nil || string(v) == "false" {
		c.faults = append(c.faults, fmt.Sprintf("%s, which was not agreed to on %s: %.300s", m.method, id, m.raw))
	}
	if l.over {
		return false
	}
	l.notes = append(l.notes, m.raw)
	return true
}

// judgeChange holds a change to what the other side declared (stateful).
func (c *core) judgeChange(m *message) {
	path := []string{"capabilities", "resources", "subscribe"}
	for _, l := range listings {
		if l.changed == m.method {
			path = []string{"capabilities", l.capability, "listChanged"}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.method == taskChanged || c.hello == nil {
		return
	}
	if string(field(c.hello, path...)) != "true" {
		c.faults = append(c.faults, fmt.Sprintf("%s, though %q is not declared", m.method, path))
	} else if m.method == resourceUpdated && !c.followed {
		c.faults = append(c.faults, "an update of what was never subscribed to: "+string(m.raw))
	}
}

// withdrawn takes a cancel by the other side: of a question, or (stateless) of a
// subscription, whose result follows; a stateless server may cancel nothing else
// (2026-07-28, patterns, Cancellation).
func (c *core) withdrawn(m *message) {
	id := string(field(m.params, "requestId"))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stateless {
		if c.listens[id] == nil {
			c.faults = append(c.faults, "a cancel of what is no subscription: "+string(m.raw))
			c.stray = append(c.stray, m.raw)
		}
		return
	}
	at := slices.IndexFunc(c.questions, func(q *Question) bool { return q.ID == id })
	if at < 0 {
		c.stray = append(c.stray, m.raw)
		return
	}
	c.questions[at].Withdrawn = true
	c.notes = append(c.notes, note{m.method, m.raw})
}

// startTime is how long a client waits for its first answers: servers may start behind it.
const startTime = 30 * time.Second
