package court

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// A listener is a test that fails in public.
type listener struct {
	testing.TB
	errors []string
}

func (l *listener) Helper()           {}
func (l *listener) Error(args ...any) { l.errors = append(l.errors, fmt.Sprint(args...)) }

func said(raw string, sent bool, way Direction) Fact {
	f := Fact{Way: way}
	f.Raw, f.Sent, f.Revision, f.Binding = json.RawMessage(raw), sent, gatetest.Stateful, "stdio"
	if f.Classify(); f.Kind == "result" {
		f.Method = map[Direction]string{ToClient: "tools/call", ToServer: "elicitation/create"}[way]
	}
	return f
}

// TestInvalidMessagesOfTheGatewayFail: but for those that were invalid in the same place when a
// peer said them. Their faults are in the envelope, which is judged without any schema too.
func TestInvalidMessagesOfTheGatewayFail(t *testing.T) {
	const good, odd, other = `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`, `{"jsonrpc":"2.0","id":1,"result":{"content":[]},"odd":1}`, `{"jsonrpc":"2.0","id":1,"result":{"content":[]},"other":1}`
	for name, c := range map[string]struct {
		all                                       []Fact
		errors, ours, ourInvalid, theirs, invalid int
	}{
		"valid":            {[]Fact{said(good, true, ToClient), said(good, false, ToClient)}, 0, 1, 0, 1, 0},
		"authored":         {[]Fact{said(good, true, ToClient), said(odd, false, ToClient)}, 1, 1, 1, 1, 0},
		"relayed":          {[]Fact{said(odd, false, ToClient), said(odd, true, ToClient)}, 0, 1, 1, 1, 1},
		"another place":    {[]Fact{said(other, true, ToClient), said(odd, false, ToClient)}, 1, 1, 1, 1, 1},
		"another way":      {[]Fact{said(odd, true, ToServer), said(odd, false, ToClient)}, 1, 1, 1, 1, 1},
		"a peer's is only": {[]Fact{said(odd, true, ToClient)}, 0, 0, 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := &listener{TB: t}
			counted := Convene(t).Hold(l, c.all)
			if len(l.errors) != c.errors {
				t.Errorf("%d errors, want %d: %q", len(l.errors), c.errors, l.errors)
			}
			if want := (Count{Ours: c.ours, OursInvalid: c.ourInvalid, Theirs: c.theirs, TheirsInvalid: c.invalid, why: counted.Total.why}); counted.Total != want {
				t.Errorf("counted are %+v, want %+v", counted.Total, want)
			}
		})
	}
}

// small gives a court a schema that knows one tool call, one question and its answer.
func small(t *testing.T) *Court {
	t.Helper()
	const message, answer = `{"type":"object","required":["jsonrpc","id"]}`, `{"type":"object","required":["action"],"properties":{"action":{"type":"string"},"content":{"type":"object","additionalProperties":{"type":"integer"}}}}`
	request := func(method, params string) string {
		return `{"type":"object","required":["method","params"],"properties":{"method":{"const":"` + method + `"},"params":{"type":"object","properties":{` + params + `}}}}`
	}
	schema := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"JSONRPCRequest":` + message + `,"JSONRPCResultResponse":` + message + `,
		"ClientRequest":{"anyOf":[{"$ref":"#/$defs/CallToolRequest"}]},"ServerRequest":{"anyOf":[{"$ref":"#/$defs/ElicitRequest"}]},"InputRequest":{"anyOf":[{"$ref":"#/$defs/ElicitRequest"}]},
		"CallToolRequest":` + request("tools/call", `"name":{"type":"string"},"inputResponses":{"additionalProperties":{"anyOf":[{"$ref":"#/$defs/ElicitResult"}]}}`) + `,
		"ElicitRequest":` + request("elicitation/create", `"message":{"type":"string"}`) + `,"ElicitResult":` + answer + `,"CallToolResult":{"type":"object","required":["content"]},
		"InputRequiredResult":{"type":"object","required":["inputRequests"],"properties":{"inputRequests":{"additionalProperties":{"$ref":"#/$defs/ElicitRequest"}},"requestState":{"type":"string"}}}}}`
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, gatetest.Stateful), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, gatetest.Stateful, "schema.json"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := readOfficial(folder, gatetest.Stateful)
	if err != nil {
		t.Fatal(err)
	}
	return &Court{schemas: map[string]*official{gatetest.Stateful: o}}
}

// TestQuestionsAndAnswersAreTheSameWithinAnotherMessage: one that is invalid on the hop where it is
// a message of its own is relayed as a part of another on the other hop, and the other way round.
func TestQuestionsAndAnswersAreTheSameWithinAnotherMessage(t *testing.T) {
	c := small(t)
	question := `"method":"elicitation/create","params":{"message":1}`
	asked, asking := `{"jsonrpc":"2.0","id":1,`+question+`}`, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"q":{`+question+`}}}}`
	reply := `{"action":"accept","content":{"n":"x"}}`
	answered, answering := `{"jsonrpc":"2.0","id":1,"result":`+reply+`}`, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","inputResponses":{"q":`+reply+`}}}`
	errors := func(all ...Fact) []string {
		l := &listener{TB: t}
		c.Hold(l, all)
		return l.errors
	}
	for name, pair := range map[string][2]Fact{
		"question": {said(asked, true, ToClient), said(asking, false, ToClient)},
		"answer":   {said(answered, true, ToServer), said(answering, false, ToServer)},
	} {
		for range 2 {
			if told := errors(pair[0], pair[1]); told != nil {
				t.Errorf("%s: %q; want none for what was relayed", name, told)
			}
			pair[0].Sent, pair[1].Sent = pair[1].Sent, pair[0].Sent
		}
		if told := errors(pair[1]); len(told) != 1 {
			t.Errorf("%s: %q; want one error for what nobody said", name, told)
		}
	}
	rest := strings.Replace(answering, `"name":"t"`, `"name":1`, 1)
	if told := errors(said(answering, true, ToServer), said(rest, false, ToServer)); len(told) != 1 {
		t.Errorf("%q; want an error for the other fault", told)
	}
}

// TestTallyHasEveryCount by revision, direction and type.
func TestTallyHasEveryCount(t *testing.T) {
	var one, both Tally
	f := said(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, false, ToServer)
	one.Add(f, []string{"notification notifications/initialized"}, nil)
	f.Sent = true
	one.Add(f, nil, fmt.Errorf("it is\n wrong"))
	both.Merge(one)
	both.Merge(one)
	if n := both.Of(gatetest.Stateful, ToServer)["notification notifications/initialized"]; n != 2 || both.Total.TheirsInvalid != 2 {
		t.Errorf("%d of the gateway, want 2: %+v", n, both.Total)
	}
	if want := "2025-11-25 to server\n      2       0       2       2 notification notifications/initialized: it is wrong"; !strings.HasSuffix(both.String(), want) {
		t.Errorf("the table is\n%s\nwant at its end\n%s", &both, want)
	}
}
