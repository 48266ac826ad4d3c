package app_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// A talker is the client of one conversation on its way through the steps.
type talker struct {
	t     *testing.T
	v     *conversation
	pair  pair
	reads pair // whose steps hold: its own, but where another hop decides
	fleet *fleetGateway
	opts  gatetest.Options
	at    string // base URL
	where string // the step that is under way

	gatetest.Client
	gone chan struct{} // closed when this client goes

	open      []*request // not taken by a result yet, oldest first
	last      *request   // that a step spoke of
	answer    []byte     // the last result or error
	listed    []json.RawMessage
	listening []*gatetest.Listening
	asked     []*ask            // answered by none yet, in the order they were expected
	taken     map[string]int    // notifications that a step took, by method and URI
	kept      map[string]string // values by name
	over      bool              // the client went and did not come back

	mu      sync.Mutex
	waiting []*ask            // guarded by mu: questions that no step expected yet
	ready   map[string]string // guarded by mu: answers by method to questions that may come
}

// An ask is a question that came to the client.
type ask struct {
	method string
	params []byte
	reply  chan [2]string // a result or an error object
}

// A request is one of the client's, with its rounds.
type request struct {
	method, params string
	cancel         context.CancelFunc
	done           chan struct{}

	// Valid once done is closed.
	answer *gatetest.Answer
	err    error

	mu    sync.Mutex
	all   []*gatetest.Pending // guarded by mu: a round each
	noted int                 // notes that a step took
}

var errGone = errors.New("the client left the question open")

// converse performs a conversation for one pair; it fails the test where anything is not as
// the steps say.
func converse(t *testing.T, v *conversation, p pair, f *fleetGateway, revision string) {
	converseAs(t, v, p, p, f, revision)
}

// converseAs is converse with the steps of another pair.
func converseAs(t *testing.T, v *conversation, p, reads pair, f *fleetGateway, revision string) {
	k := &talker{t: t, v: v, pair: p, reads: reads, fleet: f, at: f.url, taken: map[string]int{}, ready: map[string]string{}, kept: map[string]string{"unique": quoted(rand.Text())}}
	if v.own {
		k.at += "/servers/" + v.scripts[0]
	}
	declares := strings.ReplaceAll(v.declares, "$unique", k.kept["unique"])
	k.opts = gatetest.Options{Revision: revision, Capabilities: declares, LogLevel: v.level, OnAsk: k.onAsk}
	if !p.client.stateless && revision < "2025-11-25" && v.declares != "" {
		k.opts.Capabilities = strings.Replace(declares, `{"form":{},"url":{}}`, `{}`, 1)
	}
	before := len(f.faults())
	k.arrive()
	defer k.leave()
	for _, l := range v.talk {
		if !l.when.matches(reads) {
			continue
		}
		k.where = l.where + ": " + l.words
		k.step(l.words)
	}
	k.where = v.name + ", at its end"
	k.settled()
	if all := f.faults(); len(all) > before {
		k.fail("the gateway broke a rule towards a server: %s", strings.Join(all[before:], "; "))
	}
}

func (k *talker) fail(format string, args ...any) {
	k.t.Helper()
	k.t.Fatalf("%s\n\t%s", k.where, fmt.Sprintf(format, args...))
}

// within waits for what a step says must come.
func (k *talker) within(what string, cond func() bool) {
	k.t.Helper()
	for end := time.Now().Add(guard); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			k.fail("waited %v for %s%s", guard, what, k.state())
		}
	}
}

// state is what a reader of a failure wants to know.
func (k *talker) state() string {
	var b strings.Builder
	k.mu.Lock()
	for _, a := range k.waiting {
		fmt.Fprintf(&b, "\n\tasked: %s %.300s", a.method, a.params)
	}
	k.mu.Unlock()
	for _, r := range k.open {
		select {
		case <-r.done:
			raw := []byte("nothing")
			if r.answer != nil {
				raw = r.answer.Raw
			}
			fmt.Fprintf(&b, "\n\tanswered: %s %s: %.600s %v", r.method, r.params, raw, r.err)
		default:
			fmt.Fprintf(&b, "\n\topen: %s %s", r.method, r.params)
		}
	}
	for _, n := range k.Notes("") {
		fmt.Fprintf(&b, "\n\ttold: %.300s", n)
	}
	for _, n := range k.Stray() {
		fmt.Fprintf(&b, "\n\tstray: %.300s", n)
	}
	for _, f := range k.Faults() {
		fmt.Fprintf(&b, "\n\tfault: %s", f)
	}
	return b.String()
}

func (k *talker) arrive() {
	k.t.Helper()
	k.gone = make(chan struct{})
	k.over = false
	k.Client = dialAs(k.t, k.fleet.gateway, k.pair.client, k.at, k.opts)
	k.fleet.said.hear(k.Client)
}

// leave is the end of the client, in its binding's own way.
func (k *talker) leave() {
	if k.over {
		return
	}
	k.over = true
	close(k.gone)
	k.Close()
	for _, r := range k.open {
		r.cancel()
		<-r.done
	}
	k.open, k.listening, k.asked, k.waiting = nil, nil, nil, nil
	k.taken = map[string]int{}
}

// settled is what must hold at the end: nothing came that no step expected.
func (k *talker) settled() {
	if k.over {
		return
	}
	if len(k.open) > 0 {
		k.fail("%s has no answer that a step took%s", k.open[0].method, k.state())
	}
	if s := k.Stray(); len(s) > 0 {
		k.fail("%d messages belong to nothing, the first: %.500s", len(s), s[0])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for method := range k.ready {
		k.fail("%s was not asked", method)
	}
	if len(k.waiting) > 0 {
		k.fail("a question that no step expects: %s %.300s", k.waiting[0].method, k.waiting[0].params)
	}
	for _, n := range k.Notes("notifications/resources/updated") {
		if key := "updated " + string(gatetest.Member(n, "params", "uri")); k.taken[key] == 0 {
			k.fail("an update that no step expects: %.300s", n)
		}
	}
}

// onAsk takes a question that came in place.
func (k *talker) onAsk(method string, params json.RawMessage) (result, refused string) {
	a := k.put(method, params)
	select {
	case given := <-a.reply:
		return given[0], given[1]
	case <-k.gone:
		return "", ""
	}
}

func (k *talker) put(method string, params []byte) *ask {
	a := &ask{method, params, make(chan [2]string, 1)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if given, ok := k.ready[method]; ok {
		delete(k.ready, method)
		a.reply <- [2]string{given}
		return a
	}
	k.waiting = append(k.waiting, a)
	return a
}

// start sends a request, and again with what the client answered where that is asked for.
func (k *talker) start(method, params string) *request {
	ctx, cancel := context.WithCancel(k.t.Context())
	r := &request{method: method, params: params, cancel: cancel, done: make(chan struct{})}
	k.open, k.last = append(k.open, r), r
	c, gone := k.Client, k.gone
	r.send(c, params)
	go func() {
		defer close(r.done)
		r.answer, r.err = k.rounds(ctx, c, r, gone)
	}()
	return r
}

func (r *request) send(c gatetest.Client, params string) {
	p := c.Start(r.method, params)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, p)
}

func (r *request) pending() *gatetest.Pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

// notes are what came for the request in all its rounds.
func (r *request) notes() (all []json.RawMessage) {
	r.mu.Lock()
	rounds := r.all
	r.mu.Unlock()
	for _, p := range rounds {
		all = append(all, p.Notes()...)
	}
	return all
}

const mostRounds = 20

func (k *talker) rounds(ctx context.Context, c gatetest.Client, r *request, gone chan struct{}) (*gatetest.Answer, error) {
	for range mostRounds {
		a, err := r.pending().Wait(ctx)
		if err != nil {
			return nil, err
		}
		if string(gatetest.Member(a.Result, "resultType")) != `"input_required"` || !k.pair.client.stateless {
			return a, nil
		}
		responses, err := k.respond(ctx, gatetest.Member(a.Result, "inputRequests"), gone)
		if err != nil {
			return nil, err
		}
		next := strings.TrimSuffix(strings.TrimSpace(r.params), "}")
		if responses != "" {
			next += `,"inputResponses":` + responses
		}
		if state := gatetest.Member(a.Result, "requestState"); state != nil {
			next += `,"requestState":` + string(state)
		}
		r.send(c, next+"}")
	}
	return nil, fmt.Errorf("%s does not end within %d rounds", r.method, mostRounds)
}

// respond has the questions of one round answered, which come all at once.
func (k *talker) respond(ctx context.Context, requests []byte, gone chan struct{}) (string, error) {
	if requests == nil {
		return "", nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(requests, &all); err != nil {
		return "", err
	}
	asks := map[string]*ask{}
	for key, one := range all {
		method := strings.Trim(string(gatetest.Member(one, "method")), `"`)
		asks[key] = k.put(method, gatetest.Member(one, "params"))
	}
	given := map[string]json.RawMessage{}
	for key, a := range asks {
		select {
		case reply := <-a.reply:
			if reply[1] != "" {
				return "", errGone
			}
			given[key] = json.RawMessage(reply[0])
		case <-ctx.Done():
			return "", ctx.Err()
		case <-gone:
			return "", errGone
		}
	}
	raw, err := json.Marshal(given)
	return string(raw), err
}
