package stdio

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ringBytes  = 64 << 10 // of stderr kept for one server
	lineBytes  = 4 << 10  // of one line of stderr
	lineCost   = 16       // what a line costs in the ring beside its bytes
	stderrRate = 10       // lines a second that are logged
	noticeGap  = time.Minute
	lastWords  = 300 // bytes of the last line in the reason of an end
)

// A ring keeps the last lines.
type ring struct {
	mu    sync.Mutex
	lines []string // guarded by mu
	size  int      // guarded by mu
}

func (r *ring) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	r.size += len(line) + lineCost
	for r.size > ringBytes {
		r.size -= len(r.lines[0]) + lineCost
		r.lines[0] = ""
		r.lines = r.lines[1:]
	}
}

func (r *ring) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// readStderr keeps and logs lines until the stream ends. A server may write there what
// it likes, as much as it likes; it is no sign of an error (2026-07-28, stdio).
func (d *Dialer) readStderr(r io.Reader, last *atomic.Pointer[string]) {
	in := bufio.NewReaderSize(r, lineBytes)
	var rate allowance
	for {
		part, err := in.ReadSlice('\n')
		line := d.hide.Replace(strings.TrimSpace(strings.ToValidUTF8(string(part), "\uFFFD")))
		for err == bufio.ErrBufferFull { // the rest of a line that is too long
			_, err = in.ReadSlice('\n')
		}
		if line != "" {
			d.stderr.add(line)
			words := line[:min(len(line), lastWords)]
			last.Store(&words)
			if d.p.Stderr != nil {
				d.p.Stderr(line)
			}
			if ok, dropped := rate.take(time.Now()); ok && dropped > 0 {
				d.p.Log.Info("stderr", "line", line, "dropped", dropped)
			} else if ok {
				d.p.Log.Info("stderr", "line", line)
			}
		}
		if err != nil {
			break
		}
	}
	if rate.dropped > 0 {
		d.p.Log.Info("stderr ended", "dropped", rate.dropped)
	}
}

// An allowance lets stderrRate lines a second pass and counts the others.
type allowance struct {
	second  time.Time
	passed  int
	dropped int
}

func (a *allowance) take(now time.Time) (ok bool, dropped int) {
	if now.Sub(a.second) >= time.Second {
		a.second, a.passed = now, 0
	}
	if a.passed == stderrRate {
		a.dropped++
		return false, 0
	}
	a.passed++
	dropped, a.dropped = a.dropped, 0
	return true, dropped
}

// A notice is given at most once a noticeGap; what happens in between is counted.
type notice struct {
	mu    sync.Mutex
	next  time.Time // guarded by mu
	count int       // guarded by mu
}

func (n *notice) due(now time.Time) (count int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	if now.Before(n.next) {
		return 0, false
	}
	count, n.count = n.count, 0
	n.next = now.Add(noticeGap)
	return count, true
}
