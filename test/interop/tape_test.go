package interop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// readLines reads the tape of a process.
func readLines(k *tape) (*dialogue, error) {
	d := &dialogue{binding: "stdio"}
	var err error
	for _, side := range []struct {
		asked bool
		kept  *bytes.Buffer
	}{{true, &k.in}, {false, &k.out}} {
		for line := range bytes.Lines(side.kept.Bytes()) {
			if bytes.HasSuffix(line, []byte("\n")) && len(bytes.TrimSpace(line)) > 0 { // else it broke off, or is empty
				err = errors.Join(err, d.hear(side.asked, line))
			}
		}
	}
	return d, err
}

// exchange is one HTTP request and its answer, as far as they came.
type exchange struct {
	request    *http.Request
	asked      []byte
	answer     *http.Response // nil: none came
	said       []byte
	unfinished bool // the answer
}

// readExchanges reads the tape of a connection.
func readExchanges(k *tape) (all []exchange, err error) {
	in, out := bufio.NewReader(bytes.NewReader(k.in.Bytes())), bufio.NewReader(bytes.NewReader(k.out.Bytes()))
	for {
		var e exchange
		if e.request, err = http.ReadRequest(in); err != nil {
			return all, unlessCut(err)
		}
		if e.asked, err = io.ReadAll(e.request.Body); err != nil {
			return all, unlessCut(err)
		}
		for e.answer == nil || e.answer.StatusCode < http.StatusOK {
			if e.answer, err = http.ReadResponse(out, e.request); err != nil {
				e.answer = nil
				return append(all, e), unlessCut(err)
			}
		}
		e.said, err = io.ReadAll(e.answer.Body)
		e.unfinished = err != nil
		all = append(all, e)
		if err = unlessCut(err); err != nil {
			return all, err
		}
	}
}

// unlessCut is an error, but for the end of a tape.
func unlessCut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// kind is the type of a body.
func kind(h http.Header) string {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return kind
}

// readHTTP reads the tapes of all connections to one server.
func readHTTP(tapes []*tape) ([]*dialogue, error) {
	var all []exchange
	var failed error
	for _, k := range tapes {
		some, err := readExchanges(k)
		all, failed = append(all, some...), errors.Join(failed, err)
	}
	r := &httpReader{sessions: map[string]*dialogue{}}
	for _, e := range all { // first, because messages to an endpoint may have gone on an earlier connection
		if e.request.Method == http.MethodGet && e.streams() {
			failed = errors.Join(failed, r.stream(e))
		}
	}
	for _, e := range all {
		if e.request.Method == http.MethodPost {
			failed = errors.Join(failed, r.post(e))
		}
	}
	return r.all, failed
}

func (e exchange) streams() bool {
	return e.answer != nil && kind(e.answer.Header) == "text/event-stream"
}

type httpReader struct {
	all      []*dialogue
	sessions map[string]*dialogue // by the session's id, or in the 2024-11-05 transport by its endpoint
}

// of is the dialogue of an exchange.
func (r *httpReader) of(e exchange, binding, session string) *dialogue {
	d := r.sessions[session]
	if session == "" || d == nil {
		d = &dialogue{binding: binding}
		r.all = append(r.all, d)
	}
	if session != "" {
		r.sessions[session] = d
	}
	if d.version == "" {
		d.version = e.request.Header.Get("MCP-Protocol-Version")
	}
	return d
}

const sessionHeader = "Mcp-Session-Id"

// stream reads an answer to a GET: what a session is told beside its calls, and in the 2024-11-05
// transport all that it is told.
func (r *httpReader) stream(e exchange) error {
	events := bufio.NewReader(bytes.NewReader(e.said))
	name, data, _ := nextEvent(events)
	if name != "endpoint" {
		d := r.of(e, "streamable", e.request.Header.Get(sessionHeader))
		return d.events(bufio.NewReader(bytes.NewReader(e.said)))
	}
	endpoint, err := url.Parse(string(data))
	if err != nil {
		return err
	}
	return r.of(e, "sse", e.request.URL.ResolveReference(endpoint).RequestURI()).events(events)
}

// events reads a stream to its end.
func (d *dialogue) events(r *bufio.Reader) error {
	for {
		_, data, err := nextEvent(r)
		if err != nil {
			return unlessCut(err)
		}
		if err := d.hear(false, data); err != nil {
			return err
		}
	}
}

func (r *httpReader) post(e exchange) error {
	binding, session := "sse", e.request.URL.RequestURI()
	if r.sessions[session] == nil {
		binding, session = "streamable", e.request.Header.Get(sessionHeader)
		if session == "" && e.answer != nil { // opened by this
			session = e.answer.Header.Get(sessionHeader)
		}
	}
	d := r.of(e, binding, session)
	if err := d.hear(true, e.asked); err != nil {
		return err
	}
	if e.answer == nil || len(e.said) == 0 {
		return nil
	}
	if how := e.answer.Header.Get("Content-Encoding"); how != "" {
		return fmt.Errorf("an answer that is %s cannot be read", how)
	}
	switch kind(e.answer.Header) {
	case "text/event-stream":
		return d.events(bufio.NewReader(bytes.NewReader(e.said)))
	case "application/json":
		if e.unfinished {
			return nil
		}
		return d.hear(false, e.said)
	}
	if e.answer.StatusCode == http.StatusOK {
		return fmt.Errorf("%s answers what is no message: %.200q", e.request.URL, e.said)
	}
	return nil
}
