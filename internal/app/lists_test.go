package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

func TestEveryPageOfEveryServerReachesEveryClient(t *testing.T) {
	for _, c := range everyClient(t, func() string { return fleet(t, "many") }) {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			defer cancel()
			tools, _, err := gatetest.ListTools(ctx, c)
			if err != nil || len(tools) != 250*len(serverBindings) {
				t.Fatalf("%d tools: %v", len(tools), err)
			}
			for i, tool := range tools {
				want := fmt.Sprintf(`"%s.t%03d"`, serverBindings[i/250].name, i%250)
				if got := string(gatetest.Member(tool, "name")); got != want {
					t.Fatalf("tool %d is %s, not %s", i, got, want)
				}
			}
			for _, s := range serverBindings {
				if got := gatetest.FirstText(call(t, c, s.name+".t249", `{}`)); got != "t249" {
					t.Errorf("%s.t249 says %q", s.name, got)
				}
			}
			noStray(t, c)
		})
	}
}

func TestRepeatedCursorEndsTheListAndIsReported(t *testing.T) {
	g := start(t, servers("loop", stdio("loop", false), "loop2", remote("http", gatetest.StartStateless(t, gatetest.New("loop"))),
		"blank", stdio("blank", true), "many", stdio("many", false))).ready()
	all := g.states()
	for _, name := range []string{"loop", "loop2"} {
		if s := all[name]; s.State != "ready" || !strings.Contains(s.Partial, "cursor") || s.Tools != 3 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	// A cursor that is an empty string is one like any other.
	for name, tools := range map[string]int{"blank": 4, "many": 250} {
		if s := all[name]; s.State != "ready" || s.Partial != "" || s.Tools != tools {
			t.Errorf("%s: %+v", name, s)
		}
	}
	c := gatetest.DialStateless(t, g.url)
	for _, tool := range []string{"loop.t000", "loop.t002", "loop2.t001", "blank.t003"} {
		if got := gatetest.FirstText(call(t, c, tool, `{}`)); !strings.HasSuffix(tool, got) || got == "" {
			t.Errorf("%s says %q", tool, got)
		}
	}
}

// callers call one tool without a pause until they are stopped.
type callers struct {
	stop    atomic.Bool
	running sync.WaitGroup
	calls   atomic.Int64
	failed  atomic.Int64
	first   atomic.Pointer[string] // what the first failure was
}

func (k *callers) begin(ctx context.Context, c gatetest.Client, tool string) {
	k.running.Go(func() {
		for i := 0; !k.stop.Load(); i++ {
			nonce := fmt.Sprint("n", i)
			short, cancel := context.WithTimeout(ctx, guard)
			a, err := gatetest.CallTool(short, c, tool, `{"nonce":"`+nonce+`"}`)
			cancel()
			k.calls.Add(1)
			if err != nil || gatetest.FirstText(a) != nonce {
				k.failed.Add(1)
				what := fmt.Sprintf("%v, %+v", err, a)
				k.first.CompareAndSwap(nil, &what)
			}
		}
	})
}

func (k *callers) halt() {
	k.stop.Store(true)
	k.running.Wait()
}

// end stops the callers; they must have called, and never failed.
func (k *callers) end(t testing.TB) {
	t.Helper()
	k.halt()
	if n := k.failed.Load(); n > 0 {
		t.Errorf("%d of %d calls failed, the first: %s", n, k.calls.Load(), *k.first.Load())
	}
	t.Logf("%d calls", k.calls.Load())
}

// dial gives the n-th of many clients, of every binding that has any number of them.
func dial(t testing.TB, url string, n int) gatetest.Client {
	switch n % 5 {
	case 0, 1:
		return gatetest.DialStateful(t, url)
	case 2, 3:
		return gatetest.DialStateless(t, url)
	}
	return gatetest.DialSSE(t, url)
}

func TestAddAndRemoveDisturbNobodyAndAreTold(t *testing.T) {
	every := everyClient(t, func() string { return servers("a", stdio("echo", false)) })
	var load callers
	t.Cleanup(load.halt)
	var many []gatetest.Client
	for i := range 50 {
		many = append(many, dial(t, every[0].gateway.url, i))
	}
	for _, c := range many {
		load.begin(t.Context(), c, "a.nonce")
	}
	busy := func() {
		t.Helper()
		n := load.calls.Load()
		within(t, guard, "200 more calls", func() bool { return load.calls.Load() > n+200 })
	}
	busy()
	both := []*gateway{every[0].gateway, every[4].gateway}
	for _, g := range both {
		text := g.must(http.StatusCreated, "POST", "/servers", servers("b", stdio("many", true)))
		if s := states(t, text)["b"]; s.State != "ready" || s.Source != "api" || s.Tools != 250 {
			t.Errorf("b: %+v", s)
		}
	}
	for _, c := range every {
		told(t, c, "the POST")
		if n := len(list(t, c)); n != 10+250 {
			t.Errorf("%s: %d tools after the POST", c.name, n)
		}
		if got := gatetest.FirstText(call(t, c, "b.t007", `{}`)); got != "t007" {
			t.Errorf("%s: b.t007 says %q", c.name, got)
		}
	}
	busy()
	for _, g := range both {
		g.must(http.StatusNoContent, "DELETE", "/servers/b", "")
		if _, left := g.states()["b"]; left {
			t.Error("b is still there after its DELETE")
		}
		g.must(http.StatusNotFound, "DELETE", "/servers/b", "")
	}
	for _, c := range every {
		told(t, c, "the DELETE")
		if n := len(list(t, c)); n != 10 {
			t.Errorf("%s: %d tools after the DELETE", c.name, n)
		}
		a, err := gatetest.CallTool(t.Context(), c, "b.t007", `{}`)
		if err != nil || string(gatetest.Member(a.Error, "code")) != "-32602" {
			t.Errorf("%s: b.t007 after the DELETE: %v, %+v", c.name, err, a)
		}
	}
	busy()
	load.end(t)
	for _, c := range every {
		if n := len(c.ListChanged()); n > 0 {
			t.Errorf("%s: %d more list_changed than changes", c.name, n)
		}
		noStray(t, c)
	}
}

// Whoever listed while a server was there must hear that it went, also where that makes
// the list what it was when they were last told.
func TestChangeAndBackIsTold(t *testing.T) {
	every := everyClient(t, func() string { return servers("a", stdio("echo", false)) })
	both := []*gateway{every[0].gateway, every[4].gateway}
	definition := remote("http", gatetest.StartStateless(t, gatetest.New("echo")))
	add := func(name string) {
		for _, g := range both {
			g.must(http.StatusCreated, "POST", "/servers", servers(name, definition))
		}
	}
	add("b")
	for _, c := range every {
		told(t, c, "b came")
	}
	add("c")
	for _, c := range every {
		if n := len(list(t, c)); n != 30 {
			t.Fatalf("%s: %d tools", c.name, n)
		}
	}
	for _, g := range both {
		g.must(http.StatusNoContent, "DELETE", "/servers/c", "")
	}
	for _, c := range every {
		within(t, guard, c.name+" to hear that c went", func() bool {
			told(t, c, "c went")
			return len(list(t, c)) == 20
		})
	}
}

// told waits for one list_changed.
func told(t testing.TB, c client, what string) {
	t.Helper()
	select {
	case <-c.ListChanged():
	case <-time.After(guard):
		t.Fatalf("%s: no list_changed after %s", c.name, what)
	}
}

func list(t testing.TB, c gatetest.Client) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	tools, _, err := gatetest.ListTools(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = string(gatetest.Member(tool, "name"))
	}
	return names
}

// A server's own news of its tools reaches every client, whatever the two bindings are.
func TestChangesOfAServerReachEveryClient(t *testing.T) {
	every := everyClient(t, func() string { return fleet(t, "growing") })
	for _, s := range serverBindings {
		t.Run(s.name, func(t *testing.T) {
			before := len(list(t, every[0]))
			call(t, every[0], s.name+".grow", `{}`) // each gateway has a fleet of its own
			call(t, every[4], s.name+".grow", `{}`)
			for _, c := range every {
				told(t, c, "the server grew")
				if n := len(list(t, c)); n != before+1 {
					t.Errorf("%s: %d tools, not %d", c.name, n, before+1)
				}
			}
		})
	}
}
