package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"mcpgateway/internal/rawjson"
)

// Arguments are those of a call as a person types them: Pairs, key=value each, or JSON, one
// object that goes to the server byte for byte.
type Arguments struct {
	Pairs []string
	JSON  string // @FILE reads a file, @- standard input
	Whole bool   // JSON was given
}

// given is Arguments with every file read.
type given struct {
	pairs []pair
	json  []byte // nil: the pairs hold
}

type pair struct{ key, value string }

// maxTyped bounds a file that is read for an argument.
const maxTyped = 16 << 20

// read checks what can be checked before it is known what the tool takes.
func (a Arguments) read(stdin io.Reader) (given, error) {
	if a.Whole {
		if len(a.Pairs) > 0 {
			return given{}, errors.New("give --args or key=value, not both")
		}
		text, err := typed(a.JSON, stdin)
		if err != nil {
			return given{}, fmt.Errorf("--args: %w", err)
		}
		raw := []byte(strings.TrimSpace(text))
		if err := rawjson.Check(raw, rawjson.Limits{LoneSurrogates: true}); err != nil {
			return given{}, fmt.Errorf("--args must be a JSON object such as {\"a\": 1}: %w", err)
		}
		if raw[0] != '{' {
			return given{}, fmt.Errorf("--args must be a JSON object such as {\"a\": 1}, not %s", article(typeOf(raw)))
		}
		return given{json: raw}, nil
	}
	var g given
	for _, arg := range a.Pairs {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return given{}, fmt.Errorf("%q is no argument; write key=value, or all of them as --args JSON", arg)
		}
		if slices.ContainsFunc(g.pairs, func(p pair) bool { return p.key == key }) {
			return given{}, fmt.Errorf("%q is given twice; a list is one value, %s='[1, 2]'", key, key)
		}
		text, err := typed(value, stdin)
		if err != nil {
			return given{}, fmt.Errorf("%s: %w", key, err)
		}
		g.pairs = append(g.pairs, pair{key, text})
	}
	return g, nil
}

// typed is what a value stands for: itself, the text of @FILE, of @- standard input; @@ is
// how a value begins with one @.
func typed(value string, stdin io.Reader) (string, error) {
	file, isFile := strings.CutPrefix(value, "@")
	if !isFile || strings.HasPrefix(file, "@") {
		return file, nil
	}
	r := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("%w; a value that begins with @ names a file, and @@ stands for one @", err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxTyped+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", file, err)
	case len(data) > maxTyped:
		return "", fmt.Errorf("%s is larger than %d MiB", file, maxTyped>>20)
	case !utf8.Valid(data):
		return "", fmt.Errorf("%s is no UTF-8 text", file)
	}
	return string(data), nil
}

// object makes the arguments of a tool: each value gets the type that its parameter has.
func (g given) object(tool string, sig signature) ([]byte, error) {
	if g.json != nil {
		return g.json, nil
	}
	out := []byte{'{'}
	for i, p := range g.pairs {
		param, known := sig.find(p.key)
		if !known && !sig.open {
			return nil, unknownParameter(tool, p.key, sig)
		}
		value, err := valueOf(p, param.types)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tool, err)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(rawjson.AppendText(out, p.key), ':'), value...)
	}
	for _, p := range sig.parameters {
		if p.required && !slices.ContainsFunc(g.pairs, func(q pair) bool { return q.key == p.name }) {
			return nil, fmt.Errorf("%s needs %q; %s", tool, p.name, printable(sig.explained()))
		}
	}
	return append(out, '}'), nil
}

func unknownParameter(tool, key string, sig signature) error {
	meant := ""
	if near := sig.near(key); near != nil {
		meant = "; did you mean " + printable(strings.Join(near, " or ")) + "?"
	}
	return fmt.Errorf("%s has no parameter %q%s; %s", tool, key, meant, printable(sig.explained()))
}

// valueOf types a value: as the first of its parameter's types that it fits, a string last.
// Where anything goes, JSON is itself and everything else a string.
func valueOf(p pair, types []string) ([]byte, error) {
	asText := len(types) == 0 || slices.Contains(types, "string")
	raw := []byte(strings.TrimSpace(p.value))
	isJSON := len(raw) > 0 && rawjson.Check(raw, rawjson.Limits{}) == nil
	if isJSON && len(types) == 0 {
		return raw, nil
	}
	for _, t := range types {
		if t != "string" && isJSON && fits(raw, t) {
			return raw, nil
		}
	}
	if asText {
		if !utf8.ValidString(p.value) {
			return nil, fmt.Errorf("%q is no UTF-8 text", p.key)
		}
		return rawjson.AppendText(nil, p.value), nil
	}
	return nil, fmt.Errorf("%q must be %s, not %.60q", p.key, wanted(p.key, types), p.value)
}

// fits tells whether a JSON value is of a type. Numbers go as they are typed, however long.
func fits(raw []byte, t string) bool {
	is := typeOf(raw)
	if t == "integer" {
		return is == "number" && !strings.ContainsAny(string(raw), ".eE")
	}
	return is == t
}

// wanted says how to write a value of these types.
func wanted(key string, types []string) string {
	said := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "boolean":
			said[i] = "true or false"
		case "array":
			said[i] = "a list in JSON, such as " + key + `='["a", "b"]'`
		case "object":
			said[i] = "an object in JSON, such as " + key + `='{"a": 1}'`
		default:
			said[i] = article(t)
		}
	}
	return strings.Join(said, ", or ")
}

func article(t string) string {
	switch t {
	case "null":
		return t
	case "integer", "object", "array":
		return "an " + t
	}
	return "a " + t
}
