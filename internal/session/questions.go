package session

import (
	"strconv"
	"sync"
	"sync/atomic"
)

// maxQuestions bounds the questions that are open to one client.
const maxQuestions = 256

// Questions is the ledger of what a client was asked and has not answered. Their ids are a
// space of their own: numbers that we count, never used twice in a session (2025-11-25, basic,
// Requests). An id leaves the ledger once, by its answer or by its withdrawal.
type Questions struct {
	strays atomic.Int64

	mu    sync.Mutex
	last  int64                // guarded by mu
	open  map[string]*Question // guarded by mu
	ended bool                 // guarded by mu
}

// A Question waits for its answer.
type Question struct {
	ID     []byte
	of     *Questions
	answer chan Answer // holds one
}

// An Answer is a client's: a result, or an error object.
type Answer struct{ Result, Error []byte }

// Ask enters a question. It returns nil where too many are open, or the session is over.
func (q *Questions) Ask() *Question {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || len(q.open) >= maxQuestions {
		return nil
	}
	q.last++
	x := &Question{ID: strconv.AppendInt(nil, q.last, 10), of: q, answer: make(chan Answer, 1)}
	if q.open == nil {
		q.open = map[string]*Question{}
	}
	q.open[string(x.ID)] = x
	return x
}

// Settle gives an answer to the question with this id. One to a question that was never
// asked, was answered before, or was withdrawn is counted, and forgotten. It never blocks.
func (q *Questions) Settle(id []byte, a Answer) {
	if x := q.take(id); x != nil {
		x.answer <- a
		return
	}
	q.strays.Add(1)
}

// Strays is how many answers belonged to no open question.
func (q *Questions) Strays() int64 { return q.strays.Load() }

// Open is how many questions wait.
func (q *Questions) Open() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.open)
}

func (q *Questions) take(id []byte) *Question {
	q.mu.Lock()
	defer q.mu.Unlock()
	x := q.open[string(id)]
	delete(q.open, string(id))
	return x
}

// end takes no more questions. Those that are open end with the calls that asked them.
func (q *Questions) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
}

// Answered gives the answer once it is there.
func (x *Question) Answered() <-chan Answer { return x.answer }

// Withdraw takes the question back. It is false where the answer came first, or it was
// withdrawn before.
func (x *Question) Withdraw() bool { return x.of.take(x.ID) != nil }
