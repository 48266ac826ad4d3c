package config

import (
	"math"
	"net/netip"
	"net/url"
	"strings"
)

// minToken is the least length of a token in characters. It keeps passwords out: a
// token is made by a machine, for example by openssl rand -hex 32.
const minToken = 16

// Gateway is the block of our own settings; nothing in it need be written.
type Gateway struct {
	// AllowedHosts are names in the Host header that are accepted besides those of
	// the address we listen on, such as "gateway.example.com"; in lower case, without
	// a port. Default: none.
	AllowedHosts []string
	// AllowedOrigins are origins of web pages that may call us, such as
	// "https://app.example.com"; in lower case, without a default port. Default: none.
	AllowedOrigins []string
	// Admin is about the management API.
	Admin Admin
	// Auth is about MCP clients.
	Auth Auth
	// Names is the style of the names that clients see where they ask for none:
	// "dotted" (default), as in files.read, or "safe", as in files__read.
	Names string
	// PageSize is how many entries one page of a list has. 0 (default): a list has one page,
	// since many clients read only the first.
	PageSize int
	// Limits are the bounds on what strangers and servers can make us hold.
	Limits Limits
}

// Values of Gateway.Names.
const (
	NamesDotted = "dotted"
	NamesSafe   = "safe"
)

// Values of Admin.Auth.
const (
	AdminToken = "token"
	AdminNone  = "none"
)

// Admin says who may change servers over the management API.
type Admin struct {
	// Auth is "token" (default): changes need the token that `mcp-gateway token`
	// prints. "none": they need nothing, which is accepted on loopback only, and lets
	// every program of this machine start commands as you.
	Auth string
}

// Auth says which MCP clients are let in.
type Auth struct {
	// Tokens are bearer tokens, each {"name": "…", "token": "${SOME_TOKEN}"}. Needed
	// to listen on anything but loopback. Default: none.
	Tokens []Token
}

// A Token lets in whoever sends it; Name is how logs call them.
type Token struct {
	Name  string
	Token Secret
}

func defaultGateway() Gateway {
	return Gateway{Admin: Admin{Auth: AdminToken}, Names: NamesDotted, Limits: Defaults()}
}

func (r *reader) gateway(n node, g *Gateway) {
	n.read(
		setting{"allowedHosts", func(n node) { g.AllowedHosts = n.each(host) }},
		setting{"allowedOrigins", func(n node) { g.AllowedOrigins = n.each(origin) }},
		setting{"admin", func(n node) {
			n.read(setting{"auth", func(n node) {
				if s, ok := n.choice(AdminToken, AdminNone); ok {
					g.Admin.Auth = s
				}
			}})
		}},
		setting{"auth", func(n node) {
			n.read(setting{"tokens", func(n node) { g.Auth.Tokens = r.tokens(n) }})
		}},
		setting{"names", func(n node) {
			if s, ok := n.choice(NamesDotted, NamesSafe); ok {
				g.Names = s
			}
		}},
		setting{"pageSize", func(n node) { n.count(&g.PageSize, math.MaxInt32, "leave it out for lists of one page") }},
		setting{"limits", func(n node) { g.Limits.read(n) }},
	)
}

// each reads a list of texts with clean, which gives the text as we keep it or says
// what would be right.
func (n node) each(clean func(string) (text, message string)) []string {
	var list []string
	for _, e := range n.list() {
		s, ok := e.text()
		if !ok {
			continue
		}
		s, message := clean(s)
		if message != "" {
			e.problem("%s", message)
			continue
		}
		list = appendNew(list, s)
	}
	return list
}

func host(s string) (string, string) {
	const rule = "must be a host's name such as \"gateway.example.com\", without scheme, port, path and *"
	s = strings.ToLower(s)
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
		return a.String(), ""
	}
	for _, c := range []byte(s) {
		if !isWord(c) && c != '-' && c != '.' {
			return "", rule
		}
	}
	if s == "" || len(s) > 253 || s[0] == '.' || strings.Contains(s, "..") {
		return "", rule
	}
	return s, ""
}

// origin is RFC 6454 §6.2, as browsers send it: scheme and host in lower case, no
// port where it is the scheme's own.
func origin(s string) (string, string) {
	const rule = "must be an origin such as \"https://app.example.com\", without a path, a / at its end and *"
	s = strings.ToLower(s)
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || s != u.Scheme+"://"+u.Host || strings.Contains(s, "*") {
		return "", rule
	}
	switch {
	case u.Scheme == "https":
		s = strings.TrimSuffix(s, ":443")
	case u.Scheme == "http":
		s = strings.TrimSuffix(s, ":80")
	}
	return s, ""
}

func (r *reader) tokens(n node) []Token {
	var list []Token
	names, values := make(map[string]bool), make(map[Secret]string)
	for _, e := range n.list() {
		t := r.token(e)
		if other, ok := values[t.Token]; ok && t.Token != "" {
			e.problem("has the same token as %s; give each its own", quote(other))
		}
		if names[t.Name] && t.Name != "" {
			e.problem("a token called %s stands here twice; give each its own name", quote(t.Name))
		}
		names[t.Name] = true
		values[t.Token] = t.Name
		list = append(list, t)
	}
	return list
}

func (r *reader) token(n node) Token {
	var t Token
	hasName, hasToken := false, false
	if _, ok := n.object(); !ok {
		return t
	}
	n.read(
		setting{"name", func(n node) {
			hasName = true
			s, ok := n.text()
			if ok && !validTokenName(s) {
				n.problem("must have 1 to 64 letters, digits and any of . _ @ + -")
				return
			}
			if s == "local" || s == "stdio" { // how logs call those who have no token
				n.problem("%s is how logs call clients without a token; choose another name", quote(s))
				return
			}
			t.Name = s
		}},
		setting{"token", func(n node) {
			hasToken = true
			t.Token = r.tokenValue(n)
		}},
	)
	if !hasName {
		n.problem("needs \"name\", how logs call whoever has this token")
	}
	if !hasToken {
		n.problem("needs \"token\", best as \"${SOME_TOKEN}\"")
	}
	return t
}

func validTokenName(s string) bool {
	for _, c := range []byte(s) {
		if !isWord(c) && !strings.Contains(".@+-", string(rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// tokenValue reads the secret. That it cannot be read is a problem of the file, not
// of one server: a gateway without the token would let in others than it should.
func (r *reader) tokenValue(n node) Secret {
	s, ok := n.text()
	if !ok {
		return ""
	}
	e, wrong := expand(s, r.env, r.predefined)
	switch {
	case wrong != nil:
		n.misuse(wrong)
	case len(e.foreign) > 0:
		n.problem("%s", notOurs(e.foreign[0]))
	case len(e.missing) > 0:
		// A default would be a secret in the file, so none is suggested.
		n.problem("%s", notSet(e.missing))
	case !validBearer(e.text):
		n.problem("must hold letters, digits and -._~+/ only (= at its end); no spaces or line breaks")
	case len(e.text) < minToken:
		n.problem("must have at least %d characters; openssl rand -hex 32 makes a good one", minToken)
	default:
		return Secret(e.text)
	}
	return ""
}

// validBearer is the b64token of RFC 6750 §2.1; what else one writes could never
// arrive in a header. An empty one is only too short.
func validBearer(s string) bool {
	for _, c := range []byte(strings.TrimRight(s, "=")) {
		if !isAlnum(c) && !strings.Contains("-._~+/", string(rune(c))) {
			return false
		}
	}
	return true
}
