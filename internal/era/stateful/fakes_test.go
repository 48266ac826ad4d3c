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

// A feed is what goes on outside of calls, as a test sets it.
type feed struct {
	mu      sync.Mutex
	seen    mcp.Seen
	changed chan struct{}
	inboxes map[string]mcp.Inbox // of what is watched
	notes   []string
	begun   int // watches
}

func newFeed() *feed {
	return &feed{seen: mcp.Seen{"F0"}, changed: make(chan struct{}), inboxes: map[string]mcp.Inbox{}}
}

func (f *feed) Seen(*mcp.Caller) (mcp.Seen, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.changed
}

func (f *feed) set(kind mcp.Kind, now string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.seen[kind], f.changed = now, make(chan struct{})
}

func (f *feed) tools(now string) { f.set(mcp.Tools, now) }

// WatchTasks: there are none in these revisions.
func (f *feed) WatchTasks(context.Context, *mcp.Caller, []string, mcp.Inbox) ([]string, func()) {
	return nil, func() {}
}

// Watch knows every resource whose URI does not begin with none.
func (f *feed) Watch(_ context.Context, c *mcp.Caller, uri string, inbox mcp.Inbox) (func(), error) {
	if strings.HasPrefix(uri, "none") {
		return nil, mcp.Errorf(mcp.InvalidParams, "resource", "no such resource")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	key := c.Session + " " + uri
	f.inboxes[key] = inbox
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.inboxes, key)
	}, nil
}

func (f *feed) Notify(_ *mcp.Caller, method string, params []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, method+" "+string(params))
}

// update says that a resource changed.
func (f *feed) update(uri string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, inbox := range f.inboxes {
		if _, watched, _ := strings.Cut(key, " "); watched == uri {
			inbox.Put(mcp.NoteUpdated, []byte(`{"uri":"`+uri+`"}`))
		}
	}
}

func (f *feed) watched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.inboxes)
}

// told notes what a client is told, and when.
type told struct {
	began time.Time
	asked chan *jsonrpc.Message // the questions

	mu  sync.Mutex
	all []string
	at  []time.Duration

	full, unread bool // it takes no question; gives back those that it took
}

func newTold() *told { return &told{began: time.Now(), asked: make(chan *jsonrpc.Message, 1000)} }

func (o *told) Notify(raw []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, string(raw))
	o.at = append(o.at, time.Since(o.began))
}

func (o *told) Deliver(raw []byte) { o.Notify(raw) }

func (o *told) Ask(_, raw []byte) bool {
	if o.full {
		return false
	}
	o.Notify(raw)
	if m, err := jsonrpc.Parse(raw, jsonrpc.ClientLimits); err == nil {
		o.asked <- m
	}
	return true
}

func (o *told) Recall([]byte) bool { return o.unread }

// times are when a notification of this method came.
func (o *told) times(method string) []time.Duration {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []time.Duration
	for i, raw := range o.all {
		if strings.Contains(raw, `"`+method+`"`) {
			out = append(out, o.at[i])
		}
	}
	return out
}

func (o *told) messages() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.all...)
}

// want compares all that was said.
func (o *told) want(t *testing.T, messages ...string) {
	t.Helper()
	got := o.messages()
	if strings.Join(got, "\n") != strings.Join(messages, "\n") {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(messages, "\n"))
	}
}

// edge makes an inbound with a handler, a ready session whose stream is open, and its feed.
func edge(t *testing.T, handle mcp.HandlerFunc) (*Inbound, *session.Session, *feed, *told) {
	f := newFeed()
	b := NewInbound(era.Params{Handler: handle, Feed: f, Presence: presence{`{"name":"n","version":"1"}`, ""}, Via: "us"}, nil)
	s := opened(t, era.Newest(false).Date, "")
	out := newTold()
	stream(t, b, s, out)
	return b, s, f, out
}

// opened makes a ready session of a client that declares these capabilities.
func opened(t *testing.T, revision, capabilities string) *session.Session {
	s := session.New(t.Context(), "local", mcp.Scope{})
	s.Open(revision, []byte(capabilities), mcp.Seen{"F0"})
	s.SetReady()
	t.Cleanup(s.End)
	return s
}

// stream opens a stream of a session until it ends.
func stream(t *testing.T, b *Inbound, s *session.Session, out era.Outlet) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Stream(context.Background(), s, out)
	}()
	t.Cleanup(func() {
		s.End()
		<-done
	})
}

func message(t *testing.T, text string) *jsonrpc.Message {
	t.Helper()
	m, err := jsonrpc.Parse([]byte(text), jsonrpc.ClientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// send serves one message of a session and gives the answer.
func send(t *testing.T, b *Inbound, s *session.Session, out era.Outlet, text string) string {
	t.Helper()
	return string(b.Serve(context.Background(), &era.Incoming{Message: message(t, text), Principal: "local", Out: out, Session: s}).Body)
}

// list asks for the tools.
func list(t *testing.T, b *Inbound, s *session.Session) string {
	return send(t, b, s, newTold(), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
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

type presence struct{ self, says string }

func (p presence) Self(mcp.Scope) []byte         { return []byte(p.self) }
func (p presence) Instructions(mcp.Scope) string { return p.says }
func (p presence) Capabilities(mcp.Scope) []byte {
	return []byte(`{"tools":{},"resources":{"subscribe":true}}`)
}
