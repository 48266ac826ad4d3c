package gatetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// A member is one member of an object: its decoded key and where its value lies.
type member struct {
	key      string
	from, to int
}

// walk calls f for each member of an object until f gives false, and says whether raw
// looks like an object. It skips over values without looking into them: whether raw is
// JSON at all is for parse to find out, once.
func walk(raw []byte, f func(member) bool) bool {
	i := space(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return false
	}
	i = space(raw, i+1)
	for i < len(raw) && raw[i] == '"' {
		end := skip(raw, i)
		key := raw[i:end]
		from := space(raw, end)
		if from >= len(raw) || raw[from] != ':' {
			return true
		}
		from = space(raw, from+1)
		to := skip(raw, from)
		name := string(bytes.Trim(key, `"`))
		if bytes.IndexByte(key, '\\') >= 0 {
			name, _ = text(key)
		}
		if !f(member{name, from, to}) {
			return true
		}
		if i = space(raw, to); i < len(raw) && raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return true
}

func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skip gives the end of the value that begins at i.
func skip(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipText(raw, i+1)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default:
			i += scalar(raw[i:])
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

func scalar(raw []byte) int {
	if n := bytes.IndexAny(raw, ",:]} \t\r\n"); n > 0 {
		return n
	}
	return len(raw)
}

// skipText gives the end of a string whose text begins at i.
func skipText(raw []byte, i int) int {
	for {
		n := bytes.IndexByte(raw[min(i, len(raw)):], '"')
		if n < 0 {
			return len(raw)
		}
		i += n + 1
		escapes := 0
		for j := i - 2; j >= 0 && raw[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

// fields reads an object into its members' raw values; false if raw is no object.
func fields(raw []byte) (map[string]json.RawMessage, bool) {
	all := map[string]json.RawMessage{}
	ok := walk(raw, func(m member) bool {
		all[m.key] = raw[m.from:m.to:m.to]
		return true
	})
	return all, ok
}

// field gives one member's raw value, nil where there is none.
func field(raw []byte, path ...string) json.RawMessage {
	for _, key := range path {
		var found json.RawMessage
		walk(raw, func(m member) bool {
			if m.key == key {
				found = raw[m.from:m.to:m.to]
			}
			return found == nil
		})
		raw = found
	}
	return raw
}

// text decodes a JSON string.
func text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// quote encodes a JSON string without escaping what needs no escape.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// with gives obj with one member set: its value replaced where it is there, else the
// member put at the end. All other bytes stay.
func with(obj []byte, key, value string) []byte {
	var at *member
	comma := ""
	walk(obj, func(m member) bool {
		if comma = ","; m.key == key {
			at = &m
		}
		return at == nil
	})
	if at != nil {
		return bytes.Join([][]byte{obj[:at.from], []byte(value), obj[at.to:]}, nil)
	}
	end := bytes.LastIndexByte(obj, '}')
	if end < 0 {
		panic("gatetest: no object: " + string(obj))
	}
	return bytes.Join([][]byte{obj[:end], []byte(comma + quote(key) + ":" + value), obj[end:]}, nil)
}

// missing is with for members that must not be replaced.
func missing(obj []byte, key, value string) []byte {
	if field(obj, key) != nil {
		return obj
	}
	return with(obj, key, value)
}

// oneLine makes a message fit on a line: line ends are possible only between tokens.
func oneLine(raw []byte) []byte {
	if !bytes.ContainsAny(raw, "\r\n") {
		return raw
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r"), []byte(" ")), []byte("\n"), []byte(" "))
}

// isID says whether a token may be an id or a progress token: a string or an integer
// (2026-07-28, basic, Requests; patterns, Progress).
func isID(raw []byte) bool {
	if _, ok := text(raw); ok {
		return true
	}
	return isInteger(raw)
}

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

func isInteger(raw []byte) bool {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0
}

// A message is one JSON-RPC message; the fields are parts of raw.
type message struct {
	raw    json.RawMessage
	id     json.RawMessage
	method string
	params json.RawMessage
	result json.RawMessage
	err    json.RawMessage
}

func (m *message) request() bool { return m.method != "" && m.id != nil }
func (m *message) note() bool    { return m.method != "" && m.id == nil }

// parse reads a message and holds it to the rules of JSON-RPC as MCP narrows them
// (2026-07-28, basic, Messages). The message is also given with an error, as far as read.
func parse(raw []byte) (*message, error) {
	m := &message{raw: raw}
	if !json.Valid(raw) || !utf8.Valid(raw) {
		return m, errNotJSON
	}
	f, ok := fields(raw)
	if !ok {
		return m, errNotObject
	}
	m.id, m.params, m.result, m.err = f["id"], f["params"], f["result"], f["error"]
	if v, _ := text(f["jsonrpc"]); v != "2.0" {
		return m, fmt.Errorf(`"jsonrpc" is %s`, f["jsonrpc"])
	}
	if f["method"] != nil {
		if m.method, ok = text(f["method"]); !ok || m.method == "" {
			return m, fmt.Errorf(`"method" is %s`, f["method"])
		}
	}
	return m, m.check()
}

func (m *message) check() error {
	object := isObject(m.params)
	answers := 0
	for _, v := range []json.RawMessage{m.result, m.err} {
		if v != nil {
			answers++
		}
	}
	switch {
	case m.id != nil && !isID(m.id) && (m.err == nil || string(m.id) != "null"):
		return fmt.Errorf(`"id" is %s`, m.id)
	case m.method != "" && answers > 0:
		return fmt.Errorf(`a request with "result" or "error"`)
	case m.method != "" && m.params != nil && !object:
		return fmt.Errorf(`"params" is no object`)
	case m.method == "" && answers != 1:
		return fmt.Errorf(`neither a request nor one answer`)
	case m.result != nil && m.id == nil:
		return fmt.Errorf(`a result without "id"`)
	}
	if m.result != nil && !isObject(m.result) {
		return fmt.Errorf(`"result" is no object`)
	}
	if m.err != nil {
		if _, ok := text(field(m.err, "message")); !ok || !isInteger(field(m.err, "code")) {
			return fmt.Errorf(`"error" lacks an integer code or a message: %s`, m.err)
		}
	}
	return nil
}

const (
	errNotJSON   = messageError("not JSON")
	errNotObject = messageError("not an object")
)

type messageError string

func (e messageError) Error() string { return string(e) }
