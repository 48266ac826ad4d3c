package rawjson

import "bytes"

// An Edit sets the member Key to Value, raw JSON; without a Value it removes the member.
type Edit struct {
	Key   string
	Value []byte
}

// AppendEdited appends obj, a checked object, with edits applied; nil and values that are
// no object count as {}. A member that exists keeps its place, new ones are added at the
// end in the order of edits; of two edits of one key the last holds. All other members
// stay byte for byte, the whitespace around them included. Afterwards an edited key
// stands in the object once, spelt plainly, also where obj had it twice or escaped.
// dst must not overlap obj or a Value.
func AppendEdited(dst, obj []byte, edits ...Edit) []byte {
	done := make([]bool, len(edits))
	dst = append(dst, '{')
	first := len(dst)
	w := walk(obj, '{')
	space := w.next // where the whitespace of an object without members begins
	members := 0
	for w.member() {
		members++
		at := find(edits, obj[w.key:w.keyEnd])
		if at >= 0 && (done[at] || len(edits[at].Value) == 0) {
			continue
		}
		dst = comma(dst, first)
		if at < 0 {
			dst = append(dst, obj[w.from:w.end]...)
			continue
		}
		done[at] = true
		dst = append(dst, obj[w.from:w.key]...)
		dst = AppendText(dst, edits[at].Key)
		dst = append(dst, obj[w.keyEnd:w.val]...)
		dst = append(dst, edits[at].Value...)
		dst = append(dst, obj[w.valEnd:w.end]...)
	}
	if members == 0 && space >= 0 && len(edits) == 0 {
		dst = append(dst, obj[space:skipSpace(obj, space)]...)
	}
	for i, e := range edits {
		if done[i] || len(e.Value) == 0 || overruled(edits, i) {
			continue
		}
		dst = comma(dst, first)
		dst = AppendText(dst, e.Key)
		dst = append(dst, ':')
		dst = append(dst, e.Value...)
	}
	return append(dst, '}')
}

// comma appends a comma unless dst still ends at the opening brace.
func comma(dst []byte, first int) []byte {
	if len(dst) > first {
		return append(dst, ',')
	}
	return dst
}

// find returns the last edit of the member with this key token, or -1.
func find(edits []Edit, token []byte) int {
	escaped := bytes.IndexByte(token, '\\') >= 0
	key := token[1 : len(token)-1]
	if escaped {
		key, _ = keyName(token)
	}
	for i := len(edits) - 1; i >= 0; i-- {
		if string(key) == edits[i].Key {
			return i
		}
	}
	return -1
}

func overruled(edits []Edit, i int) bool {
	for _, e := range edits[i+1:] {
		if e.Key == edits[i].Key {
			return true
		}
	}
	return false
}

// AppendLine appends v, checked JSON, as one line: CR and LF, which can only stand
// between its tokens, become spaces.
func AppendLine(dst, v []byte) []byte {
	from := len(dst)
	dst = append(dst, v...)
	blank(dst[from:], '\n')
	blank(dst[from:], '\r')
	return dst
}

func blank(b []byte, c byte) {
	for {
		i := bytes.IndexByte(b, c)
		if i < 0 {
			return
		}
		b[i] = ' '
		b = b[i+1:]
	}
}
