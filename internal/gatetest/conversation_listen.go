package gatetest

import (
	"encoding/json"
	"slices"
	"strings"
)

// A filter is what one subscriptions/listen agreed to.
type filter struct {
	kinds map[string]bool // the members that ask for list_changed
	uris  []string        // resourceSubscriptions
	tasks []string        // taskIds
}

// agree gives the part of a filter that the server honours (2026-07-28, patterns,
// Subscriptions, Acknowledgment), and says whether the filter has its proper types.
func (s *Server) agree(wanted map[string]json.RawMessage) (f filter, agreed string, ok bool) {
	f.kinds = map[string]bool{}
	var parts []string
	ok = true
	for _, list := range []string{"tools/list", "prompts/list", "resources/list"} {
		l := listings[list]
		asked := string(wanted[l.filter])
		ok = ok && (asked == "" || asked == "true" || asked == "false")
		if asked == "true" && s.declares(l.capability, "listChanged") {
			f.kinds[l.changed] = true
			parts = append(parts, quote(l.filter)+":true")
		}
	}
	several := func(member string, honoured bool) (all []string) {
		raw := wanted[member]
		if raw == nil {
			return nil
		}
		if raw[0] != '[' || json.Unmarshal(raw, &all) != nil {
			ok = false
			return nil
		}
		if !honoured {
			return nil
		}
		parts = append(parts, quote(member)+":"+string(raw))
		return all
	}
	f.uris = several("resourceSubscriptions", s.declares("resources", "subscribe"))
	f.tasks = several("taskIds", s.declares("extensions", tasksExtension))
	return f, "{" + strings.Join(parts, ",") + "}", ok
}

func (f filter) wants(c change) bool {
	switch c.method {
	case resourceUpdated:
		return slices.ContainsFunc(f.uris, func(uri string) bool { return covers(uri, c.uri) })
	case taskChanged:
		return slices.Contains(f.tasks, c.uri)
	}
	return f.kinds[c.method]
}

// listen opens a subscription: the acknowledgment first, then what it agreed to
// (2026-07-28, patterns, Subscriptions).
func (v *conversation) listen(m *message, to *outbox) {
	wanted, ok := fields(field(m.params, "notifications"))
	f, agreed, typed := v.s.agree(wanted)
	if !ok || !typed {
		v.s.fault("subscriptions/listen without notifications, or with wrong ones: %.200s", m.params)
		v.refuse(m, to, 0, errorObject(codeParams, `"notifications" must be an object`))
		return
	}
	meta := `"_meta":{"` + metaSubscription + `":` + string(m.id) + `}`
	acknowledge := func() {
		to.push(item{raw: []byte(notification("notifications/subscriptions/acknowledged", `{`+meta+`,"notifications":`+agreed+`}`))})
	}
	unwatch := v.s.watch(acknowledge, func(c change) {
		switch {
		case c.end:
			if !v.http {
				// 2026-07-28, patterns, Cancellation: a server that tears a subscription
				// down says so; over HTTP the end of the stream is enough.
				to.push(item{raw: []byte(notification("notifications/cancelled", `{"requestId":`+string(m.id)+`,`+meta+`}`))})
			}
			to.push(item{raw: []byte(result(m.id, `{"resultType":"complete",`+meta+`}`)), last: true, method: m.method})
		case f.wants(c):
			params := meta
			if c.params != "" {
				params += "," + c.params
			}
			to.push(item{raw: []byte(notification(c.method, `{`+params+`}`))})
		}
	})
	for _, uri := range f.uris {
		v.s.subscriber(uri, 1)
	}
	stop := func() {
		unwatch()
		for _, uri := range f.uris {
			v.s.subscriber(uri, -1)
		}
	}
	v.s.add("listens", 1)
	v.mu.Lock()
	if v.finished {
		v.mu.Unlock()
		stop()
		return
	}
	v.listens[string(m.id)] = stop
	v.mu.Unlock()
}
