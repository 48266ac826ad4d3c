package stateful

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// A view is the feed, as a test sets it.
type view struct {
	mu      sync.Mutex
	now     string
	changed chan struct{}
}

func newView() *view { return &view{now: "F0", changed: make(chan struct{})} }

func (v *view) Tools(*mcp.Caller) (string, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now, v.changed
}

func (v *view) set(now string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.changed)
	v.now, v.changed = now, make(chan struct{})
}

// told notes when a client is told of something.
type told struct {
	mu    sync.Mutex
	began time.Time
	at    []time.Duration
}

func (o *told) Notify(raw []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if strings.Contains(string(raw), mcp.NoteToolsListChanged) {
		o.at = append(o.at, time.Since(o.began))
	}
}

func (o *told) times() []time.Duration {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]time.Duration(nil), o.at...)
}

// edge makes an inbound with a handler, a ready session whose stream is open, and its feed.
func edge(t *testing.T, handle mcp.HandlerFunc) (*Inbound, *session.Session, *view, *told) {
	v := newView()
	b := NewInbound(era.Params{Handler: handle, Feed: v, Presence: presence{`{"name":"n","version":"1"}`, ""}}, nil)
	s := session.New(t.Context(), "local")
	s.Open(era.Newest(false).Date, nil, "F0")
	s.SetReady()
	out := &told{began: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Stream(context.Background(), s, out)
	}()
	t.Cleanup(func() {
		s.End()
		<-done
	})
	return b, s, v, out
}

func message(t *testing.T, text string) *jsonrpc.Message {
	m, err := jsonrpc.Parse([]byte(text), jsonrpc.ClientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// list asks for the tools.
func list(t *testing.T, b *Inbound, s *session.Session) string {
	m := message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	return string(b.Serve(context.Background(), &era.Incoming{Message: m, Principal: "local", Out: &told{}, Session: s}).Body)
}

func wantTimes(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("told at %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("told at %v, want %v", got, want)
		}
	}
}

// TestChangesAreCoalesced: at most one a second, the last one never lost.
func TestChangesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, v, out := edge(t, nil)
		time.Sleep(5 * time.Second)
		wantTimes(t, out.times())
		v.set("F0") // nothing of this view
		wantTimes(t, out.times())
		v.set("F1")
		wantTimes(t, out.times(), 5*time.Second)
		for range 100 {
			time.Sleep(5 * time.Millisecond)
			v.set("F1")
			v.set("F" + time.Now().String())
		}
		wantTimes(t, out.times(), 5*time.Second)
		time.Sleep(time.Second)
		wantTimes(t, out.times(), 5*time.Second, 6*time.Second)
		time.Sleep(time.Minute)
		wantTimes(t, out.times(), 5*time.Second, 6*time.Second)
	})
}

// TestBackAndForthIsNoNews: a view that is again what the client was told of.
func TestBackAndForthIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, v, out := edge(t, nil)
		v.set("F1")
		wantTimes(t, out.times(), 0)
		v.set("F2")
		v.set("F1")
		time.Sleep(time.Minute)
		wantTimes(t, out.times(), 0)
	})
}

// TestAListIsNews: what a client has just listed it need not be told of.
func TestAListIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, v, out := edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
			return &mcp.Reply{Result: []byte(`{"tools":[]}`), Seen: "F2"}, nil
		})
		v.set("F1")
		wantTimes(t, out.times(), 0)
		v.set("F2") // while the stream pauses
		if got := list(t, b, s); got != `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}` {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		wantTimes(t, out.times(), 0)
	})
}

// TestAListNeverHidesAChange that came while it was made: the view that it shows may be
// another than the one that the client was told of meanwhile.
func TestAListNeverHidesAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v *view
		var b *Inbound
		var s *session.Session
		var out *told
		b, s, v, out = edge(t, func(context.Context, *mcp.Call) (*mcp.Reply, error) {
			v.set("F1")
			time.Sleep(2 * time.Second) // the stream tells it, and waits for the next change
			return &mcp.Reply{Result: []byte(`{"tools":[]}`), Seen: "F1"}, nil
		})
		list(t, b, s) // shows F1
		time.Sleep(10 * time.Second)
		n := len(out.times())
		v.set("F0")
		if got := out.times(); len(got) != n+1 {
			t.Errorf("told at %v; the way back to what was seen before the list is lost", got)
		}
	})
}

// TestTheStreamEndsWithItsSession, also before the handshake is over.
func TestTheStreamEndsWithItsSession(t *testing.T) {
	for _, ready := range []bool{false, true} {
		b := NewInbound(era.Params{Feed: newView()}, nil)
		s := session.New(t.Context(), "local")
		if ready {
			s.Open(era.Newest(false).Date, nil, "F0")
			s.SetReady()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Stream(context.Background(), s, &told{})
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
	b := NewInbound(era.Params{Feed: newView(), Handler: mcp.HandlerFunc(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		c.Target.Definition = []byte(`{"outputSchema":{"type":"array"}}`)
		return &mcp.Reply{Result: []byte(`{"content":[{"type":"text","text":"x"}],"structuredContent":[1.0]}`)}, nil
	})}, nil)
	s := session.New(t.Context(), "local")
	defer s.End()
	s.Open(era.Newest(false).Date, nil, "F0")
	m := message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
	got := b.Serve(context.Background(), &era.Incoming{Message: m, Out: &told{}, Session: s})
	if string(got.Body) != `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}],"structuredContent":{"result":[1.0]}}}` {
		t.Errorf("%s", got.Body)
	}
}

type presence struct{ self, says string }

func (p presence) Self(mcp.Scope) []byte         { return []byte(p.self) }
func (p presence) Instructions(mcp.Scope) string { return p.says }
