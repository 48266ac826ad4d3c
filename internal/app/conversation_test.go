package app_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A performance is one conversation of one pair, with a client of one revision.
type performance struct {
	v        *conversation
	pair     pair
	revision string // of a stateful client
}

func (p performance) String() string {
	name := p.v.name + "/" + p.pair.client.name
	if p.revision != "2025-11-25" && !p.pair.client.stateless {
		name += " " + p.revision
	}
	return name
}

// performances sorts what is to be performed by the gateway that it needs.
func performances(all []*conversation) map[fleetKey][]performance {
	out := map[fleetKey][]performance{}
	for _, v := range all {
		if v.talk == nil {
			continue
		}
		for _, p := range pairs() {
			if !v.covers(p) {
				continue
			}
			for i, server := range v.servers {
				k := fleetKey{p.server, server, v.config, v.gatewayOf(p)}
				if p.server.stateless {
					if k.revision = ""; i > 0 {
						continue // it has but one revision
					}
				}
				for j, client := range v.clients {
					if j == 0 || !p.client.stateless {
						out[k] = append(out[k], performance{v, p, client})
					}
				}
			}
		}
	}
	return out
}

// A tally is what became of the performances.
type tally struct {
	mu     sync.Mutex
	passed map[*conversation]map[pair]int
	failed map[*conversation]map[pair]int
}

func (a *tally) note(p performance, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.passed
	if !ok {
		of = a.failed
	}
	if of[p.v] == nil {
		of[p.v] = map[pair]int{}
	}
	of[p.v][p.pair]++
}

// gateways is how many there are at one time. Most of their time they wait: for a question to be
// over, for a list that may be told of once a second.
const gateways = 8

// perform performs everything, on as many gateways as there are kinds of servers, and tells
// what passed.
func perform(t *testing.T, all []*conversation) *tally {
	a := &tally{passed: map[*conversation]map[pair]int{}, failed: map[*conversation]map[pair]int{}}
	sorted := performances(all)
	keys := slices.SortedFunc(maps.Keys(sorted), func(a, b fleetKey) int { return strings.Compare(a.String(), b.String()) })
	room := make(chan struct{}, gateways)
	var running sync.WaitGroup
	for _, k := range keys {
		running.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			t.Run(k.String(), func(t *testing.T) {
				var scripts []string
				for _, p := range sorted[k] {
					for _, s := range p.v.scripts {
						if !slices.Contains(scripts, s) {
							scripts = append(scripts, s)
						}
					}
				}
				f := startFleet(t, k, scripts)
				for _, p := range sorted[k] {
					ok := t.Run(p.String(), func(t *testing.T) { converse(t, p.v, p.pair, f, p.revision) })
					a.note(p, ok)
				}
			})
		})
	}
	running.Wait()
	return a
}

// TestWhatCrosses performs every conversation with every pair that it is for, and holds the
// outcome to docs/what-crosses.md. UPDATE_DOCS=1 writes that page.
func TestWhatCrosses(t *testing.T) {
	all := readConversations(t)
	rows, err := tabulate(all)
	if err != nil {
		t.Error(err)
	}
	done := perform(t, all)
	if t.Failed() || partial() {
		return // the page tells of a run of all
	}
	checkPage(t, rows, done)
}

// TestConversationsAreOfKnownRows holds without any server.
func TestConversationsAreOfKnownRows(t *testing.T) {
	if _, err := tabulate(readConversations(t)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, list := range performances(readConversations(t)) {
		n += len(list)
	}
	t.Log(fmt.Sprint(n, " performances"))
}
