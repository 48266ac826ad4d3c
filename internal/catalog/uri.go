package catalog

import (
	"net/url"
	"strings"
)

// Moved URIs. A URI that several servers have keeps its plain form for the first of them;
// for each other it is moved to a place that names its server. Moving can be undone, and no
// two servers share a moved URI. There are three forms, none of which is the beginning of
// another:
//
//	ui://gw.<server>/<rest>             of ui://<rest>, since hosts of MCP Apps want that scheme
//	mcp-gateway:<server>/<encoded uri>  of any other URI; every reserved character is encoded
//	mcp-gateway:<server>//<template>    of a template, as it is: what comes of its expansion
//	                                    then says what the plain one's would have been
const (
	movedScheme = "mcp-gateway:"
	appScheme   = "ui://"
	movedApp    = appScheme + "gw."
)

// MaxURI bounds the URIs that are listed, looked up and kept.
const MaxURI = 8 << 10

// Moved is the form of a server's URI that no other server has.
func Moved(server, uri string) string {
	if rest, ok := strings.CutPrefix(uri, appScheme); ok {
		return movedApp + server + "/" + rest
	}
	var b strings.Builder
	b.WriteString(movedScheme + server + "/")
	for i := range len(uri) {
		if c := uri[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			appendHex(&b, c)
		}
	}
	return b.String()
}

func movedTemplate(server, template string) string {
	if rest, ok := strings.CutPrefix(template, appScheme); ok {
		return movedApp + server + "/" + rest
	}
	return movedScheme + server + "//" + template
}

// Unmoved undoes Moved, for templates and what their expansion gives as well. It is false
// for any other URI; the server may be none that exists.
func Unmoved(uri string) (server, origin string, ok bool) {
	if rest, app := strings.CutPrefix(uri, movedApp); app {
		server, rest, ok = strings.Cut(rest, "/")
		return server, appScheme + rest, ok && isServer(server)
	}
	rest, ok := strings.CutPrefix(uri, movedScheme)
	if !ok {
		return "", "", false
	}
	server, rest, ok = strings.Cut(rest, "/")
	if !ok || rest == "" || !isServer(server) {
		return "", "", false
	}
	if template, is := strings.CutPrefix(rest, "/"); is {
		return server, template, template != ""
	}
	origin, err := url.PathUnescape(rest)
	return server, origin, err == nil && !strings.Contains(rest, "/")
}

// isServer tells what may be the name of a server.
func isServer(name string) bool {
	return name != "" && name[0] != '_' && name[0] != '-' && len(name) <= 64 && sanitised(name, "") == name
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func appendHex(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}

// Normal is a URI normalised by its syntax (RFC 3986, section 6.2.2): the case of scheme,
// host and percent-encodings, no needless encoding, no dot segments. Characters that no URI
// may have are encoded.
func Normal(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !isScheme(scheme) {
		return encoded(uri)
	}
	scheme = strings.ToLower(scheme) + ":"
	tail := ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest, tail = rest[:i], rest[i:]
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		authority, path := after, ""
		if i := strings.IndexByte(after, '/'); i >= 0 {
			authority, path = after[:i], after[i:]
		}
		at := strings.LastIndexByte(authority, '@') + 1
		authority = authority[:at] + strings.ToLower(authority[at:])
		return scheme + "//" + encoded(authority) + withoutDots(encoded(path)) + encoded(tail)
	}
	path := encoded(rest)
	if strings.HasPrefix(path, "/") {
		path = withoutDots(path)
	}
	return scheme + path + encoded(tail)
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'; !letter && (i == 0 || !(c >= '0' && c <= '9' || strings.IndexByte("+-.", c) >= 0)) {
			return false
		}
	}
	return s != ""
}

// encoded spells percent-encodings alike: of unreserved characters none, else in capitals;
// and encodes what a URI may not have.
func encoded(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if v, err := url.PathUnescape(s[i : i+3]); err == nil {
				if unreserved(v[0]) {
					b.WriteByte(v[0])
				} else {
					appendHex(&b, v[0])
				}
				i += 2
				continue
			}
		}
		if unreserved(c) || strings.IndexByte(":/?#[]@!$&'()*+,;=%", c) >= 0 {
			b.WriteByte(c)
		} else {
			appendHex(&b, c)
		}
	}
	return b.String()
}

// withoutDots removes the dot segments of an absolute path (RFC 3986, section 5.2.4).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	var out []string
	segments := strings.Split(path, "/")[1:]
	for i, s := range segments {
		last := i == len(segments)-1
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if s != "." && s != ".." {
			out = append(out, s)
		} else if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}
