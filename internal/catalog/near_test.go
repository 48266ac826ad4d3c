package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcpgateway/internal/mcp"

	"pgregory.net/rapid"
)

// plainDistance is Wagner and Fischer's, with the whole matrix and no short cut.
func plainDistance(a, b string) int {
	fold := func(s string) []byte {
		out := []byte(s)
		for i, c := range out {
			if 'A' <= c && c <= 'Z' {
				out[i] = c | 0x20
			}
		}
		return out
	}
	x, y := fold(a), fold(b)
	far := make([][]int, len(x)+1)
	for i := range far {
		far[i] = make([]int, len(y)+1)
		for j := range far[i] {
			switch {
			case i == 0:
				far[i][j] = j
			case j == 0:
				far[i][j] = i
			case x[i-1] == y[j-1]:
				far[i][j] = far[i-1][j-1]
			default:
				far[i][j] = 1 + min(far[i-1][j-1], far[i-1][j], far[i][j-1])
			}
		}
	}
	return far[len(x)][len(y)]
}

func TestDistance(t *testing.T) {
	name := rapid.OneOf(rapid.StringMatching(`[abAB_.]{0,12}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		most := rapid.IntRange(0, 20).Draw(t, "most")
		got, want := distance(a, b, most), plainDistance(a, b)
		if want <= most && got != want || want > most && got <= most {
			t.Fatalf("distance(%q, %q, %d) is %d, not %d", a, b, most, got, want)
		}
	})
}

// TestNearest: those that are near enough, nearest first, in the order of the list where
// they are as near, and three at most.
func TestNearest(t *testing.T) {
	word := rapid.OneOf(rapid.StringMatching(`[abc]{0,7}`), rapid.SampledFrom([]string{strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a", 100)}))
	rapid.Check(t, func(t *rapid.T) {
		name := word.Draw(t, "name")
		names := rapid.SliceOfDistinct(word, rapid.ID[string]).Draw(t, "names")
		var want []string
		if len(name) <= 128 {
			for far := range max(1, len(name)/3) + 1 {
				for _, n := range names {
					if len(n) <= 128 && plainDistance(name, n) == far {
						want = append(want, n)
					}
				}
			}
		}
		want = want[:min(len(want), 3)]
		if got := Near(name, names); !slices.Equal(got, want) {
			t.Fatalf("near %q of %q are %q, not %q", name, names, got, want)
		}
	})
}

// TestOnePartIsEnough: the same tool at another server, or the beginning of a tool at the same
// one, comes after what differs little.
func TestOnePartIsEnough(t *testing.T) {
	names := []string{"calculator.add", "calculator.divide", "echo.ping", "files.read_file", "files.list", "notes.add", "notes__read", "n.a.b", "add"}
	for name, want := range map[string]string{
		"calc.add":                "[calculator.add notes.add]",
		"calc.ADD":                "[calculator.add notes.add]",
		"calc__add":               "[calculator.add notes.add]",
		"calculatr.add":           "[calculator.add notes.add]",
		"echo-server.ping":        "[echo.ping]",
		"files.read":              "[files.read_file notes__read]",
		"FILES__read":             "[notes__read files.read_file]",
		"files.read_file_text":    "[files.read_file]",
		"files.re":                "[]",
		"calculator.power-of-two": "[]",
		"m.a.b":                   "[n.a.b]",
		"longer-than-n.a.b":       "[n.a.b]",
		".add":                    "[add]",
		"nowhere.":                "[]",
		"nothing-at-all-alike":    "[]",
	} {
		if got := fmt.Sprint(Near(name, names)); got != want {
			t.Errorf("near %q are %s, not %s", name, got, want)
		}
	}
	if got := Near("calculator-of-mine.add", []string{"a.add", "b.add", "c.add", "calculator.add"}); len(got) != 3 || got[0] != "calculator.add" {
		t.Errorf("near are %q", got)
	}
}

// TestWhoNamesAServerMeansNoOther, by its name or its prefix, in either style and any case; who
// names none that is there may mean any.
func TestWhoNamesAServerMeansNoOther(t *testing.T) {
	part := func(server string, tools ...string) *Part {
		var list List
		for _, tool := range tools {
			list.Entries = append(list.Entries, []byte(`{"name":"`+tool+`","inputSchema":{"type":"object"}}`))
		}
		return Prepare(server, "", Lists{mcp.Tools: list}, nil, Bounds{ToolsPerServer: 10, ToolBytes: 1000, CatalogBytes: 10_000})
	}
	files, notes, bare := part("files", "list"), part("notes", "count"), part("bare", "counts")
	files.Prefix("fs")
	bare.Prefix("")
	v := Merge([]*Part{files, notes, bare}, Bounds{CatalogBytes: 10_000})
	for name, want := range map[string]string{
		"files.count": "[]",
		"fs.count":    "[]",
		"FS__count":   "[]",
		"bare.list":   "[]",
		"fs.lst":      "[fs.list]",
		"files.LIST":  "[fs.list]",
		"f.count":     "[notes.count]",
		"fsx.count":   "[notes.count]",
		"count_":      "[counts]",
	} {
		if same, near := v.Meant(mcp.Tools, mcp.Scope{}, name); same != nil || fmt.Sprint(near) != want {
			t.Errorf("%q means %q or is near %q, not %s", name, same, near, want)
		}
	}
}

func TestNearIsBounded(t *testing.T) {
	long := strings.Repeat("x", 129)
	if got := Near(long, []string{long}); got != nil {
		t.Errorf("a name of 129 bytes is compared: %q", got)
	}
	if got := Near(long[:128], []string{long, long[:128]}); !slices.Equal(got, []string{long[:128]}) {
		t.Errorf("near are %q", got)
	}
	names := make([]string, 2001)
	for i := range names {
		names[i] = fmt.Sprintf("some other name %d", i)
	}
	names[1999], names[2000] = "needle1", "needle2"
	if got := Near("needle", names); !slices.Equal(got, []string{"needle1"}) {
		t.Errorf("of 2001 names %q are near", got)
	}
	if got := Near("some other name 0", names[:100]); !slices.Equal(got, names[:3]) {
		t.Errorf("near are %q", got)
	}
	for _, name := range []string{"", "x", "read"} {
		if got := Near(name, nil); got != nil {
			t.Errorf("near %q of nothing are %q", name, got)
		}
	}
}
