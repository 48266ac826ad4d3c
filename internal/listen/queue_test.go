package listen

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"mcpgateway/internal/rawjson"
)

// stuck is a client that reads nothing until let go; then it takes all.
type stuck struct {
	*queue
	begun chan struct{}
	let   chan struct{}
	took  [][]byte
}

func newStuck(load *load) *stuck {
	s := &stuck{begun: make(chan struct{}, 1<<16), let: make(chan struct{})}
	s.queue = newQueue(load, func(items []item) error {
		s.begun <- struct{}{}
		<-s.let
		for _, it := range items {
			s.took = append(s.took, it.raw)
		}
		return nil
	}, nil)
	return s
}

// roomy is a load that is never full.
func roomy() *load { return &load{most: 1 << 40} }

// hold makes the first write block.
func (s *stuck) hold(t *testing.T) {
	s.reply([]byte(`{"first":1}`))
	soon(t, "a write", s.begun)
}

func (s *stuck) release() {
	close(s.let)
	s.close()
}

func note(token string, n int, more string) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d%s}}`, token, n, more)
}

// TestQueueMergesProgressPerToken: for a client that never reads the newest replaces the
// oldest of its own call, order is kept, and replies are all there.
func TestQueueMergesProgressPerToken(t *testing.T) {
	s := newStuck(roomy())
	s.hold(t)
	const each = 5000
	for i := range each {
		for _, token := range []string{`"a"`, "1"} {
			s.Notify(note(token, i, ""))
		}
		if i%50 == 0 {
			s.reply(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":{}}`, i))
		}
	}
	if s.pending > maxPending || s.bytes > maxPendingBytes {
		t.Errorf("%d notifications of %d bytes wait", s.pending, s.bytes)
	}
	s.release()
	last := map[string]int{`"a"`: -1, "1": -1}
	reply := -50
	notes := 0
	for _, m := range s.took[1:] {
		if id := rawjson.Get(m, "id"); id != nil {
			n, _ := strconv.Atoi(string(id))
			if n != reply+50 {
				t.Fatalf("reply %d follows %d", n, reply)
			}
			reply = n
			continue
		}
		notes++
		p := rawjson.Get(m, "params")
		token := string(rawjson.Get(p, "progressToken"))
		n, _ := strconv.Atoi(string(rawjson.Get(p, "progress")))
		if n <= last[token] {
			t.Fatalf("%s: %d follows %d", token, n, last[token])
		}
		last[token] = n
	}
	if last[`"a"`] != each-1 || last["1"] != each-1 || reply != each-50 || notes != maxPending {
		t.Errorf("the newest are %v, the last reply %d, of %d notifications", last, reply, notes)
	}
}

// TestQueueIsBoundedInBytes, however large a single notification is; a single one passes
// always.
func TestQueueIsBoundedInBytes(t *testing.T) {
	s := newStuck(roomy())
	s.hold(t)
	for i := range maxPending {
		s.Notify(note("1", i, ""))
	}
	large := `,"message":"` + strings.Repeat("x", 1<<20) + `"`
	for i := range 20 {
		s.Notify(note("1", maxPending+i, large))
		if s.bytes > maxPendingBytes {
			t.Fatalf("%d bytes wait", s.bytes)
		}
	}
	s.release()
	if last := s.took[len(s.took)-1]; !strings.Contains(string(last[:120]), fmt.Sprintf(`"progress":%d,`, maxPending+19)) {
		t.Errorf("the newest is %.120s", last)
	}

	s = newStuck(roomy())
	s.Notify(note("1", 1, `,"message":"`+strings.Repeat("x", maxPendingBytes+1)+`"`))
	s.release()
	if len(s.took) != 1 {
		t.Error("a notification was dropped though nothing waited")
	}
}

// TestQueueDropsWhatCannotBeMerged, and news that waits already.
func TestQueueDropsWhatCannotBeMerged(t *testing.T) {
	s := newStuck(roomy())
	s.hold(t)
	for range maxPending + 100 {
		s.Notify([]byte(changedNote))
	}
	s.Notify(note("2", 1, "")) // no room of its own to take
	s.reply([]byte(`{"last":1}`))
	if s.pending != maxPending {
		t.Errorf("%d wait", s.pending)
	}
	s.release()
	if n := len(s.took); n != maxPending+2 || string(s.took[n-1]) != `{"last":1}` {
		t.Errorf("%d messages, the last %s", n, s.took[n-1])
	}
}

// TestQueueAfterItsEnd: nothing is taken, nobody waits.
func TestQueueAfterItsEnd(t *testing.T) {
	s := newStuck(roomy())
	s.release()
	s.Notify([]byte(changedNote))
	s.reply([]byte(`{}`))
	s.close()
	if len(s.took) != 0 {
		t.Errorf("%q", s.took)
	}
	gone := make(chan struct{})
	q := newQueue(roomy(), func([]item) error { return errGone }, func() { close(gone) })
	q.Notify([]byte(changedNote))
	soon(t, "the end of the client", gone)
	q.reply([]byte(`{}`))
	q.close()
}

// TestQueueHandsOverManyAtOnce from many goroutines, and loses none.
func TestQueueHandsOverManyAtOnce(t *testing.T) {
	s := newStuck(roomy())
	close(s.let)
	done := make(chan bool)
	for range 8 {
		go func() {
			for i := range 500 {
				s.reply(fmt.Appendf(nil, `{"id":%d}`, i))
			}
			done <- true
		}()
	}
	for range 8 {
		<-done
	}
	s.close()
	if len(s.took) != 4000 {
		t.Errorf("%d of 4000 arrived", len(s.took))
	}
}

// TestNewsIsNeverLost, however much else waits; of the same only the newest is queued.
func TestNewsIsNeverLost(t *testing.T) {
	s := newStuck(roomy())
	s.hold(t)
	for i := range maxPending {
		s.Notify(note("1", i, ""))
	}
	task := func(state, subscription int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"1","status":%d,"_meta":{"io.modelcontextprotocol/subscriptionId":%d}}}`, state, subscription)
	}
	news := []string{changedNote, strings.Replace(changedNote, "tools", "prompts", 1), `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:1"}}`, task(2, 1), task(2, 2)}
	for i := range 3 {
		for _, n := range append(append(news[:3:3], task(i, 1), task(i, 2)), `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`) {
			s.Notify([]byte(n))
		}
	}
	s.release()
	got := s.took[maxPending+1:]
	if want := strings.Join(news, " "); string(bytes.Join(got, []byte(" "))) != want {
		t.Errorf("beyond the bound came %s", got)
	}
}

// TestQuestionsThatWaitAreBounded in bytes: what is over them is refused, and fits again once
// others were taken back. Answers do not count, however large.
func TestQuestionsThatWaitAreBounded(t *testing.T) {
	for most, load := range map[int]*load{maxPendingBytes: roomy(), fewBytes: {most: 1}} {
		s := newStuck(load)
		s.hold(t)
		large := bytes.Repeat([]byte("x"), most)
		s.reply(large)
		s.reply(large)
		if !s.Ask([]byte("1"), append(large, "more"...)) {
			t.Error("a single question is refused")
		}
		if s.Ask([]byte("2"), []byte("{}")) {
			t.Error("a question is taken over the bound")
		}
		s.reply(large)
		if !s.Recall([]byte("1")) || !s.Ask([]byte("3"), large[2:]) || !s.Ask([]byte("4"), []byte("{}")) || s.Ask([]byte("5"), []byte("{}")) {
			t.Error("the bound is not where it was")
		}
		s.release()
		if n := len(s.took); n != 6 || string(s.took[5]) != "{}" {
			t.Errorf("%d messages came", n)
		}
		if got := load.held.Load(); got != 0 {
			t.Errorf("%d bytes count in the end", got)
		}
	}
}

// TestARecalledQuestionIsNotWritten; one that is being written is not given back.
func TestARecalledQuestionIsNotWritten(t *testing.T) {
	s := newStuck(roomy())
	s.Ask([]byte("1"), []byte("first"))
	soon(t, "a write", s.begun)
	held := s.load.held.Load()
	large := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 1000 {
		id := strconv.AppendInt(nil, int64(i+2), 10)
		if !s.Ask(id, large) || !s.Recall(id) || s.Recall(id) {
			t.Fatal("a question is given back once")
		}
	}
	if s.Recall([]byte("1")) {
		t.Error("it is being written")
	}
	if got := s.load.held.Load(); got != held {
		t.Errorf("%d bytes count, and %d did before", got, held)
	}
	s.release()
	if len(s.took) != 1 || len(s.begun) != 0 {
		t.Errorf("%d messages came, and %d writes after the first", len(s.took), len(s.begun))
	}
}
