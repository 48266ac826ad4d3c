package gatetest

import (
	"encoding/json"
	"slices"
	"sync"
)

// A Seen is one message that a peer sent or received, for tests that hold messages to the
// schema of the revision that was spoken.
type Seen struct {
	Raw      json.RawMessage
	Sent     bool   // by this peer; otherwise received
	Binding  string // "stdio", "streamable" or "sse"
	Revision string // spoken there; that asked for, or empty, before one was agreed to
	Kind     string // "request", "notification", "result" or "error"; empty: no message
	Method   string // its method, or that of the request it answers; empty: not known
}

// What a peer keeps at most.
const (
	seenMessages = 20_000
	seenBytes    = 64 << 20
	seenLargest  = 256 << 10
)

type seenLog struct {
	mu    sync.Mutex
	all   []Seen
	bytes int
}

// add keeps the first messages, as far as they fit.
func (l *seenLog) add(s Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(s.Raw) > seenLargest || l.bytes+len(s.Raw) > seenBytes || len(l.all) >= seenMessages {
		return
	}
	l.bytes += len(s.Raw)
	l.all = append(l.all, s)
}

// get classifies only now, which is too much work for each message on its way.
func (l *seenLog) get() []Seen {
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for i := range all {
		all[i].Classify()
	}
	return all
}

// Classify finds the kind, and the method of what is no answer.
func (s *Seen) Classify() {
	m, err := parse(s.Raw)
	switch {
	case err != nil:
	case m.request():
		s.Kind, s.Method = "request", m.method
	case m.note():
		s.Kind, s.Method = "notification", m.method
	case m.result != nil:
		s.Kind = "result"
	default:
		s.Kind = "error"
	}
}

// Seen gives the messages that the server received and sent, the first 20,000 of them
// without those over 256 KiB.
func (s *Server) Seen() []Seen { return s.log.get() }
