package session

import (
	"fmt"
	"sync"
	"testing"

	"mcpgateway/internal/mcp"
)

func newSession(t *testing.T) *Session {
	s := New(t.Context(), "a", mcp.Scope{})
	t.Cleanup(s.End)
	return s
}

// TestAQuestionIsSettledOnce: by its answer or its withdrawal; what else comes is counted.
func TestAQuestionIsSettledOnce(t *testing.T) {
	q := &newSession(t).Questions
	one, two := q.Ask(), q.Ask()
	if string(one.ID) != "1" || string(two.ID) != "2" {
		t.Errorf("the ids are %s and %s", one.ID, two.ID)
	}
	q.Settle([]byte("2"), Answer{Result: []byte(`{"a":1}`)})
	q.Settle([]byte("2"), Answer{Result: []byte(`{"a":2}`)})   // twice
	q.Settle([]byte(`"1"`), Answer{Result: []byte(`{}`)})      // of another type
	q.Settle([]byte("7"), Answer{Result: []byte(`{}`)})        // never asked
	q.Settle(nil, Answer{Error: []byte(`{}`)})                 // of nothing
	q.Settle([]byte("null"), Answer{Error: []byte(`{"x":0}`)}) // of nothing that could be read
	if a := <-two.Answered(); string(a.Result) != `{"a":1}` {
		t.Errorf("the answer is %s", a.Result)
	}
	if two.Withdraw() || !one.Withdraw() || one.Withdraw() {
		t.Error("a question is withdrawn wrongly")
	}
	q.Settle([]byte("1"), Answer{Result: []byte(`{}`)}) // too late
	select {
	case a := <-one.Answered():
		t.Errorf("a withdrawn question is answered: %s", a.Result)
	default:
	}
	if q.Strays() != 6 || q.Open() != 0 {
		t.Errorf("%d answers counted, %d questions open", q.Strays(), q.Open())
	}
	if three := q.Ask(); string(three.ID) != "3" {
		t.Errorf("the id %s is used again", three.ID)
	}
}

// TestQuestionsAreBounded, each session's for itself, and end with it.
func TestQuestionsAreBounded(t *testing.T) {
	s, other := newSession(t), newSession(t)
	var last *Question
	for range maxQuestions {
		last = s.Questions.Ask()
	}
	if last == nil || s.Questions.Ask() != nil || other.Questions.Ask() == nil {
		t.Error("the bound is not one of each session")
	}
	last.Withdraw()
	if s.Questions.Ask() == nil {
		t.Error("a withdrawn question keeps its place")
	}
	s.End()
	if s.Questions.Ask() != nil {
		t.Error("a session that is over asks")
	}
}

// TestAnswersRace: each question has exactly one outcome.
func TestAnswersRace(t *testing.T) {
	q := &newSession(t).Questions
	var wg sync.WaitGroup
	for range 50 {
		x := q.Ask()
		got := make(chan string, 20)
		for i := range 5 {
			wg.Go(func() { q.Settle(x.ID, Answer{Result: fmt.Appendf(nil, `{"n":%d}`, i)}) })
			wg.Go(func() {
				if x.Withdraw() {
					got <- "withdrawn"
				}
			})
		}
		wg.Wait()
		select {
		case <-x.Answered():
			got <- "answered"
		default:
		}
		if len(got) != 1 {
			t.Fatalf("%d outcomes", len(got))
		}
	}
	if q.Open() != 0 {
		t.Errorf("%d questions are open", q.Open())
	}
}
