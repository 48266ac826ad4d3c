package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yosida95/uritemplate/v3"

	"mcpgateway/internal/gatetest"
)

// The revisions that have a schema, oldest first.
var revisions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

// A direction is the way of a message on one hop.
type direction string

const (
	toClient direction = "to client" // we are the server
	toServer direction = "to server" // we are the client
)

// schemaFolder is where the official schemas lie, a folder per revision: where MCP_SCHEMA_DIR
// says, as seen from the module's root. Empty where they are not on this machine.
func schemaFolder() (string, error) {
	at, named := os.LookupEnv("MCP_SCHEMA_DIR")
	if at == "" {
		at, named = filepath.Join("..", "shared", "spec", "schema"), false
	}
	if !filepath.IsAbs(at) {
		at = filepath.Join("..", "..", at)
	}
	if _, err := os.Stat(filepath.Join(at, revisions[0], "schema.json")); err != nil {
		if named {
			return "", fmt.Errorf("MCP_SCHEMA_DIR: %w", err)
		}
		return "", nil
	}
	return at, nil
}

// An official is the schema of one revision. Which messages there are, and who may send them,
// stands in the schema itself: in its unions ClientRequest, ServerNotification and so on.
type official struct {
	revision string
	compiler *jsonschema.Compiler
	base     string // of its definitions
	defs     map[string]definition
	compiled map[string]*jsonschema.Schema
	may      map[direction]map[string]string // by "kind method": the definition's name
	codes    map[string]string               // definitions of errors, by their code
}

// A definition is read as far as it says what it is for.
type definition struct {
	Ref        string       `json:"$ref"`
	AnyOf      []definition `json:"anyOf"`
	AllOf      []definition `json:"allOf"`
	Const      any          `json:"const"`
	Properties map[string]definition
}

func readOfficial(folder, revision string) (*official, error) {
	raw, err := os.ReadFile(filepath.Join(folder, revision, "schema.json"))
	if err != nil {
		return nil, err
	}
	var all struct {
		Old map[string]json.RawMessage `json:"definitions"`
		New map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	o := &official{revision: revision, compiler: jsonschema.NewCompiler(), base: revision + ".json#/definitions/", defs: map[string]definition{}, compiled: map[string]*jsonschema.Schema{}}
	if all.New != nil {
		o.base, all.Old = revision+".json#/$defs/", all.New
	}
	for name, raw := range all.Old {
		var d definition
		_ = json.Unmarshal(raw, &d) // what has another shape is not read
		o.defs[name] = d
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	o.compiler.AssertFormat()
	o.compiler.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: isTemplate}) // the compiler's own wants a URI
	if err := o.compiler.AddResource(revision+".json", doc); err != nil {
		return nil, err
	}
	o.readUnions()
	return o, nil
}

// isTemplate tells whether a text is a template of RFC 6570.
func isTemplate(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	_, err := uritemplate.New(s)
	return err
}

// readUnions finds out who may send what.
func (o *official) readUnions() {
	o.may = map[direction]map[string]string{toClient: {}, toServer: {}}
	for _, side := range []struct {
		way         direction
		asks, notes string
	}{{toClient, "ServerRequest", "ServerNotification"}, {toServer, "ClientRequest", "ClientNotification"}} {
		o.readUnion(side.way, "request", side.asks)
		o.readUnion(side.way, "notification", side.notes)
	}
	o.codes = map[string]string{}
	for name, d := range o.defs {
		code := d.Properties["code"].Const
		for _, part := range d.Properties["error"].AllOf {
			if c := part.Properties["code"].Const; c != nil {
				code = c
			}
		}
		if code != nil {
			o.codes[fmt.Sprintf("%.0f", code)] = name
		}
	}
}

func (o *official) readUnion(way direction, kind, union string) {
	d := o.defs[union]
	members := d.AnyOf
	if members == nil {
		members = []definition{d}
	}
	for _, m := range members {
		name := union // a union of one may be written out
		if m.Ref != "" {
			name = m.Ref[strings.LastIndex(m.Ref, "/")+1:]
		}
		if method, ok := o.defs[name].Properties["method"].Const.(string); ok {
			o.may[way][kind+" "+method] = name
		}
	}
}

// inputs are the questions that an input_required may carry, by method.
func (o *official) inputs() map[string]string {
	all := map[string]string{}
	for _, m := range o.defs["InputRequest"].AnyOf {
		name := m.Ref[strings.LastIndex(m.Ref, "/")+1:]
		all[o.defs[name].Properties["method"].Const.(string)] = name
	}
	return all
}

// against holds a value to a definition.
func (o *official) against(name string, value any) error {
	s := o.compiled[name]
	if s == nil {
		var err error
		if s, err = o.compiler.Compile(o.base + name); err != nil {
			return err
		}
		o.compiled[name] = s
	}
	return s.Validate(value)
}

// has gives the first of some definitions that the revision has.
func (o *official) has(names ...string) string {
	for _, name := range names {
		if _, ok := o.defs[name]; ok {
			return name
		}
	}
	return ""
}

// A fact is a message with what the schema needs to know of it.
type fact struct {
	gatetest.Seen
	way direction
}

// revisionOf is the revision that a message is of: before one was agreed to, the one that the
// message itself names.
func revisionOf(s gatetest.Seen) string {
	if s.Revision != "" {
		return s.Revision
	}
	for _, path := range [][]string{
		{"params", "_meta", "io.modelcontextprotocol/protocolVersion"}, {"params", "protocolVersion"}, {"result", "protocolVersion"},
	} {
		if v := gatetest.Member(s.Raw, path...); v != nil {
			return strings.Trim(string(v), `"`)
		}
	}
	return ""
}

// judge holds a message to the schema, and tells of which types it is: its own, and those of
// the questions and answers within it.
func (o *official) judge(f fact) (types []string, err error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(f.Raw))
	if err != nil {
		return nil, err
	}
	whole, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no object")
	}
	types = []string{f.Kind + " " + f.Method}
	switch f.Kind {
	case "request", "notification":
		name := o.may[f.way][types[0]]
		if name == "" {
			return types, fmt.Errorf("%s has no such message in this direction", o.revision)
		}
		envelope := "JSONRPCRequest"
		if f.Kind == "notification" {
			envelope = "JSONRPCNotification"
		}
		if err := o.against(envelope, value); err != nil {
			return types, err
		}
		types = append(types, o.answers(whole)...)
		return types, o.against(name, value)
	case "error":
		return []string{"error"}, o.judgeError(whole)
	case "result":
		more, err := o.judgeResult(f, whole)
		return append(types, more...), err
	}
	return nil, fmt.Errorf("no JSON-RPC message")
}

func (o *official) judgeError(whole map[string]any) error {
	if err := o.against(o.has("JSONRPCErrorResponse", "JSONRPCError"), whole); err != nil {
		return err
	}
	object, _ := whole["error"].(map[string]any)
	name := o.codes[fmt.Sprint(object["code"])]
	switch {
	case name == "":
		return nil
	case o.defs[name].Properties["error"].AllOf != nil:
		return o.against(name, whole)
	}
	return o.against(name, object)
}

func (o *official) judgeResult(f fact, whole map[string]any) (types []string, err error) {
	if err := o.against(o.has("JSONRPCResultResponse", "JSONRPCResponse"), whole); err != nil {
		return nil, err
	}
	asked := toServer
	if f.way == toServer {
		asked = toClient
	}
	request := o.may[asked]["request "+f.Method]
	if request == "" {
		return nil, fmt.Errorf("%s has no such request to answer", o.revision)
	}
	result, _ := whole["result"].(map[string]any)
	name := o.has(strings.TrimSuffix(request, "Request")+"Result", "EmptyResult")
	if result["resultType"] == "input_required" && o.has("InputRequiredResult") != "" {
		if response := o.has(strings.TrimSuffix(request, "Request") + "ResultResponse"); response != "" {
			if err := o.against(response, whole); err != nil {
				return nil, err
			}
		}
		name = "InputRequiredResult"
		requests, _ := result["inputRequests"].(map[string]any)
		for _, one := range requests {
			q, _ := one.(map[string]any)
			method, _ := q["method"].(string)
			types = append(types, "input "+method)
			if err := o.against(o.inputs()[method], one); err != nil {
				return types, err
			}
		}
	}
	return types, o.against(name, result)
}

// answers are the types of the answers that a retry carries.
func (o *official) answers(whole map[string]any) (types []string) {
	params, _ := whole["params"].(map[string]any)
	given, _ := params["inputResponses"].(map[string]any)
	for _, one := range given {
		for method, request := range o.inputs() {
			if name := strings.TrimSuffix(request, "Request") + "Result"; o.against(name, one) == nil {
				types = append(types, "answer "+method)
			}
		}
	}
	return types
}

// expected are the types that the revision has in a direction.
func (o *official) expected(way direction) (all []string) {
	for name := range o.may[way] {
		all = append(all, name)
	}
	back := toServer
	if way == toServer {
		back = toClient
	}
	answers := false
	for name := range o.may[back] {
		if method, ok := strings.CutPrefix(name, "request "); ok {
			answers = true
			all = append(all, "result "+method)
		}
	}
	if answers {
		all = append(all, "error")
	}
	within := "input "
	if way == toServer {
		within = "answer "
	}
	for _, method := range slices.Sorted(maps.Keys(o.inputs())) {
		all = append(all, within+method)
	}
	slices.Sort(all)
	return all
}

// plain holds a message to what every revision demands of an envelope. It is all that can be
// held without the official schemas.
func plain(f fact) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(f.Raw, &m); err != nil {
		return err
	}
	isID := len(m["id"]) > 0 && (m["id"][0] == '"' || m["id"][0] == '-' || m["id"][0] >= '0' && m["id"][0] <= '9')
	isObject := func(v json.RawMessage) bool { return len(v) > 0 && v[0] == '{' }
	wrong := string(m["jsonrpc"]) != `"2.0"`
	known := []string{"jsonrpc", "id", "method", "params"}
	switch f.Kind {
	case "request":
		wrong = wrong || !isID || m["params"] != nil && !isObject(m["params"])
	case "notification":
		wrong = wrong || m["id"] != nil || m["params"] != nil && !isObject(m["params"])
	case "result":
		known = []string{"jsonrpc", "id", "result"}
		wrong = wrong || !isID || !isObject(m["result"])
	case "error":
		known = []string{"jsonrpc", "id", "error"}
		var e struct {
			Code    *int64
			Message *string
		}
		wrong = wrong || json.Unmarshal(m["error"], &e) != nil || e.Code == nil || e.Message == nil
	default:
		wrong = true
	}
	for key := range m {
		if !slices.Contains(known, key) {
			return fmt.Errorf("a member %q beside those of a JSON-RPC %s", key, f.Kind)
		}
	}
	if wrong {
		return fmt.Errorf("no proper JSON-RPC %s", f.Kind)
	}
	return nil
}
