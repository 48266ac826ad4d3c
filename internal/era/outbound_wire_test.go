package era_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

func TestHandshake(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		w := &wire{}
		info := k.connect(t, w).Info()
		synctest.Wait()
		want := []string{
			`{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"gw","version":"9"}}}`,
			`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		}
		revision := "2025-06-18"
		if k.stateless {
			want = []string{`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{` + hop + `{}}}}`}
			revision = "2026-07-28"
		}
		if got := w.last(9); !slices.Equal(got, want) {
			t.Errorf("the server got %q", got)
		}
		if info.Revision != revision || info.Stateless != k.stateless || info.Instructions != "Do ä." || string(info.ServerInfo) != `{"name":"n"}` || !info.Has[mcp.Tools] || info.Announces[mcp.Tools] == k.stateless {
			t.Errorf("info %+v", info)
		}
	})
}

// TestCallOnTheWire: what of a call's params goes to the server, byte for byte.
func TestCallOnTheWire(t *testing.T) {
	tests := []struct{ name, params, stateful, stateless string }{
		{"plain", `{"name":"s.t","arguments":{"b":1e400,"a":9007199254740993}}`,
			`{"name":"t","arguments":{"b":1e400,"a":9007199254740993}}`,
			`{"name":"t","arguments":{"b":1e400,"a":9007199254740993},"_meta":{` + hop + `{}}}`},
		{"unknown members", `{"zz":[ 1 , 2 ],"name":"s.t","task":{"ttl":1}}`,
			`{"zz":[ 1 , 2 ],"name":"t","task":{"ttl":1}}`,
			`{"zz":[ 1 , 2 ],"name":"t","task":{"ttl":1},"_meta":{` + hop + `{}}}`},
		{"meta of a stateless hop", `{"name":"s.t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/logLevel":"debug","traceparent":"00-1","x/y":{"k":1.0}}}`,
			`{"name":"t","_meta":{"traceparent":"00-1","x/y":{"k":1.0}}}`,
			`{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"gw","version":"9"},"io.modelcontextprotocol/clientCapabilities":{},"traceparent":"00-1","x/y":{"k":1.0}}}`},
		{"a progress token", `{"_meta":{"progressToken":"mine","k":1},"name":"s.t"}`,
			`{"_meta":{"progressToken":ID,"k":1},"name":"t"}`,
			`{"_meta":{"progressToken":ID,"k":1,` + hop + `{}},"name":"t"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, nil, func(t *testing.T, k kind) {
				w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
				ob := k.connect(t, w)
				if _, err := ob.Handle(t.Context(), call(tt.params)); err != nil {
					t.Fatal(err)
				}
				want, id := tt.stateful, "4"
				if k.stateless {
					want, id = tt.stateless, "3"
				}
				want = `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":` + strings.ReplaceAll(want, "ID", id) + `}`
				if got := w.last(1)[0]; got != want {
					t.Errorf("the server got\n%s, want\n%s", got, want)
				}
			})
		})
	}
}

// TestHeaders: the body is mirrored where there are headers.
func TestHeaders(t *testing.T) {
	each(t, func(k kind) bool { return k.streams }, func(t *testing.T, k kind) {
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t"}`)
		c.Target.Origin = "übung"
		if _, err := ob.Handle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := "[[] [{Mcp-Protocol-Version 2025-06-18}]]"
		if k.stateless {
			want = "[[{Mcp-Protocol-Version 2026-07-28} {Mcp-Method server/discover}] [{Mcp-Protocol-Version 2026-07-28} {Mcp-Method tools/call} {Mcp-Name =?base64?w7xidW5n?=}]]"
		}
		if got := fmt.Sprint(w.headers); got != want {
			t.Errorf("headers %s, want %s", got, want)
		}
	})
}

// TestCapabilitiesAreCut: a stateless server hears what the caller declared and we carry,
// whichever way the caller is asked.
func TestCapabilitiesAreCut(t *testing.T) {
	for declared, want := range map[string]string{
		``: `{}`,
		`{"sampling":{"tools":{}},"x":1,"roots":{},"experimental":{"a":{}}}`: `{"sampling":{"tools":{}},"roots":{}}`,
		`{"elicitation":{"form":{},"url":{}}}`:                               `{"elicitation":{"form":{},"url":{}}}`,
		`{"tasks":{}}`:                                                       `{}`,
		`{"sampling":7,"roots":{"listChanged":true}}`:                        `{"roots":{"listChanged":true}}`,
		`{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a/b"]},"x/y":{},"io.modelcontextprotocol/tasks":{}}}`: `{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a/b"]},"io.modelcontextprotocol/tasks":{}}}`,
		`{"extensions":{"io.modelcontextprotocol/tasks":true}}`:                                                           `{}`,
		`{"roots":{},"extensions":{"x/y":{}}}`:                                                                            `{"roots":{}}`,
	} {
		for _, rounds := range []bool{true, false} {
			if !rounds { // the extension is none of its revision
				want = strings.Replace(want, `,"io.modelcontextprotocol/tasks":{}`, "", 1)
			}
			each(t, isStateless, func(t *testing.T, k kind) {
				w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(empty) }}
				ob := k.connect(t, w)
				c := call(`{"name":"s.t"}`)
				c.From.TakesRounds, c.From.Capabilities = rounds, []byte(declared)
				if _, err := ob.Handle(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				params := rawjson.Get([]byte(w.last(1)[0]), "params")
				if got := rawjson.Get(rawjson.Get(params, "_meta"), mcp.MetaClientCaps); string(got) != want {
					t.Errorf("%s, rounds %v: declared %s", declared, rounds, got)
				}
			})
		}
	}
}

func TestResults(t *testing.T) {
	tests := []struct {
		name, result        string
		stateful, stateless string // what the caller gets; ! and a reason for an error
	}{
		{"plain", `{"content":[{"type":"new","n":1.0}],"zz":1e400}`, `{"content":[{"type":"new","n":1.0}],"zz":1e400}`, `{"content":[{"type":"new","n":1.0}],"zz":1e400}`},
		{"complete", `{"resultType":"complete","content":[],"ttlMs":5,"cacheScope":"public"}`, `{"content":[]}`, `{"resultType":"complete","content":[],"ttlMs":5,"cacheScope":"public"}`},
		{"meta", `{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{},"k":1.0}}`, `{"content":[],"_meta":{"k":1.0}}`, `{"content":[],"_meta":{"k":1.0}}`},
		{"an unknown type", `{"resultType":"foo","content":[]}`, `{"content":[]}`, "!server_invalid"},
		{"a type of a wrong type", `{"resultType":7,"content":[]}`, `{"content":[]}`, "!server_invalid"},
		{"input required", `{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create"}},"requestState":"s"}`,
			`{"inputRequests":{"a":{"method":"elicitation/create"}},"requestState":"s"}`, "!capability"},
		{"a task", `{"resultType":"task","task":{"taskId":"1"}}`, `{"task":{"taskId":"1"}}`, "!server_invalid"},
		{"a lone surrogate is data", `{"content":[{"type":"text","text":"\ud83d"}]}`, `{"content":[{"type":"text","text":"\ud83d"}]}`, `{"content":[{"type":"text","text":"\ud83d"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, nil, func(t *testing.T, k kind) {
				w := &wire{script: func(_ *jsonrpc.Message, say func(string)) {
					say(`{"jsonrpc":"2.0","id":%s,"result":` + tt.result + `}`)
				}}
				ob := k.connect(t, w)
				want := tt.stateful
				if k.stateless {
					want = tt.stateless
				}
				reply, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`))
				if reason, failed := strings.CutPrefix(want, "!"); failed {
					var e *mcp.Error
					if !errors.As(err, &e) || e.Reason != reason || e.Code != mcp.Internal {
						t.Errorf("%v", err)
					}
					return
				}
				if err != nil || string(reply.Result) != want || reply.Kind != mcp.Complete {
					t.Errorf("%+v, %v", reply, err)
				}
			})
		})
	}
}

// TestErrors: a server's own pass byte for byte; what speaks of our hop does not.
func TestErrors(t *testing.T) {
	for _, object := range []string{
		`{"message":"\u006eo","code":-32602,"data":{"n":1.0,"z":[1e400]},"more":true}`,
		`{"code":1,"message":""}`, `{"code":-32603,"message":"m"}`, `{"code":-32000,"message":"m"}`, `{"code":-32021,"message":"m"}`,
	} {
		each(t, nil, func(t *testing.T, k kind) {
			w := &wire{script: func(_ *jsonrpc.Message, say func(string)) { say(`{"jsonrpc":"2.0","id":%s,"error":` + object + `}`) }}
			_, err := k.connect(t, w).Handle(t.Context(), call(`{"name":"s.t"}`))
			if remote := era.AsRemote(err); remote == nil || string(remote.Raw) != object {
				t.Errorf("%s became %v", object, err)
			}
		})
	}
	for _, code := range []int{era.HeaderMismatch, era.UnsupportedVersion} {
		each(t, isStateless, func(t *testing.T, k kind) {
			calls := 0
			w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
				if m.Method == mcp.ToolsCall {
					calls++
				}
				say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"private"}}`, m.ID, code))
			}}
			_, err := k.connect(t, w).Handle(t.Context(), call(`{"name":"s.t"}`))
			var e *mcp.Error
			if !errors.As(err, &e) || e.Reason != "server_refused" || strings.Contains(e.Message, "private") || era.AsRemote(err) != nil {
				t.Errorf("%d became %v", code, err)
			}
			if object, _ := era.Render(err); !strings.HasPrefix(string(object), `{"code":-32603,`) {
				t.Errorf("%d is answered %s", code, object)
			}
			if calls != 1 {
				t.Errorf("%d: sent %d times", code, calls)
			}
		})
	}
}

// TestCancel: the server is told in its own way; nothing of the call follows.
func TestCancel(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		var late func()
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			if m.Method == mcp.ToolsCall {
				note := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, m.ID)
				say(note)
				late = func() { say(note); say(empty) }
			}
		}}
		ob := k.connect(t, w)
		c := call(`{"name":"s.t","_meta":{"progressToken":"p"}}`)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		began := time.Now()
		_, err := ob.Handle(ctx, c)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		synctest.Wait()
		got := w.last(1)[0]
		cancelled := strings.Contains(got, mcp.NoteCancelled)
		switch {
		case k.stateless && k.streams:
			if cancelled || !slices.Equal(w.ended, []string{mcp.ToolsCall}) {
				t.Errorf("the server got %s and saw the end of %q", got, w.ended)
			}
		default: // a stateful server is told by name also where its stream was closed
			id := "4"
			if k.stateless {
				id = "3"
			}
			if got != `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}` {
				t.Errorf("the server got %s", got)
			}
		}
		if !k.streams {
			late()
			synctest.Wait()
		}
		if told := c.Back.(*notes).got; len(told) != 1 || told[0] != `notifications/progress {"progressToken":"p","progress":1}` {
			t.Errorf("the caller got %q", told)
		}
	})
}

// TestQuestions: a stateful server's ping is answered, any other question refused, since
// no capability was declared; a stateless server's are refused where they can be.
func TestQuestions(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			if m.Method == mcp.ToolsCall {
				say(`{"jsonrpc":"2.0","id":"a","method":"ping"}`)
				say(`{"jsonrpc":"2.0","id":9007199254740993,"method":"sampling/createMessage","params":{}}`)
				say(empty)
			}
		}}
		ob := k.connect(t, w)
		hear(t, ob)
		if _, err := ob.Handle(t.Context(), call(`{"name":"s.t"}`)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		var answers []string
		for _, m := range w.last(9) {
			if !strings.Contains(m, `"method":`) {
				answers = append(answers, m)
			}
		}
		slices.Sort(answers)
		if k.stateless && k.streams {
			if answers != nil {
				t.Errorf("the server got %q", answers)
			}
			return
		}
		want := []string{`{"jsonrpc":"2.0","id":"a","result":{}}`, `{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32601,`}
		if k.stateless {
			want[0] = `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,`
		}
		if len(answers) != 2 || !strings.HasPrefix(answers[0], want[0]) || !strings.HasPrefix(answers[1], want[1]) {
			t.Errorf("the server got %q", answers)
		}
	})
}

// TestToolLists: pages are followed, what is of one hop is taken out, no tools no question.
func TestToolLists(t *testing.T) {
	each(t, nil, func(t *testing.T, k kind) {
		w := &wire{script: func(m *jsonrpc.Message, say func(string)) {
			if rawjson.Get(m.Params, "cursor") == nil {
				say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"a","execution":{"taskSupport":"optional"},"x":1.0}],"nextCursor":"","ttlMs":5000}}`)
				return
			}
			say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"b"}],"ttlMs":9000}}`)
		}}
		l, err := k.connect(t, w).List(t.Context(), mcp.Tools, era.ListBounds{Pages: 9, Entries: 9, Time: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		first, ttl := `{"name":"a","x":1.0}`, time.Duration(0)
		if k.stateless {
			first, ttl = `{"name":"a","execution":{"taskSupport":"optional"},"x":1.0}`, 5*time.Second
		}
		if len(l.Entries) != 2 || string(l.Entries[0]) != first || l.TTL != ttl || l.Partial != "" {
			t.Errorf("%q, ttl %v, %q", l.Entries, l.TTL, l.Partial)
		}
		if got := w.last(1)[0]; !strings.Contains(got, `"params":{"cursor":""`) {
			t.Errorf("the server got %s", got)
		}
	})
}

// TestInputRequiredOnAList is invalid (2026-07-28, multi round-trip requests).
func TestInputRequiredOnAList(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		w := &wire{script: func(_ *jsonrpc.Message, say func(string)) {
			say(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"input_required","tools":[{"name":"a"}]}}`)
		}}
		if l, err := k.connect(t, w).List(t.Context(), mcp.Tools, era.ListBounds{Pages: 9, Entries: 9, Time: time.Second}); err == nil {
			t.Errorf("the list is %q", l.Entries)
		}
	})
}
