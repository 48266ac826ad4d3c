package interop

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// listed is one tool definition: its name, and its other members as they were written.
type listed struct {
	name    string
	members map[string]json.RawMessage
}

// otherTools are not compared. They are shown only to those who declare that they can be asked: the gateway does, for
// clients who can, the direct control does not; TestAskedThroughGateway calls them, and TestEachClientIsListedWhatItCanUse
// has them compared.
var otherTools = []string{"trigger-sampling-request", "trigger-elicitation-request", "trigger-url-elicitation"}

// listing reads definitions and gives them the names that they are to have. The member execution (2025-11-25
// tasks) is left out: the gateway may leave it out, and nothing else.
func listing(t *testing.T, name func(tool string) string, tools []json.RawMessage) []listed {
	t.Helper()
	var out []listed
	for _, raw := range tools {
		var l listed
		if err := json.Unmarshal(raw, &l.members); err != nil {
			t.Fatalf("tool %s: %v", raw, err)
		}
		if err := json.Unmarshal(l.members["name"], &l.name); err != nil {
			t.Fatalf("name of tool %s: %v", raw, err)
		}
		if slices.ContainsFunc(otherTools, func(tool string) bool { return strings.HasSuffix(l.name, tool) }) {
			continue
		}
		l.name = name(l.name)
		delete(l.members, "name")
		delete(l.members, "execution")
		out = append(out, l)
	}
	return out
}

// sameBytes is how members read off the wire compare: the order of keys within them counts.
func sameBytes(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

// sameValue is how members compare that an SDK gave: the TypeScript SDK v2 puts the keys of a schema
// in an order of its own in one era and not in the other.
func sameValue(a, b json.RawMessage) bool {
	decode := func(raw json.RawMessage) (v any, err error) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		err = d.Decode(&v)
		return v, err
	}
	va, erra := decode(a)
	vb, errb := decode(b)
	return erra == nil && errb == nil && reflect.DeepEqual(va, vb)
}

// compareListings reports every difference: names and their order first, then members.
func compareListings(t *testing.T, what string, same func(a, b json.RawMessage) bool, got, want []listed) {
	t.Helper()
	names := func(tools []listed) []string {
		var out []string
		for _, l := range tools {
			out = append(out, l.name)
		}
		return out
	}
	if !slices.Equal(names(got), names(want)) {
		t.Errorf("%s: listed are\n%s\nwant\n%s", what, strings.Join(names(got), " "), strings.Join(names(want), " "))
		return
	}
	for i := range want {
		for key, member := range want[i].members {
			if !same(got[i].members[key], member) {
				t.Errorf("%s: %s.%s is\n%s\nwant\n%s", what, want[i].name, key, got[i].members[key], member)
			}
		}
		for key, member := range got[i].members {
			if _, ok := want[i].members[key]; !ok {
				t.Errorf("%s: %s has %s that the server did not list: %s", what, want[i].name, key, member)
			}
		}
	}
}
