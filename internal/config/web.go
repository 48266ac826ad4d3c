package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// wrongURL says what a server's URL must be, or nothing if it is that.
func wrongURL(s string) string {
	u, err := url.Parse(s) // its error quotes the URL, which may hold a secret
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Opaque != "", u.Hostname() == "":
		return "must be an absolute URL such as https://example.com/mcp or http://127.0.0.1:8000/mcp"
	case u.User != nil:
		return "must not hold a user name or password; send them with \"headers\", such as \"Authorization\""
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "must not hold a fragment (#…); it is never sent"
	}
	if p := u.Port(); p != "" {
		if port, err := strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return "must have a port between 1 and 65535"
		}
	}
	return ""
}

// otherScheme is the scheme of a URL that is right for other clients: VS Code reaches
// sockets and named pipes, Claude Code speaks WebSocket. Else it is empty.
func otherScheme(s string) string {
	scheme, _, ok := strings.Cut(strings.ToLower(s), ":")
	if ok && slices.Contains([]string{"unix", "pipe", "ws", "wss"}, scheme) {
		return scheme
	}
	return ""
}

// ownHeaders are for the transport to set: HTTP's framing and connection (RFC 9110
// §7.6.1, RFC 9112 §6), the types it speaks, and 2025-11-25 basic/transports
// "Resumability". Accept-Encoding is among them since answers are not decompressed.
var ownHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
	"proxy-connection", "te", "trailer", "upgrade", "expect", "accept", "accept-encoding", "last-event-id",
}

func wrongHeader(folded string) string {
	if !validToken(folded) {
		return "must be the name of a header, such as Authorization or X-Api-Key"
	}
	if slices.Contains(ownHeaders, folded) || strings.HasPrefix(folded, "mcp-") {
		return "is a header that the protocol sets; remove it"
	}
	return ""
}

// validToken reports whether s is a token, RFC 9110 §5.6.2.
func validToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.Contains("!#$%&'*+-.^_`|~", s[i:i+1]) {
			return false
		}
	}
	return s != ""
}

// validHeaderValue is RFC 9110 §5.5: no controls but the tab.
func validHeaderValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
