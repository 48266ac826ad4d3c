package catalog

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

func TestFresh(t *testing.T) {
	now := time.Now()
	part := func(server string, fresh time.Duration, none bool) *Part {
		l := Lists{mcp.Tools: {None: none}}
		if fresh != 0 {
			l[mcp.Tools].Fresh = now.Add(fresh)
		}
		return Prepare(server, "", l, nil, wide)
	}
	for _, tt := range []struct {
		parts []*Part
		want  time.Duration
	}{
		{nil, 0},
		{[]*Part{part("a", time.Minute, false)}, time.Minute},
		{[]*Part{part("a", time.Minute, false), part("b", time.Second, false)}, time.Second},
		{[]*Part{part("a", time.Minute, false), part("b", 0, false)}, 0},
		{[]*Part{part("a", time.Minute, false), part("b", 0, true)}, time.Minute},
		{[]*Part{part("a", -time.Minute, false), part("b", time.Second, false)}, 0},
	} {
		if got := Merge(tt.parts, wide).Fresh(mcp.Tools, mcp.Scope{}, now); got != tt.want {
			t.Errorf("%v, not %v", got, tt.want)
		}
	}
	if got := Merge([]*Part{part("a", time.Minute, false), part("b", 0, false)}, wide).Fresh(mcp.Tools, mcp.Scope{Server: "a"}, now); got != time.Minute {
		t.Errorf("of a alone %v", got)
	}
}

// TestPagesSurviveChanges: whatever comes and goes between two pages, each entry that is there
// all the time is shown once, in order.
func TestPagesSurviveChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type server struct {
			name  string
			rank  int
			tools []string
		}
		var now []server
		count := rapid.IntRange(0, 5).Draw(t, "servers")
		for i := range count {
			s := server{fmt.Sprintf("s%d", i), i + 1, nil}
			for j := range rapid.IntRange(0, 7).Draw(t, "tools") {
				s.tools = append(s.tools, fmt.Sprintf("t%d", j))
			}
			now = append(now, s)
		}
		view := func() *View {
			var parts []*Part
			for _, s := range now {
				var defs []string
				for _, name := range s.tools {
					defs = append(defs, plain(name))
				}
				p := Prepare(s.name, "", tools(defs...), nil, wide)
				p.Rank = s.rank
				parts = append(parts, p)
			}
			return Merge(parts, wide)
		}
		v := view()
		stays := map[string]bool{}
		for _, e := range v.Entries(mcp.Tools) {
			stays[e.Target.Canonical] = true
		}
		size := rapid.IntRange(1, 4).Draw(t, "size")
		var seen []string
		var at *Place
		for turn := 0; ; turn++ {
			list, next := v.Page(mcp.Tools, mcp.Scope{}, at, size)
			for e := range rawjson.Elements(rawjson.Get(append(list, '}'), "tools")) {
				name, _ := rawjson.Text(rawjson.Get(e, "name"))
				seen = append(seen, name)
			}
			if at = next; at == nil {
				break
			}
			if rapid.IntRange(0, 2).Draw(t, "change") > 0 || turn > 40 {
				continue
			}
			now = slices.Clone(now)
			for i := range now {
				now[i].tools = slices.Clone(now[i].tools)
			}
			i := rapid.IntRange(0, len(now)-1).Draw(t, "of")
			switch name := fmt.Sprintf("new%d", turn); {
			case rapid.IntRange(0, 3).Draw(t, "all") == 0 && len(now) > 1:
				now = slices.Delete(now, i, i+1)
			case rapid.Bool().Draw(t, "add"):
				now[i].tools = slices.Insert(now[i].tools, rapid.IntRange(0, len(now[i].tools)).Draw(t, "where"), name)
			case len(now[i].tools) > 0:
				j := rapid.IntRange(0, len(now[i].tools)-1).Draw(t, "which")
				now[i].tools = slices.Delete(now[i].tools, j, j+1)
			}
			v = view()
			there := map[string]bool{}
			for _, e := range v.Entries(mcp.Tools) {
				there[e.Target.Canonical] = true
			}
			for name := range stays {
				if !there[name] {
					delete(stays, name)
				}
			}
		}
		times := map[string]int{}
		for _, name := range seen {
			times[name]++
		}
		for name := range stays {
			if times[name] != 1 {
				t.Fatalf("%s was shown %d times: %q", name, times[name], seen)
			}
		}
	})
}
