package gatetest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A refusal is how a stateless server turns a request down.
type refusal struct {
	status int
	object string
}

var logLevels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// judgeMeta holds a request to the required _meta fields (2026-07-28, basic, Per-request
// protocol fields).
func (v *conversation) judgeMeta(m *message) *refusal {
	meta, _ := fields(field(m.params, "_meta"))
	version, ok := text(meta[metaVersion])
	if m.method == "initialize" && meta[metaVersion] == nil {
		// 2026-07-28, versioning: the error should name the versions; it may be all that
		// a stateful client's user ever sees. Being asked is no fault: callers probe.
		return &refusal{404, `{"code":` + codeMethod + `,"message":"initialize is not part of the supported protocol version ` + Stateless +
			`","data":{"supported":["` + Stateless + `"]}}`}
	}
	_, caps := fields(meta[metaCapabilities])
	if !ok || !caps {
		v.s.fault("%s lacks required fields of _meta: %.300s", m.method, m.params)
		return &refusal{400, errorObject(codeParams, "_meta lacks "+metaVersion+" or "+metaCapabilities)}
	}
	if version != Stateless {
		return unsupported(version)
	}
	if why := optionalMeta(meta); why != "" {
		v.s.fault("%s: %s", m.method, why)
		return &refusal{400, errorObject(codeParams, why)}
	}
	return nil
}

func optionalMeta(meta map[string]json.RawMessage) string {
	if info := meta[metaClientInfo]; info != nil {
		_, name := text(field(info, "name"))
		_, version := text(field(info, "version"))
		if !name || !version {
			return "clientInfo needs a name and a version"
		}
	}
	if level := meta[metaLogLevel]; level != nil {
		if l, _ := text(level); !slices.Contains(logLevels, l) {
			return "logLevel is no level"
		}
	}
	if token := meta["progressToken"]; token != nil && !isID(token) {
		return "progressToken must be a string or an integer"
	}
	return ""
}

func unsupported(version string) *refusal {
	return &refusal{400, `{"code":` + codeVersion + `,"message":"Unsupported protocol version","data":{"supported":["` +
		Stateless + `"],"requested":` + quote(version) + `}}`}
}

// judgeHeaders compares the headers with the body (2026-07-28, streamable-http, Request
// Metadata and Server Validation).
func (v *conversation) judgeHeaders(h http.Header, m *message) *refusal {
	version, err := oneHeader(h, "MCP-Protocol-Version")
	if err != nil {
		return v.mismatch(m, "%v; the supported protocol version is %s", err, Stateless)
	}
	said := field(m.params, "_meta", metaVersion)
	if said != nil {
		if body, ok := text(said); ok && body != version {
			return v.mismatch(m, "MCP-Protocol-Version %q, body %q", version, body)
		}
	}
	if version != Stateless {
		return unsupported(version)
	}
	method, err := oneHeader(h, "Mcp-Method")
	if err != nil {
		return v.mismatch(m, "%v", err)
	}
	if method != m.method {
		return v.mismatch(m, "Mcp-Method %q, body %q", method, m.method)
	}
	if source := nameMember(m.method); source != "" {
		if err := judgeName(h, field(m.params, source)); err != nil {
			return v.mismatch(m, "%v", err)
		}
	}
	if m.method == "tools/call" {
		if err := v.judgeParams(h, m); err != nil {
			return v.mismatch(m, "%v", err)
		}
	}
	return nil
}

func (v *conversation) mismatch(m *message, format string, args ...any) *refusal {
	why := "Header mismatch: " + fmt.Sprintf(format, args...)
	if m.method != "initialize" {
		v.s.fault("%s: %s", m.method, why)
	}
	return &refusal{400, errorObject(codeHeader, why)}
}

// nameMember is the member of params that Mcp-Name mirrors.
func nameMember(method string) string {
	switch method {
	case "tools/call", "prompts/get":
		return "name"
	case "resources/read":
		return "uri"
	case "tasks/get", "tasks/update", "tasks/cancel":
		return "taskId" // the tasks extension, Streamable HTTP
	}
	return ""
}

func judgeName(h http.Header, body json.RawMessage) error {
	header, err := oneHeader(h, "Mcp-Name")
	if err != nil {
		return err
	}
	name, err := decodeHeader(header)
	if err != nil {
		return fmt.Errorf("Mcp-Name: %w", err)
	}
	if want, ok := text(body); ok && want != name {
		return fmt.Errorf("Mcp-Name %q, body %q", name, want)
	}
	return nil
}

// judgeParams checks the Mcp-Param headers of the parameters that the tool annotates.
func (v *conversation) judgeParams(h http.Header, m *message) error {
	name, _ := text(field(m.params, "name"))
	def := v.s.tool(name)
	if def == nil {
		return nil
	}
	for _, p := range annotated(field(def, "inputSchema"), nil) {
		key := "Mcp-Param-" + p.header
		value := field(field(m.params, "arguments"), p.path...)
		if value == nil || string(value) == "null" {
			if len(h.Values(key)) > 0 {
				return fmt.Errorf("%s for a parameter without a value", key)
			}
			continue
		}
		header, err := oneHeader(h, key)
		if err != nil {
			return err
		}
		got, err := decodeHeader(header)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if want := headerText(value); got != want && !sameNumber(got, want) {
			return fmt.Errorf("%s %q, body %q", key, got, want)
		}
	}
	return nil
}

// sameNumber compares integers by value, as 2026-07-28, streamable-http, Server
// Validation recommends.
func sameNumber(a, b string) bool {
	x, e1 := strconv.ParseFloat(a, 64)
	y, e2 := strconv.ParseFloat(b, 64)
	return e1 == nil && e2 == nil && x == y
}

// An annotation is a parameter that a tool wants mirrored in a header.
type annotation struct {
	header string
	path   []string
}

// annotated finds the x-mcp-header annotations that are reachable by properties alone.
func annotated(schema json.RawMessage, path []string) []annotation {
	props, _ := fields(field(schema, "properties"))
	var all []annotation
	for key, sub := range props {
		at := append(slices.Clone(path), key)
		if header, ok := text(field(sub, "x-mcp-header")); ok {
			all = append(all, annotation{header, at})
		}
		all = append(all, annotated(sub, at)...)
	}
	return all
}

// headerText is a parameter's value as a header says it, before encoding.
func headerText(value json.RawMessage) string {
	if s, ok := text(value); ok {
		return s
	}
	return string(value)
}

func oneHeader(h http.Header, name string) (string, error) {
	all := h.Values(name)
	if len(all) != 1 {
		return "", fmt.Errorf("header %s is there %d times", name, len(all))
	}
	if !plain(all[0]) {
		return "", fmt.Errorf("header %s has invalid characters", name)
	}
	return all[0], nil
}

// plain says whether a header may carry s (2026-07-28, streamable-http, Value Encoding).
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\t' && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

const sentinelStart, sentinelEnd = "=?base64?", "?="

func sentinel(s string) bool {
	return strings.HasPrefix(s, sentinelStart) && strings.HasSuffix(s, sentinelEnd) && len(s) >= len(sentinelStart)+len(sentinelEnd)
}

func encodeHeader(s string) string {
	if plain(s) && strings.Trim(s, " \t") == s && !sentinel(s) {
		return s
	}
	return sentinelStart + base64.StdEncoding.EncodeToString([]byte(s)) + sentinelEnd
}

func decodeHeader(s string) (string, error) {
	if !sentinel(s) {
		return s, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s[len(sentinelStart) : len(s)-len(sentinelEnd)])
	if err != nil {
		return "", fmt.Errorf("invalid base64: %w", err)
	}
	if !utf8.Valid(b) {
		return "", errors.New("base64 of no UTF-8")
	}
	return string(b), nil
}
