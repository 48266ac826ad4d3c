package config

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// An expansion is a text after its variables were put in.
type expansion struct {
	text    string
	used    []string // variables whose values are in text
	missing []string // variables that are not set and have no default
	foreign []string // ${…} as written that only another program can fill, left out of text
}

// unsure reports that something is missing from the text, so that nothing can be said
// of it.
func (e expansion) unsure() bool { return len(e.missing)+len(e.foreign) > 0 }

// A misuse is a ${ that is no variable, and its offset in the text.
type misuse struct {
	at      int
	message string
}

// expand puts variables in: ${NAME}, ${NAME:-default} (the default where NAME is not
// set or empty), the same as ${env:NAME}, and $$ for a single $. A predefined name
// goes before a variable of that name, which is still had by env:. Any other $ stays
// as it is, since no shell reads the text: $HOME and $(id) are those characters. A
// value is never expanded again, nor is a default.
func expand(s string, env Env, predefined func(string) (string, bool)) (expansion, *misuse) {
	var e expansion
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$$"):
			b.WriteByte('$')
			i += 2
		case strings.HasPrefix(s[i:], "${"):
			v, n, message := variable(s[i:])
			switch {
			case message != "":
				return expansion{}, &misuse{i, message}
			case v.foreign:
				e.foreign = appendNew(e.foreign, s[i:i+n])
			default:
				e.put(&b, v, env, predefined)
			}
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	e.text = b.String()
	return e, nil
}

func (e *expansion) put(b *strings.Builder, v placeholder, env Env, predefined func(string) (string, bool)) {
	value, set := "", false
	if predefined != nil && !v.env {
		value, set = predefined(v.name)
	}
	if !set && env != nil {
		value, set = env(v.name)
	}
	switch {
	case v.fallback != nil && value == "":
		b.WriteString(*v.fallback)
	case !set:
		e.missing = appendNew(e.missing, v.name)
	default:
		b.WriteString(value)
		e.used = appendNew(e.used, v.name)
	}
}

// predefined are the names that editors know, as far as they mean something without
// one. The folder of a project is the one its config lies in, or above it where the
// config lies in the editor's own folder.
func (r *reader) predefined(name string) (string, bool) {
	workspace := r.folder
	if base := filepath.Base(workspace); base == ".vscode" || base == ".cursor" {
		workspace = filepath.Dir(workspace)
	}
	switch name {
	case "userHome":
		home := "HOME"
		if runtime.GOOS == "windows" {
			home = "USERPROFILE"
		}
		if r.env == nil {
			return "", false
		}
		return r.env(home)
	case "workspaceFolder":
		return workspace, workspace != ""
	case "workspaceFolderBasename":
		return filepath.Base(workspace), workspace != ""
	case "pathSeparator", "/":
		return string(filepath.Separator), true
	}
	return "", false
}

// A placeholder is one ${…}.
type placeholder struct {
	name     string
	env      bool    // written as ${env:…}
	fallback *string // nil where none is written
	foreign  bool    // ${prefix:…}, for another program to fill
}

// variable reads the ${…} at the start of s and gives its length.
func variable(s string) (v placeholder, n int, message string) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return v, 0, "${ is not closed; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves"
	}
	inside := s[len("${"):end]
	n = end + 1
	if foreign(inside) {
		return placeholder{foreign: true}, n, ""
	}
	inside, v.env = strings.CutPrefix(inside, "env:")
	name, rest, has := strings.Cut(inside, ":-")
	if v.name = name; has {
		v.fallback = &rest
	}
	plain := name
	switch {
	case v.env: // ProgramFiles(x86)
		plain = strings.NewReplacer("(", "", ")", "").Replace(name)
	case name == "/":
		plain = "pathSeparator"
	}
	if !validVariable(plain) {
		return v, 0, "between ${ and } stands a name of letters, digits and _, such as ${API_TOKEN} or ${API_TOKEN:-default}; write $${ for the characters themselves"
	}
	if strings.Contains(rest, "${") {
		return v, 0, fmt.Sprintf("the default of ${%s:-…} cannot hold another ${…}", shorten(name))
	}
	return v, n, ""
}

// foreign reports prefix:anything as editors have it: ${input:key}, ${command:pick},
// ${config:a.b}. A shell's ${A:?…}, ${A:=…} and ${A:+…} are mistakes instead.
func foreign(inside string) bool {
	prefix, rest, ok := strings.Cut(inside, ":")
	return ok && prefix != "env" && validVariable(prefix) && (rest == "" || !strings.ContainsRune("-?=+", rune(rest[0]))) &&
		!strings.ContainsFunc(rest, unicode.IsControl) && !strings.Contains(rest, "${")
}

// notOurs says what to write for a ${prefix:…}.
func notOurs(written string) string {
	prefix, name, _ := strings.Cut(strings.Trim(written, "${}"), ":")
	instead := suggestVariable(name)
	if prefix == "input" {
		return fmt.Sprintf("%s is a value that an editor asks for, which the gateway cannot; write ${%s} in its place and set that variable", shorten(written), instead)
	}
	return fmt.Sprintf("%s means nothing here; write its value in its place, or ${%s} and set that variable", shorten(written), instead)
}

// suggestVariable makes a variable's usual name of what an editor calls a value.
func suggestVariable(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToUpper(name)) {
		switch {
		case isWord(c):
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		if b.Len() == maxName {
			break
		}
	}
	if s := strings.TrimRight(b.String(), "_"); validVariable(s) {
		return s
	}
	return "MY_VALUE"
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
