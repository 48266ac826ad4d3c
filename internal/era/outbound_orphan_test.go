package era_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// TestATaskThatNobodyWaitsForAsksNobody: its caller left before or after the server named it, and
// another client's call is the only one that is open. The task is cancelled, however late its name comes.
func TestATaskThatNobodyWaitsForAsksNobody(t *testing.T) {
	for _, named := range []time.Duration{time.Second, time.Minute} {
		t.Run("named after "+named.String(), func(t *testing.T) {
			each(t, isStateful, func(t *testing.T, k kind) {
				m := newMill()
				m.silent = true
				ob := declares(t, k, m.wire, stateful.Params{})
				list(t, ob)
				hear(t, ob)
				m.hold = make(chan struct{})
				a := startRun(t, ob, `{"name":"s.t"}`)
				a.leave()
				time.Sleep(named)
				close(m.hold)
				synctest.Wait()
				<-a.done
				b := startRun(t, ob, `{"name":"s.t"}`) // its task is T2
				var mu sync.Mutex
				got := ""
				m.await("70", func(a *jsonrpc.Message) { mu.Lock(); got = string(a.Raw); mu.Unlock() })
				question := `{"jsonrpc":"2.0","id":70,"method":"elicitation/create","params":{"message":"for A","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}}`
				if k.streams {
					asked, err := jsonrpc.Parse([]byte(question), jsonrpc.ServerLimits)
					if err != nil {
						t.Fatal(err)
					}
					m.events <- transport.Event{Message: asked}
				} else {
					m.waits("T2")(question)
				}
				synctest.Wait()
				mu.Lock()
				if !strings.Contains(got, noCall) {
					t.Errorf("the question was answered %s", got)
				}
				mu.Unlock()
				if n := len(b.back.questions()); n != 0 {
					t.Errorf("another client was asked %d times", n)
				}
				// The stream of a request that was given up brings no name any more.
				if given := k.streams && named > 5*time.Second; !given && !slices.Contains(m.methods(), mcp.TasksCancel) {
					t.Errorf("the server got %q", m.methods())
				}
				m.comesOf("T2", `"result":{}`)
				<-b.done
			})
		})
	}
}
