package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mcpgateway/internal/mcp"
)

// A naming is a server of a generated set: what it is called, its prefix, its tools.
type naming struct {
	name   string
	prefix *string // nil: its name
	tools  []string
}

func (n naming) String() string {
	prefix := "its name"
	if n.prefix != nil {
		prefix = fmt.Sprintf("%q", *n.prefix)
	}
	return fmt.Sprintf("%s (prefix %s) %q", n.name, prefix, n.tools)
}

// part is made as the registry makes it.
func (n naming) part() *Part {
	var definitions []string
	for _, tool := range n.tools {
		definitions = append(definitions, plain(tool))
	}
	lists := tools(definitions...)
	slices.Reverse(definitions) // prompts are called the same, in another order
	lists[mcp.Prompts].Entries = raw(definitions...)
	p := Prepare(n.name, "", lists, nil, wide)
	if n.prefix != nil {
		p.Prefix(*n.prefix)
	}
	return p
}

func (n naming) isBare() bool { return n.prefix != nil && *n.prefix == "" }

func merged(set []naming) *View {
	var parts []*Part
	for _, n := range set {
		parts = append(parts, n.part())
	}
	return Merge(parts, wide)
}

var (
	oddServers = []string{"a", "b", "ab", "a1", "1", "a_b", "a-b", "a--b", "a__b", "a_", "a__", "a-", "a_b_", "a_0123456789", "a__b_0123456789", "a__b__c", strings.Repeat("s", 40), strings.Repeat("s", 64)}
	oddTools   = []string{
		"a", "b", "x", "X", "b__x", "_x", "__x", "x_", "x__y", "_", "__", "a.b", "b.x", ".", "..", "x y", " x", "a/b", "a,b", "a-b", "ä", "日本", "😀", "x\u00a0y",
		"x_0123456789", "_0123456789", "0123456789", "x_0123456789 ", "x_012345678g", "x_ABCDEF0123",
		strings.Repeat("t", 60), strings.Repeat("t", 127), strings.Repeat("t", 128), strings.Repeat("ü", 128), strings.Repeat("t", 256), strings.Repeat("t", 257), strings.Repeat("t", 300), strings.Repeat("t", 120) + "_0123456789",
	}
	safePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,48}$`)
)

// drawSet draws servers as a config may have them: names and prefixes belong to one each.
func drawSet(t *rapid.T) []naming {
	word := rapid.OneOf(rapid.SampledFrom([]string{"a", "a_", "a__", "a__b", "b"}), rapid.SampledFrom(oddServers), rapid.StringMatching(`[ab1][ab_-]{0,4}`))
	words := rapid.SliceOfNDistinct(word, 2, 8, strings.ToLower).Draw(t, "words")
	tool := rapid.OneOf(rapid.SampledFrom(oddTools), rapid.StringMatching(`[ab._ /-]{1,6}`), rapid.StringMatching(`[ab_.]{30,130}(_[0-9a-f]{10})?`))
	var set []naming
	for len(words) > 0 {
		n := naming{name: words[0]}
		words = words[1:]
		switch kind := rapid.IntRange(0, 3).Draw(t, "prefix"); {
		case kind == 1:
			n.prefix = new(string)
		case kind == 2:
			n.prefix = &n.name
		case kind == 3 && len(words) > 0:
			n.prefix, words = &words[0], words[1:]
		}
		n.tools = rapid.SliceOfNDistinct(tool, 0, 6, rapid.ID[string]).Draw(t, "tools")
		set = append(set, n)
	}
	for _, e := range merged(set).Entries(mcp.Tools) {
		for _, name := range []string{e.prefixed[styleDotted], e.prefixed[styleSafe], e.bare[styleDotted], e.bare[styleSafe]} {
			addNamesakes(t, set, name)
		}
	}
	return set
}

// addNamesakes adds tools that are called as another one is exposed, or would be exposed as
// it is if names were only put together.
func addNamesakes(t *rapid.T, set []naming, name string) {
	for i := range set {
		n := &set[i]
		under := n.name + "__"
		if n.prefix != nil && *n.prefix != "" {
			under = *n.prefix + "__"
		}
		rest, split := strings.CutPrefix(name, under)
		if !split {
			rest = name
		}
		if rest != "" && !slices.Contains(n.tools, rest) && rapid.IntRange(0, 3).Draw(t, "is a namesake") >= 2-len(rest)%2 {
			n.tools = append(n.tools, rest)
		}
	}
}

// fataler is what checks need of a test.
type fataler interface {
	Fatalf(format string, args ...any)
}

// checkNames holds a view to every rule about the names of one style.
func checkNames(t fataler, set []naming, v *View, kind mcp.Kind, style int) {
	scope := mcp.Scope{Safe: style == styleSafe}
	prefixed := map[string]bool{}
	for _, e := range v.Entries(kind) {
		prefixed[e.prefixed[styleDotted]], prefixed[e.prefixed[styleSafe]], prefixed[e.Target.Canonical] = true, true, true
	}
	shown := map[string]*Entry{}
	for i, e := range v.Entries(kind) {
		name, other := v.shelves[kind].names[style][i], v.shelves[kind].names[styles-1-style][i]
		if shown[name] != nil {
			t.Fatalf("%q and %q are both %q in %v", shown[name].Target.Canonical, e.Target.Canonical, name, set)
		}
		switch bare := e.bare[style]; {
		case style == styleSafe && !safePattern.MatchString(name):
			t.Fatalf("%q is %q", e.Target.Canonical, name)
		case style == styleDotted && (len(name) > 128 || name == ""):
			t.Fatalf("%q has a name of %d bytes", e.Target.Canonical, len(name))
		case bare == "" && name != e.prefixed[style], bare != "" && name != bare && name != e.prefixed[style]:
			t.Fatalf("%q is %q", e.Target.Canonical, name)
		case bare != "" && name == bare && bare != e.prefixed[style] && prefixed[bare]:
			t.Fatalf("the bare %q displaces a prefixed name in %v", name, set)
		case bare != "" && name != bare && !prefixed[bare] && shown[bare] == nil:
			t.Fatalf("%q yields %q to nobody in %v", e.Target.Canonical, bare, set)
		}
		shown[name] = e
		if got := v.Find(kind, scope, name); got != e {
			t.Fatalf("%q finds %v, not %q in %v", name, got, e.Target.Canonical, set)
		}
		if got := v.Find(kind, mcp.Scope{Safe: !scope.Safe}, name); got != e && e.bare[style] != name { // bare names may differ between the styles
			t.Fatalf("%q finds %v and not %q in the other style, where it is shown as %q, in %v", name, got, e.Target.Canonical, other, set)
		}
	}
	checkOthers(t, set, v, kind, scope)
}

// checkOthers holds a view to the rules about names that it does not show.
func checkOthers(t fataler, set []naming, v *View, kind mcp.Kind, scope mcp.Scope) {
	anywhere := func(name string) bool {
		return slices.Contains(v.shelves[kind].names[styleDotted], name) || slices.Contains(v.shelves[kind].names[styleSafe], name)
	}
	canonical, origins := map[string]bool{}, map[string][]string{}
	for i, e := range v.Entries(kind) {
		canonical[e.Target.Canonical] = true
		origins[e.Target.Origin] = append(origins[e.Target.Origin], v.shelves[kind].names[style(scope)][i])
	}
	for _, e := range v.Entries(kind) {
		if got := v.Find(kind, scope, e.Target.Canonical); got != e && !(anywhere(e.Target.Canonical) && endsInHash(e.Target.Canonical)) { // a cut name may look like it
			t.Fatalf("the canonical %q finds %v in %v", e.Target.Canonical, got, set)
		}
		own := mcp.Scope{Server: e.Target.Server}
		if got := v.Find(kind, own, e.Target.Origin); got != e {
			t.Fatalf("%q finds %v at its own server's endpoint", e.Target.Canonical, got)
		}
		origin, same := e.Target.Origin, origins[e.Target.Origin]
		if anywhere(origin) || canonical[origin] {
			continue
		}
		got := v.Find(kind, scope, origin)
		if len(same) == 1 && got != e || len(same) > 1 && got != nil {
			t.Fatalf("the origin name %q, which %d tools have, finds %v in %v", origin, len(same), got, set)
		}
		if meant, near := v.Meant(kind, scope, origin); len(same) > 1 && (!slices.Equal(meant, same) || near != nil) {
			t.Fatalf("the origin name %q may mean %q and %q, not %q", origin, meant, near, same)
		}
	}
}

// checkList: what is listed are the names, in the order of the entries.
func checkList(t fataler, v *View, kind mcp.Kind, scope mcp.Scope, want []string) {
	var list struct{ Tools, Prompts []struct{ Name string } }
	if err := json.Unmarshal(v.List(kind, scope), &list); err != nil {
		t.Fatalf("%v: %s", err, v.List(kind, scope))
	}
	var got []string
	for _, tool := range append(list.Tools, list.Prompts...) {
		got = append(got, tool.Name)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("listed %q, not %q", got, want)
	}
}

// TestExposedNames: every rule about names, over sets of servers that try to collide.
func TestExposedNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		v := merged(set)
		kind := rapid.SampledFrom([]mcp.Kind{mcp.Tools, mcp.Prompts}).Draw(t, "kind")
		for style := range styles {
			checkNames(t, set, v, kind, style)
			checkList(t, v, kind, mcp.Scope{Safe: style == styleSafe}, v.shelves[kind].names[style])
		}
		for _, n := range set {
			var own []string
			for _, e := range v.Entries(kind) {
				if e.Target.Server == n.name {
					own = append(own, e.Target.Origin)
				}
			}
			checkList(t, v, kind, mcp.Scope{Server: n.name}, own)
			for _, e := range v.Entries(kind) {
				if e.Target.Server != n.name && !slices.Contains(own, e.Target.Origin) && v.Find(kind, mcp.Scope{Server: n.name}, e.Target.Origin) != nil {
					t.Fatalf("%q is found at the endpoint of %s", e.Target.Canonical, n.name)
				}
			}
		}
	})
}

// byCanonical gives the names of a style.
func byCanonical(v *View, kind mcp.Kind, style int) map[string]string {
	out := map[string]string{}
	for i, e := range v.Entries(kind) {
		out[e.Target.Canonical] = v.shelves[kind].names[style][i]
	}
	return out
}

// TestPrefixedNamesDependOnNobody: whoever joins, leaves, flaps, or stands elsewhere.
func TestPrefixedNamesDependOnNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		all := merged(set)
		some := slices.DeleteFunc(rapid.Permutation(set).Draw(t, "order"), func(n naming) bool { return rapid.Bool().Draw(t, "is away") })
		fewer := merged(some)
		kind := rapid.SampledFrom([]mcp.Kind{mcp.Tools, mcp.Prompts}).Draw(t, "kind")
		for style := range styles {
			checkNames(t, some, fewer, kind, style)
			before, after := byCanonical(all, kind, style), byCanonical(fewer, kind, style)
			for _, n := range set {
				alone := byCanonical(merged([]naming{n}), kind, style)
				for canonical, name := range alone {
					now, there := after[canonical]
					if !n.isBare() && (before[canonical] != name || there && now != name) {
						t.Fatalf("%q alone is %q, with all %q, with some %q in %v", canonical, name, before[canonical], now, set)
					}
				}
			}
		}
	})
}

// TestBareNamesYieldInOrder: the earlier server keeps the name, and the later one gets it
// when the earlier goes.
func TestBareNamesYieldInOrder(t *testing.T) {
	bare := ""
	one, two := naming{"one", &bare, []string{"read", "two.read", "with space"}}, naming{"two", &bare, []string{"read", "with space"}}
	shown := func(set ...naming) string {
		v := merged(set)
		return strings.Join(v.shelves[mcp.Tools].names[styleDotted], " | ") + " || " + strings.Join(v.shelves[mcp.Tools].names[styleSafe], " | ")
	}
	hash := func(canonical string) string { return hashed("", "__", "with space", maxSafe, canonical, "") }
	want := "read | one.two.read | with space | two.read | two.with space || read | " + hashed("", "__", "two.read", maxSafe, "one.two.read", "") + " | " + hash("one.with space") + " | two__read | " + hash("two.with space")
	if got := shown(one, two); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = "read | with space || read | " + hash("two.with space")
	if got := shown(two); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNameBehindAGatewayIsFoundLast: a page behind another gateway knows its tool by a name that
// has none of that gateway's prefix.
func TestNameBehindAGatewayIsFoundLast(t *testing.T) {
	gateway := func(name string, tools ...string) *Part {
		p := naming{name, nil, tools}.part()
		p.Gateways = []string{"id of " + name}
		return p
	}
	for _, tt := range []struct {
		why   string
		parts []*Part
		scope mcp.Scope
		want  string // empty: none
	}{
		{"one has it", []*Part{gateway("in", "acme.card", "acme.other")}, mcp.Scope{}, "in.acme.card"},
		{"in the safe style too", []*Part{gateway("in", "acme__card")}, mcp.Scope{Safe: true}, "in.acme__card"},
		{"at its own endpoint", []*Part{gateway("in", "acme.card"), gateway("on", "acme.card")}, mcp.Scope{Server: "on"}, "on.acme.card"},
		{"the server is no gateway", []*Part{naming{"in", nil, []string{"acme.card"}}.part()}, mcp.Scope{}, ""},
		{"two servers behind it", []*Part{gateway("in", "acme.card", "b.card")}, mcp.Scope{}, ""},
		{"two servers behind its own endpoint", []*Part{gateway("in", "acme.card", "b.card")}, mcp.Scope{Server: "in"}, ""},
		{"two gateways", []*Part{gateway("in", "acme.card"), gateway("on", "acme.card")}, mcp.Scope{}, ""},
		{"an own name", []*Part{gateway("in", "acme.card"), naming{"b", nil, []string{"card"}}.part()}, mcp.Scope{}, "b.card"},
		{"several own names", []*Part{gateway("in", "acme.card"), naming{"b", nil, []string{"card"}}.part(), naming{"c", nil, []string{"card"}}.part()}, mcp.Scope{}, ""},
		{"only the first prefix", []*Part{gateway("in", "deep.acme.card")}, mcp.Scope{}, ""},
	} {
		v := Merge(tt.parts, wide)
		for _, kind := range []mcp.Kind{mcp.Tools, mcp.Prompts} {
			got := ""
			if e := v.Find(kind, tt.scope, "card"); e != nil {
				got = e.Target.Canonical
			}
			if got != tt.want {
				t.Errorf("%s: card is %q, not %q", tt.why, got, tt.want)
			}
		}
	}
}

// TestNamesAsTheyAreShown pins the two styles by example.
func TestNamesAsTheyAreShown(t *testing.T) {
	long, server := strings.Repeat("t", 60), strings.Repeat("s", 64)
	for _, tt := range []struct{ server, tool, dotted, safe string }{
		{"files", "read", "files.read", "files__read"},
		{"files", "read_", "files.read_", "files__read_"},
		{"files", "a__b", "files.a__b", "files__a__b"},
		{"files", "_read", "files._read", "files___read_#"},
		{"files", "a.b", "files.a.b", "files__a_b_#"},
		{"files", "a b", "files.a b", "files__a_b_#"},
		{"files", "ü", "files.ü", "files_____#"},
		{"a_", "x", "a_.x", "a___x_#"},
		{"a__b", "x", "a__b.x", "a__b__x_#"},
		{"a_b", "x", "a_b.x", "a_b__x"},
		{"a", "x_0123456789", "a.x_0123456789_#", "a__x_0123456789_#"},
		{"a", "x_0123456789 ", "a.x_0123456789 ", "a__x_0123456789__#"},
		{"a", long[:45], "a." + long[:45], "a__" + long[:45]},
		{"a", long[:46], "a." + long[:46], "a__" + long[:34] + "_#"},
		{"a", strings.Repeat("t", 126), "a." + strings.Repeat("t", 126), "a__" + long[:34] + "_#"},
		{"a", strings.Repeat("t", 127), "a." + strings.Repeat("t", 115) + "_#", "a__" + long[:34] + "_#"},
		{server, "read_file", server + ".read_file", server[:26] + "__read_file_#"},
		{server, long[:27], server + "." + long[:27], server[:8] + "__" + long[:27] + "_#"},
		{server, long[:28], server + "." + long[:28], server[:8] + "__" + long[:27] + "_#"},
		{"my-files", long[:40], "my-files." + long[:40], "my-files__" + long[:27] + "_#"},
		{"files", long[:44], "files." + long[:44], "files__" + long[:30] + "_#"},
		{server, strings.Repeat("t", 64), server[:52] + "." + strings.Repeat("t", 64) + "_#", server[:8] + "__" + long[:27] + "_#"},
		{server, strings.Repeat("t", 120), server[:8] + "." + strings.Repeat("t", 108) + "_#", server[:8] + "__" + long[:27] + "_#"},
	} {
		v := merged([]naming{{tt.server, nil, []string{tt.tool}}})
		d, s := v.Exposed(mcp.Tools, 0)
		hash := hashed("", "", "", maxSafe, tt.server+"."+tt.tool, "")[1:]
		if want := strings.ReplaceAll(tt.dotted, "#", hash); d != want {
			t.Errorf("%s, %q: dotted %q, not %q", tt.server, tt.tool, d, want)
		}
		if want := strings.ReplaceAll(tt.safe, "#", hash); s != want {
			t.Errorf("%s, %q: safe %q, not %q", tt.server, tt.tool, s, want)
		}
	}
}

// FuzzNames: no two tools of two servers share a name, whatever they are called.
func FuzzNames(f *testing.F) {
	f.Add("a", "", false, "a_b", "", true, "b__x\nx\n_x", "b.x\na__x")
	f.Add("a__b", "c", true, "a", "b", true, "x y\nx_y\nx_0123456789", "c.x y\nc__x")
	f.Add("a_", "", true, "b", "", true, "x\na.x\na___x", "x\nb__x\n😀")
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	f.Fuzz(func(t *testing.T, one, onePrefix string, oneHas bool, two, twoPrefix string, twoHas bool, oneTools, twoTools string) {
		set := []naming{{name: one, tools: strings.Split(oneTools, "\n")}, {name: two, tools: strings.Split(twoTools, "\n")}}
		known := map[string]bool{}
		for i, prefix := range []string{onePrefix, twoPrefix} {
			words := []string{set[i].name}
			if has := []bool{oneHas, twoHas}[i]; has {
				set[i].prefix = &prefix
				if prefix != "" {
					words = append(words, prefix)
				}
			}
			for _, w := range words {
				w = strings.ToLower(w)
				if !valid.MatchString(w) || known[w] {
					return // no config has these
				}
				known[w] = true
			}
		}
		v, flipped := merged(set), merged([]naming{set[1], set[0]})
		for i := range 2 * styles {
			kind, style := []mcp.Kind{mcp.Tools, mcp.Prompts}[i/styles], i%styles
			checkNames(t, set, v, kind, style)
			checkList(t, v, kind, mcp.Scope{Safe: style == styleSafe}, v.shelves[kind].names[style])
			before, after := byCanonical(v, kind, style), byCanonical(flipped, kind, style)
			for _, e := range v.Entries(kind) {
				if c := e.Target.Canonical; e.bare[style] == "" && before[c] != after[c] {
					t.Fatalf("%q is %q or %q, as the order is", c, before[c], after[c])
				}
			}
		}
	})
}
