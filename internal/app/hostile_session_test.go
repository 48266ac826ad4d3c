package app_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"mcpgateway/internal/gatetest"
)

var sessionCases = []hostileCase{
	{"D3", func(h *hostile) {
		h.stolen(func(g *hostile, session, token string) got {
			return g.send("POST", "/mcp", stateful("1", "tools/call", tool("stateful.raw", "{}")), "Mcp-Session-Id", session, "Authorization", "Bearer "+token)
		})
	}},
	{"D4", func(h *hostile) {
		h.stolen(func(g *hostile, session, token string) got {
			return g.send("GET", "/mcp", "", "Mcp-Session-Id", session, "Authorization", "Bearer "+token, "Accept", "text/event-stream")
		})
	}},
	{"D5", func(h *hostile) {
		h.stolen(func(g *hostile, session, token string) got {
			return g.send("DELETE", "/mcp", "", "Mcp-Session-Id", session, "Authorization", "Bearer "+token)
		})
	}},
	{"D6", func(h *hostile) {
		s := h.events()
		for _, query := range []string{"", "?", "?sessionId=", "?sessionid=" + s.endpoint[20:], "?x=1"} {
			h.wantError(query, h.send("POST", "/messages"+query, stateful("1", "initialize", hello[1:len(hello)-1])), 400, invalidRequest, "")
		}
		for _, id := range []string{"x", s.endpoint[20:] + "x", s.endpoint[20 : len(s.endpoint)-1], "%00", strings.ToLower(s.endpoint[20:])} {
			h.wantError(id, h.send("POST", "/messages?sessionId="+id, stateful("1", "initialize", hello[1:len(hello)-1])), 404, invalidRequest, "")
		}
		// Its own still works, and heard of nothing.
		if answer := s.ask(stateful("7", "initialize", hello[1:len(hello)-1])); !strings.HasPrefix(answer, `{"jsonrpc":"2.0","id":7,"result":`) {
			h.Errorf("the stream says %.300s", answer)
		}
		s.quiet()
	}},
	{"D10", sameIDs},
	{"D11", func(h *hostile) {
		// Nothing filters by user yet; what differs by caller is the endpoint's scope.
		list := func(path string) got {
			g := h.send("POST", path, stateless("1", "tools/list", ""), mirror("tools/list", "")...)
			if g.status != 200 || g.member("result", "cacheScope") != `"private"` {
				h.Errorf("%s: %s", path, g)
			}
			return g
		}
		all, one, safe := list("/mcp"), list("/servers/stateless/mcp"), list("/mcp?names=safe")
		if strings.Contains(one.body, "stateful.") || !strings.Contains(all.body, `"stateful.raw"`) || strings.Contains(safe.body, `"stateful.raw"`) || one.body == all.body {
			h.Errorf("the lists are mixed: %s", one)
		}
		for range 3 {
			if list("/mcp").body != all.body || list("/servers/stateless/mcp").body != one.body || list("/mcp?names=safe").body != safe.body {
				h.Error("a list changed by what another asked for")
			}
		}
		// A tool of another scope cannot be called there.
		h.wantError("another's", h.send("POST", "/servers/stateless/mcp", stateless("1", "tools/call", tool("stateful.raw", "{}")), mirror("tools/call", "stateful.raw")...), 200, invalidParams, "1")
	}},
	{"D12", forgedStates},
	{"D13", foreignStates},
}

const alice, bob = "alice-has-this-token-of-32-bytes", "bob-has-this-other-token-of-32-b"

const withTokens = `"gateway":{"auth":{"tokens":[{"name":"alice","token":"` + alice + `"},{"name":"bob","token":"` + bob + `"}]}}`

// stolen uses Alice's session with Bob's token: it is as unknown as one that never was.
func (h *hostile) stolen(use func(g *hostile, session, token string) got) {
	h.Helper()
	g := visit(h.T, newHouse(h.T, withTokens))
	session := g.open(gatetest.Stateful, "Authorization", "Bearer "+alice)
	theft, unknown := use(g, session, bob), use(g, strings.Repeat("A", len(session)), bob)
	if theft.status != 404 || theft.body != unknown.body || unknown.status != 404 || len(theft.header) != len(unknown.header) {
		h.Errorf("Alice's session: %s %v\nan unknown one: %s %v", theft, theft.header, unknown, unknown.header)
	}
	for _, token := range []string{"", "x", alice + "x"} {
		if none := use(g, session, token); none.status != 401 || none.member("error", "code") == "" {
			h.Errorf("with the token %q: %s", token, none)
		}
	}
	g.untouched()
	still := g.send("POST", "/mcp", stateful("1", "tools/call", tool("stateful.raw", `{"a":1}`)), "Mcp-Session-Id", session, "Authorization", "Bearer "+alice)
	g.hits[0]++
	if still.text(h) != `{"a":1}` {
		h.Errorf("Alice's session: %s", still)
	}
	// An event stream of hers is not Bob's to write to.
	s := g.events("Authorization", "Bearer "+alice)
	hers, none := g.send("POST", s.endpoint, stateful("1", "ping", ""), "Authorization", "Bearer "+bob), g.send("POST", "/messages?sessionId=AAAA", stateful("1", "ping", ""), "Authorization", "Bearer "+bob)
	if hers.status != 404 || hers.body != none.body {
		h.Errorf("Alice's stream: %s\nan unknown one: %s", hers, none)
	}
	s.quiet()
}

// sameIDs: 50 clients that number alike get their own answers. TestNoCallIsMisrouted does
// many more.
func sameIDs(h *hostile) {
	const clients, each = 50, 20
	var all sync.WaitGroup
	for i := range clients {
		c := dial(h.T, h.url, i)
		all.Go(func() {
			for n := range each {
				nonce := fmt.Sprintf("%d/%d", i, n)
				ctx, stop := context.WithTimeout(h.Context(), 6*guard)
				a, err := gatetest.CallTool(ctx, c, eras[n%2]+".nonce", `{"nonce":"`+nonce+`"}`)
				stop()
				if err != nil || gatetest.FirstText(a) != nonce {
					h.Errorf("%s got %v, %+v", nonce, err, a)
				}
			}
			noStray(h, c)
		})
	}
	all.Wait()
	h.served(clients * each / 2)
}
