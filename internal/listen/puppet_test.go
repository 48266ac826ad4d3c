package listen

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// A puppet is a house whose calls say what a test tells them to.
type puppet struct {
	t     *testing.T
	mu    sync.Mutex
	calls map[string]chan string // by the tool's name
}

func (f *front) puppet() *puppet {
	p := &puppet{t: f.t, calls: map[string]chan string{}}
	f.answer(func(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
		orders := p.of(c.Name)
		for {
			select {
			case order := <-orders:
				if answer, last := strings.CutPrefix(order, "="); last {
					return &mcp.Reply{Result: []byte(`{"content":[],"x":"` + answer + `"}`)}, nil
				}
				if order == "?" {
					_, err := c.Back.Ask(ctx, "elicitation/create", []byte(`{"message":"m","requestedSchema":{"type":"object","properties":{}}}`))
					if err != nil {
						p.t.Error(err)
					}
					orders <- "" // it is answered
					continue
				}
				_ = c.Back.Notify(ctx, "notifications/x", []byte(`{"x":"`+order+`"}`))
				orders <- "" // it is said
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	return p
}

func (p *puppet) of(name string) chan string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[name] == nil {
		p.calls[name] = make(chan string)
	}
	return p.calls[name]
}

// say makes a call tell its client something, and waits until it did.
func (p *puppet) say(name string, all ...string) {
	p.t.Helper()
	for _, x := range all {
		p.order(name, x)
		soon(p.t, "the notification", p.of(name))
	}
}

func (p *puppet) order(name, x string) {
	p.t.Helper()
	select {
	case p.of(name) <- x:
	case <-time.After(guardTime):
		p.t.Fatalf("the call %s does not listen", name)
	}
}

func tool(id, name string) string { return request(id, mcp.ToolsCall, `"name":"`+name+`"`) }

// begin opens the stream of a call by its first notification.
func (p *puppet) begin(f *front, session, id, name string, header ...string) *eventClient {
	f.t.Helper()
	said := p.first(name)
	e := f.stream(http.MethodPost, "/mcp", tool(id, name), append([]string{era.HeaderSession, session}, header...)...)
	soon(f.t, "the first notification", said)
	return e
}

// first makes a call that is yet to come tell its client something; said is closed once it did. Only
// then may it be given another order.
func (p *puppet) first(name string) (said chan bool) {
	said = make(chan bool)
	go func() {
		p.of(name) <- "0"
		<-p.of(name)
		close(said)
	}()
	return said
}

// hear gives what a stream says until its n-th message.
func (c *eventClient) hear(n int) string {
	c.t.Helper()
	var out []string
	for range n {
		e := open(c.t, c.next())
		if e.Method == "" {
			out = append(out, "="+string(e.ID))
			continue
		}
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(string(e.Params), `{"x":"`), `"}`))
	}
	return strings.Join(out, " ")
}

// again resumes a session's stream.
func (f *front) again(session, event string, header ...string) *eventClient {
	f.t.Helper()
	return f.listen(session, append([]string{headerLastEvent, event}, header...)...)
}

// refused resumes where that is refused.
func (f *front) refused(status int, session, event string, header ...string) {
	f.t.Helper()
	g := f.send(http.MethodGet, "/mcp", "", append([]string{era.HeaderSession, session, headerLastEvent, event}, header...)...)
	if status == http.StatusNoContent {
		if g.status != status || g.body != "" {
			f.t.Errorf("%q: %s, want %d", event, g, status)
		}
		return
	}
	wantRefusal(f.t, g, status)
}
