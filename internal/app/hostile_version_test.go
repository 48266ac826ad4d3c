package app_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"mcpgateway/internal/gatetest"
)

var versionCases = []hostileCase{
	{"C1", func(h *hostile) {
		h.mismatch("Mcp-Method", "tools/call", "Mcp-Name", "stateful.raw")
		// The same holds of the other headers that mirror the body.
		h.mismatch("MCP-Protocol-Version", gatetest.Stateless, "Mcp-Name", "stateful.raw")
		h.mismatch("MCP-Protocol-Version", gatetest.Stateless, "Mcp-Method", "tools/call")
		h.mismatch("MCP-Protocol-Version", gatetest.Stateless, "Mcp-Method", "tools/list", "Mcp-Name", "stateful.raw")
	}},
	{"C2", func(h *hostile) {
		h.mismatch("MCP-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/call", "Mcp-Name", "stateful.raw")
		h.mismatch("MCP-Protocol-Version", "1900-01-01", "Mcp-Method", "tools/call", "Mcp-Name", "stateful.raw")
	}},
	{"C3", func(h *hostile) {
		body := strings.Replace(h.aCall(), gatetest.Stateless, "1900-01-01", 1)
		header := mirror("tools/call", "stateful.raw")
		header[1] = "1900-01-01"
		g := h.send("POST", "/mcp", body, header...)
		h.wantError("1900-01-01", g, 400, unsupportedVersion, "1")
		if !strings.Contains(g.member("error", "data", "supported"), `"2026-07-28"`) || g.member("error", "data", "requested") != `"1900-01-01"` {
			h.Errorf("the answer does not say what is supported: %s", g)
		}
		h.refusedOnStdio(body, unsupportedVersion, "1")
	}},
	{"C4", func(h *hostile) {
		for _, versions := range [][]string{{"2026-07-28", "2026-07-28"}, {"2026-07-28", "2025-11-25"}, {"2025-11-25", "2026-07-28"}, {"2026-07-28, 2025-11-25"}, {strings.Repeat("2", 10_000)}, {""}} {
			header := mirror("tools/call", "stateful.raw")[2:]
			for _, v := range versions {
				header = append(header, "MCP-Protocol-Version", v)
			}
			h.mismatch(header...)
		}
		for _, bad := range []string{"2026-07-28\x01", "2026-07-28\x00", "2026\r-07-28"} {
			w := h.dial()
			_ = w.write("%sContent-Length: 0\r\n\r\n", strings.Replace(h.post("/mcp"), gatetest.Stateless, bad, 1))
			if g, err := w.read(); err != nil || g.status != 400 {
				h.Errorf("%q: %s %v", bad, g, err)
			}
		}
	}},
	{"C5", func(h *hostile) {
		for _, left := range []string{`{"io.modelcontextprotocol/clientCapabilities":{}}`, `{}`, `{"io.modelcontextprotocol/protocolVersion":5,"io.modelcontextprotocol/clientCapabilities":{}}`} {
			body := stateful("1", "tools/call", tool("stateful.raw", "{}")+`,"_meta":`+left)
			h.wantError(left, h.send("POST", "/mcp", body, mirror("tools/call", "stateful.raw")...), 400, invalidParams, "1")
		}
		body := stateful("1", "tools/call", tool("stateful.raw", "{}"))
		h.wantError("no _meta", h.send("POST", "/mcp", body, mirror("tools/call", "stateful.raw")...), 400, invalidParams, "1")
	}},
	{"C6", func(h *hostile) {
		for _, caps := range []string{"", `,"io.modelcontextprotocol/clientCapabilities":null`, `,"io.modelcontextprotocol/clientCapabilities":[]`, `,"io.modelcontextprotocol/clientCapabilities":"x"`} {
			body := stateful("1", "tools/call", tool("stateful.raw", "{}")+`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"`+caps+`}`)
			h.wantError(caps, h.send("POST", "/mcp", body, mirror("tools/call", "stateful.raw")...), 400, invalidParams, "1")
			h.refusedOnStdio(body, invalidParams, "1")
		}
	}},
	{"C8", func(h *hostile) {
		for _, name := range []string{"stateless.raw", "STATEFUL.RAW", "stateful", "raw", "stateful.raw, stateful.raw"} {
			h.mismatch(mirror("tools/call", name)...)
		}
		h.mismatch(append(mirror("tools/call", "stateful.raw"), "Mcp-Name", "stateful.raw")...)
	}},
	{"C10", encodedNames},
	{"C13", func(h *hostile) {
		for _, method := range []string{"foo/bar", "ping", "logging/setLevel", "resources/subscribe", "tools/Call", "initialize"} {
			h.wantError(method, h.send("POST", "/mcp", stateless("1", method, ""), mirror(method, "")...), 404, methodNotFound, "1")
		}
		h.wantError("in a session", h.inSession(stateful("1", "foo/bar", "")), 200, methodNotFound, "1")
		if g := h.send("POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/foo"}`, mirror("notifications/foo", "")...); g.status != 202 || g.body != "" {
			h.Errorf("an unknown notification: %s", g)
		}
	}},
	{"C14", func(h *hostile) {
		// Both eras are spoken here, so that initialize works and never gives the other one.
		for asked, agreed := range map[string]string{
			"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
			"2026-07-28": "2025-11-25", "1900-01-01": "2025-11-25", "": "2025-11-25",
		} {
			for _, header := range [][]string{nil, {"MCP-Protocol-Version", "2026-07-28"}} {
				g := h.send("POST", "/mcp", stateful("1", "initialize", strings.Replace(hello[1:len(hello)-1], "2025-11-25", asked, 1)), header...)
				if g.member("result", "protocolVersion") != `"`+agreed+`"` {
					h.Errorf("initialize with %q: %s", asked, g)
				}
			}
		}
		h.wantError("a number", h.send("POST", "/mcp", stateful("1", "initialize", `"protocolVersion":1`)), 200, invalidParams, "1")
	}},
	{"C15", func(h *hostile) {
		for _, session := range []string{"nobody's", h.open(gatetest.Stateful), strings.Repeat("x", 5000)} {
			g := h.send("POST", "/mcp", h.aCall(), append(mirror("tools/call", "stateful.raw"), "Mcp-Session-Id", session, "Last-Event-Id", "17")...)
			if g.status != 200 || g.header.Get("Mcp-Session-Id") != "" {
				h.Errorf("%s %v", g, g.header)
			}
			h.hits[0]++
		}
	}},
	{"C17", undeclared},
	{"C18", func(h *hostile) {
		odd := newFake("=?base64?literal?=", "=?base64?bGl0ZXJhbA==?=", " spaces ", "über")
		g := h.besides("odd", remote("http", gatetest.StartStateless(h, odd.Server))) // which compares header and body
		for _, name := range []string{"=?base64?literal?=", "=?base64?bGl0ZXJhbA==?=", " spaces ", "über"} {
			if got := g.inSession(stateful("1", "tools/call", tool("odd."+name, `{"x":1}`))).text(h); got != `{"x":1}` {
				h.Errorf("%q says %s", name, got)
			}
		}
		if n := odd.hits(); n != 4 {
			h.Errorf("%d calls", n)
		}
	}},
	{"C20", closedStreams},
}

func (h *hostile) aCall() string { return stateless("1", "tools/call", tool("stateful.raw", "{}")) }

// besides gives a guest of another house, with this server as well.
func (h *hostile) besides(name, definition string) *hostile {
	h.Helper()
	at := newHouse(h.T)
	at.must(201, "POST", "/servers", servers(name, definition))
	return visit(h.T, at)
}

// mismatch sends a good body with these headers, which do not mirror it.
func (h *hostile) mismatch(header ...string) {
	h.Helper()
	h.wantError(fmt.Sprintf("%.200q", header), h.send("POST", "/mcp", h.aCall(), header...), 400, headerMismatch, "1")
}

// undeclared: what the client did not declare it is not asked. A stateless server's own refusal passes,
// and where such a server asks all the same the gateway refuses the call; a stateful one is refused
// its question and goes on. A session, whose client declared once and for all, reads an internal error.
func undeclared(h *hostile) {
	rounds, anyway, asking, acme := gatetest.New("rounds"), gatetest.New("asking"), gatetest.New("asking"), gatetest.New("acme")
	anyway.AskAnyway, asking.AskAnyway = true, true
	at := newHouse(h.T)
	at.must(201, "POST", "/servers", servers("rounds", remote("http", gatetest.StartStateless(h, rounds)), "anyway", remote("http", gatetest.StartStateless(h, anyway)),
		"asking", remote("http", gatetest.StartStateful(h, asking)), "acme", remote("http", gatetest.StartStateful(h, acme))))
	g := visit(h.T, at)
	arguments := object("tag", rand.Text()) // which acme has not seen yet
	for _, c := range []struct{ name, required string }{
		{"rounds.ask", `{"elicitation":{}}`},
		{"anyway.form", `{"elicitation":{"form":{}}}`}, {"anyway.url", `{"elicitation":{"url":{}}}`}, {"anyway.sample", `{"sampling":{}}`}, {"anyway.roots", `{"roots":{}}`},
		{"acme.visit", `{"elicitation":{"url":{}}}`},
	} {
		got := g.call(c.name, arguments)
		g.wantError(c.name, got, 400, missingCapability, "1")
		if required := got.member("error", "data", "requiredCapabilities"); required != c.required {
			h.Errorf("%s: requiredCapabilities is %s, not %s", c.name, required, c.required)
		}
		if server, _, _ := strings.Cut(c.name, "."); server != "acme" { // a client of 2025-11-25 has that error itself
			g.wantError(c.name+" in a session", g.inSession(stateful("1", "tools/call", tool(c.name, arguments))), 200, internalError, "1")
		}
	}
	for _, name := range []string{"asking.form", "asking.url", "asking.sample", "asking.roots"} {
		for era, got := range map[string]got{"stateless": g.call(name, arguments), "in a session": g.inSession(stateful("1", "tools/call", tool(name, arguments)))} {
			if got.member("result", "isError") != "true" || !strings.Contains(got.text(h), `"code":-32601`) {
				h.Errorf("%s %s: %s", name, era, got)
			}
		}
	}
	for s, n := range map[*gatetest.Server]int{rounds: 2, anyway: 8, asking: 8, acme: 1} {
		if s.Count("calls") != n || s.Count("answered") != 0 {
			h.Errorf("%s: %d calls and %d answers", s.Name, s.Count("calls"), s.Count("answered"))
		}
	}
}

// encodedNames are decoded before they are compared.
func encodedNames(h *hostile) {
	odd := newFake("über", "a b")
	g := h.besides("odd", remote("http", gatetest.StartStateful(h, odd.Server)))
	in := func(name string) string { return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(name)) + "?=" }
	body := stateless("1", "tools/call", tool("odd.über", `{"x":1}`))
	post := func(name string) got { return g.send("POST", "/mcp", body, mirror("tools/call", name)...) }
	if got := post(in("odd.über")); got.status != 200 || got.text(h) != `{"x":1}` {
		h.Errorf("%s", got)
	}
	for _, name := range []string{
		in("odd.uber"), "odd.über", "=?BASE64?" + in("odd.über")[9:], strings.TrimSuffix(in("odd.über"), "?="), "=?base64?b2Rk.LsO8YmVy?=",
		in("odd.u\u0308ber"), in("odd.über\x00"), "=?base64??=", "=?base64?" + in("odd.über")[9:13] + " " + in("odd.über")[13:], in(in("odd.über")),
	} {
		g.wantError(name, post(name), 400, headerMismatch, "1")
	}
	if n := odd.hits(); n != 1 {
		h.Errorf("%d calls", n)
	}
	// What needs no encoding may have one.
	if got := h.send("POST", "/mcp", h.aCall(), mirror("tools/call", in("stateful.raw"))...); got.status != 200 {
		h.Errorf("%s", got)
	}
	h.hits[0]++
}

// closedStreams cancel a call of the stateless era, and only that (2026-07-28, Streamable
// HTTP, Cancellation; 2025-11-25, transports, Sending Messages to the Server, 6).
func closedStreams(h *hostile) {
	for i, name := range eras {
		s := h.servers[i]
		release := s.hold()
		h.Cleanup(release)
		hang := func(body string, header ...string) (leave func()) {
			ctx, stop := context.WithCancel(h.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if g, err := h.try(ctx, "POST", "/mcp", body, header...); err == nil {
					h.Errorf("a call that was left was answered: %s", g)
				}
			}()
			gatetest.WaitFor(h, "the call to arrive", func() bool { return s.open.Load() == 1 })
			h.hits[i]++
			return func() { stop(); <-done }
		}
		hang(stateless("1", "tools/call", tool(name+".hold", "{}")), mirror("tools/call", name+".hold")...)()
		gatetest.WaitFor(h, "the server to be told", func() bool { return s.open.Load() == 0 })
		if n := s.Count("cancelled"); i == 0 && n != 1 {
			h.Errorf("%d notifications", n)
		}
		answers := s.Count("answers")
		hang(stateful("1", "tools/call", tool(name+".hold", "{}")), "Mcp-Session-Id", h.open(gatetest.Stateful))()
		if g := h.call(name+".raw", "{}"); g.status != 200 { // long after the client was gone
			h.Errorf("%s: %s", name, g)
		}
		gatetest.WaitFor(h, "that call to end, and the first to be open still", func() bool { return s.open.Load() == 1 })
		h.hits[i]++
		release()
		gatetest.WaitFor(h, "the call to end", func() bool { return s.open.Load() == 0 })
		if n := s.Count("answers") - answers; n != 2 { // its own, and that of the call meanwhile
			h.Errorf("%s: %d answers", name, n)
		}
	}
	// On a pipe the server gets the notification.
	g := h.besides("pipe", stdio("echo", true))
	for range 3 {
		ctx, stop := context.WithCancel(h.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = g.try(ctx, "POST", "/mcp", stateless("1", "tools/call", tool("pipe.hang", "{}")), mirror("tools/call", "pipe.hang")...)
		}()
		gatetest.WaitFor(h, "the call to hang", func() bool { return g.call("pipe.hanging", "{}").text(h) == "1" })
		stop()
		<-done
		gatetest.WaitFor(h, "the server to be told", func() bool { return g.call("pipe.hanging", "{}").text(h) == "0" })
	}
	if n := g.call("pipe.cancels", "{}").text(h); n != "3" {
		h.Errorf("%s cancellations", n)
	}
}
