package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// Whoever had a call at a server that exits gets one error; all others notice nothing, and
// the server comes back.
func TestServerThatExitsMidCallFailsItsOwnCallsOnce(t *testing.T) {
	g := start(t, servers("good", stdio("echo", true), "stateful", stdio("dying", false), "stateless", stdio("dying", true))).ready()
	clients := []gatetest.Client{gatetest.DialStateful(t, g.url), gatetest.DialStateless(t, g.url), gatetest.DialSSE(t, g.url), gatetest.Pipe(t, g.out, g.in, false)}
	var load callers
	t.Cleanup(load.halt)
	for _, c := range clients {
		load.begin(t.Context(), c, "good.nonce")
	}
	for _, name := range []string{"stateful", "stateless"} {
		for round, tool := range []string{"die", "die_in_answer"} {
			var open []*gatetest.Pending
			for _, c := range clients {
				p := c.Start("tools/call", `{"name":"`+name+`.hang","_meta":{"progressToken":"h"}}`)
				gatetest.WaitFor(t, "the call to hang", func() bool { return len(p.Notes()) == 1 })
				open = append(open, p)
			}
			last := clients[round].Start("tools/call", `{"name":"`+name+"."+tool+`"}`)
			for _, p := range open {
				failed(t, p, "server_down")
			}
			failed(t, last, []string{"server_down", "server_invalid"}[round]) // half an answer is one that cannot be accepted
			within(t, 2*guard, name+" to come back", func() bool {
				s := g.states()[name]
				return s.State == "ready" && s.Restarts == round+1 && s.Protocol != ""
			})
		}
		p := clients[0].Start("tools/call", `{"name":"`+name+`.hang","_meta":{"progressToken":"again"}}`)
		gatetest.WaitFor(t, "a call after the restarts", func() bool { return len(p.Notes()) == 1 })
		p.Cancel()
	}
	load.end(t)
	for _, c := range clients {
		noStray(t, c)
	}
}

// failed waits for a call, which must have failed for this reason.
func failed(t testing.TB, p *gatetest.Pending, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	a, err := p.Wait(ctx)
	if err != nil {
		t.Fatalf("a call at a server that exited: %v", err)
	}
	if string(gatetest.Member(a.Error, "code")) != "-32603" || string(gatetest.Member(a.Error, "data", "reason")) != `"`+reason+`"` {
		t.Errorf("a call at a server that exited: %s", a.Raw)
	}
}

func html(t testing.TB, status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, "<html><body>Welcome!</body></html>")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func closedPort(t testing.TB) string {
	s := httptest.NewServer(nil)
	s.Close()
	return s.URL
}

func impatient(definition string) string {
	return strings.TrimSuffix(definition, "}") + `,"startTimeout":"1s"}`
}

func TestBrokenServersAreStatesWithReasons(t *testing.T) {
	silent := gatetest.New("silent")
	g := start(t, servers(
		"good", stdio("echo", false),
		"missing", `{"command":"no-such-command-anywhere"}`,
		"folder", `{"command":"/"}`,
		"unset", `{"command":"x","args":["${MCPGW_TEST_UNSET}"]}`,
		"hang", impatient(stdio("silent", false)),
		"hang-http", impatient(remote("http", gatetest.StartStateful(t, silent))),
		"exit", stdio("exiting", false),
		"html", remote("http", html(t, 200)),
		"html-404", remote("http", html(t, 404)),
		"html-sse", remote("sse", html(t, 200)),
		"refused", remote("http", closedPort(t)),
		"banner", stdio("banner", false),
		"off", `{"command":"x","enabled":false}`,
		"theirs", `{"command":"x","disabled":true}`,
		"ws", `{"type":"ws","url":"ws://127.0.0.1:1/"}`,
		"last", stdio("echo", true),
	)).ready()
	want := []struct {
		name, states, reason string
	}{
		{"good", "ready", ""},
		{"missing", "failed", "no-such-command-anywhere"},
		{"folder", "failed", ""},
		{"unset", "failed", "MCPGW_TEST_UNSET"},
		{"hang", "down starting", "1s"},
		{"hang-http", "down starting", "1s"},
		{"exit", "down crashloop starting", "7"},
		{"html", "down starting", "text/html"},
		{"html-404", "down starting", "404"},
		{"html-sse", "down starting", "text/html"},
		{"refused", "down starting", "refused"},
		{"banner", "ready", ""},
		{"off", "disabled", "it is disabled in the config"},
		{"theirs", "disabled", "it is disabled in the config"},
		{"ws", "failed", `type "ws" is no transport`},
		{"last", "ready", ""},
	}
	// A state may be just about to be tried again, so look until it says why.
	for _, w := range want {
		var s state
		within(t, 2*guard, w.name+" to say why", func() bool {
			s = g.states()[w.name]
			return strings.Contains(w.states, s.State) && strings.Contains(s.Reason, w.reason) && (s.Reason != "") == (w.states != "ready")
		})
		t.Logf("%s is %s: %s", w.name, s.State, s.Reason)
		if strings.Contains(s.Reason, "\n") || len(s.Reason) > 400 || strings.Contains(s.Reason, "<html>") {
			t.Errorf("%s: the reason is no line for people: %q", w.name, s.Reason)
		}
	}
	if s := g.states()["ws"]; s.Transport != "ws" {
		t.Errorf("a transport of another program's is shown as %q", s.Transport)
	}
	within(t, guard, "the last words of exit", func() bool {
		return strings.Contains(strings.Join(g.states()["exit"].Stderr, "\n"), "••• as the script says")
	})
	for i := range 3 {
		c := dial(t, g.url, 2*i)
		if n := len(list(t, c)); n != 10+1+10 {
			t.Errorf("%d tools", n)
		}
		for _, tool := range []string{"good.raw", "banner.echo", "last.raw"} {
			if got := gatetest.FirstText(call(t, c, tool, `{"a":1.0}`)); got != `{"a":1.0}` {
				t.Errorf("%s says %q", tool, got)
			}
		}
		noStray(t, c)
	}
}

func TestRudeServersHurtNobody(t *testing.T) {
	for _, s := range serverBindings {
		t.Run(s.name, func(t *testing.T) {
			g := start(t, servers("rude", s.define(t, "rude"))).ready()
			for i := range 5 {
				c := dial(t, g.url, i)
				for _, tool := range []string{"unknown_id", "stranger", "after", "garbage", "twice"} {
					a := call(t, c, "rude."+tool, `{}`)
					if tool == "twice" && string(gatetest.Member(a.Result, "n")) != "1" {
						t.Errorf("not the first answer: %s", a.Result)
					}
				}
				noStray(t, c)
			}
		})
	}
}
