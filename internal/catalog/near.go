package catalog

import (
	"slices"
	"strings"
)

// maxNear bounds the names and the length of those that are compared.
const (
	maxNear      = 3
	maxNearName  = 128
	maxCompared  = 2000
	nearDistance = 3 // at most a third of the name may differ
	leastAlike   = 3 // characters that the same beginning has
)

// Near gives up to three of names that a person may have meant by name, nearest first: those
// that differ little, then those with the same tool's part at another server, and those
// whose tool's part at the same server is the beginning of the other. Of servers, one whose
// name is the beginning of the other is nearest.
func Near(name string, names []string) []string {
	if len(name) > maxNearName {
		return nil
	}
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	most := max(1, len(name)/nearDistance)
	server, tool := parts(name)
	for _, n := range names[:min(len(names), maxCompared)] {
		if len(n) > maxNearName {
			continue
		}
		if len(n)-len(name) <= most && len(name)-len(n) <= most {
			if d := distance(name, n, most); d <= most {
				found = append(found, candidate{n, d})
				continue
			}
		}
		if s, t := parts(n); s != "" && server != "" && alike(server, tool, s, t) {
			far := most + 1
			if short := min(len(s), len(server)); short < leastAlike || !strings.EqualFold(s[:short], server[:short]) {
				far += distance(server, s, maxNearName)
			}
			found = append(found, candidate{n, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var out []string
	for _, c := range found[:min(len(found), maxNear)] {
		out = append(out, c.name)
	}
	return out
}

// parts are what stands before and after the separator of a name of either style; no server
// where there is none.
func parts(name string) (server, tool string) {
	for _, between := range []string{separator, "__"} {
		if server, tool, ok := strings.Cut(name, between); ok && server != "" && tool != "" {
			return server, tool
		}
	}
	return "", name
}

// beginsAs tells whether a name, of either style, begins with a prefix, whatever its case.
func beginsAs(name, prefix string) bool {
	if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return false
	}
	rest := name[len(prefix):]
	return strings.HasPrefix(rest, separator) || strings.HasPrefix(rest, "__")
}

// alike tells whether two names agree in one part so that one may be meant by the other.
func alike(server, tool, otherServer, otherTool string) bool {
	if strings.EqualFold(server, otherServer) {
		short := min(len(tool), len(otherTool))
		return short >= leastAlike && strings.EqualFold(tool[:short], otherTool[:short])
	}
	return strings.EqualFold(tool, otherTool)
}

// distance is the edit distance of two names, or more than most.
func distance(a, b string, most int) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if lower(a[i]) != lower(b[j]) {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
			least = min(least, cost)
		}
		if least > most {
			return least
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
