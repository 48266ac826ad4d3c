package catalog

import (
	"strings"
	"sync"

	"github.com/yosida95/uritemplate/v3"
)

// maxVariables keeps a template from making an expression that is too large.
const maxVariables = 100

// A matcher tells which URIs come of a template (RFC 6570).
type matcher struct {
	prefix   string // what every one of them begins with
	literals int    // characters that the template fixes

	once  sync.Once
	text  string
	match func(string) bool // nil where the template is none
}

func newMatcher(template string) *matcher {
	m := &matcher{text: template}
	m.prefix, _, _ = strings.Cut(template, "{")
	depth := false
	for _, c := range template {
		switch {
		case c == '{':
			depth = true
		case c == '}':
			depth = false
		case !depth:
			m.literals++
		}
	}
	return m
}

// matches tells whether the URI may come of the template.
func (m *matcher) matches(uri string) bool {
	if !strings.HasPrefix(uri, m.prefix) {
		return false
	}
	m.once.Do(func() {
		if strings.Count(m.text, "{")+strings.Count(m.text, ",") > maxVariables {
			return
		}
		if t, err := uritemplate.New(m.text); err == nil {
			m.match = t.Regexp().MatchString
		}
	})
	return m.match != nil && m.match(uri)
}
