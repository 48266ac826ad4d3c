package listen

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mcpgateway/internal/era"
)

// A Guard lets through only requests that name us and come from where they may, on every
// route and method (2026-07-28, Streamable HTTP, Security & Endpoint, 1). It defeats DNS
// rebinding: a page of a stranger cannot make a browser talk to us under its own name.
type Guard struct {
	Loopback bool     // we listen on loopback only: its names are ours, on any port
	Bind     string   // the host we listen on
	Hosts    []string // more names of ours, with or without a port
	Origins  []string // more origins that may call us; they get CORS
}

// Wrap puts the guard before next.
func (g Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.host(r.Host) {
			http.Error(w, "the Host header names a host that is not this gateway; add it to gateway.allowedHosts", http.StatusForbidden)
			return
		}
		origins := r.Header.Values("Origin")
		listed := len(origins) == 1 && g.listed(origins[0])
		if len(origins) > 1 || (len(origins) == 1 && !listed && !g.ownOrigin(origins[0], r.Host)) ||
			(len(origins) == 0 && r.Header.Get("Sec-Fetch-Site") == "cross-site") {
			http.Error(w, "the Origin header names an origin that may not call this gateway; add it to gateway.allowedOrigins", http.StatusForbidden)
			return
		}
		if listed && cors(w, r, origins[0]) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// host tells whether a Host header names us.
func (g Guard) host(host string) bool {
	name, _ := splitHost(host)
	if name == "" {
		return false
	}
	if g.given(host) || loopbackName(name) {
		return true
	}
	if g.Loopback {
		return false
	}
	// A page cannot be served under an address of ours without our doing: rebinding needs names.
	_, err := netip.ParseAddr(name)
	return strings.EqualFold(name, g.Bind) || (err == nil && name != "0.0.0.0" && name != "::")
}

// given tells whether a host is one of the names that we were given.
func (g Guard) given(host string) bool {
	name, port := splitHost(host)
	return slices.ContainsFunc(g.Hosts, func(h string) bool {
		n, p := splitHost(h)
		return n != "" && strings.EqualFold(n, name) && (p == "" || p == port)
	})
}

// splitHost splits a Host header; it is empty where that is none.
func splitHost(host string) (name, port string) {
	if n, p, err := net.SplitHostPort(host); err == nil {
		return n, p
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1], ""
	}
	if strings.ContainsAny(host, ":/ ") {
		return "", ""
	}
	return host, ""
}

func loopbackName(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}

// ownOrigin tells whether an origin is one of our own names. On loopback all of these are.
// Elsewhere a stranger's page may come from an address or from a loopback name too, so that
// it must be the very host that the request went to, or a name that we were given.
func (g Guard) ownOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		!strings.EqualFold(u.Scheme+"://"+u.Host, origin) {
		return false
	}
	if g.Loopback {
		return loopbackName(u.Hostname()) || g.given(u.Host)
	}
	return strings.EqualFold(u.Host, host) || strings.EqualFold(u.Hostname(), g.Bind) || g.given(u.Host)
}

func (g Guard) listed(origin string) bool {
	return slices.ContainsFunc(g.Origins, func(o string) bool { return strings.EqualFold(strings.TrimSuffix(o, "/"), origin) })
}

// cors lets a listed origin's pages read our answers. It answers a preflight itself.
func cors(w http.ResponseWriter, r *http.Request, origin string) (done bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", era.HeaderSession+", "+era.HeaderVersion)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// named gives the names of the headers that begin so, in order.
func named(h http.Header, prefix string) (out []string) {
	for name := range h {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
