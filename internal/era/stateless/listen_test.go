package stateless

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// TestFilters: what is no filter is refused, and what is honoured is said.
func TestFilters(t *testing.T) {
	many := make([]string, maxURIs+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"a:%d"`, i)
	}
	twice := strings.Join(append(many[:maxURIs:maxURIs], many[:maxURIs]...), ",")
	for filter, want := range map[string]string{
		`{}`: `{}`, `{"toolsListChanged":false,"x":1}`: `{}`,
		`{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}`: `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}`,
		`{"resourceSubscriptions":["a:b","no:b","a:b","a:c"]}`:                            `{"resourceSubscriptions":["a:b","a:c"]}`,
		`{"resourceSubscriptions":["no:b"],"toolsListChanged":true,"taskIds":[]}`:         `{"toolsListChanged":true}`,
		`{"resourceSubscriptions":[` + twice + `]}`:                                       `{"resourceSubscriptions":[` + strings.Join(many[:maxURIs], ",") + `]}`,
		`{"resourceSubscriptions":[` + strings.Join(many, ",") + `]}`:                     "", `[]`: "", `null`: "", `{"toolsListChanged":1}`: "", `{"promptsListChanged":null}`: "",
		`{"resourceSubscriptions":"a:b"}`: "", `{"resourceSubscriptions":[1]}`: "", `{"taskIds":"x"}`: "", `{"taskIds":[null]}`: "", `{"taskids":[]}`: "", `{"toolsListChanged":true,"toolsListChanged":true}`: "", `{"ToolsListChanged":true}`: "",
	} {
		synctest.Test(t, func(t *testing.T) {
			v, out := newView(), &told{}
			var open atomic.Int32
			v.watch = func(_ context.Context, uri string, _ mcp.Inbox) (func(), error) {
				if strings.HasPrefix(uri, "no:") {
					return nil, errors.New("nobody has it")
				}
				open.Add(1)
				return func() { open.Add(-1) }, nil
			}
			b := inbound(nil, v)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			end := make(chan era.Answer, 1)
			in := incoming(t, mcp.SubscriptionsListen, `"notifications":`+filter, out)
			go func() { end <- b.Serve(ctx, in) }()
			synctest.Wait()
			got := out.lines()
			if want == "" {
				if a := <-end; a.Status != 400 || !strings.Contains(string(a.Body), "-32602") || got != nil {
					t.Errorf("%.100s: %d %.200s, told %.200s", filter, a.Status, a.Body, got)
				}
				return
			}
			ack := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":` + want + `,"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}`
			if len(got) != 1 || got[0] != ack {
				t.Errorf("%.100s: told %.300s", filter, got)
			}
			stop()
			if <-end; open.Load() != 0 {
				t.Errorf("%d subscriptions are left", open.Load())
			}
		})
	}
}

// TestEachListIsToldOfByItself, and templates are of the resources.
func TestEachListIsToldOfByItself(t *testing.T) {
	const p, r = " notifications/prompts/list_changed", " notifications/resources/list_changed"
	synctest.Test(t, func(t *testing.T) {
		v, out := newView(), &told{began: time.Now()}
		b := inbound(nil, v)
		go b.Serve(t.Context(), incoming(t, mcp.SubscriptionsListen, `"notifications":{"promptsListChanged":true,"resourcesListChanged":true}`, out))
		want := []string{"0s notifications/subscriptions/acknowledged"}
		expect := func(more ...string) {
			t.Helper()
			want = append(want, more...)
			same(t, out.methods(), want...)
		}
		expect()
		v.setKind(mcp.Tools, "1")
		expect()
		v.setKind(mcp.Prompts, "1")
		expect("0s" + p)
		v.setKind(mcp.Templates, "1")
		expect("0s" + r)
		v.setKind(mcp.Resources, "1")
		v.setKind(mcp.Prompts, "2")
		expect()
		time.Sleep(500 * time.Millisecond)
		v.setKind(mcp.Prompts, "1")
		time.Sleep(10 * time.Second)
		expect("1s"+p, "1s"+r)
		b.Close()
	})
}

// TestChangedResources are told of with the subscription's id, merged, none lost, and none
// before the acknowledgement.
func TestChangedResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, out := newView(), &told{began: time.Now()}
		var mu sync.Mutex
		boxes := map[string]mcp.Inbox{}
		put := func(uri, more string) {
			mu.Lock()
			defer mu.Unlock()
			boxes[uri].Put(mcp.NoteUpdated, []byte(`{"uri":"`+uri+`"`+more+`}`))
		}
		v.watch = func(ctx context.Context, uri string, inbox mcp.Inbox) (func(), error) {
			mu.Lock()
			boxes[uri] = inbox
			mu.Unlock()
			put(uri, "")
			if uri == "a:slow" {
				<-ctx.Done()
				return func() { mu.Lock(); delete(boxes, uri); mu.Unlock() }, nil
			}
			return func() { mu.Lock(); delete(boxes, uri); mu.Unlock() }, nil
		}
		b := inbound(nil, v)
		in := incoming(t, mcp.SubscriptionsListen, `"notifications":{"resourceSubscriptions":["a:1"]}`, out)
		end := make(chan era.Answer, 1)
		go func() { end <- b.Serve(t.Context(), in) }()
		const updated = " notifications/resources/updated"
		want := []string{"0s notifications/subscriptions/acknowledged", "0s" + updated}
		same(t, out.methods(), want...)
		time.Sleep(time.Second)
		for range 50 {
			put("a:1", "")
		}
		put("a:1", `,"_meta":{"x.y/z":1,"io.modelcontextprotocol/subscriptionId":99}`)
		put("a:1", `,"_meta":{"x.y/z":2,"io.modelcontextprotocol/subscriptionId":99}`)
		time.Sleep(time.Second)
		if got := out.lines(); len(got) < 3 || len(got) > 4 || got[len(got)-1] != `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1","_meta":{"x.y/z":2,"io.modelcontextprotocol/subscriptionId":7}}}` {
			t.Errorf("told %s", strings.Join(got, "\n"))
		}
		b.Close()
		if a := <-end; !strings.Contains(string(a.Body), `"resultType":"complete"`) || len(boxes) != 0 {
			t.Errorf("%s, %d subscriptions are left", a.Body, len(boxes))
		}

		slow := &told{began: time.Now()}
		b = inbound(nil, v)
		ctx, stop := context.WithCancel(t.Context())
		in = incoming(t, mcp.SubscriptionsListen, `"notifications":{"resourceSubscriptions":["a:slow","a:1"]}`, slow)
		go func() { end <- b.Serve(ctx, in) }()
		time.Sleep(2 * time.Second)
		if got := slow.lines(); len(got) < 1 || !strings.Contains(got[0], `{"resourceSubscriptions":["a:1"]}`) {
			t.Errorf("within two seconds %s", got)
		}
		stop()
		if <-end; len(boxes) != 0 {
			t.Errorf("%d subscriptions are left", len(boxes))
		}
	})
}

// TestNotificationsOfClients reach the one server of a scope; those of other revisions nobody.
func TestNotificationsOfClients(t *testing.T) {
	v := newView()
	b := inbound(nil, v)
	for _, scope := range []mcp.Scope{{}, {Server: "s"}} {
		for _, method := range []string{"notifications/x", mcp.NoteInitialized, mcp.NoteRootsListChanged, mcp.NoteCancelled} {
			m, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","method":"`+method+`","params":{"a":1.0,`+inMeta+`}}`), jsonrpc.ClientLimits)
			if err != nil {
				t.Fatal(err)
			}
			if a := b.Serve(t.Context(), &era.Incoming{Message: m, Scope: scope, Out: &told{}}); a.Status != 202 || a.Body != nil {
				t.Errorf("%s: %d %s", method, a.Status, a.Body)
			}
		}
	}
	same(t, v.notes, `notifications/x {"a":1.0,`+inMeta+`}`)
}
