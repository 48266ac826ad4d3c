package stateless

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mcpgateway/internal/era"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// A mirror is a parameter of a tool that goes along as a header (2026-07-28, Streamable
// HTTP, Custom Headers from Tool Parameters).
type mirror struct {
	path   []string // of properties, from the arguments' root
	header string
}

const (
	annotation  = "x-mcp-header"
	paramPrefix = "Mcp-Param-"
)

// Keywords of JSON Schema 2020-12 by what they hold: one schema or an array of them, or a
// map of schemas. What stands under them is not statically reachable.
var (
	schemaKeywords = keywords("items", "prefixItems", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties",
		"propertyNames", "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "additionalItems")
	mapKeywords = keywords("patternProperties", "dependentSchemas", "$defs", "definitions")
)

func keywords(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[`"`+n+`"`] = true
	}
	return out
}

// readMirrors finds the annotations in an inputSchema. An error tells which rule one of
// them breaks; the tool is then not to be shown.
func readMirrors(schema []byte) ([]mirror, error) {
	w := mirrorWalk{known: map[string]bool{}}
	w.schema(schema, nil, true)
	return w.found, w.fault
}

type mirrorWalk struct {
	found []mirror
	known map[string]bool
	fault error
}

func (w *mirrorWalk) schema(s []byte, path []string, reachable bool) {
	for f := range rawjson.Members(s) {
		key := string(f.Key)
		switch {
		case key == `"`+annotation+`"`:
			w.annotation(s, f.Value, path, reachable)
		case key == `"properties"`:
			for p := range rawjson.Members(f.Value) {
				name, _ := rawjson.Text(p.Key)
				w.schema(p.Value, append(path[:len(path):len(path)], name), reachable)
			}
		case schemaKeywords[key]:
			w.schema(f.Value, nil, false)
			for e := range rawjson.Elements(f.Value) {
				w.schema(e, nil, false)
			}
		case mapKeywords[key]:
			for p := range rawjson.Members(f.Value) {
				w.schema(p.Value, nil, false)
			}
		}
	}
}

func (w *mirrorWalk) annotation(s, value []byte, path []string, reachable bool) {
	name, ok := rawjson.Text(value)
	kind, _ := rawjson.Text(rawjson.Get(s, "type"))
	switch {
	case w.fault != nil:
	case !reachable || len(path) == 0:
		w.fault = errors.New(annotation + " stands where no parameter is statically reachable")
	case !ok || !isToken(name):
		w.fault = fmt.Errorf("%s is %.80s, which is no header name", annotation, value)
	case kind != "string" && kind != "integer" && kind != "boolean":
		w.fault = fmt.Errorf("%s %q is on a parameter that is no string, integer or boolean", annotation, name)
	case w.known[strings.ToLower(name)]:
		w.fault = fmt.Errorf("%s %q is there twice", annotation, name)
	default:
		w.known[strings.ToLower(name)] = true
		w.found = append(w.found, mirror{path, paramPrefix + name})
	}
}

// isToken tells an HTTP field name (RFC 9110, section 5.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// mirrored gives the headers that go with these arguments.
func mirrored(mirrors []mirror, arguments []byte) []transport.Header {
	var out []transport.Header
	for _, m := range mirrors {
		v := arguments
		for _, name := range m.path {
			v = property(v, name)
		}
		if text, ok := headerText(v); ok {
			out = append(out, transport.Header{Name: m.header, Value: era.EncodeHeader(text)})
		}
	}
	return out
}

// property finds a member by its decoded name.
func property(object []byte, name string) []byte {
	for f := range rawjson.Members(object) {
		if key, ok := rawjson.Text(f.Key); ok && key == name {
			return f.Value
		}
	}
	return nil
}

// maxSafe is the largest integer that every JSON reader reads exactly.
const maxSafe = 1<<53 - 1

// headerText is a value as a header bears it; ok is false for what has no such form.
func headerText(v []byte) (text string, ok bool) {
	if len(v) == 0 {
		return "", false
	}
	switch v[0] {
	case '"':
		return rawjson.Text(v)
	case 't', 'f':
		return string(v), true
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil || f != float64(int64(f)) {
				return "", false
			}
			n = int64(f)
		}
		return strconv.FormatInt(n, 10), n <= maxSafe && n >= -maxSafe
	}
	return "", false
}
