package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	startStdio  = 120 * time.Second
	startHTTP   = 30 * time.Second
	callTimeout = 10 * time.Minute
	maxTime     = 24 * time.Hour
)

var serverKeys = []string{
	"transport", "type", "command", "args", "env", "inheritEnv", "cwd", "url", "headers",
	"enabled", "startTimeout", "callTimeout", "protocol",
}

// servers reads mcpServers.
func (r *reader) servers(n node, most int) []Server {
	o, ok := n.object()
	if !ok {
		return nil
	}
	if r.body && len(o.members) == 0 {
		n.problem("is empty; name one server or more")
	}
	if !r.body && len(o.members) > most {
		n.problemAt(o.members[most].keyAt, "holds %d servers, but gateway.limits.servers allows %d; remove some or raise it",
			len(o.members), most)
	}
	var list []Server
	names := make(map[string]node)
	for _, m := range o.members {
		s := r.server(m)
		s.Name = r.name(m, names)
		list = append(list, s)
	}
	return list
}

// name makes sure of a server's name. Tools bear it as a prefix, so that only few
// characters will do; what a file brings from another program is made to fit.
func (r *reader) name(m node, taken map[string]node) string {
	name := m.key
	if !validName(name) {
		name = slug(m.key)
		const rule = "a server's name has letters, digits, _ and - only, begins with a letter or digit, and has at most 64 characters"
		switch {
		case name == "":
			m.problemAt(m.keyAt, "%s; choose another name", rule)
			return m.key
		case r.body:
			m.problemAt(m.keyAt, "%s; write %q", rule, name)
		default:
			m.warnAt(m.keyAt, "is called %q here, because %s", name, rule)
		}
	}
	folded := strings.ToLower(name)
	if other, ok := taken[folded]; ok {
		m.problemAt(m.keyAt, "%s and %s would be one name, %q (case does not count); rename one", quote(other.key), quote(m.key), folded)
	} else {
		taken[folded] = m
	}
	return name
}

// serverReader reads one server. What depends on a variable's value goes into faults,
// since it is the environment that must be mended there and the other servers of the
// file are none the worse; everything else is a problem of the file.
type serverReader struct {
	*reader
	object
	missing []string
	faults  []string
}

func (r *reader) server(n node) Server {
	s := Server{Enabled: true, Protocol: Auto, CallTimeout: callTimeout}
	o, ok := n.object()
	if !ok {
		return s
	}
	sr := &serverReader{reader: r, object: o}
	sr.unknownKeys()
	sr.transport(&s)
	if s.Transport == Stdio || s.Transport == "" {
		sr.stdio(&s)
	}
	if s.Transport != Stdio {
		sr.http(&s)
	}
	sr.useless(s.Transport)
	sr.common(&s)
	if len(sr.missing) > 0 {
		them := "it"
		if len(sr.missing) > 1 {
			them = "them"
		}
		sr.faults = append(sr.faults, fmt.Sprintf("%s; set %s or write ${%s:-default}", notSet(sr.missing), them, sr.missing[0]))
	}
	s.Problem = strings.Join(sr.faults, "; ")
	return s
}

func (r *serverReader) unknownKeys() {
	for _, m := range r.members {
		if !slices.Contains(serverKeys, m.key) {
			ignored := " and is ignored"
			if r.body {
				ignored = ""
			}
			r.doubt(m, m.keyAt, "is not a known key%s; %s", ignored, suggestion(m.key, serverKeys))
		}
	}
}

// transport settles which one the server has; it stays empty where that is not clear,
// which is then reported.
func (r *serverReader) transport(s *Server) {
	named, from, ok := r.named()
	t := r.settle(named, from)
	if ok {
		s.Transport, s.TransportNamed = t, named != ""
	}
}

// named is the transport as the document names it, and where; not ok if what it says
// is wrong.
func (r *serverReader) named() (transport string, from node, ok bool) {
	ok = true
	for _, key := range []string{"transport", "type"} {
		n, has := r.get(key)
		if !has {
			continue
		}
		t, valid := n.transport()
		switch {
		case !valid:
			ok = false
		case transport != "" && t != transport:
			n.problem("says %q, but %q says %q; keep one of the two", t, from.key, transport)
			ok = false
		default:
			transport, from = t, n
		}
	}
	if !ok {
		return "", node{}, false
	}
	return transport, from, true
}

// settle holds the transport named, if any, against command and url.
func (r *serverReader) settle(named string, from node) string {
	_, command := r.get("command")
	url, hasURL := r.get("url")
	switch {
	case command && hasURL:
		url.problemAt(url.keyAt, "stands beside \"command\"; keep \"command\" for a program to start (stdio) or \"url\" for a server that runs already")
	case !command && !hasURL:
		r.problem("%s", r.nothingToReach(named))
	case named == Stdio && hasURL:
		from.problem("must be \"sse\" or \"streamable-http\" for a \"url\"; \"stdio\" starts a \"command\"")
	case named != "" && named != Stdio && command:
		from.problem("must be \"stdio\" for a \"command\"; %q reaches a \"url\"", named)
	case named != "":
		return named
	case command:
		return Stdio
	default:
		return StreamableHTTP
	}
	return ""
}

func (r *serverReader) nothingToReach(named string) string {
	say := `needs "command" (a program to start) or "url" (a server that runs already)`
	switch named {
	case Stdio:
		say = `needs "command", the program to start`
	case SSE, StreamableHTTP:
		say = `needs "url", where the server is reached`
	}
	for _, m := range r.members {
		near := closest(m.key, serverKeys)
		if (near == "command" || near == "url") && !slices.Contains(serverKeys, m.key) {
			say += fmt.Sprintf("; did you mean %q by %s?", near, quote(m.key))
		}
	}
	return say
}

// transport reads a transport's name in any of its spellings.
func (n node) transport() (string, bool) {
	s, ok := n.text()
	if !ok {
		return "", false
	}
	switch s {
	case Stdio, SSE:
		return s, true
	case StreamableHTTP, "http", "streamable_http", "streamableHttp":
		return StreamableHTTP, true
	}
	n.problem("must be \"stdio\", \"sse\" or \"streamable-http\"")
	return "", false
}

// useless reports settings that this transport has no use for. Empty ones are what
// some programs write into every entry.
func (r *serverReader) useless(transport string) {
	var keys []string
	switch transport {
	case "":
		return
	case Stdio:
		keys = []string{"headers"}
	default:
		keys = []string{"args", "env", "inheritEnv", "cwd"}
	}
	for _, key := range keys {
		if n, ok := r.get(key); ok && !n.blank() {
			r.doubt(n, n.keyAt, "has no effect on a %s server; remove it", transport)
		}
	}
}

// common reads what all transports have.
func (r *serverReader) common(s *Server) {
	s.StartTimeout = startHTTP
	if s.Transport == Stdio {
		s.StartTimeout = startStdio
	}
	if n, ok := r.get("enabled"); ok {
		if b, ok := n.boolean(); ok {
			s.Enabled = b
		}
	}
	if n, ok := r.get("startTimeout"); ok {
		n.duration(&s.StartTimeout)
	}
	if n, ok := r.get("callTimeout"); ok {
		n.duration(&s.CallTimeout)
	}
	if n, ok := r.get("protocol"); ok {
		if p, ok := n.choice(Auto, Stateful, Stateless); ok {
			s.Protocol = p
		}
		// 2024-11-05 basic/transports, "HTTP with SSE": no later revision has it.
		if s.Transport == SSE && s.Protocol == Stateless {
			n.problem("must be \"auto\" or \"stateful\" for sse; only stateful revisions are spoken there")
		}
	}
}
