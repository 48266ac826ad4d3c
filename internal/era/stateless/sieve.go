package stateless

import (
	"context"
	"maps"
	"slices"
	"time"

	"mcpgateway/internal/era"
)

// maxAsks is how many listen requests one sieve may make.
const maxAsks = 64

// A sieve finds out which resources a server refuses, which refuses a listen as a whole and does
// not say for which of them: it asks for ever smaller groups beside those that were taken. What it
// has not found out within its bounds counts as refused.
type sieve struct {
	l       *listener
	asked   int
	until   time.Time
	why     error         // the server's last refusal
	best    *subscription // the last one that was acknowledged; nil for none
	taken   []string      // what best was opened for
	left    era.Unwatched // what best does not carry of that
	refused era.Unwatched
}

// sift is for a set that the server refused. It gives a subscription to what the server takes of
// it, and why it does not take the rest.
func (l *listener) sift(ctx context.Context, uris []string, why error) (*subscription, era.Unwatched, error) {
	s := &sieve{l: l, until: time.Now().Add(ackTime), why: why, refused: era.Unwatched{}}
	held, fresh := l.split(uris)
	err := s.ask(ctx, held)
	switch {
	case err == nil:
		s.add(ctx, fresh, why)
	case len(held) > 0 && s.ask(ctx, nil) == nil: // it refuses now what it took before
		s.add(ctx, held, err)
		s.add(ctx, fresh, nil)
	default: // whatever we ask for
		return nil, nil, why
	}
	maps.Copy(s.refused, s.left)
	return s.best, s.refused, nil
}

// split tells of resources which are carried now.
func (l *listener) split(uris []string) (held, fresh []string) {
	for _, uri := range uris {
		if l.held != nil && contains(l.held.carried, uri) {
			held = append(held, uri)
		} else {
			fresh = append(fresh, uri)
		}
	}
	return held, fresh
}

func contains(sorted []string, uri string) bool {
	_, is := slices.BinarySearch(sorted, uri)
	return is
}

// add takes up of the group what the server takes, and tells whether that is all. why is its
// refusal of the group beside what was taken; nil where it was not asked.
func (s *sieve) add(ctx context.Context, group []string, why error) (all bool) {
	if len(group) == 0 {
		return true
	}
	if why == nil {
		if why = s.ask(ctx, group); why == nil {
			return true
		}
	}
	if len(group) == 1 || s.over() {
		maps.Copy(s.refused, unwatched(group, why))
		return false
	}
	half := len(group) / 2
	if !s.add(ctx, group[:half], nil) {
		why = nil // it may have been for that half alone
	}
	s.add(ctx, group[half:], why)
	return false
}

// ask opens a subscription to the group beside what was taken.
func (s *sieve) ask(ctx context.Context, group []string) error {
	if s.over() {
		return s.why
	}
	s.asked++
	uris := slices.Sorted(slices.Values(slices.Concat(s.taken, group)))
	next, left, err := s.l.ask(ctx, uris)
	if err != nil {
		s.why = err
		return err
	}
	if s.best != nil {
		s.best.end()
	}
	s.best, s.taken, s.left = next, uris, left
	return nil
}

// over tells whether the sieve's bounds are reached, or the server did not answer.
func (s *sieve) over() bool {
	return s.asked >= maxAsks || time.Now().After(s.until) || era.AsRemote(s.why) == nil
}
