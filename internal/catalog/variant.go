package catalog

import (
	"slices"
	"sync"
)

// variants are the Views that some clients see in place of one.
type variants struct {
	mu    sync.Mutex
	byOwn map[string]*View // guarded by mu: by the servers and sums of the parts that differ
}

// Bounds of how many are kept at a time, and of what their encoded lists may come to. Another one
// costs a Merge.
const (
	maxVariants     = 64
	maxVariantBytes = 64 << 20
)

// With is the View of a client to whom some servers show something of its own: these parts
// stand in place of what their servers show to all. It is the same View where nothing differs,
// and one for all clients that see the same.
func (v *View) With(own []*Part) *View {
	key := ""
	parts := v.parts
	for _, p := range own {
		i := slices.IndexFunc(v.parts, func(q *Part) bool { return q.Server == p.Server })
		if i < 0 || v.parts[i].Same(p) {
			continue
		}
		if key == "" {
			parts = slices.Clone(parts)
		}
		key += p.Server + "\n" + string(p.sum[:])
		mine := *p
		mine.Rank = v.parts[i].Rank
		parts[i] = &mine
	}
	if key == "" {
		return v
	}
	v.variants.mu.Lock()
	defer v.variants.mu.Unlock()
	if known := v.variants.byOwn[key]; known != nil {
		return known
	}
	made := Merge(parts, v.bounds)
	bytes := 0
	for _, p := range parts {
		bytes += p.Bytes()
	}
	most := min(maxVariants, max(1, maxVariantBytes/max(bytes, 1)))
	if v.variants.byOwn == nil || len(v.variants.byOwn) >= most {
		v.variants.byOwn = map[string]*View{}
	}
	v.variants.byOwn[key] = made
	return made
}
