package upstream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// TestStartTimeIsOne: a server that hangs in both handshakes costs its start time once.
func TestStartTimeIsOne(t *testing.T) {
	silent := func(ctx context.Context, _ *jsonrpc.Message, _ func(*jsonrpc.Message)) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	for name, d := range map[string]transport.Dialer{
		"pipe": &peer{script: func(*wire, *jsonrpc.Message) error { return nil }},
		"http": &stream{answer: silent},
		"dial": hanging{},
		"list": &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.Initialize {
				w.in(22*time.Second, m, initialized) // 5 s of silence before, and 10 s a list may take
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, params(d))
				if st := r.after(30*time.Second - 1); st.State != Starting {
					t.Errorf("before: %+v", st)
				}
				st := r.after(30 * time.Second)
				if st.State != Down || !strings.Contains(st.Reason, "start time of 30s") {
					t.Errorf("state %s: %s", st.State, st.Reason)
				}
			})
		})
	}
}

type hanging struct{}

func (hanging) Dial(ctx context.Context) (transport.Conn, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("dial: %w", ctx.Err())
}

// TestStopInTheProbe: Run ends at once wherever it is.
func TestStopInTheProbe(t *testing.T) {
	for _, at := range []time.Duration{0, time.Second, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, params(&peer{script: func(*wire, *jsonrpc.Message) error { return nil }}))
			r.after(at)
			r.stop()
			if d := time.Since(r.began); d != at {
				t.Errorf("stopped %v after the start, want %v", d, at)
			}
			select {
			case <-r.Tried():
			default:
				t.Error("Tried is open after Run")
			}
		})
	}
}
