package era

import (
	"encoding/base64"
	"strings"
)

// Names of the HTTP headers of the protocol, in Go's canonical spelling.
const (
	HeaderVersion = "Mcp-Protocol-Version"
	HeaderMethod  = "Mcp-Method"
	HeaderName    = "Mcp-Name"
	HeaderSession = "Mcp-Session-Id"
)

const sentinel, sentinelEnd = "=?base64?", "?="

// EncodeHeader writes a value as a header value: as it is where that is safe, else in the
// Base64 sentinel form (2026-07-28, Streamable HTTP, Value Encoding).
func EncodeHeader(v string) string {
	if plainHeader(v) {
		return v
	}
	return sentinel + base64.StdEncoding.EncodeToString([]byte(v)) + sentinelEnd
}

func plainHeader(v string) bool {
	if v == "" || strings.TrimSpace(v) != v || isSentinel(v) {
		return false
	}
	for i := range len(v) {
		if c := v[i]; (c < 0x20 && c != '\t') || c > 0x7e {
			return false
		}
	}
	return true
}

func isSentinel(v string) bool {
	return strings.HasPrefix(v, sentinel) && strings.HasSuffix(v, sentinelEnd) && len(v) >= len(sentinel)+len(sentinelEnd)
}

// DecodeHeader reads a header value that EncodeHeader may have written. It refuses Base64
// that does not decode and characters that no header value may have.
func DecodeHeader(v string) (string, bool) {
	if isSentinel(v) {
		b, err := base64.StdEncoding.Strict().DecodeString(v[len(sentinel) : len(v)-len(sentinelEnd)])
		return string(b), err == nil && !strings.ContainsAny(v, "\r\n") // which Go's decoder skips
	}
	for i := range len(v) {
		if c := v[i]; (c < 0x20 && c != '\t') || c > 0x7e {
			return "", false
		}
	}
	return v, true
}
