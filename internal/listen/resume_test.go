package listen

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// TestACallIsResumed after its POST broke: the rest comes in order and once, with the answer,
// and nothing of the call beside it.
func TestACallIsResumed(t *testing.T) {
	for _, revision := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		f := newFront(t)
		p := f.puppet()
		id := f.login(revision)
		e, beside := p.begin(f, id, "1", "a"), p.begin(f, id, "2", "b")
		p.say("a", "1", "2")
		p.say("b", "x")
		if got := e.hear(1); got != "0" {
			t.Fatal(got)
		}
		first := e.id
		if got := e.hear(1); got != "1" {
			t.Fatal(got)
		}
		second := e.id
		e.close()
		p.say("a", "3", "4")
		e = f.again(id, second)
		if got := e.hear(3); got != "2 3 4" {
			t.Error(revision, got)
		}
		p.say("a", "5")
		if got := e.hear(1); got != "5" {
			t.Error(revision, got)
		}
		e.close()
		p.say("b", "y")
		p.order("a", "=")
		e = f.again(id, e.id)
		if got := e.hear(1); got != "=1" {
			t.Error(revision, got)
		}
		e.end()
		f.refused(http.StatusNoContent, id, e.id)
		e = f.again(id, first)
		if got := e.hear(6); got != "1 2 3 4 5 =1" {
			t.Error(revision, got)
		}
		e.end()
		p.order("b", "=")
		if got := beside.hear(4); got != "0 x y =2" {
			t.Error(revision, got)
		}
		beside.end()
	}
}

// TestTheLaterConnectionHasTheStream: a client that resumes has given up the connection
// before.
func TestTheLaterConnectionHasTheStream(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login(newest)
	post := p.begin(f, id, "1", "a")
	post.hear(1)
	one := f.again(id, post.id)
	p.say("a", "1")
	if got := one.hear(1); got != "1" {
		t.Error(got)
	}
	two := f.again(id, one.id)
	one.end()
	p.say("a", "2")
	p.order("a", "=")
	if got := two.hear(2); got != "2 =1" {
		t.Error(got)
	}
	two.end()
	post.end()
}

// TestForeignEvents are unknown, and another principal's session is.
func TestForeignEvents(t *testing.T) {
	f := newFront(t, func(s *setup) {
		s.Tokens = []Token{{"a", "secret-of-a-0123456"}, {"b", "secret-of-b-0123456"}}
	})
	const auth, a, b = "Authorization", "Bearer secret-of-a-0123456", "Bearer secret-of-b-0123456"
	p := f.puppet()
	mine, other, hers := f.login(newest, auth, a), f.login(newest, auth, a), f.login(newest, auth, b)
	e := p.begin(f, mine, "1", "x", auth, a)
	e.hear(1)
	theirs := p.begin(f, hers, "1", "y", auth, b)
	theirs.hear(1)
	f.refused(http.StatusNotFound, mine, e.id, auth, b)
	f.refused(http.StatusNotFound, hers, e.id, auth, a)
	f.refused(http.StatusUnauthorized, mine, e.id)
	f.refused(http.StatusBadRequest, other, e.id, auth, a)
	f.refused(http.StatusBadRequest, hers, e.id, auth, b)
	for _, id := range []string{theirs.id, e.id + "0", "x", "1", "1-1", "-1-1", strings.Repeat("9", 1000), e.id + "-1"} {
		f.refused(http.StatusBadRequest, mine, id, auth, a)
	}
	p.say("x", "1") // nobody took the stream
	p.order("x", "=")
	p.order("y", "=")
	if got := e.hear(2); got != "1 =1" {
		t.Error(got)
	}
	e.end()
}

// TestPastAHoleNothingIsResumed, and the client is told why. Whatever still can is.
func TestPastAHoleNothingIsResumed(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Events = 10 << 10 })
	p := f.puppet()
	id := f.login(newest)
	e := p.begin(f, id, "1", "a")
	e.hear(1)
	first := e.id
	for i := range 100 {
		p.say("a", fmt.Sprint(i))
	}
	e.hear(99)
	late := e.id
	e.close()
	g := f.send(http.MethodGet, "/mcp", "", era.HeaderSession, id, headerLastEvent, first)
	wantRefusal(t, g, http.StatusGone)
	if !strings.Contains(g.body, "no longer kept") || !strings.Contains(g.body, `"reason":"events_dropped"`) {
		t.Error(g)
	}
	e = f.again(id, late)
	if got := e.hear(1); got != "99" {
		t.Error(got)
	}
	p.order("a", "="+strings.Repeat("x", 20<<10)) // more than can be kept goes to who is there
	if got := e.hear(1); got != "=1" {
		t.Error(got)
	}
	e.end()
	f.refused(http.StatusGone, id, late)
	f.refused(http.StatusGone, id, first)
}

// TestAClientThatNeverReads and never resumes neither holds its call up nor takes more than
// its share, and other sessions keep theirs.
func TestAClientThatNeverReads(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	other := f.login(newest)
	theirs := p.begin(f, other, "1", "b")
	theirs.hear(1)
	theirs.close()
	id := f.login(newest)
	rude := f.dial()
	body := tool("1", "a")
	_ = rude.write("POST /mcp HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: application/json\r\nMcp-Session-Id: %s\r\nContent-Length: %d\r\n\r\n%s", f.addr, id, len(body), body)
	large := strings.Repeat("x", 100<<10)
	const n = 80
	for range n {
		p.say("a", large)
	}
	p.order("a", "="+large)
	s := f.store.Find(id, mcp.Local)
	eventually(t, "the end of the call", func() bool {
		log, at, err := s.Events.Find(f.event(id, n+2))
		return err == nil && log.Call && at == n+2
	})
	f.refused(http.StatusGone, id, f.event(id, 2))
	e := f.again(id, f.event(id, n+1))
	if got := e.hear(1); got != "=1" {
		t.Error(got)
	}
	e.end()
	rude.conn.Close()
	p.order("b", "=")
	e = f.again(other, theirs.id)
	if got := e.hear(1); got != "=1" {
		t.Error(got)
	}
	e.end()
}

// event is the id of an event of a session's first stream.
func (f *front) event(session string, at int) string {
	f.t.Helper()
	e := f.listen(session)
	e.any()
	e.close()
	tag, _, _ := strings.Cut(e.id, "-")
	return fmt.Sprintf("%s-1-%d", tag, at)
}

// TestTheGETStreamIsResumed: what was missed, and then what comes, as the session's stream.
func TestTheGETStreamIsResumed(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login(newest)
	g := f.listen(id)
	g.any()
	first := g.id
	f.feed.set("F1")
	if got := g.next(); got != changedNote {
		t.Fatal(got)
	}
	g.close()
	call := p.begin(f, id, "1", "a") // of another stream
	call.hear(1)
	g = f.again(id, first)
	if got := g.next(); got != changedNote {
		t.Error(got)
	}
	f.feed.set("F2")
	if got := g.next(); got != changedNote {
		t.Error(got)
	}
	again := f.again(id, g.id) // though the one before is still open
	g.end()
	f.feed.set("F3")
	if got := again.next(); got != changedNote {
		t.Error(got)
	}
	all := f.again(id, first)
	for range 3 {
		if got := all.next(); got != changedNote {
			t.Error(got)
		}
	}
	again.end()
	f.l.Close()
	all.end()
	p.order("a", "=")
}

// TestAResumedCallOutlivesTheListener as a POST does, and ends with its session.
func TestAResumedCallOutlivesTheListener(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login(newest)
	one, two := p.begin(f, id, "1", "a"), p.begin(f, id, "2", "b")
	one.hear(1)
	two.hear(1)
	one.close()
	two.close()
	one, two = f.again(id, one.id), f.again(id, two.id)
	f.l.Close()
	p.say("a", "1")
	p.order("a", "=")
	if got := one.hear(2); got != "1 =1" {
		t.Error(got)
	}
	one.end()
	if g := f.send(http.MethodDelete, "/mcp", "", era.HeaderSession, id); g.status != http.StatusNoContent {
		t.Error(g)
	}
	two.end()
	f.refused(http.StatusNotFound, id, two.id)
}

// TestACancelledCallLeavesNothing to resume: the client is told not to try.
func TestACancelledCallLeavesNothing(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login(newest)
	e := p.begin(f, id, "1", "a")
	e.hear(1)
	if g := f.post(cancelled("1"), era.HeaderSession, id); g.status != http.StatusAccepted {
		t.Error(g)
	}
	e.end()
	f.refused(http.StatusNoContent, id, e.id)
}

// TestAQuestionIsResumed: a server's question reaches the client that comes back, and the call
// goes on with its answer.
func TestAQuestionIsResumed(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.post(strings.Replace(hello("0", newest), `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1)).header.Get(era.HeaderSession)
	f.post(initialized, era.HeaderSession, id)
	e := p.begin(f, id, "1", "a")
	e.hear(1)
	e.close()
	p.order("a", "?")
	e = f.again(id, e.id)
	q := open(t, e.next())
	if q.Method != "elicitation/create" || q.ID == nil {
		t.Fatalf("%+v", q)
	}
	if g := f.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"decline"}}`, q.ID), era.HeaderSession, id); g.status != http.StatusAccepted {
		t.Error(g)
	}
	soon(t, "the answer", p.of("a"))
	p.order("a", "=")
	if got := e.hear(1); got != "=1" {
		t.Error(got)
	}
	e.end()
}

// TestABatchIsResumed as one stream with one answer.
func TestABatchIsResumed(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login(batches)
	said := p.first("a")
	e := f.stream(http.MethodPost, "/mcp", "["+tool("1", "a")+","+tool("2", "b")+"]", era.HeaderSession, id)
	e.hear(1)
	soon(t, "the notification", said)
	e.close()
	p.say("b", "1")
	p.order("b", "=")
	p.order("a", "=")
	e = f.again(id, e.id)
	if got := e.hear(1); got != "1" {
		t.Error(got)
	}
	if got := e.next(); !strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":1,`) || !strings.Contains(got, `"id":2`) {
		t.Error(got)
	}
	e.end()
}
