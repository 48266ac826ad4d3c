package listen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var everyRoute = []string{
	"/mcp", "/sse", "/messages", "/messages?sessionId=x", "/health", "/ready", "/servers", "/servers/a", "/tools",
	"/metrics", "/.well-known/oauth-protected-resource", "/", "/nothing/here",
}

var everyMethod = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// ask puts a request before the guard, without a network. Its client has gone already, so
// that no stream stays open.
func (f *front) knock(method, path, host string, header ...string) *httptest.ResponseRecorder {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.top.ServeHTTP(w, r)
	return w
}

// refuses makes sure that every route and method refuses, and that no page may read why.
func (f *front) refuses(t *testing.T, host string, header ...string) {
	t.Helper()
	for _, path := range everyRoute {
		for _, method := range everyMethod {
			w := f.knock(method, path, host, header...)
			if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %d %v, want 403 without CORS", method, path, w.Code, w.Header())
			}
		}
	}
	f.untouched()
}

// admits makes sure that no route refuses.
func (f *front) admits(t *testing.T, host string, header ...string) {
	t.Helper()
	for _, path := range everyRoute {
		for _, method := range everyMethod {
			if w := f.knock(method, path, host, header...); w.Code == http.StatusForbidden {
				t.Errorf("%s %s: %s", method, path, w.Body)
			}
		}
	}
}

// TestLoopbackGuardKnowsItsHosts: on loopback only loopback names are ours, on any port.
func TestLoopbackGuardKnowsItsHosts(t *testing.T) {
	f := newFront(t)
	for host, ours := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8080": true, "127.0.0.1:1": true, "127.9.9.9:80": true,
		"localhost": true, "localhost:8080": true, "LOCALHOST:8080": true, "LocalHost": true,
		"[::1]": true, "[::1]:8080": true,

		"": false, "evil.example": false, "evil.example:8080": false, "localhost.": false, "localhost.:8080": false,
		"localhost.evil.example": false, "evil.localhost": false, "127.0.0.1.nip.io": false, "127.0.0.1.nip.io:8080": false,
		"0.0.0.0": false, "0.0.0.0:8080": false, "[::]": false, "[::]:8080": false, "::1": false, "[::1].evil": false, "[::1]x": false,
		"192.168.1.4": false, "10.0.0.1:8080": false, "169.254.169.254": false, "127.1": false, "2130706433": false, "0x7f.1": false,
		"user@localhost": false, "localhost/": false, "localhost localhost": false, "localhost:80:80": false, "[": false, ":8080": false,
	} {
		t.Run(host, func(t *testing.T) {
			if ours {
				f.admits(t, host)
			} else {
				f.refuses(t, host)
			}
		})
	}
}

// TestLoopbackGuardKnowsItsOrigins: no stranger's page may call, whatever it names.
func TestLoopbackGuardKnowsItsOrigins(t *testing.T) {
	f := newFront(t)
	for origin, ours := range map[string]bool{
		"http://localhost": true, "http://localhost:8080": true, "http://LOCALHOST:1": true, "https://localhost:8443": true,
		"http://127.0.0.1:6274": true, "http://[::1]:6274": true,

		"null": false, "": false, "evil": false, "http://": false, "http://evil.example": false, "https://evil.example:8080": false,
		"http://localhost.evil.example": false, "http://[::1].evil": false, "http://localhost.": false, "http://127.0.0.1.nip.io": false,
		"http://0.0.0.0:8080": false, "http://localhost@evil.example": false, "http://evil.example#localhost": false,
		"http://user@localhost": false, "http://localhost/x": false, "file://": false, "file://localhost": false,
		"chrome-extension://localhost": false, "//localhost": false, "localhost": false, "http://192.168.0.2": false,
		"http://localhost, http://evil.example": false, "http://localhost http://evil.example": false,
	} {
		t.Run(origin, func(t *testing.T) {
			if ours {
				f.admits(t, "127.0.0.1:8080", "Origin", origin)
			} else {
				f.refuses(t, "127.0.0.1:8080", "Origin", origin)
			}
		})
	}
}

// TestGuardHoldsAgainstRebinding: a Host and an Origin that agree prove nothing.
func TestGuardHoldsAgainstRebinding(t *testing.T) {
	f := newFront(t)
	for name, c := range map[string]struct {
		host   string
		header []string
	}{
		"host and origin agree": {"evil.example:8080", []string{"Origin", "http://evil.example:8080"}},
		"same-origin claimed":   {"evil.example:8080", []string{"Origin", "http://evil.example:8080", "Sec-Fetch-Site", "same-origin"}},
		"two origins":           {"localhost:8080", []string{"Origin", "http://localhost:8080", "Origin", "http://evil.example"}},
		"cross-site":            {"localhost:8080", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}},
		"cross-site, no origin": {"localhost:8080", []string{"Sec-Fetch-Site", "cross-site"}},
		"forwarded host":        {"evil.example", []string{"X-Forwarded-Host", "localhost", "Forwarded", "host=localhost"}},
	} {
		t.Run(name, func(t *testing.T) { f.refuses(t, c.host, c.header...) })
	}
	t.Run("forwarded headers change nothing", func(t *testing.T) {
		f.admits(t, "localhost:8080", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https")
	})
}

// TestHostOnTheWire: what net/http must refuse before us.
func TestHostOnTheWire(t *testing.T) {
	f := newFront(t)
	for name, c := range map[string]struct {
		head string
		want int
	}{
		"ours":      {"Host: " + f.addr, 200},
		"absent":    {"X-Y: z", 400},
		"empty":     {"Host:", 403},
		"two":       {"Host: localhost\r\nHost: evil.example", 400},
		"two equal": {"Host: localhost\r\nHost: localhost", 400},
		"evil":      {"Host: evil.example", 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := f.dial()
			_ = w.write("GET /health HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n", c.head)
			if g := w.read(); g.status != c.want {
				t.Errorf("%s, want %d", g, c.want)
			}
		})
	}
	t.Run("absolute form names the host", func(t *testing.T) { // RFC 9112, section 3.2.2
		w := f.dial()
		_ = w.write("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if g := w.read(); g.status != http.StatusForbidden {
			t.Error(g)
		}
	})
}

// TestAllowedHostsAreOurs: with a port only that one, without it any.
func TestAllowedHostsAreOurs(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Hosts = []string{"gw.example", "with.example:9000"} })
	for host, ours := range map[string]bool{
		"gw.example": true, "GW.example:1234": true, "with.example:9000": true, "localhost:80": true,
		"with.example": false, "with.example:9001": false, "gw.example.": false, "x.gw.example": false, "gw.example.evil": false,
	} {
		if w := f.knock("GET", "/health", host); (w.Code == http.StatusOK) != ours {
			t.Errorf("%s: %d", host, w.Code)
		}
	}
	t.Run("a name of ours is no origin of ours on loopback", func(t *testing.T) {
		f.refuses(t, "gw.example", "Origin", "http://evil.example")
	})
}

// TestAllowedOriginsGetCORS: their pages may call and read, nobody else's.
func TestAllowedOriginsGetCORS(t *testing.T) {
	const page = "https://app.example"
	f := newFront(t, func(s *setup) { s.Origins = []string{page + "/", "http://other.example:3000"} })
	f.admits(t, "localhost:8080", "Origin", page)
	for _, origin := range []string{page, "https://APP.example", "http://other.example:3000"} {
		w := f.knock("GET", "/health", "localhost:8080", "Origin", origin)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(h.Get("Vary"), "Origin") ||
			!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", origin, w.Code, h)
		}
	}
	for _, origin := range []string{"http://app.example", "https://app.example:444", "https://app.example.evil", "https://xapp.example", "http://other.example", page + "/"} {
		t.Run(origin, func(t *testing.T) { f.refuses(t, "localhost:8080", "Origin", origin) })
	}
	for _, path := range everyRoute {
		w := f.knock("OPTIONS", path, "localhost:8080", "Origin", page,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type, mcp-session-id, mcp-method")
		h := w.Header()
		if w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Methods") != "GET, POST, DELETE" ||
			h.Get("Access-Control-Allow-Headers") != "content-type, mcp-session-id, mcp-method" {
			t.Errorf("preflight of %s: %d %v", path, w.Code, h)
		}
	}
	t.Run("preflight of a stranger", func(t *testing.T) {
		f.refuses(t, "localhost:8080", "Origin", "http://evil.example", "Access-Control-Request-Method", "POST")
	})
	t.Run("the host is checked still", func(t *testing.T) {
		f.refuses(t, "evil.example", "Origin", page, "Access-Control-Request-Method", "POST")
	})
	if w := f.knock("GET", "/health", "localhost", "Origin", "http://localhost:1"); w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("our own origin: %d %v, want no CORS", w.Code, w.Header())
	}
	f.untouched()
}

// TestGuardBeyondLoopback: addresses are ours, since rebinding needs names; of names only
// those that were given. An origin is ours only where the request went to that very host.
func TestGuardBeyondLoopback(t *testing.T) {
	f := newFront(t, func(s *setup) {
		s.Loopback, s.Bind, s.Hosts = false, "gw.internal", []string{"gw.example"}
	})
	for host, ours := range map[string]bool{
		"192.168.1.4:8080": true, "[fd00::1]:8080": true, "gw.internal:8080": true, "GW.internal": true, "gw.example": true, "localhost:8080": true, "127.0.0.1": true,
		"0.0.0.0:8080": false, "[::]:8080": false, "evil.example": false, "": false, "192.168.1.4.nip.io": false, "gw.internal.evil": false,
	} {
		t.Run(host, func(t *testing.T) {
			if ours {
				f.admits(t, host)
			} else {
				f.refuses(t, host)
			}
		})
	}
	const host = "192.168.1.4:8080"
	for origin, ours := range map[string]bool{
		"http://192.168.1.4:8080": true, "http://gw.example": true, "http://gw.internal:8080": true,
		"null": false, "http://evil.example": false, "http://192.168.1.66": false, "http://6.6.6.6:8080": false, "http://192.168.1.4:9": false,
		"http://localhost:3000": false, "http://[fd00::66]": false, "http://gw.example.evil": false,
	} {
		t.Run(origin, func(t *testing.T) {
			if ours {
				f.admits(t, host, "Origin", origin)
			} else {
				f.refuses(t, host, "Origin", origin)
			}
		})
	}
}
