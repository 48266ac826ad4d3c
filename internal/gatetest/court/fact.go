package court

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mcpgateway/internal/gatetest"
)

// Revisions are those that have a schema, oldest first.
var Revisions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

// A Direction is the way of a message on one hop.
type Direction string

// The gateway is the server of the one hop and the client of the other.
const (
	ToClient Direction = "to client"
	ToServer Direction = "to server"
)

func (d Direction) back() Direction {
	if d == ToServer {
		return ToClient
	}
	return ToServer
}

// A Fact is a message with what the schema needs to know of it. Sent tells that a peer said
// it, not the gateway.
type Fact struct {
	gatetest.Seen
	Way Direction
}

// Facts says which way messages went that a peer saw, where what the gateway said went one
// way: what the peer sent went the other, but is of the same hop.
func Facts(way Direction, seen []gatetest.Seen) (all []Fact) {
	for _, s := range seen {
		f := Fact{s, way}
		if s.Sent {
			f.Way = way.back()
		}
		all = append(all, f)
		if s.Kind != "request" || s.Method != "initialize" || s.Sent {
			continue
		}
		for _, older := range Revisions[:3] { // each server must be able to read it, whatever it speaks
			f.Revision = older
			all = append(all, f)
		}
	}
	return all
}

// Spoken is the revision that a message is of: before one was agreed to, the one that the
// message itself names.
func (f Fact) Spoken() string {
	if f.Revision != "" {
		return f.Revision
	}
	for _, path := range [][]string{
		{"params", "_meta", "io.modelcontextprotocol/protocolVersion"}, {"params", "protocolVersion"}, {"result", "protocolVersion"},
	} {
		if v := gatetest.Member(f.Raw, path...); v != nil {
			return strings.Trim(string(v), `"`)
		}
	}
	return ""
}

// Describe tells what is wrong with a message.
func (f Fact) Describe(err error) string {
	who := "the gateway"
	if f.Sent {
		who = "a peer"
	}
	return fmt.Sprintf("%s, %s %s, %s %s by %s: %v\n\t%.700s", f.Spoken(), f.Binding, f.Way, f.Kind, f.Method, who, err, f.Raw)
}

// plain holds a message to what every revision demands of an envelope. It is all that can be
// held without the official schemas.
func plain(f Fact) error {
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
