package stateless

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mcpgateway/internal/mcp"
)

// TestACrowdIsNotMixedUp: 1,000 calls of 50 clients, each asked twice, with every retry sent
// twice at the same moment. Each question reaches the client whose call it belongs to, and of
// two equal retries exactly one goes on.
func TestACrowdIsNotMixedUp(t *testing.T) {
	const clients, calls = 50, 20
	d := newDesk(t, func(ctx context.Context, c *mcp.Call) (string, error) {
		said := c.Name
		for range 2 {
			message, _ := json.Marshal(map[string]any{"message": c.Name, "requestedSchema": map[string]any{}})
			answer, err := c.Back.Ask(ctx, mcp.Elicit, message)
			if err != nil {
				return "", err
			}
			said += strings.Trim(string(answer), `{}"`)
		}
		return `{"text":` + fmt.Sprintf("%q", said) + `}`, nil
	})
	var mu sync.Mutex // of the desk's numbering
	send := func(r request) answered {
		mu.Lock()
		in := d.incoming(r)
		mu.Unlock()
		return d.read(d.b.Serve(t.Context(), in))
	}
	var right, refused atomic.Int32
	var crowd sync.WaitGroup
	for client := range clients {
		crowd.Go(func() {
			for call := range calls {
				r := request{who: mcp.Local, name: fmt.Sprintf("n%d-%d", client, call)}
				a := send(r)
				for round := 1; round <= 2; round++ {
					key := fmt.Sprintf("q%d", round)
					if q := a.Result.InputRequests[key]; a.Result.RequestState == nil || !strings.Contains(string(q.Params), `"message":"`+r.name+`"`) {
						t.Errorf("%s was asked %s", r.name, a.raw)
						return
					}
					r.state, r.responses = a.Result.RequestState, fmt.Sprintf(`{"%s":{"%d":"%d"}}`, key, client, round)
					both := make(chan answered, 2)
					go func() { both <- send(r) }()
					both <- send(r)
					first, second := <-both, <-both
					if first.Error.Data.Reason == "request_state" {
						first, second = second, first
					}
					if second.Error.Data.Reason == "request_state" {
						refused.Add(1)
					}
					a = first
				}
				if want := fmt.Sprintf(`%s%d":"1%d":"2`, r.name, client, client); a.Result.Text == want {
					right.Add(1)
				} else {
					t.Errorf("%s came to %s, not %q", r.name, a.raw, want)
				}
			}
		})
	}
	crowd.Wait()
	if right.Load() != clients*calls || refused.Load() != 2*clients*calls {
		t.Errorf("%d calls came out right, %d retries were refused", right.Load(), refused.Load())
	}
	d.reached(clients * calls)
	d.b.Close()
	if l := d.b.lot; len(l.runs)+len(l.parked)+l.taken+l.bytes != 0 {
		t.Errorf("held: %d runs, %d parked, %d places, %d bytes", len(l.runs), len(l.parked), l.taken, l.bytes)
	}
}

// BenchmarkACallThatNeverAsks is what every call costs at this edge.
func BenchmarkACallThatNeverAsks(b *testing.B) {
	d := newDesk(&testing.T{}, func(context.Context, *mcp.Call) (string, error) { return `{"text":"x"}`, nil })
	in := d.incoming(request{})
	b.ReportAllocs()
	for b.Loop() {
		d.b.Serve(b.Context(), in)
	}
}
