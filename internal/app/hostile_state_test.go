package app_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mcpgateway/internal/gatetest"
)

// An attempt is a call of a stateless client that can be asked, with the state of a retry. What is
// empty is Alice's call of asking.form.
type attempt struct {
	who, path, method, name, arguments string
	state, key                         string // raw; the answer is to the question with this key
}

// attempt sends one.
func (h *hostile) attempt(a attempt) got {
	h.Helper()
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	method, name := or(a.method, "tools/call"), or(a.name, "asking.form")
	params := tool(name, or(a.arguments, `{"tag":"t"}`))
	if a.state != "" {
		params += `,"inputResponses":{"` + or(a.key, "q1") + `":{"action":"accept","content":{"answer":"x"}}},"requestState":` + a.state
	}
	body := strings.Replace(stateless("1", method, params), `clientCapabilities":{}`, `clientCapabilities":`+all, 1)
	return h.send("POST", or(a.path, "/mcp"), body, append(mirror(method, name), "Authorization", "Bearer "+or(a.who, alice))...)
}

// parks sends a call that asks, and gives its state.
func (h *hostile) parks(a attempt) string {
	h.Helper()
	g := h.attempt(a)
	state := g.member("result", "requestState")
	if g.status != 200 || g.member("result", "resultType") != `"input_required"` || state == "" {
		h.Fatalf("%s", g)
	}
	return state
}

// ends sends the retry of a call that then is answered.
func (h *hostile) ends(a attempt) {
	h.Helper()
	if g := h.attempt(a); g.status != 200 || g.text(h) != "t\n"+`{"action":"accept","content":{"answer":"x"}}` {
		h.Errorf("the owner's own retry: %s", g)
	}
}

// denies expects that a retry with a state of ours is refused, and gives what its sender reads.
func (h *hostile) denies(what string, a attempt) (body string) {
	h.Helper()
	g := h.attempt(a)
	h.wantError(what, g, 200, invalidParams, "1")
	if g.member("error", "data", "reason") != `"request_state"` {
		h.Errorf("%s: %s", what, g)
	}
	return g.body
}

// reached expects that a server had so many calls, and so many answers to its questions.
func (h *hostile) reached(s *gatetest.Server, calls, answers int) {
	h.Helper()
	if n, m := s.Count("calls"), s.Count("answered"); n != calls || m != answers {
		h.Errorf("%s had %d calls and %d answers, not %d and %d", s.Name, n, m, calls, answers)
	}
}

// asked is a guest of a house that knows Alice and Bob, with two servers named asking and other that
// ask, of the stateful era.
func (h *hostile) asked() (g *hostile, asking, other *gatetest.Server) {
	h.Helper()
	asking, other = gatetest.New("asking"), gatetest.New("asking")
	at := newHouse(h.T, withTokens)
	at.must(201, "POST", "/servers", servers("asking", remote("http", gatetest.StartStateful(h, asking)), "other", remote("http", gatetest.StartStateful(h, other))))
	return visit(h.T, at), asking, other
}

// forgedStates: one bit that is wrong is enough. Ours are refused before any server hears of them; so
// is what is not ours by a stateful server, which gave none. A stateless server's own pass to it
// untouched, and it judges.
func forgedStates(h *hostile) {
	g, asking, _ := h.asked()
	state := g.parks(attempt{})
	text := strings.Trim(state, `"`)
	at := strings.LastIndexByte(text, '.') + 1
	prefix := text[:at] // which says that it is ours
	sealed, err := base64.RawURLEncoding.DecodeString(text[at:])
	if err != nil || !strings.HasPrefix(prefix, "mgw1.") {
		h.Fatalf("the state is %s: %v", text, err)
	}
	forged := []string{prefix, prefix + "AAAA", prefix + "!", text + "A", text + `\n`, text[:len(text)-1], prefix + text}
	for i := range sealed {
		sealed[i] ^= 1 << (i % 8)
		forged = append(forged, prefix+base64.RawURLEncoding.EncodeToString(sealed))
		sealed[i] ^= 1 << (i % 8)
	}
	for _, f := range forged {
		g.denies(f, attempt{state: `"` + f + `"`})
	}
	for _, strange := range []string{`"s0/é=="`, `""`, `"mgw1.x.AAAA"`, `"mgw1."`, `"` + strings.ToUpper(text) + `"`, `7`, `{}`, `null`} {
		g.wantError(strange, g.attempt(attempt{state: strange}), 200, invalidParams, "1")
	}
	g.reached(asking, 1, 0)
	g.ends(attempt{state: state})
	g.reached(asking, 1, 1)

	rounds := gatetest.New("rounds")
	g.must(201, "POST", "/servers", servers("rounds", remote("http", gatetest.StartStateless(h, rounds))))
	if own := g.parks(attempt{name: "rounds.ask"}); own != `"s\u0031/é=="` {
		h.Errorf("the server's own state came as %s", own)
	}
	if right := g.attempt(attempt{name: "rounds.ask", key: "name", state: `"s\u0031/é=="`}); right.member("result", "resultType") != `"complete"` {
		h.Errorf("%s", right)
	}
	for _, wrong := range []string{`"s0/é=="`, `"s1/é="`, `"s1/è=="`, `""`, `"mgw1.x.AAAA"`} {
		g.wantError(wrong, g.attempt(attempt{name: "rounds.ask", key: "name", state: wrong}), 200, invalidParams, "1")
	}
	g.denies("with our key's id", attempt{name: "rounds.ask", key: "name", state: `"` + prefix + `AAAA"`})
	g.reached(rounds, 7, 0)
}

// foreignStates belong to another request, or were used. Nobody can tell them from those that never
// were, and the calls that they are of wait for their owners. One that expired takes more than a
// minute: it is era/stateless's own test that has a clock for it, TestStatesExpire.
func foreignStates(h *hostile) {
	g, asking, other := h.asked()
	state := g.parks(attempt{})
	text := strings.Trim(state, `"`)
	unknown := g.denies("unknown", attempt{state: `"` + text[:strings.LastIndexByte(text, '.')+1] + `AAAA"`})
	foreign := map[string]attempt{
		"another principal": {who: bob},
		"another tool":      {name: "asking.url"},
		"another server":    {name: "other.form"},
		"no server":         {name: "nobody.form"},
		"another style":     {path: "/mcp?names=safe", name: "asking__form"},
		"another endpoint":  {path: "/servers/asking/mcp", name: "form"},
		"other arguments":   {arguments: `{"tag":"u"}`},
		"another method":    {method: "prompts/get"},
	}
	for what, a := range foreign {
		a.state = state
		if got := g.denies(what, a); got != unknown {
			h.Errorf("%s reads %s\nof one that never was %s", what, got, unknown)
		}
	}
	if none := g.attempt(attempt{who: "x", state: state}); none.status != 401 {
		h.Errorf("a stranger: %s", none)
	}
	g.reached(asking, 1, 0)
	g.reached(other, 0, 0)
	g.ends(attempt{state: state})
	g.denies("replayed", attempt{state: state})
	g.denies("replayed by another", attempt{who: bob, state: state})
	g.reached(asking, 1, 1)
	g.replayed(asking)
	g.passedOn()
}

// replayed: of many retries with one state one is taken, and a state of an earlier round is nobody's.
func (h *hostile) replayed(asking *gatetest.Server) {
	const two = `{"tag":"t","rounds":2}`
	calls, answers := asking.Count("calls"), asking.Count("answered")
	first := h.parks(attempt{arguments: two})
	second := atomic.Pointer[string]{}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch g := h.attempt(attempt{arguments: two, state: first}); {
			case g.member("error", "data", "reason") == `"request_state"`:
			default:
				state := g.member("result", "requestState")
				if state == "" || second.Swap(&state) != nil {
					h.Errorf("one state was taken more than once: %s", g)
				}
			}
		})
	}
	all.Wait()
	if second.Load() == nil {
		h.Fatal("no retry was taken")
	}
	h.denies("the first round's", attempt{arguments: two, key: "q2", state: first})
	h.reached(asking, calls+1, answers+1)
	if g := h.attempt(attempt{arguments: two, key: "q2", state: *second.Load()}); strings.Count(g.text(h), "\n") != 2 {
		h.Errorf("%s", g)
	}
	h.denies("the last round's", attempt{arguments: two, key: "q2", state: *second.Load()})
	h.reached(asking, calls+1, answers+2)
}

// passedOn: the state of a gateway behind this one is bound to the principal as well, whom that
// gateway does not know, and to the tool.
func (h *hostile) passedOn() {
	asking := gatetest.New("asking")
	inner := start(h.T, servers("asking", remote("http", gatetest.StartStateful(h, asking)))).ready()
	h.must(201, "POST", "/servers", servers("inner", merged(remote("http", inner.url+"/mcp"), `{"protocol":"stateless"}`)))
	const name = "inner.asking.form"
	state := h.parks(attempt{name: name})
	for what, a := range map[string]attempt{"another principal": {who: bob, name: name}, "another tool": {name: "inner.asking.url"}, "another server": {}} {
		a.state = state
		h.denies(what, a)
	}
	h.reached(asking, 1, 0)
	h.ends(attempt{name: name, state: state})
	h.denies("replayed", attempt{name: name, state: state}) // which the gateway behind says
	h.reached(asking, 1, 1)
}

// Calls that wait for their clients are bounded, for each principal and in all. What finds no room is
// refused while the others wait, and the room that a call leaves is there again.
func TestParkedCallsBeyondTheirBoundAreRefused(t *testing.T) {
	asking := gatetest.New("asking")
	at := newHouse(t, strings.Replace(withTokens, `"gateway":{`, `"gateway":{"limits":{"parked":{"principal":2,"all":3}},`, 1))
	at.must(201, "POST", "/servers", servers("asking", remote("http", gatetest.StartStateful(t, asking))))
	h := visit(t, at)
	full := func(who string) {
		t.Helper()
		g := h.attempt(attempt{who: who})
		var refused struct{ Code int }
		_, object, _ := strings.Cut(g.text(h), "elicitation/create: ")
		if err := json.Unmarshal([]byte(object), &refused); err != nil || g.member("result", "isError") != "true" || refused.Code != internalError ||
			string(gatetest.Member([]byte(object), "data", "reason")) != `"parked"` {
			t.Errorf("%s %v", g, err)
		}
	}
	one, two := h.parks(attempt{}), h.parks(attempt{})
	full(alice) // of her own
	his := h.parks(attempt{who: bob})
	full(bob) // of all
	full(alice)
	h.ends(attempt{state: one})
	three := h.parks(attempt{})
	full(bob)
	h.ends(attempt{who: bob, state: his})
	h.ends(attempt{state: two})
	h.ends(attempt{state: three})
	h.reached(asking, 8, 4)
}
