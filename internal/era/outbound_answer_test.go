package era_test

import (
	"context"
	"strings"
	"testing"

	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/mcp"
)

const (
	spoken  = `{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"model":"m"}`
	written = `{"role":"assistant","content":{"type":"text","text":"a\nb"},"model":"m"}`
)

// TestAnswersAreInTheServersRevision: a message of several blocks reaches a server that knows
// one as one, and everything else as the client gave it, an array in a form too.
func TestAnswersAreInTheServersRevision(t *testing.T) {
	const chosen = `{"action":"accept","content":{"colours":["red","blue"]}}`
	const roots = `{"roots":[{"uri":"file:///a","name":"a","_meta":{"k":1.0}}]}`
	for _, date := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		said := written
		if date == "2025-11-25" {
			said = spoken
		}
		for _, q := range []struct{ method, answer, want string }{
			{mcp.CreateMessage, spoken, said}, {mcp.Elicit, chosen, chosen}, {mcp.RootsList, roots, roots},
		} {
			each(t, isStateful, func(t *testing.T, k kind) {
				w := &wire{says: strings.Replace(initialized, "2025-06-18", date, 1)}
				asking(w, 1, q.method, `{}`)
				ob := declares(t, k, w, stateful.Params{})
				hear(t, ob)
				c := call(`{"name":"s.t"}`)
				c.Back.(*notes).ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(q.answer), nil }
				reply, err := ob.Handle(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(reply.Result); got != `{"answers":[`+q.want+`]}` {
					t.Errorf("%s, %s: the server got %s, want %s", date, q.method, got, q.want)
				}
			})
		}
	}
}

// TestAnswersOutsideOfCallsAreInTheServersRevision as those within are.
func TestAnswersOutsideOfCallsAreInTheServersRevision(t *testing.T) {
	each(t, isPipe, func(t *testing.T, k kind) {
		l := newLane()
		l.ask = func(context.Context, string, []byte) ([]byte, error) { return []byte(spoken), nil }
		s := newOwn(t, k, l)
		l.listen()
		wantAnswer(t, s.question("1", mcp.CreateMessage)(), written)
	})
}
