package listen

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

const (
	holdHeaders = 10 * time.Second // how long an answer may yet be plain JSON
	keepAlive   = 15 * time.Second
	writeTime   = 10 * time.Second // for one write to a client
	writeChunk  = 256 << 10
)

// A stream is the answer to one HTTP request. It is plain JSON with its own status where
// the answer comes first; once anything else is to be told, or time has passed, it is an
// event stream. Where a session keeps its events, each has an id by which the client can
// resume the stream over another connection.
type stream struct {
	*queue
	w       http.ResponseWriter
	ctl     *http.ResponseController
	started atomic.Bool // the event stream's headers are sent

	beatMu sync.Mutex
	beat   *time.Timer // guarded by beatMu
	quiet  bool        // guarded by beatMu: no more beats

	kept  *session.Events // nil where events have no ids
	prime bool            // the stream begins with an event of no data
	call  bool            // it is the answer to a POST
	logMu sync.Mutex
	log   *session.Log // guarded by logMu; nil until the event stream begins
	over  bool         // guarded by logMu: a log that is not there yet will not be
}

var errGone = errors.New("client is gone")

// comment keeps intermediaries from closing a quiet stream.
var comment = []byte(":\n\n")

// newStream makes the answer to a request. What waits in it counts in load. gone, which may be
// nil, is called when the client does not take what is written.
func newStream(w http.ResponseWriter, load *load, gone func()) *stream {
	s := &stream{w: w, ctl: http.NewResponseController(w)}
	s.queue = newQueue(load, s.writeEvents, gone)
	s.beatMu.Lock()
	s.beat = time.AfterFunc(holdHeaders, s.pulse)
	s.beatMu.Unlock()
	return s
}

// pulse starts the event stream and keeps it alive.
func (s *stream) pulse() {
	s.beatMu.Lock()
	defer s.beatMu.Unlock()
	if s.quiet {
		return
	}
	s.begin()
	s.beat.Reset(keepAlive)
}

// open sends the event stream's headers now.
func (s *stream) open() {
	if s.started.Swap(true) {
		return
	}
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // 2026-07-28, Streamable HTTP, Receiving Messages
	s.w.WriteHeader(http.StatusOK)
}

func (s *stream) writeEvents(items []item) error {
	s.open()
	var buf []byte
	for _, it := range items {
		switch {
		case len(it.raw) == 0:
			buf = appendPriming(buf, it.id)
		case it.raw[0] != '{' && it.raw[0] != '[': // no JSON-RPC: a comment, or an event of the transport's own
			buf = append(buf, it.raw...)
		default:
			buf = jsonrpc.AppendEvent(buf, "message", it.id, rawjson.AppendLine(nil, it.raw))
		}
	}
	return s.send(buf)
}

func (s *stream) send(buf []byte) error {
	for len(buf) > 0 {
		n := min(len(buf), writeChunk)
		if err := s.ctl.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return errGone
		}
		if _, err := s.w.Write(buf[:n]); err != nil {
			return err
		}
		buf = buf[n:]
	}
	if err := s.ctl.Flush(); err != nil {
		return err
	}
	_ = s.ctl.SetWriteDeadline(time.Time{})
	return nil
}

// finish sends the answer and ends the stream.
func (s *stream) finish(a era.Answer) {
	s.hush()
	var last []byte
	if !a.Dropped {
		last = a.Body
	}
	if log := s.settle(); log != nil {
		log.End(last) // it comes here as well, or to whoever resumed
		s.close()
		return
	}
	begun := s.last(last, s.started.Load)
	s.writer.Wait()
	if begun {
		return
	}
	h := s.w.Header()
	if a.Session != "" {
		h.Set(era.HeaderSession, a.Session)
	}
	switch {
	case a.Dropped: // nothing may be said about the call: a stream that ends without an answer
		s.open()
	case a.Body == nil:
		s.w.WriteHeader(a.Status)
	default:
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
		s.w.WriteHeader(a.Status)
		s.load.add(len(a.Body))
		defer s.load.add(-len(a.Body))
		_ = s.send(a.Body)
	}
}

// hush ends the beats. When it returns none is under way.
func (s *stream) hush() {
	s.beatMu.Lock()
	defer s.beatMu.Unlock()
	s.quiet = true
	s.beat.Stop()
}

// end ends a stream that has no answer.
func (s *stream) end() {
	s.hush()
	s.close()
}
