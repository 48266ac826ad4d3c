package config

import (
	"fmt"
	"slices"
	"strings"
)

// An expansion is a text after its variables were put in.
type expansion struct {
	text    string
	used    []string // variables whose values are in text
	missing []string // variables that are not set and have no default
}

// A misuse is a ${ that is no variable, and its offset in the text.
type misuse struct {
	at      int
	message string
}

// expand puts variables in: ${NAME}, ${NAME:-default} (the default where NAME is not
// set or empty), and $$ for a single $. Any other $ stays as it is, since no shell
// reads the text: $HOME and $(id) are those characters. A value is never expanded
// again, nor is a default.
func expand(s string, lookup func(string) (string, bool)) (expansion, *misuse) {
	var e expansion
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$$"):
			b.WriteByte('$')
			i += 2
		case strings.HasPrefix(s[i:], "${"):
			name, fallback, n, message := variable(s[i:])
			if message != "" {
				return expansion{}, &misuse{i, message}
			}
			e.put(&b, name, fallback, lookup)
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	e.text = b.String()
	return e, nil
}

func (e *expansion) put(b *strings.Builder, name string, fallback *string, lookup func(string) (string, bool)) {
	value, set := lookup(name)
	switch {
	case fallback != nil && value == "":
		b.WriteString(*fallback)
	case !set:
		e.missing = appendNew(e.missing, name)
	default:
		b.WriteString(value)
		e.used = appendNew(e.used, name)
	}
}

// variable reads the ${…} at the start of s and gives its length; fallback is nil
// where none is written.
func variable(s string) (name string, fallback *string, n int, message string) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return "", nil, 0, "${ is not closed; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves"
	}
	name, rest, has := strings.Cut(s[len("${"):end], ":-")
	if has {
		fallback = &rest
	}
	if !validVariable(name) {
		return "", nil, 0, wrongVariable(name)
	}
	if strings.Contains(rest, "${") {
		return "", nil, 0, fmt.Sprintf("the default of ${%s:-…} cannot hold another ${…}", shorten(name))
	}
	return name, fallback, end + 1, ""
}

// validVariable reports whether s is a name as every system accepts it.
func validVariable(s string) bool {
	if s == "" || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}

func wrongVariable(name string) string {
	if rest, ok := strings.CutPrefix(name, "env:"); ok && validVariable(rest) {
		return fmt.Sprintf("write ${%s}, without \"env:\"", shorten(rest))
	}
	return "between ${ and } stands a name of letters, digits and _, such as ${API_TOKEN} or ${API_TOKEN:-default}; write $${ for the characters themselves"
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// notSet says which variables are missing, in a person's words.
func notSet(names []string) string {
	if len(names) == 1 {
		return "variable " + names[0] + " is not set"
	}
	return "variables " + joined(names, "and") + " are not set"
}
