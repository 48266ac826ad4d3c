package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

// foreignKeys are what other clients call things that we have. They are read as ours
// are, in files and in requests, and never suggested where one of ours is near.
var foreignKeys = []string{
	"serverUrl", "httpUrl", "disabled", "timeout", "tool_timeout_sec",
	"startupTimeout", "startup_timeout_sec", "startup_timeout_ms",
}

// withoutEffect are keys of other clients for things that we do not have, by what is
// to be said of them. Each kind is told once a file.
var withoutEffect = []struct {
	say  string
	keys []string
}{
	{"has no effect here: whether a call needs a person's consent is for each client to ask",
		[]string{"autoApprove", "alwaysAllow", "trust"}},
	{"has no effect here: all tools of the server are shown",
		[]string{"disabledTools", "enabledTools", "includeTools", "excludeTools", "tools"}},
	{"has no effect here: the server runs without a sandbox",
		[]string{"sandbox", "sandboxEnabled"}},
	{"has no effect here: the gateway does not log in to servers; write a token into \"headers\"",
		[]string{"oauth", "auth", "headersHelper"}},
	{"has no effect here",
		[]string{"description", "name", "title", "icon", "dev", "gallery", "version", "cors", "settings", "source",
			"remote", "registry", "alwaysLoad"}},
}

// allForeign is both, for what may be a slip of one.
var allForeign = func() []string {
	all := slices.Clone(foreignKeys)
	for _, kind := range withoutEffect {
		all = append(all, kind.keys...)
	}
	return all
}()

// A note is a key without effect: where it stands first, and in how many servers more.
type note struct {
	first node
	say   string
	more  int
}

// note remembers a key without effect; false if it is no such key. Empty ones and
// false are what programs write into every entry, and change nothing.
func (r *reader) note(m node) bool {
	for _, kind := range withoutEffect {
		if !slices.Contains(kind.keys, m.key) {
			continue
		}
		if m.blank() || bytes.Equal(jsonOf(m), []byte("false")) {
			return true
		}
		for _, n := range r.noted {
			if n.first.key == m.key {
				n.more++
				return true
			}
		}
		// Zed marks every entry of its own so.
		if m.key != "source" {
			r.noted = append(r.noted, &note{first: m, say: kind.say})
		}
		return true
	}
	return false
}

// tellNoted warns of the keys without effect. Whoever sends a request gets no warnings.
func (r *reader) tellNoted() {
	for _, n := range r.noted {
		say := n.say
		switch {
		case n.more == 1:
			say += " (and in 1 other server)"
		case n.more > 1:
			say += fmt.Sprintf(" (and in %d other servers)", n.more)
		}
		n.first.warnAt(n.first.keyAt, "%s", say)
	}
}

// jsonOf is a literal as it is written; nil for a list or object.
func jsonOf(n node) []byte {
	l, _ := n.value.(hujson.Literal)
	return l
}

// address finds the server's URL by whichever key it has.
func (r *serverReader) address() {
	for _, key := range []string{"url", "serverUrl", "httpUrl"} {
		n, ok := r.get(key)
		switch {
		case !ok:
		case !r.hasURL:
			r.url, r.hasURL = n, true
		case !bytes.Equal(jsonOf(n), jsonOf(r.url)) || jsonOf(n) == nil:
			n.problemAt(n.keyAt, "stands beside %q; keep one of the two", r.url.key)
		}
	}
}

// times reads the times of other clients. Beside ours, or one before it in the list,
// such a time does not count.
func (r *serverReader) times(s *Server) {
	for _, t := range []struct {
		to   *time.Duration
		own  string
		keys []string
		unit []func(float64) float64
	}{
		{&s.CallTimeout, "callTimeout", []string{"tool_timeout_sec", "timeout"}, []func(float64) float64{seconds, eitherUnit}},
		{&s.StartTimeout, "startTimeout", []string{"startup_timeout_ms", "startup_timeout_sec", "startupTimeout"},
			[]func(float64) float64{milliseconds, seconds, eitherUnit}},
	} {
		from := ""
		if _, ok := r.get(t.own); ok {
			from = t.own
		}
		for i, key := range t.keys {
			n, ok := r.get(key)
			switch {
			case !ok:
			case from != "":
				r.doubt(n, n.keyAt, "stands beside %q, which counts; remove it", from)
			default:
				from = key
				r.foreignTime(n, t.to, t.unit[i])
			}
		}
	}
}

// foreignTime reads a time of another client's into to, as far as it can be kept: some
// have 0 or less for no bound at all, which is no reason to refuse their file.
func (r *serverReader) foreignTime(n node, to *time.Duration, unit func(float64) float64) {
	v, ok := n.time(unit)
	switch {
	case !ok:
		r.doubt(n, n.at, "is no time; the default, %s, counts", plainTime(*to))
	case v <= 0:
		r.doubt(n, n.at, "is not more than 0, and there is no time without end; the default, %s, counts", plainTime(*to))
	case v > maxTime:
		r.doubt(n, n.at, "is more than 24h, the longest there is, which counts")
		*to = maxTime
	default:
		*to = v
	}
}

// plainTime is a whole number of minutes or seconds as a person writes it.
func plainTime(d time.Duration) string {
	if s, ok := strings.CutSuffix(d.String(), "m0s"); ok {
		return s + "m"
	}
	return d.String()
}

// prefix reads what stands before the names of the server's tools.
func (r *serverReader) prefix(s *Server) node {
	n, ok := r.get("prefix")
	if !ok {
		return node{}
	}
	p, ok := n.text()
	switch {
	case !ok:
	case p != "" && !validName(p):
		n.problem("must be \"\" for bare names, or made as a server's name is: letters, digits, _ and -, beginning with a letter or digit, at most 64")
	default:
		s.Prefix = &p
	}
	return n
}
