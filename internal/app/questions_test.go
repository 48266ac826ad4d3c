package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mcpgateway/internal/gatetest"
)

// all is what a client declares that can be asked anything.
const all = `{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}`

// An askedClient is one of many that are asked at the same time. It answers with the tag that
// the question bears, and counts the questions of others. Roots bear none: they tell whose they are.
type askedClient struct {
	gatetest.Client
	mark    string // begins the tags of its calls
	asked   atomic.Int64
	crossed atomic.Int64
	left    chan struct{} // has one when the question came that it leaves open
	gone    chan struct{} // closed when it goes
}

func dialAsked(t testing.TB, url string, n int) *askedClient { return dialAskedAs(t, url, n, all) }

func dialAskedAs(t testing.TB, url string, n int, capabilities string) *askedClient {
	c := &askedClient{mark: fmt.Sprintf("client%d/", n), left: make(chan struct{}, 1), gone: make(chan struct{})}
	o := gatetest.Options{Capabilities: capabilities, OnAsk: c.answer, NoListen: true, Revision: gatetest.Stateful}
	switch n % 5 {
	case 0, 1:
		c.Client = o.DialStateful(t, url)
	case 2, 3:
		o.Revision = gatetest.Stateless
		c.Client = o.DialStateless(t, url)
	default:
		c.Client = o.DialSSE(t, url)
	}
	return c
}

func (c *askedClient) answer(method string, params json.RawMessage) (result, refused string) {
	c.asked.Add(1)
	if method == "roots/list" {
		return `{"roots":[{"uri":"file:///` + c.mark + `"}]}`, ""
	}
	if !strings.Contains(string(params), c.mark) {
		c.crossed.Add(1)
	}
	text := string(gatetest.Member(params, "message"))
	switch {
	case strings.Contains(string(params), "/leave"):
		c.left <- struct{}{}
		<-c.gone
		return "", ""
	case method == "sampling/createMessage":
		var messages []json.RawMessage
		_ = json.Unmarshal(gatetest.Member(params, "messages"), &messages)
		return `{"role":"assistant","model":"m","content":` + string(gatetest.Member(messages[0], "content")) + `}`, ""
	case strings.Contains(string(params), "/decline"):
		return `{"action":"decline"}`, ""
	case string(gatetest.Member(params, "mode")) == `"url"`:
		return `{"action":"accept"}`, ""
	}
	return `{"action":"accept","content":{"answer":` + text + `}}`, ""
}

// interview calls a tool that asks and holds its outcome to what this client answered.
func (c *askedClient) interview(ctx context.Context, tool, tag string, rounds int) error {
	a, _, err := c.DoAll(ctx, "tools/call", fmt.Sprintf(`{"name":"asking.%s","arguments":{"tag":%q,"rounds":%d}}`, tool, tag, rounds))
	if err != nil {
		return fmt.Errorf("%s: %w", tag, err)
	}
	lines := strings.Split(gatetest.FirstText(a), "\n")
	if len(lines) != 1+rounds || lines[0] != tag {
		return fmt.Errorf("%s: %s", tag, a.Raw)
	}
	for i, said := range lines[1:] {
		want := fmt.Sprintf("%s %d", tag, i)
		switch {
		case tool == "roots":
			want = `"file:///` + c.mark + `"`
		case strings.HasSuffix(tag, "/decline"):
			want = `"action":"decline"`
		case tool == "url":
			want = `"action":"accept"`
		}
		if !strings.Contains(said, want) {
			return fmt.Errorf("%s got the answer %s", tag, said)
		}
	}
	return nil
}

// interviews calls so often, with every kind of question in turn. Some forms and URLs are declined.
func (c *askedClient) interviews(ctx context.Context, kinds []string, worker, calls int) error {
	for n := range calls {
		tool, tag := kinds[(n+worker)%len(kinds)], fmt.Sprintf("%s%d/%d", c.mark, worker, n)
		if (tool == "form" || tool == "url") && n%3 == 1 {
			tag += "/decline"
		}
		if err := c.interview(ctx, tool, tag, 1+n%2); err != nil {
			return err
		}
	}
	return nil
}

// leaves calls once more and goes away while the question is open.
func (c *askedClient) leaves(ctx context.Context, tool string) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	ended := make(chan error, 1)
	go func() { ended <- c.interview(ctx, tool, c.mark+"leave", 1) }()
	select {
	case <-c.left:
	case err := <-ended:
		return fmt.Errorf("%s: its call ended before it left: %w", c.mark, err)
	}
	close(c.gone)
	c.Close()
	giveUp() // a stateless client has no request under way: it only stays away
	if err := <-ended; err == nil {
		return fmt.Errorf("%s has the answer of a call that it left", c.mark)
	}
	return nil
}

// 1,000 calls of 50 clients of both eras run at the same time at one server, which asks them:
// each question comes to the client whose call caused it, though some decline and ten of the
// clients leave with questions open.
func TestQuestionsReachTheClientThatCausedThem(t *testing.T) {
	const clients, leavers, workers = 50, 10, 2
	const before, calls = 2, 12 // of each worker: of a leaver before it leaves, and of the others
	if n := leavers*(workers*before+1) + (clients-leavers)*workers*calls; n < 1000 {
		t.Fatalf("%d calls", n)
	}
	one := func(t testing.TB, definition string) string { return servers("asking", definition) }
	own := func(definition string) string { return merged(definition, `{"sessions":"per-client"}`) }
	shared := []string{"form", "sample", "url"}
	for _, s := range []struct {
		name   string
		kinds  []string
		config func(t testing.TB) string
	}{
		{"http-stateful", shared, func(t testing.TB) string {
			return one(t, remote("http", gatetest.StartStateful(t, gatetest.New("asking"))))
		}},
		{"http-stateless", shared, func(t testing.TB) string {
			return one(t, remote("http", gatetest.StartStateless(t, gatetest.New("asking"))))
		}},
		{"stdio-stateless", shared, func(t testing.TB) string { return one(t, stdio("asking", true)) }},
		{"stdio-stateful per-client", append(shared, "roots"), func(t testing.TB) string { return one(t, own(stdio("asking", false))) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			g := startAt(t, slog.LevelInfo, s.config(t)).ready()
			every := make([]*askedClient, clients)
			for i := range every {
				capabilities := all
				if i < leavers && strings.HasSuffix(s.name, "per-client") {
					// On one connection calls of stateless clients take turns. What a leaver left open is to
					// hold up no other client, and it has no other call: it has a connection of its own.
					capabilities = merged(all, fmt.Sprintf(`{"experimental":{"leaver%d":{}}}`, i))
				}
				every[i] = dialAskedAs(t, g.url, i, capabilities)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*startTime)
			defer cancel()
			var running sync.WaitGroup
			for i, c := range every {
				running.Go(func() {
					n := calls
					if i < leavers {
						n = before
					}
					var mine sync.WaitGroup
					for w := range workers {
						mine.Go(func() {
							if err := c.interviews(ctx, s.kinds, w, n); err != nil {
								t.Error(err)
							}
						})
					}
					mine.Wait()
					if i < leavers {
						if err := c.leaves(ctx, shared[i%3]); err != nil {
							t.Error(err)
						}
					}
				})
			}
			running.Wait()
			asked, crossed := int64(0), int64(0)
			for _, c := range every {
				asked, crossed = asked+c.asked.Load(), crossed+c.crossed.Load()
				noStray(t, c)
			}
			// A question may be put again: on a connection of its own a client's question is carried by
			// any of its calls, and by another one if that ends first.
			if asked < 1000 || crossed != 0 {
				t.Errorf("%d questions, %d of them at the wrong client", asked, crossed)
			}
		})
	}
}

// On one pipe that all share, nobody can know whose question it is while two calls are open.
func TestQuestionOfNobodyKnowsWhomIsRefusedWithAdvice(t *testing.T) {
	g := start(t, servers("asking", stdio("asking", false), "other", stdio("echo", false))).ready()
	a, b := dialAsked(t, g.url, 0), dialAsked(t, g.url, 2)
	hung := a.Start("tools/call", `{"name":"asking.hang","arguments":{},"_meta":{"progressToken":1}}`)
	gatetest.WaitFor(t, "the call to hang", func() bool { return len(hung.Notes()) == 1 })
	got, _, err := b.DoAll(t.Context(), "tools/call", `{"name":"asking.form","arguments":{"tag":"client2/"}}`)
	if err != nil || string(gatetest.Member(got.Result, "isError")) != "true" || !strings.Contains(gatetest.FirstText(got), `\"sessions\": \"per-client\"`) {
		t.Errorf("%v, %+v", err, got)
	}
	if n := a.asked.Load() + b.asked.Load(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
	var list struct {
		Servers []struct{ Name, Advice string }
	}
	if err := json.Unmarshal([]byte(g.must(http.StatusOK, "GET", "/servers", "")), &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Servers {
		if advised := strings.Contains(s.Advice, `"sessions": "per-client"`); advised != (s.Name == "asking") {
			t.Errorf("the advice for %s is %q", s.Name, s.Advice)
		}
	}
	hung.Cancel()
}

// A question that comes once its call was cancelled belongs to nobody, though another client
// waits for an answer of the same server.
func TestQuestionAfterItsCallWasCancelledReachesNobody(t *testing.T) {
	for _, s := range serverBindings {
		if s.stateless {
			continue // its servers cannot ask late
		}
		t.Run(s.name, func(t *testing.T) {
			g := start(t, servers("asker", s.define(t, "asker"))).ready()
			watcher := gatetest.DialStateless(t, g.url)
			refused := func() string { return gatetest.FirstText(call(t, watcher, "asker.refused", `{}`)) }
			for i := range 3 { // a client of each transport and era that HTTP has
				c := dialAsked(t, g.url, 2*i)
				other := dialAsked(t, g.url, 0)
				late := c.Start("tools/call", `{"name":"asker.late","arguments":{"tag":"t"},"_meta":{"progressToken":1}}`)
				hung := other.Start("tools/call", `{"name":"asker.hang","arguments":{},"_meta":{"progressToken":1}}`)
				gatetest.WaitFor(t, "the calls to hang", func() bool { return len(late.Notes()) == 1 && len(hung.Notes()) == 1 })
				late.Cancel()
				gatetest.WaitFor(t, "the question to be refused", func() bool { return refused() == fmt.Sprint(i+1) })
				if n := c.asked.Load() + other.asked.Load() + int64(len(c.Asked())+len(other.Asked())); n != 0 {
					t.Errorf("%d questions reached somebody", n)
				}
				noStray(t, c)
				noStray(t, other)
				hung.Cancel()
				c.Close()
				other.Close()
			}
		})
	}
}
