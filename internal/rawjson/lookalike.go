package rawjson

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// smallObject is the number of members up to which names are compared one by one.
const smallObject = 16

// CheckMembers refuses a checked object in which two readers could see different members:
// one with two members of the same decoded name (Duplicate), and one with a member that
// is not spelt exactly as a known name but that some decoders take for it (Lookalike):
// it has escapes, differs by Unicode simple case folding as encoding/json ignores it, or
// has control characters that a decoder may cut off or drop. Offsets are those of the key
// in obj. A value that is no object passes.
func CheckMembers(obj []byte, known ...string) error {
	var seen [smallObject]struct {
		key []byte
		at  int
	}
	var many *names
	n := 0
	w := walk(obj, '{')
	for w.member() {
		key, plain := keyName(obj[w.key:w.keyEnd])
		if k := resembles(key, plain, known); k != "" {
			return &Error{Lookalike, w.key, fmt.Sprintf("member %s resembles %q", shown(key), k)}
		}
		twice := false
		if n < smallObject {
			for i := range seen[:n] {
				twice = twice || bytes.Equal(seen[i].key, key)
			}
			seen[n].key, seen[n].at = key, w.key
			n++
		} else {
			if many == nil {
				many = newNames(obj)
				for _, s := range seen {
					many.add(s.key, s.at)
				}
			}
			twice = !many.add(key, w.key)
		}
		if twice {
			return &Error{Duplicate, w.key, fmt.Sprintf("two members named %s", shown(key))}
		}
	}
	return nil
}

// keyName decodes a key; plain says that it has no escapes.
func keyName(token []byte) (name []byte, plain bool) {
	if bytes.IndexByte(token, '\\') >= 0 {
		if s, ok := Text(token); ok {
			return []byte(s), false
		}
	}
	return token[1 : len(token)-1], true
}

// resembles returns the known name that key could be taken for without being spelt so.
func resembles(key []byte, plain bool, known []string) string {
	for _, k := range known {
		if string(key) == k {
			if plain {
				return ""
			}
			return k
		}
	}
	s := key
	if !plain || bytes.ContainsFunc(key, unicode.IsControl) {
		s = bytes.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, key)
	}
	for _, k := range known {
		// No letter is more than thrice as long as another case of it.
		if len(s) <= 3*len(k) && strings.EqualFold(string(s), k) {
			return k
		}
	}
	return ""
}

// shown quotes a name of any length for an error.
func shown(key []byte) string {
	const most = 64
	if len(key) > most {
		return fmt.Sprintf("%+q…", key[:most])
	}
	return fmt.Sprintf("%+q", key)
}
