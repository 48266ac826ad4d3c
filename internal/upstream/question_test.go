package upstream

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// A person answers questions after a while.
type person struct {
	listener
	after time.Duration
	asked []string
}

func (p *person) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	p.asked = append(p.asked, method+" "+string(params))
	select {
	case <-time.After(p.after):
		return []byte(`{"action":"accept","content":{}}`), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// asks is a server that asks once in each call, and answers when it is answered.
func asks(method, params string) func(w *wire, m *jsonrpc.Message) error {
	var call *jsonrpc.Message
	return func(w *wire, m *jsonrpc.Message) error {
		switch {
		case m.Method == mcp.ToolsCall:
			call = m
			w.say(nil, fmt.Sprintf(`{"jsonrpc":"2.0","id":"q","method":"%s","params":%s}`, method, params))
		case m.Kind == jsonrpc.Response || m.Kind == jsonrpc.Failure:
			w.say(call, empty)
		default:
			return plain(w, m)
		}
		return nil
	}
}

// TestClockStandsWhileAQuestionIsOpen: a person takes longer than any call may.
func TestClockStandsWhileAQuestionIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr := params(&peer{script: asks(mcp.Elicit, `{"message":"m","requestedSchema":{"type":"object","properties":{}}}`)})
		pr.CallTimeout, pr.CallMax = time.Minute, 2*time.Minute
		r := start(t, pr)
		r.readyAt(t)
		c := call(r.Server, "")
		p := &person{after: 9 * time.Minute}
		c.Back = p
		c.From.Capabilities = []byte(`{"elicitation":{}}`)
		if _, err := r.Handle(t.Context(), c); err != nil {
			t.Error(err)
		}
		if len(p.asked) != 1 {
			t.Errorf("asked %q", p.asked)
		}
	})
}

// TestElicitationNamesItsServer, where the client cannot know it.
func TestElicitationNamesItsServer(t *testing.T) {
	for _, c := range []struct{ scope, method, params, want string }{
		{"", mcp.Elicit, `{"message":"Who?","n":1.0}`, `{"message":"s: Who?","n":1.0}`},
		{"s", mcp.Elicit, `{"message":"Who?","n":1.0}`, `{"message":"Who?","n":1.0}`},
		{"", mcp.CreateMessage, `{"message":"Who?"}`, `{"message":"Who?"}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, params(&peer{script: asks(c.method, c.params)}))
			r.readyAt(t)
			one := call(r.Server, "")
			one.From.Scope.Server = c.scope
			one.From.Capabilities = []byte(`{"elicitation":{},"sampling":{}}`)
			p := &person{}
			one.Back = p
			if _, err := r.Handle(t.Context(), one); err != nil {
				t.Fatal(err)
			}
			if len(p.asked) != 1 || p.asked[0] != c.method+" "+c.want {
				t.Errorf("asked %q, want %s", p.asked, c.want)
			}
		})
	}
	const round = `{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"Who?"}},"b":{"method":"roots/list"}},"x":1.0}`
	got := attributedRounds("s", []byte(round))
	inner := rawjson.Get(rawjson.Get(got, "inputRequests"), "a")
	if string(rawjson.Get(rawjson.Get(inner, "params"), "message")) != `"s: Who?"` || string(rawjson.Get(got, "x")) != "1.0" || string(attributedRounds("", []byte(round))) != round {
		t.Errorf("got %s", got)
	}
}
