package court

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yosida95/uritemplate/v3"
)

// schemaFolder is where the official schemas lie, a folder per revision: where MCP_SCHEMA_DIR
// says, as seen from the project's root. Empty where they are not on this machine.
func schemaFolder() (string, error) {
	at, named := os.LookupEnv("MCP_SCHEMA_DIR")
	if at == "" {
		at, named = filepath.Join("..", "shared", "spec", "schema"), false
	}
	if !filepath.IsAbs(at) {
		at = filepath.Join(root(), at)
	}
	if _, err := os.Stat(filepath.Join(at, Revisions[0], "schema.json")); err != nil {
		if named {
			return "", fmt.Errorf("MCP_SCHEMA_DIR: %w", err)
		}
		return "", nil
	}
	return at, nil
}

// root is the project's folder, as seen from the folder of the package that is tested.
func root() string {
	at := "."
	for range 8 {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return at
		}
		at = filepath.Join(at, "..")
	}
	return "."
}

// An official is the schema of one revision. Which messages there are, and who may send them,
// stands in the schema itself: in its unions ClientRequest, ServerNotification and so on.
type official struct {
	revision string
	compiler *jsonschema.Compiler
	base     string // of its definitions
	defs     map[string]definition
	compiled map[string]*jsonschema.Schema
	may      map[Direction]map[string]string // by "kind method": the definition's name
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
	o.may = map[Direction]map[string]string{ToClient: {}, ToServer: {}}
	for _, side := range []struct {
		way         Direction
		asks, notes string
	}{{ToClient, "ServerRequest", "ServerNotification"}, {ToServer, "ClientRequest", "ClientNotification"}} {
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

func (o *official) readUnion(way Direction, kind, union string) {
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

// judge holds a message to the schema, and tells of which types it is: its own, and those of
// the questions and answers within it.
func (o *official) judge(f Fact) (types []string, err error) {
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
		name := o.may[f.Way][types[0]]
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
		params, _ := whole["params"].(map[string]any)
		answers, faults := o.answers(params)
		if len(faults) > 0 { // what is left is held to the rest
			params["inputResponses"] = map[string]any{}
		}
		return append(types, answers...), errors.Join(append(faults, o.against(name, value))...)
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

func (o *official) judgeResult(f Fact, whole map[string]any) (types []string, err error) {
	if err := o.against(o.has("JSONRPCResultResponse", "JSONRPCResponse"), whole); err != nil {
		return nil, err
	}
	request := o.may[f.Way.back()]["request "+f.Method]
	if request == "" {
		return nil, fmt.Errorf("%s has no such request to answer", o.revision)
	}
	result, _ := whole["result"].(map[string]any)
	name := o.has(strings.TrimSuffix(request, "Request")+"Result", "EmptyResult")
	if result["task"] != nil && f.Method == "tools/call" && f.Sent && o.has("CreateTaskResult") != "" {
		name = "CreateTaskResult" // which a server says; the gateway lets no client make a task
	}
	if result["resultType"] != "input_required" || o.has("InputRequiredResult") == "" {
		return nil, o.against(name, result)
	}
	types, faults := o.questions(result)
	if len(faults) > 0 { // what is left is held to the rest
		result["inputRequests"] = map[string]any{}
	}
	if response := o.has(strings.TrimSuffix(request, "Request") + "ResultResponse"); response != "" {
		faults = append(faults, o.against(response, whole))
	}
	return types, errors.Join(append(faults, o.against("InputRequiredResult", result))...)
}

// A part is a fault of a question or an answer within another message. Its places are those
// that it has as a message of its own, which it is in the stateful revisions.
type part struct {
	kind, method string
	error
}

// questions are the types of the questions that a result carries, and their faults.
func (o *official) questions(result map[string]any) (types []string, faults []error) {
	requests, _ := result["inputRequests"].(map[string]any)
	for _, one := range requests {
		q, _ := one.(map[string]any)
		method, _ := q["method"].(string)
		types = append(types, "input "+method)
		if err := o.against(o.inputs()[method], one); err != nil {
			faults = append(faults, part{"request", method, err})
		}
	}
	return types, faults
}

// answers are the types of the answers that a retry carries, and the faults of those that are of
// none. They do not say what they answer: their members do.
func (o *official) answers(params map[string]any) (types []string, faults []error) {
	given, _ := params["inputResponses"].(map[string]any)
	for _, one := range given {
		known, meant := false, []error(nil)
		for method, request := range o.inputs() {
			switch err := o.against(strings.TrimSuffix(request, "Request")+"Result", one); {
			case err == nil:
				known = true
				types = append(types, "answer "+method)
			case lacksNothing(err):
				meant = append(meant, part{"result", method, err})
			}
		}
		if !known {
			faults = append(faults, meant...)
		}
	}
	return types, faults
}

// lacksNothing tells that the faults of a value are within its members.
func lacksNothing(err error) bool {
	return !slices.ContainsFunc(places(Fact{}, err), func(p string) bool { return strings.HasSuffix(p, " /") })
}

// expected are the types that the revision has in a direction.
func (o *official) expected(way Direction) (all []string) {
	for name := range o.may[way] {
		all = append(all, name)
	}
	answers := false
	for name := range o.may[way.back()] {
		if method, ok := strings.CutPrefix(name, "request "); ok {
			answers = true
			all = append(all, "result "+method)
		}
	}
	if answers {
		all = append(all, "error")
	}
	within := "input "
	if way == ToServer {
		within = "answer "
	}
	for _, method := range slices.Sorted(maps.Keys(o.inputs())) {
		all = append(all, within+method)
	}
	slices.Sort(all)
	return all
}
