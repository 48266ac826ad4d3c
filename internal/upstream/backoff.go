package upstream

import (
	"errors"
	"math/rand/v2"
	"time"

	"mcpgateway/internal/transport"
)

// Bounds of the back-off.
const (
	maxWait     = 60 * time.Second
	steadyAfter = 60 * time.Second // up for so long, a server starts from 0 again
	loopEnds    = 5                // so many ends
	loopWithin  = 60 * time.Second // in this time are a crash loop
)

// backoff says how long to wait before a server is tried again: 0, 1, 2 … 60 s, ±20 %, so
// that many servers of one host do not come back at one moment.
type backoff struct {
	failures int
	upSince  time.Time
	ends     []time.Time // of connections that had been up
}

// up records that the server became ready.
func (b *backoff) up(now time.Time) { b.upSince = now }

// next records the end of an attempt and gives the state and the wait that follow.
func (b *backoff) next(err error, now time.Time) (State, time.Duration) {
	wasUp := !b.upSince.IsZero()
	if wasUp && now.Sub(b.upSince) > steadyAfter {
		b.failures, b.ends = 0, nil
	}
	if wasUp {
		b.ends = append(b.ends, now)
	}
	for len(b.ends) > 0 && now.Sub(b.ends[0]) > loopWithin {
		b.ends = b.ends[1:]
	}
	b.upSince = time.Time{}
	if !wasUp && b.failures == 0 {
		b.failures = 1 // what never came up is not tried again at once
	}
	wait := time.Duration(0)
	if b.failures > 0 {
		wait = min(time.Second<<min(b.failures-1, 6), maxWait)
	}
	b.failures++
	state := Down
	switch {
	case len(b.ends) >= loopEnds:
		state, wait = CrashLoop, maxWait
	case errors.Is(err, transport.ErrNotStarted):
		state = Failed
	}
	return state, time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}
