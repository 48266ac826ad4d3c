package app_test

import (
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// A hostileCase is a row of testdata/hostile-cases.md.
type hostileCase struct {
	id  string
	run func(h *hostile)
}

// Cases that wait for the gateway's own clocks run beside one another, at the end.
var slowCases = []string{"B12", "B13"}

func hostileCases() []hostileCase {
	return slices.Concat(jsonCases, numberCases, edgeCases, socketCases, versionCases, sessionCases, adminCases, registerCases, nameCases)
}

// TestHostile sends what strangers may send. Every row has one gateway that serves others
// meanwhile: after each of them nothing is left, servers were reached as often as was right,
// and the other calls are answered.
func TestHostile(t *testing.T) {
	shared := newHouse(t)
	before := goroutines()
	t.Cleanup(func() { settled(t, before) }) // after those that run beside one another, too
	for _, c := range hostileCases() {
		t.Run(c.id, func(t *testing.T) {
			if slices.Contains(slowCases, c.id) {
				t.Parallel()
				c.run(visit(t, newHouse(t)))
				return
			}
			before, children := goroutines(), len(gatetest.Processes())
			t.Cleanup(func() { // the first to be registered is the last to run
				settled(t, before)
				gatetest.WaitFor(t, "the children of the case to go", func() bool { return len(gatetest.Processes()) <= children })
			})
			c.run(visit(t, shared))
		})
	}
}

// TestHostileCasesAreAllThere compares the rows with the subtests.
func TestHostileCasesAreAllThere(t *testing.T) {
	text, err := os.ReadFile("testdata/hostile-cases.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z])(\d+)(?:–[A-Z](\d+))? `).FindAllStringSubmatch(string(text), -1) {
		first, _ := strconv.Atoi(row[2])
		last, err := strconv.Atoi(row[3])
		if err != nil {
			last = first
		}
		for n := first; n <= last; n++ {
			want = append(want, row[1]+strconv.Itoa(n))
		}
	}
	for _, c := range hostileCases() {
		have = append(have, c.id)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) || len(want) < 70 {
		t.Errorf("the rows are %q\nthe subtests %q", want, have)
	}
}

var (
	created = regexp.MustCompile(`created by (\S+)`)
	frame   = regexp.MustCompile(`(?m)^(mcpgateway/\S+)\(`)
)

// goroutines counts what runs, by who started it and where in our code it began. Left out are
// tests, and
// connections that are kept for later: they run nothing of ours.
func goroutines() map[string]int {
	buf := make([]byte, 1<<20)
	for n := runtime.Stack(buf, true); n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]int{}
	for stack := range strings.SplitSeq(strings.TrimRight(string(buf), "\x00"), "\n\n") {
		by := created.FindStringSubmatch(stack)
		at := frame.FindAllStringSubmatch(stack, -1)
		switch {
		case by == nil, strings.HasPrefix(by[1], "testing."), strings.HasPrefix(by[1], "net/http.(*Transport).dialConn"):
			continue
		case at == nil && (strings.HasPrefix(by[1], "net/http.(*Server).Serve") || strings.HasPrefix(by[1], "net/http.(*connReader)")):
			continue
		}
		key := by[1]
		if at != nil {
			key += " in " + at[len(at)-1][1] // where it began
		}
		all[key]++
	}
	return all
}

// settled waits until no more runs than before.
func settled(t testing.TB, before map[string]int) {
	t.Helper()
	var more []string
	for end := time.Now().Add(guard); ; time.Sleep(10 * time.Millisecond) {
		more = nil
		for key, n := range goroutines() {
			if n > before[key] {
				more = append(more, key+" +"+strconv.Itoa(n-before[key]))
			}
		}
		if len(more) == 0 {
			return
		}
		if time.Now().After(end) {
			slices.Sort(more)
			t.Errorf("goroutines are left: %s", strings.Join(more, "; "))
			return
		}
	}
}
