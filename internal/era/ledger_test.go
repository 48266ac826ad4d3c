package era

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

// TestLedgerEnds: a request that the server may still work on counts on, whatever our own
// reason to leave it; one that it answered, refused or never got does not.
func TestLedgerEnds(t *testing.T) {
	for _, tt := range []struct {
		err    error
		counts bool
	}{
		{nil, false},
		{&mcp.Remote{}, false},
		{&Refusal{&mcp.Remote{}, &transport.Status{Code: 400}}, false},
		{&transport.Status{Code: 503}, false},
		{fmt.Errorf("%w: x", jsonrpc.ErrAnswer), false},
		{transport.ErrUnreachable, false},
		{context.Canceled, true},
		{context.DeadlineExceeded, true},
		{fmt.Errorf("%w: reset", transport.ErrClosed), true},
		{errors.New("a write that failed"), true},
	} {
		var l Ledger
		a := l.Begin(t.Context(), &mcp.Call{}, []byte("1"))
		b := l.Begin(t.Context(), &mcp.Call{}, []byte("2"))
		l.End(a, tt.err)
		of, several := l.Only()
		if several != tt.counts || (of == b) == tt.counts {
			t.Errorf("%v: only %v, several %v", tt.err, of, several)
		}
		if a.Ctx.Err() == nil || b.Ctx.Err() != nil {
			t.Errorf("%v: the contexts are %v and %v", tt.err, a.Ctx.Err(), b.Ctx.Err())
		}
		l.Answered([]byte("1"))
		if of, _ := l.Only(); of != b {
			t.Errorf("%v: after the late answer %v", tt.err, of)
		}
		l.End(b, nil)
	}
}

// TestAnswersThatCrossTheEnd: the answer comes after the caller left and before that is noted.
func TestAnswersThatCrossTheEnd(t *testing.T) {
	var l Ledger
	a := l.Begin(t.Context(), &mcp.Call{}, []byte("1"))
	b := l.Begin(t.Context(), &mcp.Call{}, []byte("2"))
	l.Answered([]byte("1"))
	l.Answered([]byte("7"))
	l.Answered(nil)
	if of, several := l.Only(); several || of != b {
		t.Errorf("only %v, several %v, though the server has answered the other", of, several)
	}
	l.End(a, context.Canceled)
	if of, _ := l.Only(); of != b {
		t.Errorf("only %v", of)
	}
	l.End(b, nil)
}

// TestLedgerIsBounded, and where it cannot know any more it says so.
func TestLedgerIsBounded(t *testing.T) {
	var l Ledger
	for i := range maxLeft + 10 {
		l.End(l.Begin(t.Context(), &mcp.Call{}, fmt.Append(nil, i)), context.Canceled)
	}
	if len(l.left) != maxLeft || len(l.open) != 0 {
		t.Errorf("%d left, %d open", len(l.left), len(l.open))
	}
	for i := range maxLeft + 10 {
		l.Answered(fmt.Append(nil, i))
	}
	a := l.Begin(t.Context(), &mcp.Call{}, []byte("a"))
	if of, several := l.Only(); of != nil || !several {
		t.Error("some that were forgotten may still run")
	}
	l.Forget()
	if of, _ := l.Only(); of != a {
		t.Error("in a new session nothing is left")
	}
	l.End(a, nil)
}

// TestTheOverflowIsItsClients: whoever leaves more calls than are kept is alone in doubt, and
// not for ever.
func TestTheOverflowIsItsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Ledger
		mine, other := &mcp.Call{From: &mcp.Caller{Principal: "p"}}, &mcp.Call{From: &mcp.Caller{Principal: "q"}}
		for i := range maxLeft + 10 {
			id := fmt.Append(nil, i)
			l.End(l.Begin(t.Context(), mine, id), context.Canceled)
			l.Told(id)
		}
		a := l.Begin(t.Context(), mine, []byte("a"))
		if of, several := l.Only(); of != nil || !several {
			t.Error("at once nothing is certain")
		}
		time.Sleep(leftTime)
		if of, _ := l.Only(); of != a {
			t.Error("a minute later there is still doubt")
		}
		l.End(a, nil)
		b := l.Begin(t.Context(), other, []byte("b"))
		for i := range maxLeft {
			l.Answered(fmt.Append(nil, i))
		}
		if of, several := l.Only(); of != nil || !several {
			t.Error("towards another client calls that were not kept stop counting")
		}
		l.End(b, nil)
	})
}

// TestNewest prefers what may be asked about.
func TestNewest(t *testing.T) {
	var l Ledger
	if l.Newest() != nil || l.Get([]byte("1")) != nil {
		t.Error("nothing is open")
	}
	l.Begin(t.Context(), &mcp.Call{Method: mcp.ToolsCall}, []byte("1"))
	tool := l.Begin(t.Context(), &mcp.Call{Method: mcp.ToolsCall}, []byte("2"))
	l.Begin(t.Context(), &mcp.Call{Method: mcp.Completion}, []byte("3"))
	if l.Newest() != tool || l.Get([]byte("2")) != tool || string(tool.ID()) != "2" {
		t.Errorf("newest %v", l.Newest())
	}
}
