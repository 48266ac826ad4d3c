package route

import "hash/maphash"

// fallen keeps of URIs that fell out of memory whose they were, in constant room: a table by
// hash of small numbers that stand for servers. Those that share a place share its mark, so
// that it may bar a server from a URI that nobody had, which is then moved for no need; it
// never lets a server have one that was another's.
type fallen struct {
	seed    maphash.Seed
	marks   []uint16 // nil until something fell out
	servers map[string]uint16
}

const (
	maxMarks = 1 << 19 // a power of two
	nobodys  = 0
	several  = 1<<16 - 1
)

// add marks a caller's URI as the server's.
func (f *fallen) add(caller, uri, server string) {
	if f.marks == nil {
		f.seed, f.marks, f.servers = maphash.MakeSeed(), make([]uint16, maxMarks), map[string]uint16{}
	}
	mark, ok := f.servers[server]
	if !ok && len(f.servers) < several-1 {
		mark = uint16(len(f.servers) + 1)
		f.servers[server] = mark
	} else if !ok {
		mark = several
	}
	if at := f.at(caller, uri); *at != mark {
		if *at != nobodys {
			mark = several
		}
		*at = mark
	}
}

// bars tells whether the caller's URI may have been another server's.
func (f *fallen) bars(caller, uri, server string) bool {
	if f.marks == nil {
		return false
	}
	mark := *f.at(caller, uri)
	return mark != nobodys && mark != f.servers[server]
}

func (f *fallen) at(caller, uri string) *uint16 {
	return &f.marks[maphash.Comparable(f.seed, [2]string{caller, uri})&(maxMarks-1)]
}
