package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// A node is one value of the document and where it stands.
type node struct {
	doc    *document
	value  hujson.ValueTrimmed
	at     int // offset of the value
	keyAt  int // offset of its key; of the value where it has none
	key    string
	index  int // in an array, else -1
	parent *node
}

// path names the node in the user's words. It is built only when it is needed: keys
// can be long and a document can have many values.
func (n node) path() string { return n.steps(node{}) }

// steps is the path from base on; from the root if base is empty.
func (n node) steps(base node) string {
	var steps []string
	for p := &n; p.parent != nil && (base.doc == nil || p.at != base.at); p = p.parent {
		if p.index >= 0 {
			steps = append(steps, fmt.Sprintf("[%d]", p.index))
		} else {
			steps = append(steps, step(p.key))
		}
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		if b.Len() > 0 && steps[i][0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(steps[i])
	}
	return b.String()
}

func step(key string) string {
	plain := key != ""
	for _, c := range []byte(key) {
		if !isWord(c) && c != '-' {
			plain = false
		}
	}
	if plain {
		return shorten(key)
	}
	return "[" + strconv.Quote(shorten(key)) + "]"
}

// shorten keeps a message readable, and its size within bounds.
func shorten(s string) string {
	const most = 64
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

func (n node) problem(format string, args ...any) { n.problemAt(n.at, format, args...) }

func (n node) problemAt(at int, format string, args ...any) {
	n.doc.problem(at, n.path(), fmt.Sprintf(format, args...))
}

func (n node) warnAt(at int, format string, args ...any) {
	n.doc.warnings = append(n.doc.warnings, finding{at, n.path(), fmt.Sprintf(format, args...)})
}

// text is the value as a string; anything else is a problem.
func (n node) text() (string, bool) {
	if l, ok := n.value.(hujson.Literal); ok && l.Kind() == '"' {
		return l.String(), true
	}
	n.problem("must be text in \"quotes\"")
	return "", false
}

func (n node) boolean() (value, ok bool) {
	if l, ok := n.value.(hujson.Literal); ok && (l.Kind() == 't' || l.Kind() == 'f') {
		return l.Bool(), true
	}
	n.problem("must be true or false")
	return false, false
}

// number is the raw token of a number; anything else is no number, without complaint.
func (n node) number() (string, bool) {
	if l, ok := n.value.(hujson.Literal); ok && l.Kind() == '0' {
		return string(l), true
	}
	return "", false
}

// choice is one of a few words.
func (n node) choice(words ...string) (string, bool) {
	s, ok := n.text()
	if !ok {
		return "", false
	}
	for _, w := range words {
		if s == w {
			return s, true
		}
	}
	n.problem("must be %s", either(words))
	return "", false
}

// list gives an array's elements; anything else is a problem.
func (n node) list() []node {
	a, ok := n.value.(*hujson.Array)
	if !ok {
		n.problem("must be a list: [\"…\", \"…\"]")
		return nil
	}
	return n.elements(a)
}

func (n node) elements(a *hujson.Array) []node {
	list := make([]node, len(a.Elements))
	for i, e := range a.Elements {
		list[i] = node{doc: n.doc, value: e.Value, at: e.StartOffset, keyAt: e.StartOffset, index: i, parent: &n}
	}
	return list
}

// An object is a node with members. Of two equal keys, which are reported when the
// document is parsed, the first counts.
type object struct {
	node
	members []node
	byKey   map[string]int
}

func (n node) object() (object, bool) {
	v, ok := n.value.(*hujson.Object)
	if !ok {
		n.problem("must be an object: {…}")
		return object{}, false
	}
	o := object{node: n, byKey: make(map[string]int, len(v.Members))}
	for _, m := range n.rawMembers(v) {
		if _, twice := o.byKey[m.key]; twice {
			continue
		}
		o.byKey[m.key] = len(o.members)
		o.members = append(o.members, m)
	}
	return o, true
}

func (n node) rawMembers(v *hujson.Object) []node {
	list := make([]node, len(v.Members))
	for i, m := range v.Members {
		list[i] = node{
			doc: n.doc, value: m.Value.Value, at: m.Value.StartOffset, keyAt: m.Name.StartOffset,
			key: m.Name.Value.(hujson.Literal).String(), index: -1, parent: &n,
		}
	}
	return list
}

func (o object) get(key string) (node, bool) {
	i, ok := o.byKey[key]
	if !ok {
		return node{}, false
	}
	return o.members[i], true
}

// A setting is one known key of a block and what reads it.
type setting struct {
	key  string
	read func(node)
}

// read gives each member to its setting; a key without one is a problem.
func (n node) read(settings ...setting) {
	o, ok := n.object()
	if !ok {
		return
	}
	known := make([]string, len(settings))
	for i, s := range settings {
		known[i] = s.key
	}
members:
	for _, m := range o.members {
		for _, s := range settings {
			if m.key == s.key {
				s.read(m)
				continue members
			}
		}
		m.problemAt(m.keyAt, "is not a known key; %s", suggestion(m.key, known))
	}
}

// check reports equal keys and lone surrogates in n and all that is in it. Depth was
// bounded before parsing.
func (n node) check() {
	switch v := n.value.(type) {
	case hujson.Literal:
		if loneSurrogate(v) {
			n.problem("holds half a surrogate pair (\\ud8… without \\udc…); write the character itself")
		}
	case *hujson.Array:
		for _, e := range n.elements(v) {
			e.check()
		}
	case *hujson.Object:
		seen := make(map[string]bool, len(v.Members))
		for i, m := range n.rawMembers(v) {
			if loneSurrogate(v.Members[i].Name.Value.(hujson.Literal)) {
				m.problemAt(m.keyAt, "this key holds half a surrogate pair; write the character itself")
			} else if seen[m.key] {
				m.problemAt(m.keyAt, "this key stands here twice; remove one")
			}
			seen[m.key] = true
			m.check()
		}
	}
}

// loneSurrogate reports a \ud800 … \udfff escape that is not one of a pair. Decoding
// would silently make it another character.
func loneSurrogate(literal []byte) bool {
	unit := func(i int) int64 {
		if i+6 > len(literal) || literal[i] != '\\' || literal[i+1] != 'u' {
			return 0
		}
		u, _ := strconv.ParseInt(string(literal[i+2:i+6]), 16, 32)
		return u
	}
	if len(literal) == 0 || literal[0] != '"' {
		return false
	}
	for i := 0; i < len(literal); i++ {
		if literal[i] != '\\' {
			continue
		}
		u := unit(i)
		switch {
		case u>>10 == 0xd800>>10 && unit(i+6)>>10 == 0xdc00>>10:
			i += 11
		case u>>11 == 0xd800>>11:
			return true
		default:
			i++ // past what is escaped; the rest of \uXXXX holds no backslash
		}
	}
	return false
}
