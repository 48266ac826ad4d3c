package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

const (
	startStdio  = 120 * time.Second
	startHTTP   = 30 * time.Second
	callTimeout = 10 * time.Minute
	maxTime     = 24 * time.Hour
)

var serverKeys = []string{
	"transport", "type", "command", "args", "env", "envFile", "inheritEnv", "cwd", "url", "headers",
	"prefix", "enabled", "startTimeout", "callTimeout", "protocol", "sessions", "roots", "instructions",
}

// serverReader reads one server. What depends on a variable's value goes into faults,
// since it is the environment that must be mended there and the other servers of the
// file are none the worse; everything else is a problem of the file.
type serverReader struct {
	*reader
	object
	kind      string // of the block
	url       node   // by whichever key; hasURL
	hasURL    bool
	elsewhere bool   // its transport is one that only other programs have
	word      string // what it calls that
	missing   []string
	foreign   []string
	faults    []string
}

// get passes over null, which some programs write for what is not there.
func (r *serverReader) get(key string) (node, bool) {
	n, ok := r.object.get(key)
	return n, ok && !n.isNull()
}

// server reads one entry of a block of that kind; prefix is where its Prefix stands.
func (r *reader) server(n node, kind string) (s Server, prefix node) {
	s = Server{Enabled: true, Protocol: Auto, CallTimeout: callTimeout, Sessions: SessionsShared, Instructions: true}
	o, ok := n.object()
	if !ok {
		return s, prefix
	}
	sr := &serverReader{reader: r, object: o, kind: kind}
	sr.unknownKeys()
	sr.address()
	sr.transport(&s)
	if s.Transport == Stdio || s.Transport == "" {
		sr.stdio(&s)
	}
	if s.Transport != Stdio {
		sr.http(&s)
	}
	if !sr.elsewhere {
		sr.useless(s.Transport)
	}
	sr.common(&s)
	sr.times(&s)
	prefix = sr.prefix(&s)
	for _, written := range sr.foreign {
		sr.faults = append(sr.faults, notOurs(written))
	}
	if len(sr.missing) > 0 {
		them := "it"
		if len(sr.missing) > 1 {
			them = "them"
		}
		sr.faults = append(sr.faults, fmt.Sprintf("%s; set %s or write ${%s:-default}", notSet(sr.missing), them, sr.missing[0]))
	}
	s.Problem = strings.Join(sr.faults, "; ")
	return s, prefix
}

func (r *serverReader) unknownKeys() {
	for _, m := range r.members {
		if slices.Contains(serverKeys, m.key) || slices.Contains(foreignKeys, m.key) || r.note(m) {
			continue
		}
		ignored := " and is ignored"
		if r.body {
			ignored = ""
		}
		known := serverKeys
		if r.unknown++; r.unknown > maxProblems {
			// Nobody reads it, and the search for near words takes its time.
			r.doubt(m, m.keyAt, "is not a known key%s", ignored)
			continue
		}
		if near := closest(m.key, allForeign); near != "" && closest(m.key, known) == "" {
			known = []string{near}
		}
		r.doubt(m, m.keyAt, "is not a known key%s; %s", ignored, suggestion(m.key, known))
	}
}

// transport settles which one the server has; it stays empty where that is not clear,
// which is then reported.
func (r *serverReader) transport(s *Server) {
	named, from, ok := r.named()
	_, command := r.get("command")
	s.TransportWord = r.word
	if r.elsewhere && !command && !r.hasURL {
		s.Transport = Stdio
		return
	}
	if named == "" && r.ofZed() {
		s.Transport = Stdio
		r.faults = append(r.faults, "it is an extension of Zed, which only Zed can start; write \"command\" and what to start, or \"enabled\": false")
		return
	}
	t := r.settle(named, from)
	if ok {
		s.Transport, s.TransportNamed = t, named != "" && !r.leavesOpen(from)
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
		t, valid := r.spelt(n)
		switch {
		case !valid:
			ok = false
		case t == "": // elsewhere
			r.disagrees(n)
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
	// The one key that says both where and how.
	if r.hasURL && r.url.key == "httpUrl" {
		switch transport {
		case "":
			return StreamableHTTP, r.url, true
		case SSE:
			from.problem("says \"sse\", but \"httpUrl\" is for \"streamable-http\"; write \"url\" in its place")
			return "", node{}, false
		}
	}
	return transport, from, true
}

// leavesOpen reports VS Code's "http", which falls back to HTTP+SSE.
func (r *serverReader) leavesOpen(from node) bool {
	s, _ := from.text()
	return r.kind == vsCode && from.key == "type" && s == "http"
}

// ofZed reports an entry for one of Zed's extensions, which has settings only.
func (r *serverReader) ofZed() bool {
	if _, command := r.get("command"); command || r.hasURL || r.kind != zed {
		return false
	}
	n, ok := r.get("source")
	return !ok || string(jsonOf(n)) != `"custom"`
}

// settle holds the transport named, if any, against command and url.
func (r *serverReader) settle(named string, from node) string {
	_, command := r.get("command")
	hasURL := r.hasURL
	switch {
	case command && hasURL:
		r.url.problemAt(r.url.keyAt, "stands beside \"command\"; keep \"command\" for a program to start (stdio) or \"url\" for a server that runs already")
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
	for _, m := range r.members[:min(len(r.members), maxProblems)] {
		near := closest(m.key, serverKeys)
		if (near == "command" || near == "url") && !slices.Contains(serverKeys, m.key) {
			say += fmt.Sprintf("; did you mean %q by %s?", near, quote(m.key))
		}
	}
	return say
}

// spellings are the words for transports.
var spellings = []string{Stdio, SSE, StreamableHTTP, "http", "streamable_http", "streamableHttp"}

// spelt reads a transport's name in any of its spellings. A word that is near none of them
// is no slip but what another program has, such as Claude Code's "ws" and "sdk": the name
// is empty then, and this server alone cannot start.
func (r *serverReader) spelt(n node) (transport string, ok bool) {
	s, ok := n.text()
	if !ok {
		return "", false
	}
	near := closest(s, spellings)
	switch {
	case s == Stdio || s == SSE:
		return s, true
	case slices.Contains(spellings, s):
		return StreamableHTTP, true
	case near != "":
		n.problem("must be \"stdio\", \"sse\" or \"streamable-http\"; did you mean %q?", near)
		return "", false
	case s == "":
		n.problem("must be \"stdio\", \"sse\" or \"streamable-http\"")
		return "", false
	}
	r.elsewhere, r.word = true, quote(s)
	r.word = r.word[1 : len(r.word)-1] // it is shown without quotes, and holds nothing but letters
	if s == "sdk" {
		r.cannot(n, "\"sdk\" is a server inside the program that this was written for; nothing else can reach it")
	} else {
		r.cannot(n, quote(s)+" is no transport that the gateway has; it has \"stdio\", \"sse\" and \"streamable-http\"")
	}
	return "", true
}

// disagrees reports a word for a transport beside another one: what is said of one of them
// does not help where the other was meant. Two spellings of ours are compared by named.
func (r *serverReader) disagrees(n node) {
	for _, key := range []string{"transport", "type"} {
		other, has := r.get(key)
		if !has || key == n.key {
			continue
		}
		word, _ := n.text()
		l, _ := other.value.(hujson.Literal)
		if l.Kind() != '"' || l.String() == word {
			continue
		}
		if key == "type" && !slices.Contains(spellings, l.String()) {
			continue // it is told there
		}
		r.cannot(n, fmt.Sprintf("says %s, but %q says %s; keep one of the two", quote(word), key, quote(l.String())))
	}
}

// cannot reports what may be right, but not for us: this server does not start, and the
// file is none the worse. Whoever sends a request can mend it at once.
func (r *serverReader) cannot(n node, message string) {
	if r.body {
		n.problem("%s", message)
		return
	}
	r.faults = append(r.faults, n.steps(r.node)+" "+message)
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
		keys = []string{"args", "env", "envFile", "inheritEnv", "cwd"}
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
	if n, ok := r.get("disabled"); ok {
		if b, ok := n.boolean(); ok {
			if _, both := r.get("enabled"); both && b == s.Enabled {
				n.problem("says the opposite of \"enabled\"; keep one of the two")
			}
			s.Enabled = !b
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
	if n, ok := r.get("sessions"); ok {
		if v, ok := n.choice(SessionsShared, SessionsPerClient); ok {
			s.Sessions = v
		}
	}
	if n, ok := r.get("roots"); ok {
		s.Roots = r.roots(n)
		if s.Sessions == SessionsPerClient && !n.blank() {
			r.doubt(n, n.keyAt, "counts only where the server lists for all clients; on a client's own connection, which \"sessions\": \"per-client\" gives it, that client's roots count; for these everywhere write \"sessions\": \"shared\"")
		}
	}
	if n, ok := r.get("instructions"); ok {
		if b, ok := n.boolean(); ok {
			s.Instructions = b
		}
	}
}
