package stateless

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"mcpgateway/internal/rawjson"
)

// A sum is a digest of a JSON value that is the same however the value is written: whatever
// the order of members, the spaces, the escapes.
type sum [sha256.Size]byte

// digest gives the sum of a checked value. It reads each byte once.
func digest(v []byte) sum {
	d := digester{v: v}
	return d.value()
}

// A digester goes through checked JSON. An array and an object are the sums of their parts.
type digester struct {
	v  []byte
	at int
}

type memberSum struct {
	key string
	sum sum
}

func (d *digester) value() sum {
	switch d.next() {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		return sha256.Sum256(append([]byte{'"'}, d.text()...))
	}
	token := d.token()
	return sha256.Sum256(append([]byte{'#'}, plainNumber(string(token))...))
}

func (d *digester) object() sum {
	var members []memberSum
	for d.at++; d.next() != '}'; {
		key := d.text()
		d.skip(':')
		members = append(members, memberSum{key, d.value()})
		d.skip(',')
	}
	d.at++
	slices.SortStableFunc(members, func(a, b memberSum) int { return strings.Compare(a.key, b.key) })
	out := []byte{'{'}
	for _, m := range members {
		out = append(strconv.AppendInt(out, int64(len(m.key)), 10), ':')
		out = append(append(out, m.key...), m.sum[:]...)
	}
	return sha256.Sum256(out)
}

func (d *digester) array() sum {
	out := []byte{'['}
	for d.at++; d.next() != ']'; {
		s := d.value()
		out = append(out, s[:]...)
		d.skip(',')
	}
	d.at++
	return sha256.Sum256(out)
}

// next gives the first byte of what comes next, which stays.
func (d *digester) next() byte {
	for d.v[d.at] <= ' ' {
		d.at++
	}
	return d.v[d.at]
}

// skip takes a separator, where it is one.
func (d *digester) skip(separator byte) {
	if d.next() == separator {
		d.at++
	}
}

// text takes a string and decodes it.
func (d *digester) text() string {
	from := d.at
	for d.at++; d.v[d.at] != '"'; d.at++ {
		if d.v[d.at] == '\\' {
			d.at++
		}
	}
	d.at++
	text, _ := rawjson.Text(d.v[from:d.at])
	return text
}

// token takes a number or a word.
func (d *digester) token() []byte {
	n := bytes.IndexAny(d.v[d.at:], ",]} \t\r\n")
	if n < 0 {
		n = len(d.v) - d.at
	}
	d.at += n
	return d.v[d.at-n : d.at]
}

// plainNumber writes a number in one way: 1.0 and 1e0 as 1. Integers stay as they are,
// however large, and so do words.
func plainNumber(token string) string {
	if !strings.ContainsAny(token, ".eE") || token[0] >= 'a' {
		return token
	}
	f, err := strconv.ParseFloat(token, 64)
	switch {
	case err != nil:
		return token
	case f == float64(int64(f)) && f <= maxSafe && f >= -maxSafe:
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
