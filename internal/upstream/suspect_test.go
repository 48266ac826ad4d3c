package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// TestSuspectIsChecked: a call that failed on the way makes the server be asked for a
// sign of life; where it gives none, it is connected to again.
func TestSuspectIsChecked(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		for _, check := range []string{"answers", "refuses", "fails", "is silent"} {
			t.Run(fmt.Sprint("stateless ", stateless, " check ", check), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { suspect(t, stateless, check) })
			})
		}
	}
}

func suspect(t *testing.T, stateless bool, check string) {
	var failing atomic.Bool
	s := &stream{}
	s.answer = func(ctx context.Context, m *jsonrpc.Message, _ func(*jsonrpc.Message)) (string, error) {
		isCheck := failing.Load() && (m.Method == mcp.Ping || stateless && m.Method == mcp.Discover) && s.dialed() == 1
		switch {
		case isCheck && check == "refuses":
			return errorAnswer(-32603, "busy"), nil
		case isCheck && check == "fails":
			return "", fmt.Errorf("%w: reset", transport.ErrClosed)
		case isCheck && check == "is silent":
			<-ctx.Done()
			return "", ctx.Err()
		case m.Method == mcp.ToolsCall && failing.Load() && s.dialed() == 1:
			return "", fmt.Errorf("%w: reset", transport.ErrClosed)
		case m.Method == mcp.Discover && stateless:
			return discovered, nil
		case m.Method == mcp.Discover:
			return unknownMethod, nil
		case m.Method == mcp.Initialize:
			return initialized, nil
		case m.Method == mcp.Tools.List():
			return oneTool, nil
		}
		return empty, nil
	}
	r := start(t, params(s))
	r.readyAt(t)
	failing.Store(true)
	if _, err := r.Handle(t.Context(), call(r.Server, "")); reasonOf(err) != "server_down" {
		t.Errorf("the call: %v", err)
	}
	st := r.after(20 * time.Second)
	alive := check == "answers" || check == "refuses"
	if st.State != Ready || (st.Restarts == 0) != alive || (s.dialed() == 1) != alive {
		t.Errorf("status %+v, %d connections, the server got %q", st, s.dialed(), s.methods())
	}
	if _, err := r.Handle(t.Context(), call(r.Server, "")); (err != nil) != alive {
		t.Errorf("the next call: %v", err)
	}
	asked := 0
	for _, m := range s.methods() {
		if m == "1 tools/call" {
			asked++
		}
	}
	if want := 1; !alive && asked != want {
		t.Errorf("the failed call was sent %d times", asked)
	}
}

// TestRemoteErrorsAreNoSuspicion: the server's own errors pass and nothing is checked.
func TestRemoteErrorsAreNoSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if m.Method == mcp.ToolsCall {
				w.say(m, `{"jsonrpc":"2.0","id":%s,"error":{"message":"no","code":-32602,"data":{"n":1.0}}}`)
				return nil
			}
			return plain(w, m)
		}}
		r := start(t, params(p))
		r.readyAt(t)
		_, err := r.Handle(t.Context(), call(r.Server, ""))
		var remote *mcp.Remote
		if !errors.As(err, &remote) || string(remote.Raw) != `{"message":"no","code":-32602,"data":{"n":1.0}}` {
			t.Errorf("error %v", err)
		}
		r.after(time.Minute)
		if n := p.count(mcp.Ping); n != 0 {
			t.Errorf("%d checks", n)
		}
	})
}
