package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/mcp"
)

func news(s *Session) string {
	var out []string
	for _, n := range s.TakeNews() {
		out = append(out, n.Method+" "+string(n.Params))
	}
	return strings.Join(out, "\n")
}

func woken(s *Session) bool {
	select {
	case <-s.Woken():
		return true
	default:
		return false
	}
}

// TestNewsWait in order, the same news once, and wake one stream.
func TestNewsWait(t *testing.T) {
	s := newSession(t)
	if woken(s) || news(s) != "" {
		t.Error("there is news before any")
	}
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:2"}`))
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1","_meta":{"n":2}}`))
	s.Put(mcp.NoteElicited, []byte(`{"elicitationId":"x"}`))
	s.Put(mcp.NoteElicited, []byte(`{"elicitationId":"x"}`))
	s.Put("notifications/of/nothing", nil)
	s.Put("notifications/of/nothing", nil)
	if !woken(s) || woken(s) {
		t.Error("not exactly one stream is woken")
	}
	want := mcp.NoteUpdated + ` {"uri":"a:1","_meta":{"n":2}}` + "\n" + mcp.NoteUpdated + ` {"uri":"a:2"}` + "\n" +
		mcp.NoteElicited + ` {"elicitationId":"x"}` + "\n" + "notifications/of/nothing "
	if got := news(s); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if news(s) != "" {
		t.Error("news is taken twice")
	}
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
	if !woken(s) || news(s) == "" {
		t.Error("news that was told is no news again")
	}
	s.End()
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
	if woken(s) || news(s) != "" {
		t.Error("a session that is over gets news")
	}
}

// TestNoKindOfNewsPushesAnotherAside: log lines and the states of tasks leave room for resources that
// changed.
func TestNoKindOfNewsPushesAnotherAside(t *testing.T) {
	s := newSession(t)
	for i := range 2 * maxLines {
		s.Put(mcp.NoteMessage, fmt.Appendf(nil, `{"data":%d}`, i))
	}
	s.Put(mcp.NoteTask, fmt.Appendf(nil, `{"taskId":"1","result":%q}`, strings.Repeat("x", maxNewsBytes-10_000)))
	for i := range maxNews - 1 {
		s.Put(mcp.NoteUpdated, fmt.Appendf(nil, `{"uri":"a:%d"}`, i))
	}
	got := map[string]int{}
	for _, n := range s.TakeNews() {
		got[n.Method]++
	}
	if got[mcp.NoteMessage] != maxLines || got[mcp.NoteTask] != 1 || got[mcp.NoteUpdated] != maxNews-1 {
		t.Errorf("kept are %v", got)
	}
}

// TestTheInboxIsBounded in number and in bytes.
func TestTheInboxIsBounded(t *testing.T) {
	s := newSession(t)
	for i := range maxNews + 100 {
		s.Put(mcp.NoteUpdated, fmt.Appendf(nil, `{"uri":"a:%d"}`, i))
	}
	if n := len(s.TakeNews()); n != maxNews {
		t.Errorf("%d wait", n)
	}
	large := strings.Repeat("x", maxNewsBytes/4)
	for i := range 10 {
		s.Put(mcp.NoteUpdated, fmt.Appendf(nil, `{"uri":"%s%d"}`, large, i))
	}
	if n := len(s.TakeNews()); n != 3 {
		t.Errorf("%d large ones wait", n)
	}
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
	s.Put(mcp.NoteUpdated, fmt.Appendf(nil, `{"uri":"a:1","_meta":{"a":"%s"}}`, strings.Repeat("x", maxNewsBytes)))
	if got := news(s); got != mcp.NoteUpdated+` {"uri":"a:1"}` {
		t.Errorf("room that was given back holds %.100s", got)
	}
}

// TestChangesAreToldOnceASecond, each kind of list for itself, resources with their
// templates.
func TestChangesAreToldOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t)
		s.Open("r", nil, mcp.Seen{})
		want := func(now mcp.Seen, methods string, again time.Duration) {
			t.Helper()
			got, wait := s.Changed(now)
			if strings.Join(got, " ") != methods || wait != again {
				t.Errorf("%v again in %s, want %s in %s", got, wait, methods, again)
			}
		}
		want(mcp.Seen{}, "", 0)
		want(mcp.Seen{"t1", "p1", "r1", "m1"}, mcp.Tools.Changed()+" "+mcp.Prompts.Changed()+" "+mcp.Resources.Changed(), 0)
		time.Sleep(300 * time.Millisecond)
		want(mcp.Seen{"t2", "p1", "r1", "m2"}, "", 700*time.Millisecond)
		want(mcp.Seen{"t1", "p1", "r1", "m1"}, "", 0) // as it was
		time.Sleep(700 * time.Millisecond)
		want(mcp.Seen{"t1", "p1", "r1", "m2"}, mcp.Resources.Changed(), 0)
		time.Sleep(500 * time.Millisecond)
		want(mcp.Seen{"t3", "p1", "r3", "m2"}, mcp.Tools.Changed(), 500*time.Millisecond)
		s.Tell(mcp.Resources, "r3") // it listed meanwhile
		want(mcp.Seen{"t3", "p1", "r3", "m2"}, "", 0)
	})
}

// TestTheLevelHoldsForLaterCalls, not for those in flight.
func TestTheLevelHoldsForLaterCalls(t *testing.T) {
	s := newSession(t)
	s.Open("r", []byte(`{"roots":{}}`), mcp.Seen{})
	before := s.Caller()
	s.SetLevel("error")
	after := s.Caller()
	if before.LogLevel != "" || after.LogLevel != "error" || after.Session != s.ID || string(after.Capabilities) != `{"roots":{}}` {
		t.Errorf("%+v, then %+v", before, after)
	}
	if after.Inbox != mcp.Inbox(s) || before.Ended != after.Ended {
		t.Error("the caller is not of its session")
	}
	s.End()
	<-after.Ended
}
