package session

import (
	"fmt"
	"testing"

	"mcpgateway/internal/mcp"
)

type outlet struct{ Outlet }

// TestStreams: the newest that is open, and word of the first.
func TestStreams(t *testing.T) {
	s := New(t.Context(), "p", mcp.Scope{})
	opened := s.Listening()
	listens := func() bool {
		select {
		case <-s.Listening():
			return true
		default:
			return false
		}
	}
	if s.Outlet() != nil || listens() {
		t.Error("nothing is open")
	}
	a, b := &outlet{}, &outlet{}
	endA := s.Attach(a)
	<-opened
	endB := s.Attach(b)
	if s.Outlet() != Outlet(b) || !listens() {
		t.Error("two are open")
	}
	endB()
	endB()
	if s.Outlet() != Outlet(a) || !listens() {
		t.Error("one is open")
	}
	endA()
	if s.Outlet() != nil || listens() {
		t.Error("none is open any more")
	}
	endA()
	defer s.Attach(a)()
	if !listens() {
		t.Error("one is open again")
	}
}

// TestLogLinesLeaveRoom for what matters more.
func TestLogLinesLeaveRoom(t *testing.T) {
	s := New(t.Context(), "p", mcp.Scope{})
	for i := range maxNews {
		s.Put(mcp.NoteMessage, fmt.Append(nil, i))
	}
	s.Put(mcp.NoteUpdated, []byte(`{"uri":"a:1"}`))
	news := s.TakeNews()
	if len(news) != maxLines+1 || news[maxLines].Method != mcp.NoteUpdated {
		t.Errorf("%d wait", len(news))
	}
	s.Put(mcp.NoteMessage, []byte("1"))
	if len(s.TakeNews()) != 1 {
		t.Error("later lines find no room")
	}
}
