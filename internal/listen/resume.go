package listen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/session"
)

// Resuming (2025-11-25, transports, Resumability and Redelivery): a stream that a session
// keeps is the session's, and a connection only its present way to the client.

const (
	headerLastEvent = "Last-Event-Id"
	retryTime       = time.Second // that a client shall wait before it connects again

	// primeAfter is when a call that takes its time becomes an event stream, where the first
	// event gives the client an id: from then on it can lose its connection and not its answer
	// (docs/adr/0005-a-slow-call-is-a-stream-early.md).
	primeAfter = 50 * time.Millisecond
)

// resumes tells whether the client of a session knows how to resume.
func resumes(s *session.Session) bool {
	r, ok := era.Find(s.Revision())
	return ok && r.Resumes && s.Events != nil
}

// primes tells whether that client takes an event of no data for no message.
func primes(s *session.Session) bool {
	r, _ := era.Find(s.Revision())
	return r.Primes
}

// keep has the session keep the stream's events, so that the client can resume it. call tells
// the answer to a POST. It comes before anything is written.
func (s *stream) keep(of *session.Session, call bool) {
	if of == nil || !resumes(of) {
		return
	}
	prime := primes(of)
	s.logMu.Lock()
	s.kept, s.prime, s.call = of.Events, prime, call
	s.logMu.Unlock()
	if prime && call {
		s.beatMu.Lock()
		s.beat.Reset(primeAfter)
		s.beatMu.Unlock()
	}
}

// begin opens the event stream.
func (s *stream) begin() {
	s.logMu.Lock()
	prime := s.prime && s.log == nil
	s.logMu.Unlock()
	if s.logged() == nil || !prime {
		s.queue.Notify(comment)
	}
}

// outlet is where the stream's messages go: into its log where it has one, else to its queue.
func (s *stream) outlet() era.Outlet {
	if log := s.logged(); log != nil {
		return recorded{log}
	}
	return s.queue
}

// Notify tells the client something before the answer.
func (s *stream) Notify(raw []byte) { s.outlet().Notify(raw) }

// Ask asks the client.
func (s *stream) Ask(id, raw []byte) bool { return s.outlet().Ask(id, raw) }

// Recall takes back a question that is not on its way yet.
func (s *stream) Recall(id []byte) bool { return s.outlet().Recall(id) }

// Deliver tells the client something that must arrive.
func (s *stream) Deliver(raw []byte) { s.outlet().Deliver(raw) }

// logged gives the stream's log, which begins with the event stream: plain JSON has none. It
// is nil where nothing is kept.
func (s *stream) logged() *session.Log {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if s.log != nil || s.kept == nil || s.over {
		return s.log
	}
	s.log = s.kept.Open(s, s.call)
	if s.prime {
		s.log.Add(nil, false)
	}
	return s.log
}

// settle gives the log if there is one. Otherwise there will be none.
func (s *stream) settle() *session.Log {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.over = true
	return s.log
}

// detach lets a stream of no call rest until its client resumes it.
func (s *stream) detach() {
	if log := s.settle(); log != nil {
		log.Detach(s, true)
	}
}

// Take implements session.Taker: this connection is the stream's way to the client.
func (s *stream) Take(e session.Event) bool {
	return len(e.Data) == 0 && !s.prime || s.add(item{raw: e.Data, id: e.ID, note: e.Note, question: e.Question})
}

// GiveBack implements session.Taker.
func (s *stream) GiveBack(question string) bool { return s.queue.Recall([]byte(question)) }

// Left implements session.Taker.
func (s *stream) Left(replaced bool) {
	if replaced {
		s.abandon() // the other connection brings what waits here
	}
	if s.gone != nil {
		s.gone()
	}
}

// appendPriming appends the event that gives a client an id to resume from, and no message
// (2025-11-25, transports, Sending Messages to the Server, 6).
func appendPriming(dst []byte, id string) []byte {
	return fmt.Appendf(dst, "id: %s\nretry: %d\ndata: \n\n", id, retryTime.Milliseconds())
}

// resume answers a GET with what followed an event on its stream, and goes on with what
// follows: for a call until its answer, else while the listener is open. It ends with ctx.
func (l *Listener) resume(ctx context.Context, w http.ResponseWriter, s *session.Session, id string) {
	log, at, err := s.Events.Find(id)
	if err != nil {
		refuseResume(w, err)
		return
	}
	open := ctx
	if !log.Call { // a call in flight goes on when the listener closes
		var stop func()
		open, stop = l.whileOpen(ctx)
		defer stop()
	}
	ctx, stop := context.WithCancel(open)
	defer stop()
	defer context.AfterFunc(s.Context(), stop)()
	out := newStream(w, &l.load, stop)
	out.prime = primes(s) // before anything is there to read it
	rest, err := log.Resume(at, out)
	switch {
	case err != nil:
		out.hush()
		refuseResume(w, err)
		return
	case rest == session.None: // how an event stream tells its client not to connect again (WHATWG HTML, 9.2)
		out.hush()
		w.WriteHeader(http.StatusNoContent)
		return
	case rest == session.Follow:
		out.queue.Notify(comment)
		if log.Call {
			<-ctx.Done()
		} else {
			l.p.Edges.Stateful.Stream(ctx, s, recorded{log})
		}
		log.Detach(out, !log.Call)
	}
	out.end()
}

// recorded puts what goes out on a stream into its log, from which the client gets it.
type recorded struct{ log *session.Log }

// Notify implements era.Outlet.
func (r recorded) Notify(raw []byte) { r.log.Add(raw, true) }

// Ask implements era.Outlet.
func (r recorded) Ask(id, raw []byte) bool { return r.log.Ask(string(id), raw) }

// Recall implements era.Outlet.
func (r recorded) Recall(id []byte) bool { return r.log.Recall(string(id)) }

// Deliver implements era.Outlet.
func (r recorded) Deliver(raw []byte) { r.log.Add(raw, false) }

func refuseResume(w http.ResponseWriter, err error) {
	if errors.Is(err, session.ErrDropped) {
		refuse(w, http.StatusGone, "events_dropped", "this stream cannot be resumed: events after the Last-Event-ID are no longer kept and are lost. A stream without it can be opened")
		return
	}
	refuse(w, http.StatusBadRequest, "event", "the Last-Event-ID is of no stream of this session")
}
