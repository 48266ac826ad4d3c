package jsonrpc

import (
	"bytes"
	"io"
	"math"
	"time"

	"mcpgateway/internal/rawjson"
)

// A ServerEvent is one event of a text/event-stream.
type ServerEvent struct {
	Type  string        // "message" where the stream named none
	Data  []byte        // the caller's to keep; nil where the event gave only an id or a retry
	ID    string        // meaningful with HasID; an empty one takes the last id back
	HasID bool          // this event named an id
	Retry time.Duration // zero where it gave none; "retry: 0" reads as 1 ms
}

const (
	eventBuffer = 8 << 10
	// fieldName is the length from which a line shows its field, the colon and the space
	// of every field that we know the value of in part.
	fieldName = len("data: ")
	// longLine bounds the lines that are kept of an event that is itself not kept.
	longLine = 4 << 10
)

// An EventReader reads a text/event-stream as the WHATWG's HTML standard, section
// "Interpreting an event stream", says, whatever the chunks it comes in: lines end in CR,
// LF or CRLF, one byte order mark is skipped, an unfinished event at the end is discarded.
// Bytes that are no UTF-8 are left as they are, for the scan of the message to refuse.
type EventReader struct {
	r        io.Reader
	max      int
	buf      []byte // read and not yet used
	space    []byte
	err      error // of r, told once buf is used up
	begun    bool  // past the byte order mark
	afterCR  bool  // an LF that comes next belongs to the line end already seen
	line     []byte
	cut      cut // what became of the start of this line, where it was too long to keep
	ev       ServerEvent
	size     int64           // bytes of this event
	long     bool            // this event is over max
	finder   *rawjson.Finder // looks for the id in an event over max
	hasData  bool
	hasRetry bool
}

// A cut says how the rest of a line is treated.
type cut int

const (
	whole   cut = iota // it is kept
	dropped            // nothing of it is of interest
	sought             // it is data of an event over max: only its id is wanted
)

// NewEventReader reads events of at most max bytes from r.
func NewEventReader(r io.Reader, max int) *EventReader {
	return &EventReader{r: r, max: max}
}

// Next returns the next event. An event over the bound gives *TooLong, together with what
// else it said, and the one after it can be read. The end of the stream is r's error.
func (e *EventReader) Next() (ServerEvent, error) {
	for {
		if len(e.buf) == 0 {
			if e.err != nil {
				return e.end()
			}
			if e.space == nil {
				e.space = make([]byte, eventBuffer)
			}
			var n int
			n, e.err = e.r.Read(e.space)
			e.buf = e.space[:n]
			continue
		}
		if e.afterCR {
			e.afterCR = false
			if e.buf[0] == '\n' {
				e.buf = e.buf[1:]
				continue
			}
		}
		part, ended := e.part()
		if !ended {
			e.grow(part)
			continue
		}
		if blank := e.endLine(part); blank {
			if ev, err, ok := e.dispatch(); ok {
				return ev, err
			}
		}
	}
}

// part takes the bytes up to the end of the line, or all there are.
func (e *EventReader) part() (part []byte, ended bool) {
	end := bytes.IndexByte(e.buf, '\n')
	search := e.buf
	if end >= 0 {
		search = e.buf[:end]
	}
	if cr := bytes.IndexByte(search, '\r'); cr >= 0 {
		end = cr
		e.afterCR = true
	}
	if end < 0 {
		part, e.buf = e.buf, nil
		return part, false
	}
	part, e.buf = e.buf[:end], e.buf[end+1:]
	return part, true
}

// grow keeps a part of an unfinished line, as far as it is of interest.
func (e *EventReader) grow(part []byte) {
	e.size += int64(len(part))
	switch e.cut {
	case dropped:
		return
	case sought:
		_, _ = e.finder.Write(part)
		return
	}
	e.line = append(e.line, part...)
	if !e.begun && len(e.line) >= len(byteOrderMark) {
		e.line = bytes.TrimPrefix(e.line, byteOrderMark)
		e.begun = true
	}
	switch {
	case e.begun && len(e.line) > 0 && e.line[0] == ':':
		e.cut = dropped // a comment may be as long as it likes
		e.line = e.line[:0]
	case e.tooLong(e.line):
		e.spill(e.line)
		e.line = nil
	}
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

func (e *EventReader) tooLong(line []byte) bool {
	if len(line) < fieldName {
		return false
	}
	if e.long {
		return len(line) > longLine
	}
	return len(e.ev.Data)+len(line) > e.max
}

// spill stops keeping this event: what is known of its data goes to the search for its id.
func (e *EventReader) spill(line []byte) {
	if !e.long {
		e.long = true
		e.finder = new(rawjson.Finder)
		if e.hasData {
			_, _ = e.finder.Write(e.ev.Data)
		}
		e.ev.Data = nil
	}
	e.cut = dropped
	if name, value := field(line); name == "data" {
		e.cut = sought
		e.seek(value)
	}
}

func (e *EventReader) seek(value []byte) {
	if e.hasData {
		_, _ = e.finder.Write([]byte{'\n'})
	}
	e.hasData = true
	_, _ = e.finder.Write(value)
}

// endLine takes the last part of a line; true for a blank one.
func (e *EventReader) endLine(part []byte) (blank bool) {
	if e.cut != whole || len(e.line) > 0 || !e.begun {
		e.grow(part)
		e.begun = true
		line, was := e.line, e.cut
		e.line, e.cut = nil, whole
		if was != whole {
			return false
		}
		if len(line) == 0 {
			return true
		}
		e.take(line, true)
		return false
	}
	if len(part) == 0 {
		return true
	}
	e.size += int64(len(part))
	if part[0] == ':' {
		return false
	}
	if e.tooLong(part) {
		e.spill(part)
		e.cut = whole
		return false
	}
	e.take(part, false)
	return false
}

// take reads one whole line that is not blank. The line's bytes may be kept if owned.
func (e *EventReader) take(line []byte, owned bool) {
	if line[0] == ':' {
		return
	}
	name, value := field(line)
	switch name {
	case "data":
		e.takeData(value, owned)
	case "event":
		e.ev.Type = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			e.ev.ID, e.ev.HasID = string(value), true
		}
	case "retry":
		if d, ok := retry(value); ok {
			e.ev.Retry, e.hasRetry = d, true
		}
	}
}

func (e *EventReader) takeData(value []byte, owned bool) {
	switch {
	case e.long:
		e.seek(value)
	case e.hasData:
		e.ev.Data = append(append(e.ev.Data, '\n'), value...)
	case owned && value != nil:
		e.ev.Data = value
	default:
		e.ev.Data = append(make([]byte, 0, len(value)), value...)
	}
	e.hasData = true
}

// field parts a line at its first colon; one space after it does not belong to the value.
func field(line []byte) (name string, value []byte) {
	before, after, _ := bytes.Cut(line, []byte{':'})
	if len(before) > len("retry") {
		return "", nil
	}
	return string(before), bytes.TrimPrefix(after, []byte{' '})
}

func retry(value []byte) (time.Duration, bool) {
	if len(value) == 0 {
		return 0, false
	}
	const most = math.MaxInt64 / int64(time.Millisecond)
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		ms = min(ms*10+int64(c-'0'), most)
	}
	return time.Duration(max(ms, 1)) * time.Millisecond, true
}

// dispatch ends the event. An event of nothing but an id or a retry is given too: the
// standard raises no event for it, but remembers both.
func (e *EventReader) dispatch() (ServerEvent, error, bool) {
	ev, long, finder, size := e.ev, e.long, e.finder, e.size
	some := e.hasData || ev.HasID || e.hasRetry || long
	e.ev, e.long, e.finder, e.size, e.hasData, e.hasRetry = ServerEvent{}, false, nil, 0, false, false
	if !some {
		return ServerEvent{}, nil, false
	}
	if ev.Type == "" {
		ev.Type = "message"
	}
	if long {
		return ev, &TooLong{ID: finder.ID(), Bytes: size}, true
	}
	return ev, nil, true
}

// end tells the end of the stream. A retry counts from its line on, also in an event that
// is never finished; data and id do not.
func (e *EventReader) end() (ServerEvent, error) {
	if e.hasRetry {
		e.hasRetry = false
		return ServerEvent{Type: "message", Retry: e.ev.Retry}, nil
	}
	return ServerEvent{}, e.err
}

// AppendEvent appends one event. typ and id may be empty and hold no line break; each line
// of data, ended by CR, LF or CRLF, becomes a data line.
func AppendEvent(dst []byte, typ, id string, data []byte) []byte {
	if typ != "" {
		dst = append(append(append(dst, "event: "...), typ...), '\n')
	}
	if id != "" {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	for {
		end := bytes.IndexAny(data, "\r\n")
		line := data
		if end >= 0 {
			line = data[:end]
		}
		dst = append(append(append(dst, "data: "...), line...), '\n')
		if end < 0 {
			return append(dst, '\n')
		}
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
}
