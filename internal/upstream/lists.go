package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// lists are what a server listed last of each kind.
type lists [mcp.Kinds]struct {
	listing *era.Listing // nil before the first
	until   time.Time    // it is fresh
}

// usualFresh is how long a list counts as fresh whose server does not say.
const usualFresh = time.Minute

var everyKind = []mcp.Kind{mcp.Tools, mcp.Prompts, mcp.Resources, mcp.Templates}

// stale gives the kinds to fetch again: those whose time is over, of a server that does not
// announce changes.
func (l *lists) stale(info era.Info, now time.Time) (out []mcp.Kind) {
	for _, k := range everyKind {
		if info.Has[k] && !info.Announces[k] && now.After(l[k].until) {
			out = append(out, k)
		}
	}
	return out
}

// staleKinds are those to fetch again over the shared connection; nil for none, or where it is down.
func (s *Server) staleKinds() []mcp.Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ob == nil {
		return nil
	}
	return s.missed.with(s.lists.stale(s.status.Info, time.Now()))
}

// missedKinds are those that could not be fetched when they were to be; nil for none.
func (s *Server) missedKinds() []mcp.Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed.with(nil)
}

// A kindSet is a set of kinds.
type kindSet [mcp.Kinds]bool

func (s *kindSet) set(kinds []mcp.Kind, in bool) {
	for _, k := range kinds {
		s[k] = in
	}
}

// with gives the kinds of the set, and these; nil for none.
func (s *kindSet) with(more []mcp.Kind) (out []mcp.Kind) {
	for _, k := range everyKind {
		if s[k] || slices.Contains(more, k) {
			out = append(out, k)
		}
	}
	return out
}

// makeUp says when kinds that could not be fetched are fetched again though nobody asks: after 1,
// 2, 4 … 60 s.
type makeUp struct {
	due  <-chan time.Time // nil while nothing is missed
	wait time.Duration
}

// plan notes what is missed after a listing. What others list meanwhile puts nothing off.
func (m *makeUp) plan(missed bool) {
	switch {
	case !missed:
		*m = makeUp{}
	case m.due == nil:
		m.wait = min(max(2*m.wait, refetch), maxWait)
		m.due = time.After(m.wait)
	}
}

// changes are the kinds whose lists may have changed.
type changes struct {
	some chan struct{} // holds one

	mu   sync.Mutex
	what kindSet // guarded by mu
}

func newChanges() *changes { return &changes{some: make(chan struct{}, 1)} }

func (c *changes) add(k mcp.Kind) {
	c.mu.Lock()
	c.what[k] = true
	if k == mcp.Resources { // one notification speaks of both
		c.what[mcp.Templates] = true
	}
	c.mu.Unlock()
	poke(c.some)
}

func (c *changes) take() (out []mcp.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out = c.what.with(nil)
	c.what = kindSet{}
	return out
}

// ear hears what belongs to no call on the shared connection.
func (s *Server) ear(c *changes) era.Ear {
	e := s.quietEar()
	e.Changed = c.add
	e.Updated = s.watched.updated
	return e
}

// quietEar hears what concerns the log only.
func (s *Server) quietEar() era.Ear {
	return era.Ear{
		Changed: func(mcp.Kind) {},
		Updated: func([]byte) {},
		Note: func(method string, params []byte) {
			if s.p.Log.Enabled(context.Background(), slog.LevelDebug) && s.lines.admit() {
				s.p.Log.Debug("said outside of any call", "method", method, "params", string(params[:min(len(params), maxSaid)]))
			}
		},
	}
}

// maxSaid is how much the log shows of what a server says outside of any call.
const maxSaid = 256

// list fetches some kinds over the shared connection and publishes all.
func (s *Server) list(ctx context.Context, ob era.Outbound, kinds []mcp.Kind) error {
	s.mu.Lock()
	all := s.lists
	s.mu.Unlock()
	err := s.fetch(ctx, ob, kinds, &all)
	s.mu.Lock()
	s.missed.set(kinds, err != nil)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.publish(ob, all)
	return nil
}

// fetch lists some kinds anew.
func (s *Server) fetch(ctx context.Context, ob era.Outbound, kinds []mcp.Kind, all *lists) error {
	for _, k := range kinds {
		l, err := ob.List(ctx, k, s.p.List)
		if err != nil {
			if all[k].listing != nil || k == mcp.Tools || ctx.Err() != nil {
				return err
			}
			// A server may declare what it does not have; the rest of it is of use.
			l = &era.Listing{Left: []string{fmt.Sprintf("%s: %v", k.List(), err)}}
		}
		if slices.Contains(l.Gateways, s.p.Via) {
			return era.ErrLoop
		}
		fresh := usualFresh
		if l.TTL > 0 {
			fresh = l.TTL
		}
		all[k].listing, all[k].until = l, time.Now().Add(fresh)
	}
	return nil
}

// part is what lists of the server come to, and which of them are not whole.
func (s *Server) part(info era.Info, all lists) (part *catalog.Part, partial []string) {
	var given catalog.Lists
	var left, gateways []string
	for _, k := range everyKind {
		given[k].None = !info.Has[k]
		l := all[k].listing
		if l == nil {
			continue
		}
		given[k].Entries = l.Entries
		if l.TTL > 0 {
			given[k].Fresh = all[k].until
		}
		left = append(left, l.Left...)
		gateways = append(gateways, l.Gateways...)
		if l.Partial != "" {
			partial = append(partial, k.Member()+": "+l.Partial)
		}
	}
	instructions := info.Instructions
	if !s.p.Instructions {
		instructions = ""
	}
	part = catalog.Prepare(s.p.Name, instructions, given, s, s.p.Catalog)
	part.Left, part.Gateways = append(left, part.Left...), slices.Compact(slices.Sorted(slices.Values(gateways)))
	if s.p.Prefix != nil {
		part.Prefix(*s.p.Prefix)
	}
	return part, partial
}

// warn tells what the lists lack, where the lists before did not lack it.
func (s *Server) warn(left, partial []string) {
	lacks := make(map[string]bool, len(left)+len(partial))
	tell := func(line string) {
		if !s.lacks[line] {
			s.p.Log.Warn(line)
		}
		lacks[line] = true
	}
	for _, one := range left {
		tell("leaves out " + one)
	}
	for _, one := range partial {
		tell("listed in part: " + one)
	}
	s.lacks = lacks
}

// publish hands over what the server lists now.
func (s *Server) publish(ob era.Outbound, all lists) {
	info := ob.Info()
	part, partial := s.part(info, all)
	s.warn(part.Left, partial)
	s.mu.Lock()
	s.ob, s.shown = ob, true // before Publish: whoever sees a tool may call it
	s.lists = all
	s.status.Entries, s.status.Partial, s.status.Left, s.status.Info = part.Count(), strings.Join(partial, "; "), part.Left, info
	s.mu.Unlock()
	s.clients.publish(part)
	s.p.Publish(part)
}
