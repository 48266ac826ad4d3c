package stateless

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
)

// house makes an edge in front of a handler.
func house(h mcp.HandlerFunc) *desk {
	d := &desk{}
	d.b = NewInbound(era.Params{Feed: newView(), Presence: presence{`{"name":"n","version":"1"}`, ""}, Streams: quota.New(100, 100), Via: "self", Handler: h})
	return d
}

// TestRoundsOfAStatelessServerPass: nothing is parked; its state is its own, byte for byte,
// unless it is one of a gateway behind us, which is wrapped, for that request alone, and may
// be used again.
func TestRoundsOfAStatelessServerPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := "mgw1.abc.\u00e9"
		asked := `{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}},"requestState":"mgw1.abc.\u00e9"}`
		var got []string
		d := house(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
			got = append(got, string(c.Params.Raw))
			if getState(c) == nil {
				return &mcp.Reply{Kind: mcp.InputRequired, Result: []byte(asked)}, nil
			}
			return &mcp.Reply{Result: []byte(`{"text":` + string(getState(c)) + `}`)}, nil
		})
		d.t = t
		a := d.send(request{who: "a"})
		state := d.asks(a, "k")
		if !d.b.states.owns(*state) {
			t.Fatalf("the state is not wrapped: %s", *state)
		}
		for range 2 {
			d.says(d.send(request{who: "a", state: state, responses: `{"k":{"roots":[]}}`, arguments: `{"a":2}`}), inner)
		}
		if last := got[len(got)-1]; !strings.Contains(last, `"inputResponses":{"k":{"roots":[]}}`) || !strings.Contains(last, `"arguments":{"a":2}`) {
			t.Errorf("the server got %s", last)
		}
		before := len(got)
		for _, r := range []request{{who: "b"}, {who: "a", name: "other"}, {who: "a", method: mcp.PromptsGet}} {
			r.state = state
			d.refuses(d.send(r), -32602, "request_state")
		}
		time.Sleep(2 * time.Hour)
		d.refuses(d.send(request{who: "a", state: state}), -32602, "request_state")
		if len(got) != before {
			t.Errorf("refused retries reached the server: %s", got[before:])
		}
		asked = `{"resultType":"input_required","requestState":"theirs"}`
		if a := d.send(request{}); *a.Result.RequestState != "theirs" || a.Result.InputRequests != nil {
			t.Errorf("a server's own state came as %s", a.raw)
		}
		d.says(d.send(request{state: new("theirs")}), "theirs")
		d.idle()
	})
}

// TestURLElicitationRequired of a stateful server becomes a question; the retry is a new call
// without a trace of it. A client that did not declare it is told what it lacks.
func TestURLElicitationRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wants = `{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://x.test/","message":"Please"},{"mode":"form"},7]}}`
		var got []string
		failure := wants
		d := newDesk(t, func(_ context.Context, c *mcp.Call) (string, error) {
			if got = append(got, string(c.Params.Raw)); len(got)%2 == 0 {
				return `{"text":"ok"}`, nil
			}
			return "", &mcp.Remote{Raw: []byte(failure), Number: -32042}
		})
		const caps = `{"elicitation":{"url":{}}}`
		a := d.send(request{caps: caps})
		state := d.asks(a, "u1")
		if q := a.Result.InputRequests["u1"]; q.Method != mcp.Elicit || string(q.Params) != `{"mode":"url","url":"https://x.test/","message":"s: Please"}` {
			t.Errorf("asked %s %s", q.Method, q.Params)
		}
		d.says(d.send(request{caps: caps, state: state, responses: `{"u1":{"action":"accept"}}`}), "ok")
		if strings.Contains(got[1], "accept") || strings.Contains(got[1], mcp.MemberRequestState) || strings.Contains(got[1], mcp.MemberInputResponses) || !strings.Contains(got[1], `"arguments":{"a":1}`) {
			t.Errorf("the new call is %s", got[1])
		}
		a = d.send(request{})
		d.refuses(a, -32021, "capability")
		if a.status != http.StatusBadRequest || string(a.Error.Data.RequiredCapabilities) != `{"elicitation":{"url":{}}}` {
			t.Errorf("%d %s", a.status, a.raw)
		}
		got = nil
		failure = `{"code":-32042,"message":"m","data":{}}`
		a = d.send(request{caps: caps})
		d.refuses(a, -32603, "server_error")
		if string(a.Error.Data.Error) != failure {
			t.Errorf("the server's error is lost: %s", a.raw)
		}
		d.idle()
	})
}

// TestErrorsOfServers keep their bytes, but for numbers that this era does not have.
func TestErrorsOfServers(t *testing.T) {
	for _, c := range []struct {
		method, raw string
		number      int
		status      int
		want        string
	}{
		{mcp.ToolsCall, `{"code":-5,"message":"m"}`, -5, 200, `{"code":-5,"message":"m"}`},
		{mcp.ToolsCall, `{"code":-32601,"message":"m"}`, -32601, 200, `{"code":-32601,"message":"m"}`},
		{mcp.Completion, `{"code":-32601,"message":"m"}`, -32601, 404, `{"code":-32601,"message":"m"}`},
		{mcp.ToolsCall, `{"code":-32021,"message":"m"}`, -32021, 400, `{"code":-32021,"message":"m"}`},
		{mcp.ResourcesRead, `{"code":-32002,"message":"m","data":{"uri":"a:b"}}`, -32002, 200, `{"code":-32602,"message":"m","data":{"uri":"a:b"}}`},
		{mcp.ToolsCall, `{"code":-32002,"message":"m"}`, -32002, 200, `{"code":-32603,"message":"m","data":{"reason":"server_error","error":{"code":-32002,"message":"m"}}}`},
		{mcp.ToolsCall, `{"code":-32077,"message":"m"}`, -32077, 200, `{"code":-32603,"message":"m","data":{"reason":"server_error","error":{"code":-32077,"message":"m"}}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, func(context.Context, *mcp.Call) (string, error) {
				return "", &mcp.Remote{Raw: []byte(c.raw), Number: c.number}
			})
			a := d.send(request{method: c.method})
			var got struct{ Error json.RawMessage }
			_ = json.Unmarshal([]byte(a.raw), &got)
			if string(got.Error) != c.want || a.status != c.status {
				t.Errorf("%s: %d %s, want %d %s", c.method, a.status, got.Error, c.status, c.want)
			}
		})
	}
}

// TestWhichMethodsThereAre: removed ones nowhere, unknown ones where one server alone is
// spoken with.
func TestWhichMethodsThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(_ context.Context, c *mcp.Call) (string, error) {
			if c.Method == mcp.TasksCancel {
				return "", mcp.Errorf(mcp.UnknownMethod, "method", "no tasks")
			}
			return `{"text":"` + c.Method + `"}`, nil
		})
		own := mcp.Scope{Server: "s"}
		for _, method := range []string{mcp.Initialize, mcp.Ping, mcp.SetLevel, mcp.Subscribe, mcp.Unsubscribe} {
			for _, scope := range []mcp.Scope{{}, own} {
				if a := d.send(request{method: method, scope: scope}); a.status != 404 || a.Error.Code != -32601 {
					t.Errorf("%s: %d %s", method, a.status, a.raw)
				}
			}
		}
		if a := d.send(request{method: "x/y"}); a.status != 404 || a.Error.Code != -32601 {
			t.Errorf("%d %s", a.status, a.raw)
		}
		if a := d.send(request{method: mcp.TasksCancel, caps: withTasks}); a.status != 404 || a.Error.Code != -32601 {
			t.Errorf("%d %s", a.status, a.raw)
		}
		d.reached(1)
		d.says(d.send(request{method: "x/y", scope: own}), "x/y")
		for _, method := range []string{mcp.Tools.List(), mcp.Prompts.List(), mcp.Resources.List(), mcp.Templates.List(), mcp.Completion, mcp.TasksGet, mcp.TasksUpdate} {
			d.says(d.send(request{method: method, caps: withTasks, responses: `{}`}), method)
		}
		d.refuses(d.send(request{meta: `"mcp-gateway/via":["other","self"]`}), -32600, "loop")
		for _, level := range []string{`"loud"`, `7`, `""`, `"Debug"`} {
			a := d.send(request{meta: `"io.modelcontextprotocol/logLevel":` + level})
			if a.status != 400 || a.Error.Code != -32602 {
				t.Errorf("the level %s: %d %s", level, a.status, a.raw)
			}
		}
		d.reached(9)
	})
}

// TestHowLongListsStayFresh is told anew each time, though the list is remembered.
func TestHowLongListsStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, ttl := []byte(`{"prompts":[]}`), time.Duration(0)
		d := house(func(context.Context, *mcp.Call) (*mcp.Reply, error) { return &mcp.Reply{Result: list, TTL: ttl}, nil })
		d.t = t
		for _, c := range []struct {
			ttl  time.Duration
			want int
		}{{0, 0}, {time.Minute, 60000}, {1500 * time.Millisecond, 1500}, {-time.Second, 0}} {
			ttl = c.ttl
			if a := d.send(request{method: mcp.Prompts.List()}); a.Result.TTLMs == nil || *a.Result.TTLMs != c.want || !strings.Contains(a.raw, `"cacheScope":"private"`) {
				t.Errorf("%s, want %d", a.raw, c.want)
			}
		}
	})
}
