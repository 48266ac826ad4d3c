package gatetest

import (
	"bufio"
	"bytes"
	"io"
	"strings"
)

// An event is one server-sent event.
type event struct {
	typ  string
	data string
}

// readEvents calls f for each event of a stream until it ends (WHATWG HTML, Server-sent
// events, Interpreting an event stream). An event that was not finished is dropped.
func readEvents(r io.Reader, f func(event)) error {
	b := bufio.NewReaderSize(r, 64<<10)
	if bom, err := b.Peek(3); err == nil && string(bom) == "\ufeff" {
		b.Discard(3)
	}
	var e event
	var data []string
	lines := &lineEnds{b: b}
	for {
		line, err := lines.next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return err
		}
		if line == "" {
			if data != nil {
				e.data = strings.Join(data, "\n")
				if e.data != "" {
					f(e)
				}
			}
			e, data = event{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.typ = value
		case "data":
			data = append(data, value)
		}
	}
}

// lineEnds reads lines that end in LF, CR or CRLF, without waiting for an LF after a CR.
type lineEnds struct {
	b  *bufio.Reader
	cr bool // the last line ended in CR; an LF that follows belongs to it
}

func (l *lineEnds) next() (string, error) {
	var line []byte
	for {
		if _, err := l.b.Peek(1); err != nil {
			return "", err
		}
		part, _ := l.b.Peek(l.b.Buffered())
		if l.cr && part[0] == '\n' {
			l.cr = false
			l.b.Discard(1)
			continue
		}
		l.cr = false
		n := bytes.IndexByte(part, '\n')
		if cr := bytes.IndexByte(part[:max(n, 0)], '\r'); n >= 0 && cr >= 0 {
			n = cr
		} else if n < 0 {
			n = bytes.IndexByte(part, '\r')
		}
		if n < 0 {
			line = append(line, part...)
			l.b.Discard(len(part))
			continue
		}
		line = append(line, part[:n]...)
		l.cr = part[n] == '\r'
		l.b.Discard(n + 1)
		return string(line), nil
	}
}
