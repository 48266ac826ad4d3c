package upstream

import (
	"fmt"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// State is where a server is in its life.
type State string

const (
	Idle      State = "idle"      // not started yet
	Starting  State = "starting"  // first or next connection under way
	Ready     State = "ready"     // calls reach it
	Down      State = "down"      // tried again, with back-off
	CrashLoop State = "crashloop" // ended too often; tried again, seldom
	Failed    State = "failed"    // cannot start until somebody mends something; tried again, with back-off
	Draining  State = "draining"  // takes no more calls, finishes those it has
	Stopped   State = "stopped"
)

// Status is a server's state for people.
type Status struct {
	Name      string
	Transport string
	State     State
	Reason    string
	Info      era.Info
	Entries   [mcp.Kinds]int
	Since     time.Time
	Restarts  int
	Partial   string
	Left      []string
	Advice    string // what its questions to clients need, where one was refused
	Clients   *int   // that have a connection of their own now; nil where all share one
	Stderr    []string
	InFlight  int
}

// maxStderr bounds the lines of stderr in a Status.
const maxStderr = 20

// Status is the server's present state.
func (s *Server) Status() Status {
	s.mu.Lock()
	st := s.status
	st.InFlight = s.open
	s.mu.Unlock()
	if s.p.PerClient {
		n := s.clients.count()
		st.Clients = &n
	}
	if s.p.Stderr != nil && st.State != Ready {
		st.Stderr = s.p.Stderr()
		st.Stderr = st.Stderr[max(0, len(st.Stderr)-maxStderr):]
	}
	return st
}

func (s *Server) set(state State, why string) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.State == Draining && state != Stopped {
		return s.status
	}
	s.status.State, s.status.Reason, s.status.Since = state, why, time.Now()
	return s.status
}

// Has says for people what a server offers.
func (st Status) Has() string {
	out := countOf(st.Entries[mcp.Tools], "tool")
	if n := st.Entries[mcp.Prompts]; n > 0 {
		out += ", " + countOf(n, "prompt")
	}
	if n := st.Entries[mcp.Resources] + st.Entries[mcp.Templates]; n > 0 {
		out += ", " + countOf(n, "resource")
	}
	return out
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// reason says what went wrong in one line for people.
func reason(err error) string {
	if err == nil {
		return "the connection ended"
	}
	return err.Error()
}
