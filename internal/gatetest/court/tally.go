package court

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Tally counts messages.
type Tally struct {
	Total Count
	types map[string]map[string]*Count // by revision and direction, then by type
}

// A Count is of messages of the gateway, and of its peers.
type Count struct {
	Ours, OursInvalid     int
	Theirs, TheirsInvalid int
	why                   string // the first that is invalid
}

func (c *Count) add(f Fact, err error) {
	all, invalid := &c.Ours, &c.OursInvalid
	if f.Sent {
		all, invalid = &c.Theirs, &c.TheirsInvalid
	}
	*all++
	if err == nil {
		return
	}
	*invalid++
	if c.why != "" {
		return
	}
	c.why = strings.Join(strings.Fields(err.Error()), " ")
	if _, places, ok := strings.Cut(c.why, "#/"); ok { // without the file's name
		c.why = places
	}
}

func (c *Count) merge(o *Count) {
	c.Ours, c.OursInvalid = c.Ours+o.Ours, c.OursInvalid+o.OursInvalid
	c.Theirs, c.TheirsInvalid = c.Theirs+o.Theirs, c.TheirsInvalid+o.TheirsInvalid
	if c.why == "" {
		c.why = o.why
	}
}

// Add counts a message that was judged: once in all, and once for each of its types.
func (t *Tally) Add(f Fact, types []string, err error) {
	t.Total.add(f, err)
	if types == nil {
		types = []string{f.Kind + " " + f.Method}
	}
	for _, typ := range types {
		t.at(hop(f.Spoken(), f.Way), typ).add(f, err)
	}
}

// Merge adds what another counted.
func (t *Tally) Merge(o Tally) {
	t.Total.merge(&o.Total)
	for hop, types := range o.types {
		for typ, c := range types {
			t.at(hop, typ).merge(c)
		}
	}
}

func (t *Tally) at(hop, typ string) *Count {
	if t.types == nil {
		t.types = map[string]map[string]*Count{}
	}
	if t.types[hop] == nil {
		t.types[hop] = map[string]*Count{}
	}
	if t.types[hop][typ] == nil {
		t.types[hop][typ] = &Count{}
	}
	return t.types[hop][typ]
}

func hop(revision string, way Direction) string { return revision + " " + string(way) }

// Of gives how many messages of the gateway there were of one revision in one direction, by type.
func (t *Tally) Of(revision string, way Direction) map[string]int {
	all := map[string]int{}
	for typ, c := range t.types[hop(revision, way)] {
		if c.Ours > 0 {
			all[typ] = c.Ours
		}
	}
	return all
}

// String is a table of all counts, a line for each type.
func (t *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%7s %7s %7s %7s", "ours", "invalid", "theirs", "invalid")
	for _, hop := range slices.Sorted(maps.Keys(t.types)) {
		fmt.Fprintf(&b, "\n%s", hop)
		for _, typ := range slices.Sorted(maps.Keys(t.types[hop])) {
			c := t.types[hop][typ]
			fmt.Fprintf(&b, "\n%7d %7d %7d %7d %s", c.Ours, c.OursInvalid, c.Theirs, c.TheirsInvalid, typ)
			if c.why != "" {
				fmt.Fprintf(&b, ": %.300s", c.why)
			}
		}
	}
	return b.String()
}
