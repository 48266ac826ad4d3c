package session

import "testing"

// TestARecalledQuestionIsNoHole: whoever resumes gets what stands around it, and never it; where
// the connection took it on its way it stays.
func TestARecalledQuestionIsNoHole(t *testing.T) {
	e := newEventPool(0, 0).newEvents()
	one := &reader{}
	log := e.Open(one, true)
	log.Add([]byte("a"), true)
	for _, question := range []string{"1", "2"} {
		if !log.Ask(question, []byte("q"+question)) {
			t.Fatal("there is room")
		}
	}
	log.Add([]byte("b"), true)
	if !log.Recall("1") || log.Recall("1") || log.Recall("3") {
		t.Error("each is given back once")
	}
	one.events = nil // all is on its way
	if log.Recall("2") {
		t.Error("it is on its way")
	}
	two := &reader{}
	if rest, err := log.Resume(1, two); rest != Follow || err != nil || two.said() != " q2 b" {
		t.Error(rest, err, two.said())
	}
	if log.Recall("2") {
		t.Error("the connection before took it")
	}
	if events, _, _ := e.kept(); events != 3 {
		t.Errorf("%d events are kept", events)
	}
}

// TestAQuestionWithoutRoomIsNotKept: no position is lost, and without a connection it waits.
func TestAQuestionWithoutRoomIsNotKept(t *testing.T) {
	e := newEventPool(0, 0).newEvents()
	one, two := &reader{full: true}, &reader{}
	log := e.Open(one, true)
	log.Add([]byte("a"), true)
	if log.Ask("1", []byte("q1")) {
		t.Error("there is no room")
	}
	log.Add([]byte("b"), true)
	log.Detach(one, false)
	if !log.Ask("2", []byte("q2")) || log.Recall("2") {
		t.Error("it is kept for whoever resumes")
	}
	if rest, err := log.Resume(1, two); rest != Follow || err != nil || two.said() != " b q2" || one.id(1) != two.id(1) {
		t.Error(rest, err, two.said())
	}
}
