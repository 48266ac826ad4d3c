package stateful

import (
	"encoding/json"
	"strings"
	"testing"

	"mcpgateway/internal/rawjson"
)

// TestSchemasThatAreNoObjectsAreWrapped, their references to themselves along with them.
func TestSchemasThatAreNoObjectsAreWrapped(t *testing.T) {
	wrapped := func(head, inner string) string {
		return `{` + head + `"type":"object","properties":{"result":` + inner + `},"required":["result"]}`
	}
	for schema, want := range map[string]string{
		`{"type":"array","items":{"type":"string"}}`: wrapped("", `{"type":"array","items":{"type":"string"}}`),
		`true`:                              wrapped("", `true`),
		`{}`:                                wrapped("", `{}`),
		`{"type":["object","null"]}`:        wrapped("", `{"type":["object","null"]}`),
		`{"anyOf":[{"type":"object"}]}`:     wrapped("", `{"anyOf":[{"type":"object"}]}`),
		`{"type":"number","maximum":1e400}`: wrapped("", `{"type":"number","maximum":1e400}`),

		// $schema names the dialect of the whole and stands at the root only.
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array"}`: wrapped(`"$schema":"https://json-schema.org/draft/2020-12/schema",`, `{"type":"array"}`),

		`{"type":"array","items":{"$ref":"#/$defs/a"},"$defs":{"a":{"type":"string"}}}`: wrapped("",
			`{"type":"array","items":{"$ref":"#/properties/result/$defs/a"},"$defs":{"a":{"type":"string"}}}`),
		`{"anyOf":[{"$ref":"#"},{"$ref":"#/anyOf/2"},true,{"$ref":"#anchor"},{"$ref":"other.json#/a"},{"$ref":"https://x/#"}]}`: wrapped("",
			`{"anyOf":[{"$ref":"#/properties/result"},{"$ref":"#/properties/result/anyOf/2"},true,{"$ref":"#anchor"},{"$ref":"other.json#/a"},{"$ref":"https://x/#"}]}`),
		`{"items":{"$dynamicRef":"#/$defs/x"}}`: wrapped("", `{"items":{"$dynamicRef":"#/properties/result/$defs/x"}}`),

		// What only looks like a reference is data, or the name of a property.
		`{"const":{"$ref":"#/a"},"enum":[{"$ref":"#"}],"default":{"$ref":"#"},"examples":[{"$ref":"#"}],"not":{"$ref":"#"}}`: wrapped("",
			`{"const":{"$ref":"#/a"},"enum":[{"$ref":"#"}],"default":{"$ref":"#"},"examples":[{"$ref":"#"}],"not":{"$ref":"#/properties/result"}}`),
		`{"items":{"properties":{"$ref":{"$ref":"#"},"default":{"$ref":"#"},"enum":{"items":{"$ref":"#/x"}},"properties":{"const":{"$ref":"#"}}}}}`: wrapped("",
			`{"items":{"properties":{"$ref":{"$ref":"#/properties/result"},"default":{"$ref":"#/properties/result"},"enum":{"items":{"$ref":"#/properties/result/x"}},"properties":{"const":{"$ref":"#"}}}}}`),
		`{"$defs":{"const":{"$ref":"#"}},"definitions":{"enum":{"$ref":"#"}}}`: wrapped("",
			`{"$defs":{"const":{"$ref":"#/properties/result"}},"definitions":{"enum":{"$ref":"#/properties/result"}}}`),

		// A schema with an $id is what its references are relative to.
		`{"$id":"https://x/y","type":"array","items":{"$ref":"#/$defs/a"}}`: wrapped("", `{"$id":"https://x/y","type":"array","items":{"$ref":"#/$defs/a"}}`),
		`{"items":{"$id":"z","$ref":"#/a"},"not":{"$ref":"#/b"}}`:           wrapped("", `{"items":{"$id":"z","$ref":"#/a"},"not":{"$ref":"#/properties/result/b"}}`),
		`{"items":{"properties":{"$id":{"$ref":"#"}}}}`:                     wrapped("", `{"items":{"properties":{"$id":{"$ref":"#/properties/result"}}}}`),
	} {
		list := `{"tools":[{"name":"a","x":1.0,"inputSchema":{"type":"object"},"outputSchema":` + schema + `,"z":2}],"y":1e400}`
		got := string(projectTools([]byte(list)))
		if exact := strings.Replace(list, schema, want, 1); got != exact {
			t.Errorf("%s\nbecomes %s\nwant    %s", schema, got, exact)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("no JSON: %s", got)
		}
	}
}

// TestBooleanPropertiesBecomeObjects that mean the same, in both schemas.
func TestBooleanPropertiesBecomeObjects(t *testing.T) {
	const list = `{"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"a":true,"b":false,"c":{"type":"string"}},"additionalProperties":false}},` +
		`{"name":"b","inputSchema":{"type":"object"},"outputSchema":{"properties":{"x":true},"type":"object"}}]}`
	const want = `{"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"a":{},"b":{"not":{}},"c":{"type":"string"}},"additionalProperties":false}},` +
		`{"name":"b","inputSchema":{"type":"object"},"outputSchema":{"properties":{"x":{}},"type":"object"}}]}`
	if got := string(projectTools([]byte(list))); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestWhatCanBeReadIsLeftAlone: the very same bytes.
func TestWhatCanBeReadIsLeftAlone(t *testing.T) {
	for _, list := range []string{
		`{"tools":[]}`, `{"tools":[ {"name":"a","inputSchema":{"type":"object","properties":{"a":{"$ref":"#/x"}}},"outputSchema":{"type":"object","properties":{"r":{"items":true}}}} ] , "x":1.0}`,
		`{"tools":[{"name":"a","inputSchema":{"type":"object"}}],"nextCursor":"x"}`,
	} {
		in := []byte(list)
		if out := projectTools(in); &out[0] != &in[0] || len(out) != len(in) {
			t.Errorf("%s was rewritten to %s", in, out)
		}
	}
	definition := []byte(`{"name":"a","outputSchema":{"type":"object"}}`)
	for _, result := range []string{`{"content":[]}`, `{"structuredContent":{"a":1.0},"content":[{"type":"image"}]}`, `{"isError":true,"content":[]}`} {
		for _, d := range [][]byte{definition, nil, []byte(`{"name":"a"}`)} {
			in := []byte(result)
			if out := projectResult(in, d); &out[0] != &in[0] || len(out) != len(in) {
				t.Errorf("%s was rewritten to %s", in, out)
			}
		}
	}
}

// TestStructuredContentIsWrapped as its schema was, with a text copy where there is no text.
func TestStructuredContentIsWrapped(t *testing.T) {
	const array, object = `{"name":"a","outputSchema":{"type":"array"}}`, `{"name":"a","outputSchema":{"type":"object"}}`
	for _, c := range []struct{ result, definition, want string }{
		{`{"structuredContent":[1.0,1e400],"content":[],"x":1}`, array, `{"structuredContent":{"result":[1.0,1e400]},"content":[{"type":"text","text":"[1.0,1e400]"}],"x":1}`},
		{`{"content":[{"type":"image"}],"structuredContent":"a\n\u0000"}`, array, `{"content":[{"type":"image"},{"type":"text","text":"\"a\\n\\u0000\""}],"structuredContent":{"result":"a\n\u0000"}}`},
		{`{"structuredContent":7}`, array, `{"structuredContent":{"result":7},"content":[{"type":"text","text":"7"}]}`},
		{`{"content":[{"type":"text","text":"own"}],"structuredContent":null}`, array, `{"content":[{"type":"text","text":"own"}],"structuredContent":{"result":null}}`},
		// The schema was wrapped, so that an object is too.
		{`{"content":[{"type":"text","text":"own"}],"structuredContent":{"a":1}}`, `{"outputSchema":true}`, `{"content":[{"type":"text","text":"own"}],"structuredContent":{"result":{"a":1}}}`},
		// A stateful client cannot read it whatever the schema says.
		{`{"content":[{"type":"text","text":"own"}],"structuredContent":[1]}`, object, `{"content":[{"type":"text","text":"own"}],"structuredContent":{"result":[1]}}`},
		{`{"content":[{"type":"text","text":"own"}],"structuredContent":false}`, ``, `{"content":[{"type":"text","text":"own"}],"structuredContent":{"result":false}}`},
	} {
		if got := string(projectResult([]byte(c.result), []byte(c.definition))); got != c.want {
			t.Errorf("%s\nbecomes %s\nwant    %s", c.result, got, c.want)
		}
	}
}

// TestDeepSchemasAreMoved as deep as the scan allows.
func TestDeepSchemasAreMoved(t *testing.T) {
	schema := strings.Repeat(`{"not":`, 250) + `{"$ref":"#"}` + strings.Repeat(`}`, 250)
	got := wrapSchema([]byte(schema))
	if rawjson.Check(got, rawjson.Limits{Depth: 300}) != nil || !strings.Contains(string(got), `{"$ref":"#/properties/result"}`) {
		t.Errorf("%.100s", got)
	}
}
