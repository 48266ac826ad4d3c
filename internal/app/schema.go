package app

import (
	"slices"
	"strings"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/rawjson"
)

// What a person must know of an inputSchema to type arguments: names and types. It is
// read, never enforced: whether values are right is for the server to say.

// A parameter is one property of an inputSchema.
type parameter struct {
	name     string
	types    []string // JSON Schema's names; none where anything goes
	element  string   // the type of a list's elements; empty where it is not one type
	required bool
}

// A signature is what a tool takes.
type signature struct {
	parameters []parameter // required ones first, else in the schema's order
	open       bool        // names that are not listed may be given as well
	more       bool        // the schema itself says that it takes some, or says elsewhere which
}

// maxRefs bounds how far references are followed; a schema may refer to itself.
const maxRefs = 16

// signatureOf reads a checked inputSchema.
func signatureOf(schema []byte) signature {
	var sig signature
	var required []string
	for v := range rawjson.Elements(rawjson.Get(schema, "required")) {
		if name, ok := rawjson.Text(v); ok {
			required = append(required, name)
		}
	}
	var optional []parameter
	for m := range rawjson.Members(rawjson.Get(schema, "properties")) {
		name, ok := rawjson.Text(m.Key)
		if !ok {
			continue
		}
		p := parameter{name: name, types: typesOf(schema, m.Value, maxRefs), required: slices.Contains(required, name)}
		if of := typesOf(schema, rawjson.Get(m.Value, "items"), maxRefs); len(of) == 1 {
			p.element = of[0]
		}
		if p.required {
			sig.parameters = append(sig.parameters, p)
		} else {
			optional = append(optional, p)
		}
	}
	sig.parameters = append(sig.parameters, optional...)
	// JSON Schema lets any other property in unless it says no, but where it lists some, one
	// that it does not list is most likely a slip.
	switch more := rawjson.Get(schema, "additionalProperties"); {
	case string(more) == "false":
	case more != nil, rawjson.Get(schema, "patternProperties") != nil:
		sig.open, sig.more = true, true
	default:
		sig.open = len(sig.parameters) == 0
		for _, elsewhere := range []string{"$ref", "allOf", "anyOf", "oneOf"} {
			sig.more = sig.more || sig.open && rawjson.Get(schema, elsewhere) != nil
		}
	}
	return sig
}

// typesOf gives the types that a schema allows, in its order; none where it does not say.
// root is where its local references begin.
func typesOf(root, schema []byte, refs int) []string {
	if refs == 0 || len(schema) == 0 || schema[0] != '{' {
		return nil
	}
	var types []string
	add := func(list ...string) {
		for _, t := range list {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	if t := rawjson.Get(schema, "type"); t != nil {
		if one, ok := rawjson.Text(t); ok {
			return []string{one}
		}
		for v := range rawjson.Elements(t) {
			if one, ok := rawjson.Text(v); ok {
				add(one)
			}
		}
		return types
	}
	if value := rawjson.Get(schema, "const"); value != nil {
		return []string{typeOf(value)}
	}
	for v := range rawjson.Elements(rawjson.Get(schema, "enum")) {
		add(typeOf(v))
	}
	if ref, ok := rawjson.Text(rawjson.Get(schema, "$ref")); ok {
		add(typesOf(root, resolve(root, ref), refs-1)...)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		for v := range rawjson.Elements(rawjson.Get(schema, key)) {
			add(typesOf(root, v, refs-1)...)
		}
	}
	for v := range rawjson.Elements(rawjson.Get(schema, "allOf")) {
		if types == nil {
			add(typesOf(root, v, refs-1)...)
		}
	}
	return types
}

// resolve follows a local reference, such as #/$defs/Colour (RFC 6901).
func resolve(root []byte, ref string) []byte {
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil
	}
	at := root
	for part := range strings.SplitSeq(path, "/") {
		at = rawjson.Get(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
	}
	return at
}

// typeOf is the type of a value.
func typeOf(v []byte) string {
	switch v[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// String is the short form, (a: number, b?: string[]). A tool without arguments has a schema
// that lists none, and few say that there are no others.
func (s signature) String() string {
	parts := make([]string, len(s.parameters), len(s.parameters)+1)
	for i, p := range s.parameters {
		mark := "?: "
		if p.required {
			mark = ": "
		}
		parts[i] = p.name + mark + p.kind()
	}
	if s.more {
		parts = append(parts, "…")
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// explained is the long form, for a message.
func (s signature) explained() string {
	if len(s.parameters) == 0 {
		if s.open {
			return "it lists none, and takes any"
		}
		return "it takes none"
	}
	parts := make([]string, len(s.parameters))
	for i, p := range s.parameters {
		need := "optional"
		if p.required {
			need = "required"
		}
		parts[i] = p.name + " (" + p.kind() + ", " + need + ")"
	}
	return "it takes " + strings.Join(parts, ", ")
}

// kind names the types for a person.
func (p parameter) kind() string {
	if len(p.types) == 0 {
		return "any"
	}
	names := slices.Clone(p.types)
	if i := slices.Index(names, "array"); i >= 0 && p.element != "" {
		names[i] = p.element + "[]"
	}
	return strings.Join(names, "|")
}

func (s signature) find(name string) (parameter, bool) {
	i := slices.IndexFunc(s.parameters, func(p parameter) bool { return p.name == name })
	if i < 0 {
		return parameter{}, false
	}
	return s.parameters[i], true
}

// near are parameters that a person may have meant. Any one letter is near any other, so a
// short name is near nothing.
func (s signature) near(name string) []string {
	if len(name) < 3 {
		return nil
	}
	names := make([]string, len(s.parameters))
	for i, p := range s.parameters {
		names[i] = p.name
	}
	return catalog.Near(name, names)
}
