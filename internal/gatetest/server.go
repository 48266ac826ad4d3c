package gatetest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A Server is a script: what a scripted server has and how it answers. The same script
// is served over any binding. The exported fields are read only once it is served.
type Server struct {
	Name         string
	Tools        []json.RawMessage // raw definitions, in order
	PageSize     int               // tools per page; 0: all on one page
	Instructions string
	TTL          int // ttlMs of lists (stateless)

	// Cursor overrides the cursors "p1", "p2"…: it is asked for the cursor that page
	// (from 0) ends with; nil is the end of the list.
	Cursor func(page int) *string

	// Call answers a tools/call. It may answer later, from another goroutine, or never,
	// and must return once Canceled is closed.
	Call func(c *Call)

	Banner string // a line written before anything else (line bindings)
	Silent bool   // reads and answers nothing at all
	Exit   int    // status to exit with at once, before reading (line bindings); 0: does not

	// Tolerant keeps the rules that callers broke to Faults; otherwise they also fail
	// the test that the server was started for.
	Tolerant bool

	mu       sync.Mutex
	tools    []json.RawMessage // nil until SetTools
	changed  bool
	watchers map[*func(string)]bool
	drops    []func() // end the sessions of one binding
	faults   []string
	counts   map[string]int
	shuffled []*Call
}

// New gives a fresh server of a script, with counters and tools of its own.
func New(script string) *Server {
	s := Scripts[script]
	if s == nil {
		panic("gatetest: no script " + script)
	}
	return &Server{
		Name: s.Name, Tools: s.Tools, PageSize: s.PageSize, Instructions: s.Instructions, TTL: s.TTL,
		Cursor: s.Cursor, Call: s.Call, Banner: s.Banner, Silent: s.Silent, Exit: s.Exit, Tolerant: s.Tolerant,
	}
}

// SetTools replaces the tools and tells every caller, in each binding's own way.
func (s *Server) SetTools(tools ...json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools, s.changed = slices.Clone(tools), true
	s.tell(toolsListChanged)
}

// EndListens ends every subscriptions/listen, as a stateless server that goes down does.
func (s *Server) EndListens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(endOfListen)
}

// Faults are the rules that callers broke so far.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// Count gives a counter that the script keeps: "calls", "cancels", "hanging", "answers".
func (s *Server) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[name]
}

const (
	toolsListChanged = "notifications/tools/list_changed"
	endOfListen      = ""
)

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

// tell calls the watchers; s.mu is held, so that each sees the changes in order.
func (s *Server) tell(what string) {
	for w := range s.watchers {
		(*w)(what)
	}
}

// watch has f called for each change until the function it gives is called. f must not
// block and not use the server.
func (s *Server) watch(f func(string)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[*func(string)]bool{}
	}
	s.watchers[&f] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, &f)
	}
}

func (s *Server) current() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed {
		return s.tools
	}
	return s.Tools
}

// tool finds a definition by its name.
func (s *Server) tool(name string) json.RawMessage {
	for _, def := range s.current() {
		if n, _ := text(field(def, "name")); n == name {
			return def
		}
	}
	return nil
}

// list gives the members of a tools/list result; false for a cursor it never gave.
func (s *Server) list(cursor json.RawMessage) (string, bool) {
	tools := s.current()
	page := 0
	if cursor != nil {
		if page = s.page(cursor, len(tools)); page < 0 {
			return "", false
		}
	}
	size := s.PageSize
	if size == 0 {
		size = len(tools)
	}
	from, to := min(page*size, len(tools)), min((page+1)*size, len(tools))
	var b strings.Builder
	b.WriteString(`{"tools":[`)
	for i, def := range tools[from:to] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(def)
	}
	b.WriteByte(']')
	if next := s.cursor(page, len(tools)); next != nil {
		b.WriteString(`,"nextCursor":` + quote(*next))
	}
	b.WriteByte('}')
	return b.String(), true
}

// cursor is what a page ends with.
func (s *Server) cursor(page, tools int) *string {
	if s.Cursor != nil {
		return s.Cursor(page)
	}
	if s.PageSize == 0 || (page+1)*s.PageSize >= tools {
		return nil
	}
	next := "p" + strconv.Itoa(page+1)
	return &next
}

// page is the page that a cursor leads to, -1 if none does.
func (s *Server) page(cursor json.RawMessage, tools int) int {
	want, ok := text(cursor)
	if !ok {
		return -1
	}
	for p := 0; p < max(tools, 2); p++ {
		next := s.cursor(p, tools)
		if next == nil {
			return -1
		}
		if *next == want {
			return p + 1
		}
	}
	return -1
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
