package gatetest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
)

// A Server is a script: what a scripted server has and how it answers. The same script
// is served over any binding. The exported fields are read only once it is served.
type Server struct {
	Name         string
	Tools        []json.RawMessage // raw definitions, in order
	Prompts      []json.RawMessage
	Resources    []json.RawMessage
	Templates    []json.RawMessage
	PageSize     int // entries per page of each list; 0: all on one page
	Instructions string
	TTL          int // ttlMs of lists (stateless)

	// What it declares follows from what it has: prompts and resources where the field is
	// not nil, tools unless it has only others. These add to it.
	Completions  bool
	Logging      bool
	NoSubscribe  bool   // resources without subscribe
	Extensions   string // raw capabilities.extensions
	Capabilities string // raw; in the place of all of the above

	// Revision is the one revision that a stateful server negotiates; empty: all of them,
	// and 2024-11-05 over HTTP with SSE.
	Revision string

	// Cursor overrides the cursors "p1", "p2"…: it is asked for the cursor that page
	// (from 0) ends with; nil is the end of the list.
	Cursor func(page int) *string

	// Call answers a tools/call. It may answer later, from another goroutine, or never,
	// and must return once Canceled is closed.
	Call func(c *Call)

	// Handle answers every other request that is no list, as Call does; it leaves what it
	// does not want to (*Call).Default.
	Handle func(c *Call)

	AskOnGet  bool // questions go out on the GET stream (stateful Streamable HTTP)
	AskAnyway bool // asks also what the client did not declare

	Banner string // a line written before anything else (line bindings)
	Silent bool   // reads and answers nothing at all
	Exit   int    // status to exit with at once, before reading (line bindings); 0: does not

	// Tolerant keeps the rules that callers broke to Faults; otherwise they also fail
	// the test that the server was started for.
	Tolerant bool

	log      seenLog
	mu       sync.Mutex
	now      map[string][]json.RawMessage // lists that were set, by the member of their results
	watchers map[*func(change)]bool
	drops    []func() // end the sessions of one binding
	faults   []string
	counts   map[string]int
	subs     map[string]int // subscribers of each URI
	shuffled []*Call
}

// New gives a fresh server of a script, with counters and lists of its own.
func New(script string) *Server {
	s := Scripts[script]
	if s == nil {
		panic("gatetest: no script " + script)
	}
	return &Server{
		Name: s.Name, Tools: s.Tools, Prompts: s.Prompts, Resources: s.Resources, Templates: s.Templates,
		PageSize: s.PageSize, Instructions: s.Instructions, TTL: s.TTL,
		Completions: s.Completions, Logging: s.Logging, NoSubscribe: s.NoSubscribe, Extensions: s.Extensions, Capabilities: s.Capabilities,
		Revision: s.Revision, Cursor: s.Cursor, Call: s.Call, Handle: s.Handle, AskOnGet: s.AskOnGet, AskAnyway: s.AskAnyway,
		Banner: s.Banner, Silent: s.Silent, Exit: s.Exit, Tolerant: s.Tolerant,
	}
}

// Faults are the rules that callers broke so far.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// Count gives a counter: how often each method came, by its name, and what the scripts
// keep: "calls", "cancels", "hanging", "answers", "asked", "answered", "refused".
func (s *Server) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[name]
}

func (s *Server) add(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[name] += n
}

func (s *Server) fault(format string, args ...any) {
	f := s.Name + ": " + fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// report fails the test for the rules that callers broke.
func (s *Server) report(t testing.TB) {
	if s.Tolerant {
		return
	}
	for _, f := range s.Faults() {
		t.Errorf("a caller broke a rule: %s", f)
	}
}

func (s *Server) info() string {
	return `{"name":` + quote(s.Name) + `,"version":"1.0.0"}`
}

// complain writes the faults to stderr, for a server that is a process of its own.
func (s *Server) complain() {
	for _, f := range s.Faults() {
		fmt.Fprintln(os.Stderr, "gatetest: a caller broke a rule: "+f)
	}
}
