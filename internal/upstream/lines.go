package upstream

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the log lines that one server may say, to whomever: more are dropped, so that it
// cannot push aside what else its clients wait for.
const (
	lineRate  = 100 // a second
	lineBurst = 200
	lineWord  = time.Minute // how often it is told that some were dropped
)

// lines counts the log lines of one server.
type lines struct {
	limit *rate.Limiter
	log   *slog.Logger

	mu      sync.Mutex
	dropped int       // guarded by mu: since it was told
	told    time.Time // guarded by mu
}

func newLines(log *slog.Logger) *lines {
	return &lines{limit: rate.NewLimiter(lineRate, lineBurst), log: log}
}

// admit tells whether one more line may pass.
func (l *lines) admit() bool {
	if l.limit.Allow() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped++
	if now := time.Now(); now.Sub(l.told) >= lineWord {
		l.log.Debug("says more log lines than may pass", "dropped", l.dropped)
		l.told, l.dropped = now, 0
	}
	return false
}
