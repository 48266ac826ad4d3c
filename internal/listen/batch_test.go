package listen

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// bindings are the ways in which a stateful client of a revision may send a batch. Each
// gives the answer; where none is wanted it makes sure that none comes.
func (f *front) bindings(revision string) map[string]func(body string, wanted bool) (answer string, status int) {
	id := f.login(revision)
	p := f.pipe()
	p.login(revision)
	s := f.sse()
	s.send(hello("0", revision))
	s.next()
	s.send(initialized)
	canary := `{"jsonrpc":"2.0","id":"canary","method":"ping"}`
	return map[string]func(string, bool) (string, int){
		"HTTP": func(body string, _ bool) (string, int) {
			g := f.post(body, era.HeaderSession, id)
			return g.body, g.status
		},
		"pipe": func(body string, wanted bool) (string, int) {
			p.send(body)
			if wanted {
				return p.next(), 0
			}
			p.send(canary)
			return strings.ReplaceAll(p.next(), `{"jsonrpc":"2.0","id":"canary","result":{}}`, ""), 0
		},
		"sse": func(body string, wanted bool) (string, int) {
			s.send(body)
			if wanted {
				return s.next(), 0
			}
			s.send(canary)
			return strings.ReplaceAll(s.next(), `{"jsonrpc":"2.0","id":"canary","result":{}}`, ""), 0
		},
	}
}

// TestBatches of 2025-03-26: each request is answered, in one array; nothing else is.
func TestBatches(t *testing.T) {
	f := newFront(t)
	for name, send := range f.bindings(batches) {
		answer, status := send("["+strings.Join([]string{
			request("1", mcp.Tools.List(), ""),
			`{"jsonrpc":"2.0","method":"notifications/foo"}`,
			`{"jsonrpc":"2.0","id":9,"result":{}}`,
			request(`"two"`, mcp.Ping, ""),
			`42`,
			request("1.5", mcp.Tools.List(), ""),
			request("3", "foo", ""),
			request("4", mcp.ToolsCall, `"name":7`),
		}, " , ")+"]", true)
		var all []envelope
		if err := json.Unmarshal([]byte(answer), &all); err != nil {
			t.Fatalf("%s: %v: %s", name, err, answer)
		}
		got := []string{}
		for _, e := range all {
			switch {
			case e.Error == nil:
				got = append(got, string(e.ID)+" "+string(e.Result))
			default:
				code, _ := json.Marshal(e.Error.Code)
				got = append(got, string(e.ID)+" "+string(code))
			}
		}
		slices.Sort(got)
		want := []string{` -32600`, ` -32600`, `"two" {}`, `1 {"tools":[]}`, `3 -32601`, `4 -32602`}
		if !slices.Equal(got, want) || (name == "HTTP" && status != http.StatusOK) {
			t.Errorf("%s: %d %q, want %q", name, status, got, want)
		}
	}
	if n := f.hits.Load(); n != 3 {
		t.Errorf("%d calls reached the house, want 3", n)
	}
}

// TestBatchesThatAwaitNothing: 202 and no body, on a pipe silence.
func TestBatchesThatAwaitNothing(t *testing.T) {
	f := newFront(t)
	for name, send := range f.bindings(batches) {
		for _, body := range []string{
			`[{"jsonrpc":"2.0","method":"a"}]`, `[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"notifications/initialized"}]`,
			`[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"x"}}]`,
		} {
			answer, status := send(body, false)
			if answer != "" || (name == "HTTP" && status != http.StatusAccepted) {
				t.Errorf("%s: %s gave %d %s", name, body, status, answer)
			}
		}
	}
	f.untouched()
}

// TestBatchesAreBounded: 50 messages, none of them initialize; at least one.
func TestBatchesAreBounded(t *testing.T) {
	f := newFront(t)
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			id, _ := json.Marshal(i)
			list[i] = request(string(id), mcp.Tools.List(), "")
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	for name, send := range f.bindings(batches) {
		var all []envelope
		answer, _ := send(many(50), true)
		if err := json.Unmarshal([]byte(answer), &all); err != nil || len(all) != 50 || f.hits.Swap(0) != 50 {
			t.Errorf("%s: 50: %v %.200s", name, err, answer)
		}
		for label, body := range map[string]string{
			"51": many(51), "empty": "[]", "initialize": "[" + hello("1", batches) + "]",
			"initialize among others": "[" + request("1", mcp.Tools.List(), "") + "," + hello("2", batches) + "]",
		} {
			answer, status := send(body, true)
			if name == "HTTP" && status != http.StatusBadRequest {
				t.Errorf("%s: %d", label, status)
			}
			wantError(t, answer, era.InvalidRequest, "")
			f.untouched()
		}
		for _, body := range []string{`[{"jsonrpc":"2.0","id":1,"method":"ping"}`, "[][]", "[,]"} {
			answer, _ := send(body, true)
			wantError(t, answer, era.ParseError, "")
		}
	}
}

// TestOtherRevisionsHaveNoBatches, nor has a client without a session.
func TestOtherRevisionsHaveNoBatches(t *testing.T) {
	f := newFront(t)
	body := "[" + request("1", mcp.Tools.List(), "") + "," + request("2", mcp.Tools.List(), "") + "]"
	for _, revision := range []string{"2024-11-05", "2025-06-18", newest} {
		for name, send := range f.bindings(revision) {
			answer, status := send(body, true)
			if name == "HTTP" && status != http.StatusBadRequest {
				t.Errorf("%s: %d", revision, status)
			}
			wantError(t, answer, era.InvalidRequest, "")
		}
	}
	own := "[" + ask("1", mcp.Tools.List(), "") + "]"
	for _, header := range [][]string{nil, mirror(mcp.Tools.List(), ""), append(mirror(mcp.Tools.List(), ""), era.HeaderSession, f.login(batches))} {
		g := f.post(own, header...)
		if g.status != http.StatusBadRequest {
			t.Errorf("%v: %s", header, g)
		}
		wantError(t, g.body, era.InvalidRequest, "")
	}
	p := f.pipe()
	p.send(body)
	wantError(t, p.next(), era.InvalidRequest, "")
	f.untouched()
}

// TestCancelWithinABatch: the others are answered, the cancelled one is left out.
func TestCancelWithinABatch(t *testing.T) {
	f := newFront(t)
	began := make(chan bool, 1)
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		if c.Name != "slow" {
			return &mcp.Reply{Result: []byte(`{"content":[]}`)}, nil
		}
		began <- true
		<-ctx.Done()
		return nil, ctx.Err()
	})
	id := f.login(batches)
	answer := f.background("["+request("1", mcp.ToolsCall, `"name":"slow"`)+","+request("2", mcp.ToolsCall, `"name":"a"`)+"]", era.HeaderSession, id)
	soon(t, "the call", began)
	f.post(cancelled("1"), era.HeaderSession, id)
	if g := soon(t, "the answer", answer); g.status != http.StatusOK || g.body != `[{"jsonrpc":"2.0","id":2,"result":{"content":[]}}]` {
		t.Error(g)
	}
}

// TestABatchAtTheEndOfInput is answered: somebody pipes a file in.
func TestABatchAtTheEndOfInput(t *testing.T) {
	f := newFront(t)
	for range 20 {
		p := f.pipe()
		p.login(batches)
		p.send("[" + request("1", mcp.Tools.List(), "") + "]")
		p.in.Close()
		if line := p.next(); line != `[{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}]` {
			t.Error(line)
		}
		if err := soon(t, "the end", p.ended); err != nil {
			t.Error(err)
		}
	}
}
