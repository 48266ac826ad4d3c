package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

// stdio reads what a program to start has.
func (r *serverReader) stdio(s *Server) {
	if n, ok := r.get("command"); ok {
		if e, ok := r.expanded(n); ok && r.notEmpty(n, e, "the program to start") {
			s.Command = r.located(n, e, hasSeparator(e.text))
		}
	}
	if n, ok := r.get("args"); ok {
		for _, a := range n.list() {
			if e, ok := r.expanded(a); ok {
				s.Args = append(s.Args, e.text)
			}
		}
	}
	if n, ok := r.get("env"); ok {
		s.Env = r.variables(n)
	}
	if n, ok := r.get("inheritEnv"); ok {
		for _, v := range n.list() {
			name, ok := v.text()
			if ok && !validEnvName(name) {
				v.problem("must be the name of a variable, without = and $")
			} else if ok {
				s.InheritEnv = append(s.InheritEnv, name)
			}
		}
	}
	if n, ok := r.get("cwd"); ok {
		if e, ok := r.expanded(n); ok && r.notEmpty(n, e, "a folder") {
			s.Cwd = r.located(n, e, true)
		}
	}
}

func (r *serverReader) variables(n node) []Var {
	o, ok := n.object()
	if !ok {
		return nil
	}
	var list []Var
	for _, m := range o.members {
		if !validEnvName(m.key) {
			m.problemAt(m.keyAt, "must be the name of a variable, without = in it")
			continue
		}
		if e, ok := r.expanded(m); ok {
			list = append(list, Var{m.key, Secret(e.text)})
		}
	}
	return list
}

// validEnvName allows what systems allow, ProgramFiles(x86) among it.
func validEnvName(s string) bool { return s != "" && !strings.ContainsAny(s, "=\x00$") }

// http reads what a server that runs already has.
func (r *serverReader) http(s *Server) {
	if n, ok := r.get("url"); ok {
		if e, ok := r.expanded(n); ok {
			if message := wrongURL(e.text); message != "" {
				r.fault(n, e, message)
			}
			s.URL = e.text
		}
	}
	n, ok := r.get("headers")
	if !ok {
		return
	}
	o, ok := n.object()
	if !ok {
		return
	}
	names := make(map[string]string)
	for _, m := range o.members {
		folded := strings.ToLower(m.key)
		if other, ok := names[folded]; ok {
			m.problemAt(m.keyAt, "is the same header as %s (case does not count); remove one", quote(other))
		}
		names[folded] = m.key
		if message := wrongHeader(folded); message != "" {
			m.problemAt(m.keyAt, "%s", message)
		}
		if e, ok := r.expanded(m); ok {
			if !validHeaderValue(e.text) {
				r.fault(m, e, "must not hold line breaks or other control characters")
			}
			s.Headers = append(s.Headers, Var{m.key, Secret(e.text)})
		}
	}
}

// expanded is the node's text with its variables put in. Without complaint it may
// stand in an argument or variable of a process, too: no NUL is in it.
func (r *serverReader) expanded(n node) (expansion, bool) {
	s, ok := n.text()
	if !ok {
		return expansion{}, false
	}
	e, wrong := expand(s, r.lookup)
	if wrong != nil {
		n.misuse(wrong)
		return expansion{}, false
	}
	for _, name := range e.missing {
		r.missing = appendNew(r.missing, name)
	}
	if strings.Contains(e.text, "\x00") {
		r.fault(n, e, "must not hold a NUL character")
		return expansion{}, false
	}
	return e, true
}

// misuse reports a wrong ${ at its own place, where the text is written as it reads.
func (n node) misuse(wrong *misuse) {
	at := n.at
	if l := n.value.(hujson.Literal); !slices.Contains(l, '\\') {
		at += len(`"`) + wrong.at
	}
	n.problemAt(at, "%s", wrong.message)
}

// fault reports a wrong value, in the file or, where a variable's value is in it, as
// what keeps this server from starting. Where a variable is missing nothing is known
// of the value, and that it is missing is reported anyway.
func (r *serverReader) fault(n node, e expansion, message string) {
	switch {
	case len(e.missing) > 0:
	case len(e.used) > 0:
		names := make([]string, len(e.used))
		for i, name := range e.used {
			names[i] = "${" + name + "}"
		}
		r.faults = append(r.faults, fmt.Sprintf("%s %s; see the value of %s", n.steps(r.node), message, joined(names, "and")))
	default:
		n.problem("%s", message)
	}
}

func (r *serverReader) notEmpty(n node, e expansion, what string) bool {
	if e.text == "" {
		r.fault(n, e, "must not be empty; write "+what)
		return false
	}
	return true
}

// located makes a path of the file's an absolute one.
func (r *serverReader) located(n node, e expansion, isPath bool) string {
	path := e.text
	if strings.HasPrefix(path, "~/") || path == "~" {
		r.fault(n, e, "must not begin with ~, which only a shell understands; write ${HOME} for it")
		return path
	}
	if !isPath || r.folder == "" || filepath.IsAbs(path) {
		return path
	}
	if runtime.GOOS == "windows" && (path[0] == '/' || path[0] == '\\') {
		return path // from the root of the drive we are on
	}
	return filepath.Join(r.folder, path)
}

func hasSeparator(path string) bool {
	return strings.Contains(path, "/") || runtime.GOOS == "windows" && strings.Contains(path, `\`)
}

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
