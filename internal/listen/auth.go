package listen

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"mcpgateway/internal/mcp"
)

// A Token is a bearer token that lets an MCP client in; its name is the principal.
type Token struct{ Name, Secret string }

// principal tells who sent a request. Where tokens are configured it must bear one.
func (l *Listener) principal(r *http.Request) (string, bool) {
	if len(l.p.Tokens) == 0 {
		return mcp.Local, true
	}
	given, ok := bearer(r)
	if !ok {
		return "", false
	}
	who := ""
	for _, t := range l.p.Tokens {
		if same(given, t.Secret) {
			who = t.Name
		}
	}
	return who, who != ""
}

// HasBearer tells whether a request bears this token.
func HasBearer(r *http.Request, token string) bool {
	given, ok := bearer(r)
	return ok && same(given, token)
}

// bearer reads the bearer token of a request (RFC 6750, section 2.1).
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// same compares two secrets in a time that tells nothing about either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
