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

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// TestAClientThatGoesEndsItsCall, during the first request and during a retry; a request
// that was answered with a question has not gone.
func TestAClientThatGoesEndsItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends atomic.Int32
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			if c.Name == "asks" {
				if _, err := elicit(ctx, c); err != nil {
					return "", err
				}
			}
			<-ctx.Done()
			ends.Add(1)
			return "", ctx.Err()
		})
		ctx, goes := context.WithCancel(t.Context())
		end := d.serve(request{ctx: ctx})
		synctest.Wait()
		goes()
		if a := end(); !a.Dropped || a.Body != nil || ends.Load() != 1 {
			t.Errorf("dropped %v, %s, %d ended", a.Dropped, a.Body, ends.Load())
		}
		d.idle()
		ctx, goes = context.WithCancel(t.Context())
		state := d.asks(d.send(request{ctx: ctx, name: "asks"}), "q1")
		goes()
		time.Sleep(5 * time.Minute)
		ctx, goes = context.WithCancel(t.Context())
		end = d.serve(request{ctx: ctx, name: "asks", state: state, responses: `{"q1":{}}`})
		synctest.Wait()
		if ends.Load() != 1 {
			t.Error("a call ended that had been answered with a question")
		}
		goes()
		if a := end(); !a.Dropped || ends.Load() != 2 {
			t.Errorf("dropped %v, %d ended", a.Dropped, ends.Load())
		}
		d.idle()
	})
}

// TestAPipeEndsItsParkedCalls with itself.
func TestAPipeEndsItsParkedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, elicit)
		s := session.New(t.Context(), mcp.Stdio, mcp.Scope{})
		in := d.incoming(request{who: mcp.Stdio})
		in.Session = s
		state := d.asks(d.read(d.b.Serve(s.Context(), in)), "q1")
		s.End()
		d.idle()
		d.refuses(d.send(request{who: mcp.Stdio, state: state, responses: `{"q1":{}}`}), -32602, "request_state")
	})
}

// TestWhatHappensWhileParked waits for the retry: the newest progress and the last log lines,
// in order, under the retry's own token and level, before anything else.
func TestWhatHappensWhileParked(t *testing.T) {
	const token, level = `"progressToken":%s`, `"io.modelcontextprotocol/logLevel":"%s"`
	for _, c := range []struct {
		retry string
		want  []string
	}{
		{fmt.Sprintf(token, `"new"`), []string{`{"progressToken":"new","progress":3}`, `{"progressToken":"new","progress":4}`}},
		{fmt.Sprintf(level, "error"), []string{`{"level":"error","data":100}`, `{"level":"error","data":101}`}},
		{``, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			go_on := make(chan struct{})
			d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
				tell := func(n int) {
					_ = c.Back.Notify(ctx, mcp.NoteProgress, fmt.Appendf(nil, `{"progressToken":"old","progress":%d}`, n))
				}
				tell(1)
				_ = c.Back.Notify(ctx, mcp.NoteMessage, []byte(`{"level":"debug","data":0}`))
				done := make(chan struct{})
				go func() { _, _ = elicit(ctx, c); close(done) }()
				<-go_on
				tell(2)
				for i := range 100 {
					_ = c.Back.Notify(ctx, mcp.NoteMessage, fmt.Appendf(nil, `{"level":"debug","data":%d}`, i))
				}
				_ = c.Back.Notify(ctx, mcp.NoteMessage, []byte(`{"level":"error","data":100}`))
				_ = c.Back.Notify(ctx, mcp.NoteElicited, []byte(`{"elicitationId":"e"}`))
				tell(3)
				close(go_on)
				<-done
				tell(4)
				_ = c.Back.Notify(ctx, mcp.NoteMessage, []byte(`{"level":"error","data":101}`))
				return `{"text":"done"}`, nil
			})
			first, second := &told{}, &told{}
			state := d.asks(d.send(request{out: first, meta: fmt.Sprintf(token, `"old"`) + `,` + fmt.Sprintf(level, "debug")}), "q1")
			go_on <- struct{}{}
			<-go_on
			synctest.Wait()
			if got := d.b.lot.find(1).notes; len(got) != maxLines+1 || !strings.Contains(string(got[maxLines-1].params), "100") {
				t.Errorf("%d notifications are kept: %s", len(got), got)
			}
			d.says(d.send(request{out: second, meta: c.retry, state: state, responses: `{"q1":{}}`}), "done")
			if got := first.lines(); len(got) != 2 || !strings.Contains(got[0], `{"progressToken":"old","progress":1}`) || !strings.Contains(got[1], `"data":0`) {
				t.Errorf("the first request was told %s", got)
			}
			got := second.lines()
			if len(got) != len(c.want) {
				t.Fatalf("the retry was told %s", got)
			}
			for i, w := range c.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("the retry was told %s, not %s", got[i], w)
				}
			}
			d.idle()
		})
	}
}

// TestAResultWaitsForItsRetry, if it is not too large; so does an error.
func TestAResultWaitsForItsRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			asking, stop := context.WithTimeout(ctx, time.Minute) // the server withdraws its question
			defer stop()
			if _, err := c.Back.Ask(asking, mcp.Elicit, []byte(form)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the withdrawn question ended with %v", err)
			}
			switch c.Name {
			case "large":
				return `{"text":"` + strings.Repeat("x", maxKept) + `"}`, nil
			case "fails":
				return "", &mcp.Remote{Raw: []byte(`{"code":-5,"message":"no"}`), Number: -5}
			}
			return `{"text":"waited"}`, nil
		})
		for name, check := range map[string]func(answered){
			"ok":    func(a answered) { d.says(a, "waited") },
			"large": func(a answered) { d.refuses(a, -32603, "parked") },
			"fails": func(a answered) { d.refuses(a, -5, "") },
		} {
			state := d.asks(d.send(request{name: name}), "q1")
			time.Sleep(2 * time.Minute)
			check(d.send(request{name: name, state: state, responses: `{"q1":{}}`}))
			d.idle()
		}
	})
}

// TestParkingIsBounded for each principal, and where nobody is known for all together; what
// does not find room is told so, and what it frees is there again.
func TestParkingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, elicit)
		fill := func(who string, n int) (states []*string) {
			for range n {
				states = append(states, d.asks(d.send(request{who: who}), "q1"))
			}
			return states
		}
		own := fill("a", defaultParkedOwn)
		d.refuses(d.send(request{who: "a"}), -32603, "parked")
		d.says(d.send(request{who: "a", state: own[0], responses: `{"q1":{}}`}), "{}")
		own = append(own[1:], fill("a", 1)...)
		local := fill(mcp.Local, defaultParked-defaultParkedOwn)
		for _, who := range []string{mcp.Local, mcp.Stdio, "b"} {
			d.refuses(d.send(request{who: who}), -32603, "parked")
		}
		for who, states := range map[string][]*string{"a": own, mcp.Local: local} {
			for _, s := range states {
				d.says(d.send(request{who: who, state: s, responses: `{"q1":{}}`}), "{}")
			}
		}
		d.idle()
	})
}

// TestBytesOfParkedCallsAreBounded in all, their own requests included.
func TestBytesOfParkedCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, elicit)
		const others = maxKeptAll - 100<<10
		d.b.lot.hold(others)
		large := `{"a":"` + strings.Repeat("x", 100<<10) + `"}`
		d.refuses(d.send(request{arguments: large}), -32603, "parked")
		state := d.asks(d.send(request{arguments: large[:50<<10] + `"}`}), "q1")
		d.refuses(d.send(request{arguments: large[:51<<10] + `"}`}), -32603, "parked")
		d.says(d.send(request{arguments: large[:50<<10] + `"}`, state: state, responses: `{"q1":{}}`}), "{}")
		state = d.asks(d.send(request{arguments: large[:51<<10] + `"}`}), "q1")
		time.Sleep(time.Hour)
		d.refuses(d.send(request{arguments: large[:51<<10] + `"}`, state: state}), -32602, "request_state")
		d.b.lot.hold(-others)
		d.idle()
	})
}

// TestQuestionsAreBounded in one call.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Int32
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			var all sync.WaitGroup
			for range 2 * maxQuestions {
				all.Go(func() {
					if _, err := c.Back.Ask(ctx, mcp.RootsList, nil); err != nil {
						refused.Add(1)
					}
				})
			}
			all.Wait()
			return `{"text":"x"}`, nil
		})
		a := d.send(request{})
		if n := len(a.Result.InputRequests); n != maxQuestions || refused.Load() != maxQuestions {
			t.Errorf("%d questions go out, %d are refused", n, refused.Load())
		}
		answers := ""
		for key := range a.Result.InputRequests {
			answers += `,"` + key + `":{}`
		}
		d.says(d.send(request{state: a.Result.RequestState, responses: "{" + answers[1:] + "}"}), "x")
		d.idle()
	})
}

// TestOnlyWhatTheClientDeclaredIsAsked, by what the newest request says, and only during the
// requests that may be asked about.
func TestOnlyWhatTheClientDeclaredIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			text, err := elicit(ctx, c)
			var own *mcp.Error
			if errors.As(err, &own) {
				return fmt.Sprintf(`{"text":"code %d"}`, own.Code), nil
			}
			return text, err
		})
		unknown := fmt.Sprintf("code %d", mcp.UnknownMethod)
		d.says(d.send(request{caps: `{"sampling":{}}`}), unknown)
		d.says(d.send(request{caps: `{"elicitation":{"url":{}}}`}), fmt.Sprintf("code %d", mcp.InvalidParams))
		d.says(d.send(request{method: mcp.Completion, meta: `"x.y/z":1`, scope: mcp.Scope{}, name: "x"}), unknown)
		state := d.asks(d.send(request{}), "q1")
		d.says(d.send(request{state: state, caps: `{}`}), unknown)
		d.idle()
	})
}

// TestCloseEndsAll: what is parked, what is carried, and what would begin.
func TestCloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
			defer ended.Add(1)
			if c.Name == "asks" {
				return elicit(ctx, c)
			}
			<-ctx.Done()
			if _, err := elicit(context.Background(), c); err == nil {
				t.Error("a question was answered after the end")
			}
			return "", ctx.Err()
		})
		state := d.asks(d.send(request{name: "asks"}), "q1")
		end := d.serve(request{})
		synctest.Wait()
		d.b.Drain()
		synctest.Wait()
		if ended.Load() != 1 {
			t.Errorf("%d calls have ended; one was parked", ended.Load())
		}
		d.refuses(d.send(request{name: "asks", state: state, responses: `{"q1":{}}`}), -32602, "request_state")
		d.refuses(d.send(request{name: "asks"}), -32603, "closing")
		d.b.Close()
		if ended.Load() != 3 {
			t.Errorf("Close returned with %d of 3 calls ended", ended.Load())
		}
		d.refuses(d.read(end()), -32603, "canceled")
		d.refuses(d.send(request{}), -32603, "closing")
		d.b.Close()
		d.idle()
	})
}

// TestADrainedCallIsNotHandedOut: a question that is being gathered then ends as one that comes
// later does, and its call with it, in its first request and in a retry.
func TestADrainedCallIsNotHandedOut(t *testing.T) {
	for _, retried := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
				if c.Name == "twice" {
					if _, err := elicit(ctx, c); err != nil {
						return "", err
					}
				}
				return elicit(ctx, c)
			})
			r := request{}
			if retried {
				r.name = "twice"
				r.state, r.responses = d.asks(d.send(r), "q1"), `{"q1":{}}`
			}
			end := d.serve(r)
			synctest.Wait() // it gathers
			d.b.Drain()
			d.refuses(d.read(end()), -32603, "closing")
			d.idle()
		})
	}
}
