package app_test

import (
	"fmt"
	"regexp"
	"strings"

	"mcpgateway/internal/gatetest"
)

// JSON-RPC error numbers that clients see.
const (
	parseError, invalidRequest, methodNotFound, invalidParams, internalError = -32700, -32600, -32601, -32602, -32603
	headerMismatch, missingCapability, unsupportedVersion                    = -32020, -32021, -32022
)

var jsonCases = []hostileCase{
	{"A1", func(h *hostile) { h.refused(`{"jsonrpc":"2.0","id":1,`, parseError, "1") }}, // the id can be read
	{"A2", func(h *hostile) {
		for _, body := range []string{"", "   ", "\r\n\t"} {
			h.refused(body, parseError, "")
		}
	}},
	{"A3", func(h *hostile) {
		for _, body := range []string{"42", `"x"`, "null", "true"} {
			h.refused(body, invalidRequest, "")
		}
	}},
	{"A4", batches},
	{"A6", func(h *hostile) { h.badIDs("1.5") }},
	{"A7", func(h *hostile) { h.badIDs("1e2", "1.0", "1e30", "-1.0") }},
	{"A9", func(h *hostile) { h.badIDs("true", "[]", "{}", "null") }},
	{"A10", func(h *hostile) {
		h.goodIDs("9007199254740993", "-0", "0", "-9007199254740993", "12345678901234567890")
		h.badIDs(strings.Repeat("7", 40), strings.Repeat("7", 21))
	}},
	{"A11", func(h *hostile) {
		h.goodIDs(`"`+strings.Repeat("x", 256)+`"`, `"\u0000\"🦊\ud83e\udd8a`+strings.Repeat("x", 246)+`"`)
		h.badIDs(`"`+strings.Repeat("x", 257)+`"`, `"`+strings.Repeat("🦊", 65)+`"`, `"`+strings.Repeat("x", 4<<20-1000)+`"`)
		// LIMITS.md: a body of more than 4 MiB is refused before anything in it.
		huge := stateless(`"`+strings.Repeat("x", 5_000_000)+`"`, "tools/list", "")
		h.wantError("an id of 5 MB", h.send("POST", "/mcp", huge, mirror("tools/list", "")...), 413, invalidRequest, "")
	}},
	{"A12", func(h *hostile) {
		h.refused(`{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, parseError, "")
		h.refused(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{},"params":{"name":"stateful.raw"}}`, parseError, "")
		h.refused(`{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}`, parseError, "")
		h.badAnswers(`{"content":[],"content":[]}`)
	}},
	{"A13", func(h *hostile) {
		for _, params := range []string{
			`"name":"stateful.raw","name":"stateless.raw"`, `"name":"stateful.raw","arguments":{},"arguments":{"x":1}`,
			`"name":"stateful.raw","_meta":{},"_meta":{}`, `"name":"stateful.raw","other":1,"other":2`,
			`"name":"stateful.raw","_meta":{"progressToken":1,"progressToken":2}`,
		} {
			h.refused(stateful("1", "tools/call", params), parseError, "1") // the envelope is well, so the id is known
		}
	}},
	{"A15", func(h *hostile) {
		for _, member := range []string{`"Method":"tools/call"`, `"param\u017f":{}`, `"paramſ":{}`, `"ID":2`, `"\u006dethod":"tools/call"`} {
			h.refused(`{"jsonrpc":"2.0","id":1,"method":"tools/list",`+member+`}`, invalidRequest, "1")
		}
		for _, params := range []string{`"Name":"stateless.raw"`, `"NAME":"x"`, `"argumentſ":{}`, `"\u006eame":"x"`, `"_meta":{"progressTo\u212aen":1}`, `"_meta":{"progressToKen":1}`} {
			h.refused(stateful("1", "tools/call", `"name":"stateful.raw",`+params), invalidRequest, "1")
		}
		// Elsewhere these are data: a tool whose name has such a letter is just not there.
		h.wantError("tool\u212a", h.inSession(stateful("1", "tools/call", tool("stateful.toolK", "{}"))), 200, invalidParams, "1")
		h.asData(`{"Method":1,"paramſ":2,"name":"a","Name":"b","K":1}`)
	}},
	{"A16", func(h *hostile) {
		for _, key := range []string{`na\u0000me`, `name\u0000`, `\u0000name`, `arguments\u0000`} {
			h.refused(stateful("1", "tools/call", `"name":"stateful.raw","`+key+`":"stateless.raw"`), invalidRequest, "1")
		}
		h.asData(`{"name\u0000":1,"name":2}`)
	}},
	{"A17", func(h *hostile) {
		h.refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\x00\"}", parseError, "1")
		h.refused("\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", parseError, "")
		h.asData(`{"a":"\u0000"}`)
		h.badAnswers("{\"content\":[],\"a\":\"\x00\"}")
	}},
	{"A18", func(h *hostile) {
		for _, text := range []string{"\xff\xfe", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\ud800`, `\udc00\ud800`} {
			h.refused(stateful("1", "tools/call", tool("stateful.raw", `{"a":"`+text+`"}`)), parseError, "1")
			h.refused(stateful("1", "tools/call", tool("stateless.raw", `{"`+text+`":1}`)), parseError, "1")
		}
		h.badAnswers("{\"content\":[],\"a\":\"\xff\xfe\"}", "{\"content\":[],\"a\":\"\xc0\x80\"}")
		h.goodAnswers(`{"content":[],"cut":"\ud83d"}`) // LIMITS.md: an escape is data in an answer
	}},
	{"A19", func(h *hostile) {
		h.refused("\ufeff"+stateful("1", "ping", ""), parseError, "1")
	}},
	{"A20", func(h *hostile) {
		valid := stateful("1", "tools/call", tool("stateful.raw", "{}"))
		for _, after := range []string{" x", valid, "\n" + valid, ",", "]", "\x00"} {
			h.refused(valid+after, parseError, "1")
		}
		h.badAnswers(`{"content":[]}} x`, `{"content":[]}}{"jsonrpc":"2.0","id":1,"result":{}`)
	}},
}

// batches are refused but for the revision that must take them (2025-03-26, transports,
// Sending Messages).
func batches(h *hostile) {
	of := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(stateful("1", "tools/list", "")+",", n), ",") + "]"
	}
	ids := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = stateful(fmt.Sprint(i+1), "tools/list", "")
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	h.refused(of(2), invalidRequest, "")
	calls := stateless("1", "tools/call", tool("stateful.raw", "{}")) + "," + stateless("2", "tools/call", tool("stateless.raw", "{}"))
	h.refused("["+calls+"]", invalidRequest, "")
	h.wantError("header only", h.send("POST", "/mcp", of(2), "MCP-Protocol-Version", gatetest.Stateless), 400, invalidRequest, "")
	old := h.open("2025-03-26")
	post := func(body string) got { return h.send("POST", "/mcp", body, "Mcp-Session-Id", old) }
	if g := post(ids(50)); g.status != 200 || strings.Count(g.body, `"result":`) != 50 {
		h.Errorf("a batch of 50: %s", g)
	}
	h.wantError("51", post(ids(51)), 400, invalidRequest, "")
	h.wantError("none", post("[]"), 400, invalidRequest, "")
	h.wantError("initialize", post(`[`+stateful("1", "initialize", hello[1:len(hello)-1])+`]`), 400, invalidRequest, "")
	for _, revision := range []string{"2024-11-05", "2025-06-18"} {
		h.wantError(revision, h.send("POST", "/mcp", of(2), "Mcp-Session-Id", h.open(revision)), 400, invalidRequest, "")
	}
}

// badIDs are refused without an id, before any server hears of them.
func (h *hostile) badIDs(ids ...string) {
	h.Helper()
	for _, id := range ids {
		h.refused(stateful(id, "tools/call", tool("stateful.raw", "{}")), invalidRequest, "")
		h.wantError(id, h.send("POST", "/mcp", stateless(id, "tools/call", tool("stateless.raw", "{}")), mirror("tools/call", "stateless.raw")...), 400, invalidRequest, "")
	}
}

// goodIDs come back as they went, in every way.
func (h *hostile) goodIDs(ids ...string) {
	h.Helper()
	for _, id := range ids {
		for i, name := range eras {
			for _, g := range []got{
				h.send("POST", "/mcp", stateless(id, "tools/call", tool(name+".raw", "{}")), mirror("tools/call", name+".raw")...),
				h.inSession(stateful(id, "tools/call", tool(name+".raw", "{}"))),
				h.inSession(stateful(id, "ping", "")),
				h.send("POST", "/mcp", stateless(id, "foo/bar", ""), mirror("foo/bar", "")...),
			} {
				if g.member("id") != id {
					h.Errorf("the id %.300s came back as %s", id, g)
				}
			}
			h.hits[i] += 2
		}
		h.pipe.Lock()
		h.write(h, stateful(id, "ping", ""))
		if line := h.line(h); line != `{"jsonrpc":"2.0","id":`+id+`,"result":{}}` {
			h.Errorf("stdio: the id %.300s came back as %.300s", id, line)
		}
		h.pipe.Unlock()
	}
}

// asData are arguments that are no business of ours: they arrive as they were sent.
func (h *hostile) asData(arguments ...string) {
	h.Helper()
	for _, a := range arguments {
		for _, name := range eras {
			for _, g := range []got{h.call(name+".raw", a), h.inSession(stateful("1", "tools/call", tool(name+".raw", a)))} {
				if g.text(h) != a {
					h.Errorf("%s: %.300q arrived as %s", name, a, g)
				}
			}
		}
		h.served(2)
	}
}

// badAnswers are results of servers that must not be passed on: their call alone fails.
func (h *hostile) badAnswers(results ...string) {
	h.Helper()
	h.answers(results, func(what string, g got) { h.wantError(what, g, 200, internalError, "1") })
}

// goodAnswers pass.
func (h *hostile) goodAnswers(results ...string) {
	h.Helper()
	h.answers(results, func(what string, g got) {
		for _, m := range members(h, []byte(what)) {
			if v := g.member("result", m.key); v != m.value {
				h.Errorf("the result %.300q passed as %s", what, g)
			}
		}
	})
}

func (h *hostile) answers(results []string, check func(what string, g got)) {
	h.Helper()
	for _, r := range results {
		for i, name := range eras {
			h.servers[i].reply.Store(&r)
			check(r, h.call(name+".answer", "{}"))
			check(r, h.inSession(stateful("1", "tools/call", tool(name+".answer", "{}"))))
		}
		h.served(2)
	}
}

// oneLine makes sure that what a stranger wrote begins no line of the log.
func (h *hostile) oneLine(forged string) {
	h.Helper()
	if regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(forged)).MatchString(h.log.String()) {
		h.Errorf("a stranger wrote a line of the log: %q", forged)
	}
	if strings.Contains(h.log.String(), "\x1b") {
		h.Error("a stranger's escape sequence is in the log")
	}
}
