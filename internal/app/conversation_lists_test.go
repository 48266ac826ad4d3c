package app_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"mcpgateway/internal/gatetest"
)

var listMethods = map[string]string{
	"tools": "tools/list", "prompts": "prompts/list", "resources": "resources/list", "templates": "resources/templates/list",
}

// nameOf is what an entry of a list is called by.
func nameOf(def []byte) (name string) {
	for _, member := range []string{"uri", "uriTemplate", "name"} {
		if json.Unmarshal(gatetest.Member(def, member), &name) == nil {
			return name
		}
	}
	return ""
}

func (k *talker) list(rest string) {
	words := strings.Fields(rest)
	ctx, cancel := context.WithTimeout(k.t.Context(), guard)
	defer cancel()
	all, _, err := gatetest.List(ctx, k.Client, listMethods[words[0]])
	if err != nil {
		k.fail("%v", err)
	}
	k.listed = all
	var names []string
	for _, def := range all {
		name := nameOf(def)
		// The other servers of the gateway have entries too. One server's stand together.
		if len(names) > 0 && len(names) < len(words)-1 || len(words) > 1 && name == words[1] || strings.HasPrefix(name, k.v.scripts[0]+".") {
			names = append(names, name)
		}
	}
	if !slices.Equal(names, words[1:]) {
		k.fail("listed are %q", names)
	}
}

func (k *talker) definition(rest string) {
	name, want, _ := strings.Cut(rest, " ")
	for _, def := range k.listed {
		if nameOf(def) == name {
			if why := matches(def, []byte(want)); why != "" {
				k.fail("%s\n\tin %.1000s", why, def)
			}
			return
		}
	}
	k.fail("it is not listed")
}

// listen subscribes in the era's own way. A stateful client hears of lists unasked.
func (k *talker) listen(rest string) {
	ctx, cancel := context.WithTimeout(k.t.Context(), guard)
	defer cancel()
	if k.pair.client.stateless {
		l, err := k.Listen(ctx, rest)
		if err != nil {
			k.fail("%v", err)
		}
		if why := matches(l.Agreed(), []byte(rest)); why != "" {
			k.fail("agreed to is %s: %s", l.Agreed(), why)
		}
		k.listening = append(k.listening, l)
		return
	}
	for _, uri := range uris(rest) {
		a, err := k.Do(ctx, "resources/subscribe", `{"uri":`+quoted(uri)+`}`)
		if err != nil || a.Result == nil {
			k.fail("resources/subscribe: %v, %+v", err, a)
		}
		k.kept["subscribed "+uri] = uri
	}
}

func uris(filter string) (all []string) {
	_ = json.Unmarshal(gatetest.Member([]byte(filter), "resourceSubscriptions"), &all)
	return all
}

func (k *talker) unlisten(string) {
	for _, l := range k.listening {
		l.Cancel()
	}
	k.listening = nil
	for _, key := range slices.Sorted(maps.Keys(k.kept)) {
		uri, is := strings.CutPrefix(key, "subscribed ")
		if !is {
			continue
		}
		delete(k.kept, key)
		if a, err := k.Do(k.t.Context(), "resources/unsubscribe", `{"uri":`+quoted(uri)+`}`); err != nil || a.Result == nil {
			k.fail("resources/unsubscribe: %v, %+v", err, a)
		}
	}
}

// told waits for a notification that no step took yet; it takes all that are there.
func (k *talker) told(key, method string, is func(note []byte) bool) {
	count := func() (n int) {
		for _, note := range k.Notes(method) {
			if is(note) {
				n++
			}
		}
		return n
	}
	k.within("the notification", func() bool { return count() > k.taken[key] })
	k.taken[key] = count()
}

func (k *talker) changed(kind string) {
	method := "notifications/" + kind + "/list_changed"
	k.told(method, method, func([]byte) bool { return true })
}

func (k *talker) updated(uri string) {
	k.told("updated "+quoted(uri), "notifications/resources/updated", func(note []byte) bool {
		return string(gatetest.Member(note, "params", "uri")) == quoted(uri)
	})
}

func (k *talker) completed(string) {
	method := "notifications/elicitation/complete"
	k.told(method, method, func([]byte) bool { return true })
}

func (k *talker) isTold(rest string) {
	method, params, _ := strings.Cut(rest, " ")
	k.told("told "+rest, method, func(note []byte) bool { return matches(gatetest.Member(note, "params"), []byte(params)) == "" })
}

func (k *talker) progress(want string) {
	r := k.last
	var got []json.RawMessage
	k.within("progress", func() bool {
		got = got[:0]
		for _, n := range r.notes() {
			if string(gatetest.Member(n, "method")) == `"notifications/progress"` {
				got = append(got, gatetest.Member(n, "params", "progress"))
			}
		}
		return len(got) > r.noted
	})
	if string(got[r.noted]) != want {
		k.fail("the progress is %s", got)
	}
	r.noted++
}

// logged finds a log line: on the stream of the call, or on the one that all share.
func (k *talker) logged(rest string) {
	key := "logged " + rest
	k.within("the log line", func() bool {
		lines := k.Notes("notifications/message")
		if k.last != nil {
			lines = append(lines, k.last.notes()...)
		}
		n := 0
		for _, l := range lines {
			if string(gatetest.Member(l, "method")) == `"notifications/message"` && matches(gatetest.Member(l, "params"), []byte(rest)) == "" {
				n++
			}
		}
		if n > k.taken[key] {
			k.taken[key] = n
			return true
		}
		return false
	})
}

func (k *talker) notify(rest string) {
	method, params, _ := strings.Cut(rest, " ")
	if err := k.Notify(method, params); err != nil {
		k.fail("%v", err)
	}
}

func (k *talker) hello(rest string) {
	said := []byte(k.Hello())
	if k.pair.client.stateless {
		a, err := k.Do(k.t.Context(), "server/discover", "")
		if err != nil {
			k.fail("%v", err)
		}
		said = a.Result
	}
	k.answer = said
	if why := matches(said, []byte(rest)); why != "" {
		k.fail("%s\n\tin %.1500s", why, said)
	}
}

func (k *talker) vanish(string) { k.leave() }

func (k *talker) anew(string) {
	k.leave()
	k.last = nil
	k.arrive()
}
