package config

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// stdio reads what a program to start has.
func (r *serverReader) stdio(s *Server) {
	args, hasArgs := r.get("args")
	env, hasEnv := r.get("env")
	if n, ok := r.get("command"); ok && n.isObject() {
		r.commandObject(n, s, hasArgs && !args.blank(), hasEnv && !env.blank())
	} else if ok {
		r.program(n, s)
	}
	if hasArgs {
		r.args(args, s)
	}
	if hasEnv {
		s.Env = append(s.Env, r.variables(env)...)
	}
	if n, ok := r.get("envFile"); ok {
		s.Env = under(s.Env, r.envFile(n))
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

func (r *serverReader) program(n node, s *Server) {
	if e, ok := r.expanded(n); ok && r.notEmpty(n, e, "the program to start") {
		s.Command = r.located(n, e, hasSeparator(e.text))
	}
}

func (r *serverReader) args(n node, s *Server) {
	for _, a := range n.list() {
		if e, ok := r.expanded(a); ok {
			s.Args = append(s.Args, e.text)
		}
	}
}

// commandObject reads a program as Zed writes it, {"path", "args", "env"}.
func (r *serverReader) commandObject(n node, s *Server, args, env bool) {
	o, _ := n.object()
	known := []string{"path", "args", "env"}
	for _, m := range o.members {
		switch {
		case m.key == "args" && args || m.key == "env" && env:
			m.problemAt(m.keyAt, "stands beside the server's own %q; keep one of the two", m.key)
		case m.key == "path":
			r.program(m, s)
		case m.isNull():
		case m.key == "args":
			r.args(m, s)
		case m.key == "env":
			s.Env = r.variables(m)
		default:
			r.doubt(m, m.keyAt, "is not a known key; %s", suggestion(m.key, known))
		}
	}
	if _, ok := o.get("path"); !ok {
		n.problem("needs \"path\", the program to start; or write \"command\": \"PROGRAM\"")
	}
}

func (r *serverReader) variables(n node) []Var {
	o, ok := n.object()
	if !ok {
		return nil
	}
	var list []Var
	for _, m := range o.members {
		if m.isNull() {
			continue
		}
		if !validEnvName(m.key) {
			m.problemAt(m.keyAt, "must be the name of a variable, without = in it")
			continue
		}
		if e, ok := r.value(m); ok {
			list = append(list, Var{m.key, Secret(e.text)})
		}
	}
	return list
}

// validEnvName allows what systems allow, ProgramFiles(x86) among it.
func validEnvName(s string) bool { return s != "" && !strings.ContainsAny(s, "=\x00$") }

// http reads what a server that runs already has.
func (r *serverReader) http(s *Server) {
	if r.hasURL {
		if e, ok := r.expanded(r.url); ok {
			r.checkURL(e)
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
		if m.isNull() {
			continue
		}
		folded := strings.ToLower(m.key)
		if other, ok := names[folded]; ok {
			m.problemAt(m.keyAt, "is the same header as %s (case does not count); remove one", quote(other))
		}
		names[folded] = m.key
		if message := wrongHeader(folded); message != "" {
			m.problemAt(m.keyAt, "%s", message)
		}
		if e, ok := r.value(m); ok {
			if !validHeaderValue(e.text) {
				r.fault(m, e, "must not hold line breaks or other control characters")
			}
			s.Headers = append(s.Headers, Var{m.key, Secret(e.text)})
		}
	}
}

// checkURL checks the server's URL. Where its transport is another program's, what is wrong
// with it is that server's problem as well, and no scheme of that program is wrong.
func (r *serverReader) checkURL(e expansion) {
	scheme, message := otherScheme(e.text), wrongURL(e.text)
	if scheme != "" {
		message = "must begin with http:// or https://; the gateway does not reach servers over " + scheme + "://"
	}
	switch {
	case message == "", r.elsewhere && scheme != "":
	case (r.elsewhere || scheme != "") && !e.unsure() && len(e.used) == 0:
		r.cannot(r.url, message)
	default:
		r.fault(r.url, e, message)
	}
}

// value is expanded for what is text in the end, but is often written as a number or as
// true: it is taken as its own characters, a number with each of its digits.
func (r *serverReader) value(n node) (expansion, bool) {
	if l, ok := n.value.(hujson.Literal); ok && (l.Kind() == '0' || l.Kind() == 't' || l.Kind() == 'f') {
		return expansion{text: string(l)}, true
	}
	return r.expanded(n)
}

// expanded is the node's text with its variables put in. Without complaint it may
// stand in an argument or variable of a process, too: no NUL is in it.
func (r *serverReader) expanded(n node) (expansion, bool) {
	s, ok := n.text()
	if !ok {
		return expansion{}, false
	}
	e, wrong := expand(s, r.env, r.predefined)
	if wrong != nil {
		n.misuse(wrong)
		return expansion{}, false
	}
	for _, name := range e.missing {
		r.missing = appendNew(r.missing, name)
	}
	for _, written := range e.foreign {
		r.foreign = appendNew(r.foreign, written)
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
	case e.unsure():
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
