package stateful

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// TestChangesAreCoalesced: at most one a second, the last one never lost.
func TestChangesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, v, out := edge(t, nil)
		time.Sleep(5 * time.Second)
		wantTimes(t, out.times(mcp.Tools.Changed()))
		v.tools("F0") // nothing of this view
		wantTimes(t, out.times(mcp.Tools.Changed()))
		v.tools("F1")
		wantTimes(t, out.times(mcp.Tools.Changed()), 5*time.Second)
		for range 100 {
			time.Sleep(5 * time.Millisecond)
			v.tools("F1")
			v.tools("F" + time.Now().String())
		}
		wantTimes(t, out.times(mcp.Tools.Changed()), 5*time.Second)
		time.Sleep(time.Second)
		wantTimes(t, out.times(mcp.Tools.Changed()), 5*time.Second, 6*time.Second)
		time.Sleep(time.Minute)
		wantTimes(t, out.times(mcp.Tools.Changed()), 5*time.Second, 6*time.Second)
	})
}

// TestBackAndForthIsNoNews: a view that is again what the client was told of.
func TestBackAndForthIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, v, out := edge(t, nil)
		v.tools("F1")
		wantTimes(t, out.times(mcp.Tools.Changed()), 0)
		v.tools("F2")
		v.tools("F1")
		time.Sleep(time.Minute)
		wantTimes(t, out.times(mcp.Tools.Changed()), 0)
	})
}

// TestAListIsNews: what a client has just listed it need not be told of.
func TestAListIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, v, out := edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
			return &mcp.Reply{Result: []byte(`{"tools":[]}`), Seen: "F2"}, nil
		})
		v.tools("F1")
		wantTimes(t, out.times(mcp.Tools.Changed()), 0)
		v.tools("F2") // while the stream pauses
		if got := list(t, b, s); got != `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}` {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		wantTimes(t, out.times(mcp.Tools.Changed()), 0)
	})
}

// TestAListNeverHidesAChange that came while it was made: the view that it shows may be
// another than the one that the client was told of meanwhile.
func TestAListNeverHidesAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v *feed
		var b *Inbound
		var s *session.Session
		var out *told
		b, s, v, out = edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
			v.tools("F1")
			time.Sleep(2 * time.Second) // the stream tells it, and waits for the next change
			return &mcp.Reply{Result: []byte(`{"tools":[]}`), Seen: "F1"}, nil
		})
		list(t, b, s) // shows F1
		time.Sleep(10 * time.Second)
		n := len(out.times(mcp.Tools.Changed()))
		v.tools("F0")
		if got := out.times(mcp.Tools.Changed()); len(got) != n+1 {
			t.Errorf("told at %v; the way back to what was seen before the list is lost", got)
		}
	})
}

// TestTheStreamEndsWithItsSession, also before the handshake is over.
func TestTheStreamEndsWithItsSession(t *testing.T) {
	for _, ready := range []bool{false, true} {
		b := NewInbound(era.Params{Feed: newFeed()}, nil)
		s := session.New(t.Context(), "local", mcp.Scope{})
		if ready {
			s.Open(era.Newest(false).Date, nil, mcp.Seen{"F0"})
			s.SetReady()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Stream(context.Background(), s, newTold())
		}()
		s.End()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatal("the stream goes on")
		}
	}
}

// TestResultsAreProjectedForTheTool that was called.
func TestResultsAreProjectedForTheTool(t *testing.T) {
	b := NewInbound(era.Params{Feed: newFeed(), Handler: mcp.HandlerFunc(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		c.Target.Definition = []byte(`{"outputSchema":{"type":"array"}}`)
		return &mcp.Reply{Result: []byte(`{"content":[{"type":"text","text":"x"}],"structuredContent":[1.0]}`)}, nil
	})}, nil)
	s := session.New(t.Context(), "local", mcp.Scope{})
	defer s.End()
	s.Open(era.Newest(false).Date, nil, mcp.Seen{"F0"})
	m := message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
	got := b.Serve(context.Background(), &era.Incoming{Message: m, Out: newTold(), Session: s})
	if string(got.Body) != `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}],"structuredContent":{"result":[1.0]}}}` {
		t.Errorf("%s", got.Body)
	}
}
