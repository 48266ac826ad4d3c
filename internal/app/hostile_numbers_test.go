package app_test

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

var numberCases = []hostileCase{
	{"A21", deepNesting},
	{"A22", func(h *hostile) {
		for _, version := range []string{`"jsonrpc":"1.0",`, `"jsonrpc":2.0,`, `"jsonrpc":null,`, ""} {
			h.refused(`{`+version+`"id":1,"method":"tools/list"}`, invalidRequest, "1")
		}
		for _, method := range []string{"5", `""`, "null", "{}", `"` + strings.Repeat("m", 1<<20) + `"`, `"tools/call\r\nINFO ok\u001b[31m"`, `"tools/call\u0000"`} {
			h.refused(`{"jsonrpc":"2.0","id":1,"method":`+method+`}`, invalidRequest, "1")
		}
		name := `stateful.x\r\nINFO ok\u001b[31m`
		h.wantError(name, h.inSession(stateful("1", "tools/call", tool(name, "{}"))), 200, invalidParams, "1")
		h.oneLine("INFO ok")
	}},
	{"A23", func(h *hostile) {
		for _, params := range []string{"[]", `[{"name":"stateful.raw"}]`, `"x"`, "null", "7"} {
			h.refused(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`, invalidParams, "1")
		}
		for _, params := range []string{
			`"name":"stateful.raw","_meta":"x"`, `"name":"stateful.raw","_meta":[]`, `"name":"stateful.raw","_meta":null`,
			`"name":7`, `"name":null`, `"name":{}`, tool("stateful.raw", "[]"), tool("stateful.raw", `"x"`), tool("stateful.raw", "null"),
			`"name":"stateful.raw","_meta":{"progressToken":1.5}`, `"name":"stateful.raw","_meta":{"progressToken":null}`,
		} {
			h.refused(stateful("1", "tools/call", params), invalidParams, "1")
		}
	}},
	{"A24", func(h *hostile) {
		for _, answer := range []string{`"result":{}`, `"error":{"code":1,"message":""}`} {
			h.wantError(answer, h.send("POST", "/mcp", `{"jsonrpc":"2.0","id":1,`+answer+`}`, mirror("tools/list", "")...), 400, invalidRequest, "")
		}
		h.refused(`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, invalidRequest, "1")
		// A bad answer is no request: what is said about it bears no id (2025-11-25, transports,
		// Sending Messages to the Server, 4), which the client would take for the answer to a
		// request of its own, and on stdio nothing is said.
		for _, spoiled := range []string{`"result":{},"error":{}`, `"result":[]`} {
			body := `{"jsonrpc":"2.0","id":1,` + spoiled + `}`
			h.wantError(body, h.send("POST", "/mcp", body, mirror("tools/list", "")...), 400, invalidRequest, "")
			h.wantError(body, h.inSession(body), 400, invalidRequest, "")
			h.droppedOnStdio(body)
		}
		// In the stateful era clients do answer; this answers nothing, and is dropped.
		if g := h.inSession(`{"jsonrpc":"2.0","id":1,"result":{}}`); g.status != 202 || g.body != "" {
			h.Errorf("an answer to no question: %s", g)
		}
	}},
	{"A25", func(h *hostile) {
		numbers := `{"a":12345678901234567890,"b":0.1000000000000000055511151231257827,"c":1e400,"d":-0,"e":1.0,"f":1E+2}`
		h.asData(numbers)
		h.goodAnswers(`{"content":[],"x":`+numbers+`}`, numbers)
	}},
	{"A26", manyTokens},
}

// deepNesting costs little, wherever the bound is passed.
func deepNesting(h *hostile) {
	deep := func(n int, open string) string {
		return stateful("1", "tools/call", `"name":"stateful.raw","arguments":`+strings.Repeat(open, n))
	}
	at := func(n int) string { // params, arguments and the message itself are three levels
		return `{"a":` + strings.Repeat("[", n-4) + strings.Repeat("]", n-4) + `}`
	}
	cases := map[string]string{
		"one too deep":   stateful("1", "tools/call", tool("stateful.raw", at(258))),
		"9,000 objects":  deep(9_000, `{"a":`),
		"40,000 objects": deep(40_000, `{"a":`),
		"2,000,000":      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + strings.Repeat("[", 4_000_047-60),
	}
	for what, body := range cases {
		for _, g := range []func() got{
			func() got { return h.send("POST", "/mcp", body, mirror("tools/call", "stateful.raw")...) },
			func() got { return h.inSession(body) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			answer := g()
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			h.wantError(what, answer, 400, invalidRequest, "1")
			if answer.member("error", "data", "reason") != `"depth"` {
				h.Errorf("%s: %s", what, answer)
			}
			// The row says 50 ms and 32 MiB; this machine is shared, and the client is in here too.
			if grown := int64(after.Sys - before.Sys); took > guard || grown > 64<<20 {
				h.Errorf("%s took %s and %d bytes", what, took, grown)
			}
		}
		h.refusedOnStdio(body, invalidRequest, "1")
	}
	h.asData(at(200))
	result := func(n int) string {
		return `{"content":[],"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	h.goodAnswers(result(200))
	h.badAnswers(result(300), result(100_000))
}

// manyTokens are bounded; large values alone are not a fault.
func manyTokens(h *hostile) {
	ask := func(arguments string) got {
		began := time.Now()
		g := h.call("stateful.raw", arguments)
		if took := time.Since(began); took > 6*guard { // the row says 200 ms, without the race detector
			h.Errorf("%d bytes took %s", len(arguments), took)
		}
		return g
	}
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%x":0`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for what, arguments := range map[string]string{"200,001 tokens": `{"a":[0` + strings.Repeat(",0", 200_001) + `]}`, "300,000 keys": keys(300_000)} {
		g := ask(arguments)
		h.wantError(what, g, 400, invalidRequest, "1")
		if g.member("error", "data", "reason") != `"tokens"` {
			h.Errorf("%s: %s", what, g)
		}
	}
	// LIMITS.md: a million keys cannot be had below the bound of a body, 4 MiB.
	h.wantError("1,000,000 keys", ask(keys(1_000_000)), 413, invalidRequest, "")
	for _, arguments := range []string{`{"s":"` + strings.Repeat("s", 3_900_000) + `"}`, keys(20_000)} {
		if g := ask(arguments); g.text(h) != arguments {
			h.Errorf("%d bytes did not come back: %s", len(arguments), g)
		}
		h.hits[0]++
	}
	// Answers may have 4 M tokens.
	h.goodAnswers(`{"content":[],"x":[0` + strings.Repeat(",0", 300_000) + `]}`)
	many := `{"content":[],"x":[0` + strings.Repeat(",0", 4_000_001) + `]}`
	h.servers[0].reply.Store(&many)
	h.wantError("an answer of 4,000,000 tokens", h.call("stateful.answer", "{}"), 200, internalError, "1")
	h.hits[0]++
}
