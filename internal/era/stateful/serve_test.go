package stateful

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

func request(method, params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `}}`
}

// house answers every call with what it was asked for.
func house(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
	return &mcp.Reply{Result: fmt.Appendf(nil, `{"method":%q,"name":%q}`, c.Method, c.Name)}, nil
}

func wantAnswer(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestWhatGoesIntoTheHouse, under which name, and what is answered at the edge.
func TestWhatGoesIntoTheHouse(t *testing.T) {
	in := func(method, name string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"method":%q,"name":%q}}`, method, name)
	}
	const noMethod, noParams, fine = `"code":-32601`, `"code":-32602`, `{"jsonrpc":"2.0","id":1,"result":{}}`
	for _, c := range []struct{ method, params, all, alone string }{
		{"tools/list", ``, in("tools/list", ""), ""},
		{"prompts/list", `"cursor":"x"`, in("prompts/list", ""), ""},
		{"resources/list", ``, in("resources/list", ""), ""},
		{"resources/templates/list", ``, in("resources/templates/list", ""), ""},
		{"tools/call", `"name":"a"`, in("tools/call", "a"), ""},
		{"tools/call", `"name":"a","arguments":[]`, noParams, ""},
		{"prompts/get", `"name":"p\u0061"`, in("prompts/get", "pa"), ""},
		{"prompts/get", `"name":"p","arguments":1`, noParams, ""},
		{"resources/read", `"uri":"a:1"`, in("resources/read", "a:1"), ""},
		{"resources/read", `"uri":1`, noParams, ""},
		{"completion/complete", `"ref":{"type":"ref/prompt","name":"p"},"argument":{}`, in("completion/complete", "p"), ""},
		{"completion/complete", `"ref":{"type":"ref/resource","uri":"a:{x}","name":"n"}`, in("completion/complete", "a:{x}"), ""},
		{"completion/complete", `"ref":{"type":"ref/prompt"}`, noParams, ""},
		{"completion/complete", `"ref":{"type":"ref/tool","name":"a"}`, noParams, ""},
		{"completion/complete", `"ref":"p"`, noParams, ""},
		{"ping", ``, fine, ""},
		{"logging/setLevel", `"level":"warning"`, fine, ""},
		{"logging/setLevel", `"level":"loud"`, noParams, ""},
		{"logging/setLevel", `"level":4`, noParams, ""},
		{"logging/setLevel", ``, noParams, ""},
		{"resources/subscribe", `"uri":"a:1"`, fine, ""},
		{"resources/subscribe", `"uri":"none:1"`, noParams, ""},
		{"resources/subscribe", ``, noParams, ""},
		{"resources/unsubscribe", `"uri":"never:1"`, fine, ""},
		{"server/discover", ``, noMethod, ""},
		{"subscriptions/listen", ``, noMethod, ""},
		{"vendor/own", `"name":1`, noMethod, in("vendor/own", "")},
	} {
		for _, scope := range []mcp.Scope{{}, {Server: "one"}} {
			b := NewInbound(era.Params{Handler: mcp.HandlerFunc(house), Feed: newFeed(), Presence: presence{}}, nil)
			s := session.New(t.Context(), "local", scope)
			defer s.End()
			if c.method != mcp.Ping && !strings.Contains(c.all, "-32602") {
				wantAnswer(t, send(t, b, s, newTold(), request(c.method, c.params)), `"code":-32600`) // before initialize
			}
			s.Open(newest, nil, mcp.Seen{})
			want := c.all
			if scope.Server != "" && c.alone != "" {
				want = c.alone
			}
			wantAnswer(t, send(t, b, s, newTold(), request(c.method, c.params)), want)
		}
	}
}

// TestRoundsAreForOthers: a reply that asks for a round is no answer to a stateful client.
func TestRoundsAreForOthers(t *testing.T) {
	b, s, _, out := edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		return &mcp.Reply{Kind: mcp.InputRequired, Result: []byte(`{"inputRequests":{}}`)}, nil
	})
	wantAnswer(t, send(t, b, s, out, request("tools/call", `"name":"a"`)), `"code":-32603`)
}

// TestAGatewayBehindItself is refused, whatever it asks, and its notifications end here.
func TestAGatewayBehindItself(t *testing.T) {
	calls := 0
	b, s, f, out := edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
		calls++
		return &mcp.Reply{Result: empty}, nil
	})
	const through, loop = `"_meta":{"mcp-gateway/via":["a",%q]}`, `"reason":"loop"`
	for _, method := range []string{"initialize", "ping", "tools/list", "tools/call", "vendor/own"} {
		wantAnswer(t, send(t, b, s, out, request(method, `"name":"x","protocolVersion":"2025-11-25",`+fmt.Sprintf(through, "us"))), loop)
	}
	send(t, b, s, out, `{"jsonrpc":"2.0","method":"vendor/note","params":{`+fmt.Sprintf(through, "us")+`}}`)
	if calls != 0 || len(f.notes) != 0 {
		t.Errorf("%d calls and %v went round", calls, f.notes)
	}
	wantAnswer(t, send(t, b, s, out, request("tools/call", `"name":"x",`+fmt.Sprintf(through, "other"))), `"result":{}`)
}

// TestNotificationsGoOn: what is not ours to deal with goes to the feed.
func TestNotificationsGoOn(t *testing.T) {
	b, s, f, out := edge(t, nil)
	note := func(s *session.Session, method, params string) {
		if got := send(t, b, s, out, `{"jsonrpc":"2.0","method":"`+method+`","params":`+params+`}`); got != "" {
			t.Errorf("a notification is answered: %s", got)
		}
	}
	note(nil, mcp.NoteRootsListChanged, `{}`)
	note(session.New(t.Context(), "local", mcp.Scope{}), mcp.NoteRootsListChanged, `{}`) // before initialize
	note(s, mcp.NoteRootsListChanged, `{}`)
	note(s, "vendor/note", `{"a":1.0}`)
	note(s, mcp.NoteInitialized, `{}`)
	note(s, mcp.NoteCancelled, `{"requestId":9}`)
	note(s, mcp.NoteProgress, `{"progressToken":1,"progress":1}`)
	if got := strings.Join(f.notes, "\n"); got != mcp.NoteRootsListChanged+" {}\nvendor/note {\"a\":1.0}" {
		t.Error(got)
	}
}

// TestLogLinesAreFilteredByLevel: as it was when the call began.
func TestLogLinesAreFilteredByLevel(t *testing.T) {
	b, s, _, _ := edge(t, func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		for _, level := range era.Levels {
			_ = c.Back.Notify(ctx, mcp.NoteMessage, []byte(`{"level":"`+level+`","data":1.0}`))
		}
		_ = c.Back.Notify(ctx, mcp.NoteProgress, []byte(`{"level":"debug"}`))
		return &mcp.Reply{Result: empty}, nil
	})
	for _, c := range []struct {
		level string
		lines int
	}{{"", 8}, {"debug", 8}, {"info", 7}, {"warning", 5}, {"emergency", 1}} {
		if c.level != "" {
			send(t, b, s, newTold(), request("logging/setLevel", `"level":"`+c.level+`"`))
		}
		out := newTold()
		send(t, b, s, out, request("tools/call", `"name":"a"`))
		got := out.messages()
		if len(got) != c.lines+1 || !strings.Contains(got[len(got)-2], `"emergency"`) || !strings.Contains(got[len(got)-1], mcp.NoteProgress) {
			t.Errorf("at %q the client is told %v", c.level, got)
		}
	}
}

// TestSubscriptions: the session is told of what it subscribed to, at once and on its stream,
// until it unsubscribes; others are told nothing.
func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, f, out := edge(t, nil)
		other, otherOut := opened(t, newest, ""), newTold()
		stream(t, b, other, otherOut)
		send(t, b, s, newTold(), request("resources/subscribe", `"uri":"a:1"`))
		send(t, b, s, newTold(), request("resources/subscribe", `"uri":"a:1"`))
		send(t, b, other, newTold(), request("resources/subscribe", `"uri":"a:2"`))
		if f.watched() != 2 || f.begun != 2 {
			t.Errorf("%d watches, of %d", f.watched(), f.begun)
		}
		time.Sleep(5 * time.Second)
		f.update("a:1")
		wantTimes(t, out.times(mcp.NoteUpdated), 5*time.Second)
		f.update("a:1")
		wantTimes(t, out.times(mcp.NoteUpdated), 5*time.Second, 5*time.Second)
		out.want(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}`, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}`)
		send(t, b, s, newTold(), request("resources/unsubscribe", `"uri":"a:1"`))
		f.update("a:1")
		f.update("a:2")
		wantTimes(t, out.times(mcp.NoteUpdated), 5*time.Second, 5*time.Second)
		wantTimes(t, otherOut.times(mcp.NoteUpdated), 5*time.Second)
		other.End()
		if f.watched() != 0 {
			t.Error("a watch outlives its session")
		}
	})
}

// TestNewsWaitForAStream where none is open, each once; of several streams one tells it.
func TestNewsWaitForAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewInbound(era.Params{Feed: newFeed()}, nil)
		s := opened(t, newest, "")
		for range 3 {
			s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
			s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:2"}`))
		}
		time.Sleep(time.Minute)
		outs := []*told{newTold(), newTold(), newTold()}
		for _, out := range outs {
			stream(t, b, s, out)
		}
		synctest.Wait()
		count := func() (n int) {
			synctest.Wait()
			for _, out := range outs {
				n += len(out.messages())
			}
			return n
		}
		if n := count(); n != 2 {
			t.Errorf("%d messages", n)
		}
		for i := range 100 {
			s.Put(mcp.NoteUpdated, fmt.Appendf(nil, `{"uri":"b:%d"}`, i))
		}
		if n := count(); n != 102 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestEachListIsCoalescedByItself, over all streams of a session together.
func TestEachListIsCoalescedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		b := NewInbound(era.Params{Feed: f}, nil)
		s := opened(t, newest, "")
		out := newTold()
		stream(t, b, s, out)
		other, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Stream(other, s, out)
		}()
		synctest.Wait()
		f.set(mcp.Prompts, "p1")
		f.set(mcp.Templates, "m1")
		synctest.Wait()
		for range 100 {
			time.Sleep(5 * time.Millisecond)
			f.tools(time.Now().String())
			f.set(mcp.Prompts, time.Now().String())
			f.set(mcp.Resources, time.Now().String())
			s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
		}
		synctest.Wait()
		end() // what waited for its turn there is not lost
		<-ended
		time.Sleep(time.Minute)
		const first, one = 5 * time.Millisecond, time.Second
		wantTimes(t, out.times(mcp.Prompts.Changed()), 0, one)
		wantTimes(t, out.times(mcp.Resources.Changed()), 0, one)
		wantTimes(t, out.times(mcp.Tools.Changed()), first, first+one)
		if n := len(out.times(mcp.NoteUpdated)); n != 100 {
			t.Errorf("%d updates were told at once", n)
		}
	})
}
