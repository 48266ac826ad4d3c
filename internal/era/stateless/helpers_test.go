package stateless

import (
	"testing"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// state0 is a state for the usual request of a principal named a, which names no call that
// there is.
func state0(d *desk, kind byte) state {
	in := d.incoming(request{who: "a"})
	c, _ := era.NewCall(in.Message)
	c.From = caller(in, c)
	return state{kind: kind, expires: time.Now().Add(time.Hour), request: binding(c, true), call: 99, round: 1}
}

func getState(c *mcp.Call) []byte { return rawjson.Get(c.Params.Raw, mcp.MemberRequestState) }

// raw is a tool call with these params, off HTTP.
func raw(t *testing.T, params string) *era.Incoming {
	t.Helper()
	m, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{`+params+`,`+inMeta+`}}`), jsonrpc.ClientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return &era.Incoming{Message: m, Principal: mcp.Local, Out: &told{}}
}
