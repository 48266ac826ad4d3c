package catalog

import "slices"

// maxNear bounds the names and the length of those that are compared.
const (
	maxNear      = 3
	maxNearName  = 128
	maxCompared  = 2000
	nearDistance = 3 // at most a third of the name may differ
)

// Near gives up to three of names that a person may have meant by name, nearest first.
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
	for _, n := range names[:min(len(names), maxCompared)] {
		if len(n) > maxNearName || len(n)-len(name) > most || len(name)-len(n) > most {
			continue
		}
		if d := distance(name, n, most); d <= most {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var out []string
	for _, c := range found[:min(len(found), maxNear)] {
		out = append(out, c.name)
	}
	return out
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
