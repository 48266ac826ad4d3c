package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a file of variables: more than a system takes for one child.
const (
	maxEnvFile = 1 << 20
	maxEnvVars = 4096
)

// An envFile is what one held, or what is wrong with it.
type envFile struct {
	vars    []Var
	message string
}

// envFile reads the variables of a file. What is wrong with it is this server's fault
// and no problem of the config, which did not change.
func (r *serverReader) envFile(n node) []Var {
	e, ok := r.expanded(n)
	if !ok || !r.notEmpty(n, e, "the path of a file of variables, such as .env") || e.unsure() {
		return nil
	}
	path := r.located(n, e, true)
	f, ok := r.envFiles[path]
	if !ok {
		f = parseEnvFile(r.open(path))
		if r.envFiles == nil {
			r.envFiles = make(map[string]envFile)
		}
		r.envFiles[path] = f
	}
	if f.message != "" {
		// Where a variable's value is in the path it is told as it is written.
		for _, name := range e.used {
			if !slices.Contains([]string{"workspaceFolder", "workspaceFolderBasename", "pathSeparator", "/"}, name) {
				path, _ = n.text()
			}
		}
		if strings.ContainsFunc(path, unicode.IsControl) {
			path = strconv.Quote(path) // a problem is one line
		}
		r.faults = append(r.faults, fmt.Sprintf("envFile %s %s", path, f.message))
	}
	return f.vars
}

// under adds the variables of base that are not in list, before them. On Windows, where
// case does not count, a child's environment is put together so that the later wins.
func under(list, base []Var) []Var {
	has := make(map[string]bool, len(list))
	for _, v := range list {
		has[v.Name] = true
	}
	all := slices.DeleteFunc(slices.Clone(base), func(v Var) bool { return has[v.Name] })
	return append(all, list...)
}

// readEnvFile never waits: what is no plain file (a pipe, a device) is not opened.
func readEnvFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxEnvFile+1))
}

var errNoFile = errors.New("is no plain file")

// parseEnvFile reads lines of KEY=VALUE as dotenv has them: an export before them, #
// comments, 'single' quotes that mean each character, "double" ones with \n, \r, \t,
// \" and \\, both over several lines. Nothing is expanded. The last of two equal keys
// counts. A message names the line and never shows it.
func parseEnvFile(data []byte, err error) envFile {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return envFile{message: "does not exist"}
	case errors.Is(err, fs.ErrPermission):
		return envFile{message: "may not be read by the gateway's user"}
	case errors.Is(err, errNoFile):
		return envFile{message: errNoFile.Error()}
	case err != nil:
		return envFile{message: "cannot be read"}
	case len(data) > maxEnvFile:
		return envFile{message: fmt.Sprintf("is larger than %d MiB; it is no file of variables", maxEnvFile>>20)}
	case !utf8.Valid(data):
		return envFile{message: "is not UTF-8"}
	}
	p := envParser{rest: strings.TrimPrefix(string(data), "\uFEFF"), line: 1, place: make(map[string]int)}
	for p.rest != "" {
		if message := p.next(); message != "" {
			return envFile{message: message}
		}
		if len(p.vars) > maxEnvVars {
			return envFile{message: fmt.Sprintf("holds more than %d variables", maxEnvVars)}
		}
	}
	return envFile{vars: p.vars}
}

type envParser struct {
	rest  string
	line  int
	vars  []Var
	place map[string]int
}

// next reads one line, or the several that a quoted value has.
func (p *envParser) next() (message string) {
	start := p.line
	wrong := func(say string) string { return fmt.Sprintf("line %d %s", start, say) }
	text, _, _ := strings.Cut(p.rest, "\n")
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed[0] == '#' {
		p.endLine(len(text))
		return ""
	}
	before, value, ok := strings.Cut(text, "=")
	key := strings.TrimSpace(before)
	if name, ok := strings.CutPrefix(key, "export"); ok && name != strings.TrimLeft(name, " \t") {
		key = strings.TrimLeft(name, " \t")
	}
	if !ok || !validEnvName(key) || strings.ContainsAny(key, " \t\"'#") {
		return wrong("is not KEY=VALUE; a comment begins with #")
	}
	value = strings.TrimLeft(value, " \t")
	if value != "" && strings.ContainsRune("\"'`", rune(value[0])) {
		// Back to the whole rest: the quote may close lines further down.
		from := len(text) - len(value)
		v, n, say := unquote(p.rest[from:])
		if say != "" {
			return wrong(say)
		}
		value = v
		p.line += strings.Count(p.rest[from:from+n], "\n")
		p.rest = p.rest[from+n:]
		tail, _, _ := strings.Cut(p.rest, "\n")
		if t := strings.TrimSpace(tail); t != "" && t[0] != '#' {
			return wrong("goes on after its closing quote; only a comment may stand there")
		}
		p.endLine(len(tail))
	} else {
		value = uncomment(value)
		p.endLine(len(text))
	}
	if strings.Contains(value, "\x00") {
		return wrong("holds a NUL character")
	}
	p.set(key, value)
	return ""
}

// endLine goes on to the next line, past the n bytes that are left of this one.
func (p *envParser) endLine(n int) {
	p.rest = strings.TrimPrefix(p.rest[n:], "\n")
	p.line++
}

func (p *envParser) set(key, value string) {
	if i, ok := p.place[key]; ok {
		p.vars[i].Value = Secret(value)
		return
	}
	p.place[key] = len(p.vars)
	p.vars = append(p.vars, Var{key, Secret(value)})
}

// uncomment ends a bare value at a # that stands after a space.
func uncomment(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimSpace(value)
}

// unquote reads the quoted value at the start of s and gives its length.
func unquote(s string) (value string, n int, message string) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), i + 1, ""
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\':
				b.WriteByte(s[i])
			default: // C:\dir
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, "begins a quote that is never closed"
}
