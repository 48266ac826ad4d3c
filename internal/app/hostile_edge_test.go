package app_test

import (
	"strings"

	"mcpgateway/internal/gatetest"
)

// everyRoute are all that there is, and some that there is not.
var everyRoute = []string{
	"/mcp", "/mcp?names=safe", "/sse", "/messages", "/messages?sessionId=x", "/servers/stateful/mcp", "/servers/stateful/sse",
	"/servers", "/servers/stateful", "/tools", "/health", "/ready", "/metrics", "/.well-known/oauth-protected-resource",
	"/.well-known/oauth-authorization-server", "/", "/nothing",
}

var edgeCases = []hostileCase{
	{"B1", func(h *hostile) { h.forbidden("Host", "evil.example") }},
	{"B2", func(h *hostile) {
		h.forbidden("Host", "evil.example:8080", "Origin", "http://evil.example:8080")
		_, port, _ := strings.Cut(h.Addr(), ":")
		h.forbidden("Host", "evil.example:"+port, "Origin", "http://evil.example:"+port, "Sec-Fetch-Site", "same-origin")
	}},
	{"B4", func(h *hostile) {
		for _, origin := range []string{"null", "http://localhost.evil.example", "http://[::1].evil", "http://localhost@evil.example", "file://", "http://127.0.0.1.nip.io", ""} {
			h.forbidden("Origin", origin)
		}
		h.forbidden("Origin", "http://localhost", "Origin", "http://evil.example")
		if g := h.send("GET", "/health", "", "Origin", "http://localhost:9"); g.status != 200 {
			h.Errorf("a page of this machine: %s", g)
		}
	}},
	{"B6", func(h *hostile) {
		h.forbidden("Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example")
		h.forbidden("Sec-Fetch-Site", "cross-site")
		h.forbidden("Sec-Fetch-Site", "cross-site", "Mcp-Session-Id", h.open(gatetest.Stateful), "Origin", "https://evil.example")
	}},
	{"B7", hosts},
	{"B9", func(h *hostile) {
		stream := h.events()
		for _, kind := range []string{absent, "text/plain", "application/json;charset=utf-16", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/json"} {
			body := stateless("1", "tools/call", tool("stateful.raw", "{}"))
			for _, path := range []string{"/mcp", "/mcp?names=safe", "/servers/stateful/mcp", stream.endpoint} {
				h.wantError(kind, h.send("POST", path, body, append(mirror("tools/call", "stateful.raw"), "Content-Type", kind)...), 415, invalidRequest, "")
			}
			if g := h.send("POST", "/servers", servers("x", `{"command":"x"}`), "Content-Type", kind, "Authorization", "Bearer "+h.token); g.status != 415 {
				h.Errorf("%s: %s", kind, g)
			}
		}
	}},
	{"B10", func(h *hostile) {
		body := stateless("1", "tools/call", tool("stateful.raw", "{}"))
		post := func(accept string) got {
			return h.send("POST", "/mcp", body, append(mirror("tools/call", "stateful.raw"), "Accept", accept)...)
		}
		for _, accept := range []string{absent, "application/json", "text/event-stream", "text/html", "application/*"} {
			h.wantError(accept, post(accept), 406, invalidRequest, "")
		}
		for _, accept := range []string{"*/*", "application/json;q=0.9, text/event-stream", "text/*, application/*"} {
			if g := post(accept); g.status != 200 {
				h.Errorf("%s: %s", accept, g)
			}
			h.hits[0]++
		}
		if g := h.send("GET", "/sse", "", "Accept", "text/html"); g.status != 406 {
			h.Errorf("GET /sse: %s", g)
		}
	}},
	{"B26", func(h *hostile) {
		// There is no configured proxy, so that these say nothing.
		for _, said := range [][]string{
			{"X-Forwarded-Host", "localhost"}, {"Forwarded", "host=localhost;proto=https;for=127.0.0.1"}, {"X-Original-Host", "localhost"},
			{"X-Forwarded-For", "127.0.0.1"}, {"X-Real-Ip", "127.0.0.1"},
		} {
			h.forbidden(append(said, "Host", "evil.example")...)
			if g := h.send("POST", "/servers", servers("x", `{"command":"x"}`), said...); g.status != 401 {
				h.Errorf("%q: %s", said, g)
			}
		}
		for _, said := range []string{"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Forwarded-Prefix"} {
			if g := h.send("GET", "/health", "", said, "evil.example"); g.status != 200 || strings.Contains(g.body, "evil") {
				h.Errorf("%s: %s", said, g)
			}
			if s := h.events(said, "evil.example"); !strings.HasPrefix(s.endpoint, "/messages?sessionId=") {
				h.Errorf("%s: the endpoint is %s", said, s.endpoint)
			}
		}
	}},
	{"B27", func(h *hostile) {
		for _, upgrade := range []string{"websocket", "h2c", "TLS/1.0"} {
			more := []string{"Connection", "Upgrade, HTTP2-Settings", "Upgrade", upgrade, "Http2-Settings", "AAMAAABkAAQAAP__", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version", "13"}
			for _, path := range []string{"/mcp", "/servers", "/health", "/messages", "/metrics"} {
				if g := h.send("GET", path, "", more...); g.status == 101 || g.header.Get("Upgrade") != "" {
					h.Errorf("%s %s: %s", upgrade, path, g)
				}
			}
			g := h.send("POST", "/mcp", stateless("1", "tools/call", tool("stateful.raw", "{}")), append(mirror("tools/call", "stateful.raw"), more...)...)
			if g.status != 200 {
				h.Errorf("%s: %s", upgrade, g)
			}
			h.hits[0]++
		}
	}},
}

// forbidden makes sure that these headers are refused everywhere, in every method, and
// that no page may read why.
func (h *hostile) forbidden(header ...string) {
	h.Helper()
	for _, path := range everyRoute {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT", "OPTIONS"} {
			body := ""
			if method == "POST" {
				body = stateless("1", "tools/call", tool("stateful.raw", "{}"))
			}
			g := h.send(method, path, body, append(mirror("tools/call", "stateful.raw"), append(header, "Authorization", "Bearer "+h.token)...)...)
			if g.status != 403 || g.header.Get("Access-Control-Allow-Origin") != "" || g.header.Get("Mcp-Session-Id") != "" {
				h.Errorf("%q %s %s: %s", header, method, path, g)
			}
		}
	}
}

// hosts tells which names are ours on loopback.
func hosts(h *hostile) {
	_, port, _ := strings.Cut(h.Addr(), ":")
	for host, status := range map[string]int{
		"LOCALHOST:" + port: 200, "[::1]:" + port: 200, "127.0.0.1": 200, "127.0.0.2:" + port: 200, "localhost": 200,
		"localhost.:" + port: 403, "127.0.0.1.nip.io": 403, "0.0.0.0": 403, "[::]": 403, "": 403, "169.254.169.254": 403,
		"localhost:80:80": 403, "evil.example#localhost": 403, "2130706433": 403, "0x7f.1": 403, "[::ffff:1.2.3.4]": 403,
		"localhost\r\nHost: localhost": 400, "localhost\r\nHost: evil.example": 400,
	} {
		for _, path := range []string{"/health", "/tools", "/mcp"} {
			w := h.dial()
			body := stateless("1", "server/discover", "")
			method := "GET"
			if path == "/mcp" {
				method = "POST"
			}
			_ = w.write("%s %s HTTP/1.1\r\nHost: %s\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s", method, path, host, len(body), body)
			g, err := w.read()
			if err != nil || g.status != status && !(status == 403 && g.status == 400) {
				h.Errorf("Host %q %s: %s %v, want %d", host, path, g, err, status)
			}
			w.conn.Close()
		}
	}
}
