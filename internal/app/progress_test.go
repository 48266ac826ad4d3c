package app_test

import (
	"errors"
	"fmt"
	"testing"

	"mcpgateway/internal/gatetest"
)

func TestProgressComesInOrderUnderTheClientsTokenBeforeTheReply(t *testing.T) {
	const count = 1000
	everyCell(t, "echo", func(t *testing.T, c client, server binding) {
		for _, token := range []string{`"t\u00f6\u006b 🦊"`, `9007199254740993`} {
			a := do(t, c, "tools/call", fmt.Sprintf(`{"name":"%s.progress","arguments":{"count":%d},"_meta":{"progressToken":%s}}`, server.name, count, token))
			if len(a.Notes) != count {
				t.Fatalf("token %s: %d notifications before the reply", token, len(a.Notes))
			}
			for i, n := range a.Notes {
				want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"total":%d}}`, token, i+1, count)
				if string(n) != want {
					t.Fatalf("notification %d: got %s\nwant %s", i+1, n, want)
				}
			}
			if got := gatetest.FirstText(a); got != fmt.Sprint(count) {
				t.Errorf("the reply is %s", a.Raw)
			}
		}
	})
}

func TestNoProgressWithoutAToken(t *testing.T) {
	everyCell(t, "echo", func(t *testing.T, c client, server binding) {
		if a := call(t, c, server.name+".progress", `{"count":3}`); len(a.Notes) != 0 {
			t.Errorf("notifications: %s", a.Notes)
		}
	})
}

func TestCancelReachesTheServerAndNothingFollows(t *testing.T) {
	everyCell(t, "echo", func(t *testing.T, c client, server binding) {
		count := func(tool string) string { return gatetest.FirstText(call(t, c, server.name+"."+tool, `{}`)) }
		before := count("cancels")
		const several = 3
		var all []*gatetest.Pending
		for i := range several {
			p := c.Start("tools/call", fmt.Sprintf(`{"name":"%s.hang","arguments":{},"_meta":{"progressToken":"%d"}}`, server.name, i))
			all = append(all, p)
			gatetest.WaitFor(t, "the call to hang", func() bool { return len(p.Notes()) == 1 })
		}
		if n := count("hanging"); n != fmt.Sprint(several) {
			t.Fatalf("%s calls hang", n)
		}
		for _, p := range all {
			p.Cancel()
			if _, err := p.Wait(t.Context()); !errors.Is(err, gatetest.ErrCanceled) {
				t.Errorf("Wait: %v", err)
			}
		}
		gatetest.WaitFor(t, "the server to hear of the cancels", func() bool { return count("hanging") == "0" })
		var was, is int
		fmt.Sscan(before, &was)
		fmt.Sscan(count("cancels"), &is)
		if is != was+several {
			t.Errorf("%d cancels reached the server", is-was)
		}
		// The answer to a later call comes after whatever was on its way for the others.
		if got := gatetest.FirstText(call(t, c, server.name+".raw", `{"a":1}`)); got != `{"a":1}` {
			t.Errorf("after the cancels: %s", got)
		}
	})
}

// A client that goes away takes its calls along, in whatever way its binding has.
func TestClientThatLeavesCancelsItsCalls(t *testing.T) {
	every := everyClient(t, func() string { return fleet(t, "echo") })
	for n, c := range every {
		t.Run(c.name, func(t *testing.T) {
			server := serverBindings[n].name // one that nobody else uses
			watcher := gatetest.DialStateless(t, c.gateway.url)
			p := c.Start("tools/call", `{"name":"`+server+`.hang","arguments":{},"_meta":{"progressToken":1}}`)
			gatetest.WaitFor(t, "the call to hang", func() bool { return len(p.Notes()) == 1 })
			c.Close()
			if a, err := p.Wait(t.Context()); err == nil {
				t.Errorf("the call was answered: %s", a.Raw)
			}
			within(t, 2*guard, "the call to end at the server", func() bool { // a pipe gives its calls 5 s to end
				return gatetest.FirstText(call(t, watcher, server+".hanging", `{}`)) == "0"
			})
			if got := gatetest.FirstText(call(t, watcher, server+".cancels", `{}`)); got != "1" {
				t.Errorf("%s cancels", got)
			}
		})
	}
}
