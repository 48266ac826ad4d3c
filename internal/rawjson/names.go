package rawjson

import (
	"bytes"
	"hash/maphash"
)

// names is the set of the decoded names of the members of a large object. A map of strings
// takes seven times the memory of the object in the worst case, which a stranger would
// choose; this is an open table of words, each the offset of a key and some bits of its
// hash, so it takes no more than about thrice the object.
type names struct {
	obj   []byte
	seed  maphash.Seed
	slots []uint64 // at<<hashBits | hash; 0 is free, for no key is at offset 0
	n     int
}

const (
	hashBits = 28
	hashMask = 1<<hashBits - 1
)

func newNames(obj []byte) *names {
	return &names{obj: obj, seed: maphash.MakeSeed(), slots: make([]uint64, 4*smallObject)}
}

// add adds the name key, whose token is at this offset; false says that it was there.
func (s *names) add(key []byte, at int) bool {
	hash := maphash.Bytes(s.seed, key) & hashMask
	mask := uint64(len(s.slots) - 1)
	i := hash & mask
	for ; s.slots[i] != 0; i = (i + 1) & mask {
		if s.slots[i]&hashMask == hash && bytes.Equal(s.name(s.slots[i]), key) {
			return false
		}
	}
	s.slots[i] = uint64(at)<<hashBits | hash
	if s.n++; s.n > len(s.slots)/4*3 {
		s.grow()
	}
	return true
}

func (s *names) name(slot uint64) []byte {
	at := int(slot >> hashBits)
	key, _ := keyName(s.obj[at:skipString(s.obj, at+1)])
	return key
}

func (s *names) grow() {
	slots := make([]uint64, 2*len(s.slots))
	mask := uint64(len(slots) - 1)
	for _, slot := range s.slots {
		if slot == 0 {
			continue
		}
		i := slot & hashMask & mask
		for slots[i] != 0 {
			i = (i + 1) & mask
		}
		slots[i] = slot
	}
	s.slots = slots
}
