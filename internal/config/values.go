package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

// duration reads "30s" or a number of seconds into d, more than 0 and at most 24 h.
func (n node) duration(d *time.Duration) {
	v, ok := n.time(seconds)
	switch {
	case !ok:
		n.problem("must be a time such as \"30s\" or \"10m\", or a number of seconds")
	case v <= 0:
		n.problem("must be more than 0; there is no time without end (at most 24h)")
	case v > maxTime:
		n.problem("must be at most 24h")
	default:
		*d = v
	}
}

func seconds(f float64) float64 { return f }

func milliseconds(f float64) float64 { return f / 1000 }

// eitherUnit is for keys that hold seconds with some clients and milliseconds with
// others: nobody waits a thousand seconds, and nobody less than one.
func eitherUnit(f float64) float64 {
	if f >= 1000 {
		return milliseconds(f)
	}
	return f
}

// time reads a time; unit turns its number, if it is one, into seconds.
func (n node) time(unit func(float64) float64) (time.Duration, bool) {
	if s, ok := n.number(); ok {
		// Out of range gives ±Inf, which is too much or too little all the same.
		f, _ := strconv.ParseFloat(s, 64)
		f = unit(f)
		return time.Duration(math.Round(max(-1, min(f, 2*maxTime.Seconds())) * float64(time.Second))), true
	}
	l, ok := n.value.(hujson.Literal)
	if !ok || l.Kind() != '"' {
		return 0, false
	}
	v, err := time.ParseDuration(l.String())
	return v, err == nil
}

// noBound is what else there is to say of a bound that is less than 1.
const noBound = "no bound can be switched off"

// count reads a whole number from 1 to most into to; instead says what to do for less.
func (n node) count(to *int, most int, instead string) {
	s, ok := n.number()
	if !ok {
		n.problem("must be a whole number")
		return
	}
	v, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && strings.ContainsAny(s, ".eE"):
		n.problem("must be a whole number, written without . and e")
	case v < 1:
		n.problem("must be at least 1; %s", instead)
	case v > int64(most):
		n.problem("must be at most %d", most)
	default:
		*to = int(v)
	}
}

func (n node) isNull() bool {
	l, ok := n.value.(hujson.Literal)
	return ok && l.Kind() == 'n'
}

func (n node) isObject() bool {
	_, ok := n.value.(*hujson.Object)
	return ok
}

// blank reports an empty text, list or object, or null.
func (n node) blank() bool {
	switch v := n.value.(type) {
	case *hujson.Object:
		return len(v.Members) == 0
	case *hujson.Array:
		return len(v.Elements) == 0
	case hujson.Literal:
		return v.Kind() == 'n' || string(v) == `""`
	}
	return false
}
