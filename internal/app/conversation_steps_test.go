package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"mcpgateway/internal/gatetest"
)

// The steps of a talk, a line each. They say what the client does and what must happen, in
// words that fit both eras: the runner does each in the client's own way. "[client>server]"
// before a step keeps it to the pairs of that pattern. JSON that is expected is matched as
// matches says; $name stands for what keep kept.
//
//	do METHOD [PARAMS]           send a request
//	call TOOL [ARGUMENTS [META]] the same for tools/call
//	result JSON                  the newest open request has this result
//	error CODE TEXT              … or this error
//	until JSON                   send the last request again until it has this result
//	contains TEXT                these bytes are part of the last result or error
//	keep NAME PATH               keep a member of the last result
//	asked METHOD [PARAMS]        a question comes
//	ready METHOD RESULT          the next such question gets this answer as it comes
//	answer RESULT                the oldest such question without an answer gets it
//	fail CODE TEXT               … gets an error
//	withdrawn                    … is taken back
//	abandon                      the client gives its newest request up, with its questions
//	cancel                       the client cancels its newest request
//	list KIND NAMES              tools, prompts, resources or templates: these, in this order
//	listed NAME JSON             the definition of one of these
//	listen FILTER                subscribe: the filter of a subscriptions/listen
//	unlisten                     end every subscription
//	changed KIND                 a list has changed
//	updated URI                  a resource has changed
//	progress N                   the next progress of the last request
//	logged JSON                  a log line
//	completed                    an elicitation is complete
//	told METHOD PARAMS           any other notification that belongs to no call
//	notify METHOD [PARAMS]       the client tells something
//	hello JSON                   what the gateway says of itself
//	vanish                       the client goes away
//	anew                         it comes again, as another
//	resume PARAMS                a tools/call whose stream breaks and is resumed has all progress and a result
var steps = map[string]func(k *talker, rest string){
	"do": (*talker).do, "call": (*talker).call, "result": (*talker).result, "error": (*talker).refused, "until": (*talker).until,
	"contains": (*talker).contains, "keep": (*talker).keep, "asked": (*talker).isAsked, "ready": (*talker).readies, "answer": (*talker).say, "fail": (*talker).refuse,
	"withdrawn": (*talker).withdrawn, "abandon": (*talker).abandon, "cancel": (*talker).cancel, "list": (*talker).list,
	"listed": (*talker).definition, "listen": (*talker).listen, "unlisten": (*talker).unlisten, "changed": (*talker).changed,
	"updated": (*talker).updated, "progress": (*talker).progress, "logged": (*talker).logged, "completed": (*talker).completed,
	"told":   (*talker).isTold,
	"notify": (*talker).notify, "hello": (*talker).hello, "vanish": (*talker).vanish, "anew": (*talker).anew, "resume": (*talker).resume,
}

func (k *talker) step(words string) {
	k.t.Helper()
	verb, rest, _ := strings.Cut(words, " ")
	for name, value := range k.kept {
		rest = strings.ReplaceAll(rest, "$"+name, value)
	}
	f := steps[verb]
	if f == nil {
		k.fail("no step is called %q", verb)
	}
	if k.over && verb != "anew" {
		k.fail("the client is gone")
	}
	f(k, strings.TrimSpace(rest))
}

func (k *talker) do(rest string) {
	method, params, _ := strings.Cut(rest, " ")
	k.start(method, params)
}

func (k *talker) call(rest string) {
	name, rest, _ := strings.Cut(rest, " ")
	params := `{"name":` + quoted(name)
	d := json.NewDecoder(strings.NewReader(rest))
	for _, member := range []string{"arguments", "_meta"} {
		from := d.InputOffset()
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			break
		}
		params += `,"` + member + `":` + strings.TrimSpace(rest[from:d.InputOffset()])
	}
	k.start("tools/call", params+"}")
}

// take waits for the answer of the newest open request.
func (k *talker) take() *request {
	if len(k.open) == 0 {
		k.fail("no request is open")
	}
	r := k.open[len(k.open)-1]
	k.within("the answer", func() bool {
		select {
		case <-r.done:
			return true
		default:
			return false
		}
	})
	if r.err != nil {
		k.fail("%v%s", r.err, k.state())
	}
	k.open, k.last = k.open[:len(k.open)-1], r
	if k.answer = r.answer.Result; k.answer == nil {
		k.answer = r.answer.Error
	}
	return r
}

func (k *talker) result(rest string) {
	r := k.take()
	if r.answer.Result == nil {
		k.fail("the answer is %.1000s", r.answer.Raw)
	}
	if why := matches(r.answer.Result, []byte(rest)); why != "" {
		k.fail("%s\n\tin %.1000s%s", why, r.answer.Raw, k.state())
	}
}

func (k *talker) refused(rest string) {
	code, text, _ := strings.Cut(rest, " ")
	r := k.take()
	message := ""
	if r.answer.Error != nil {
		_ = json.Unmarshal(gatetest.Member(r.answer.Error, "message"), &message)
	}
	if r.answer.Error == nil || string(gatetest.Member(r.answer.Error, "code")) != code || !like(message, text) {
		k.fail("the answer is %.1000s%s", r.answer.Raw, k.state())
	}
}

func (k *talker) until(rest string) {
	if k.last == nil {
		k.fail("there is no request to send again")
	}
	method, params := k.last.method, k.last.params
	why := ""
	k.within("the result "+rest, func() bool {
		if len(k.open) == 0 {
			k.start(method, params)
		}
		r := k.take()
		why = matches(r.answer.Result, []byte(rest))
		return why == ""
	})
}

func (k *talker) contains(rest string) {
	if !bytes.Contains(k.answer, []byte(rest)) {
		k.fail("the answer is %.1000s", k.answer)
	}
}

func (k *talker) keep(rest string) {
	words := strings.Fields(rest)
	raw := gatetest.Member(k.answer, words[1:]...)
	if raw == nil {
		k.fail("there is no such member: %.1000s", k.answer)
	}
	k.kept[words[0]] = string(raw)
}

func (k *talker) isAsked(rest string) {
	method, params, _ := strings.Cut(rest, " ")
	why := "nothing was asked"
	k.within("the question", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		at := slices.IndexFunc(k.waiting, func(a *ask) bool {
			if a.method != method {
				return false
			}
			given := a.params
			if given == nil {
				given = []byte("{}")
			}
			why = ""
			if params != "" {
				why = matches(given, []byte(params))
			}
			return why == ""
		})
		if at < 0 {
			return false
		}
		k.asked = append(k.asked, k.waiting[at])
		k.waiting = slices.Delete(k.waiting, at, at+1)
		return true
	})
}

func (k *talker) readies(rest string) {
	method, result, _ := strings.Cut(rest, " ")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ready[method] = result
}

func (k *talker) reply(result, refused string) {
	if len(k.asked) == 0 {
		k.fail("no question was asked that has no answer")
	}
	k.asked[0].reply <- [2]string{result, refused}
	k.asked = k.asked[1:]
}

func (k *talker) say(rest string) { k.reply(rest, "") }

func (k *talker) refuse(rest string) {
	code, text, _ := strings.Cut(rest, " ")
	k.reply("", `{"code":`+code+`,"message":`+quoted(text)+`}`)
}

func (k *talker) withdrawn(string) {
	if len(k.asked) == 0 {
		k.fail("no question was asked that has no answer")
	}
	id := func() string {
		for _, q := range k.Asked() {
			if q.Withdrawn && bytes.Equal(q.Params, k.asked[0].params) {
				return q.ID
			}
		}
		return ""
	}
	k.within("the question to be taken back", func() bool { return id() != "" })
	k.asked[0].reply <- [2]string{}
	k.asked = k.asked[1:]
}

func (k *talker) abandon(string) {
	r := k.newest()
	k.asked = nil
	r.cancel()
	<-r.done
	if r.err == nil {
		k.fail("the request was answered: %.1000s", r.answer.Raw)
	}
}

func (k *talker) newest() *request {
	if len(k.open) == 0 {
		k.fail("no request is open")
	}
	r := k.open[len(k.open)-1]
	k.open, k.last = k.open[:len(k.open)-1], r
	return r
}

func (k *talker) cancel(string) {
	r := k.newest()
	r.pending().Cancel()
	<-r.done
	if !errors.Is(r.err, gatetest.ErrCanceled) {
		k.fail("the request ended with %v", r.err)
	}
	r.cancel()
}
