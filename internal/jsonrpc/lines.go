package jsonrpc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"mcpgateway/internal/rawjson"
)

// TooLong is a message that was over its bound. Its bytes were read to their end and
// dropped; reading goes on with the next message.
type TooLong struct {
	ID    []byte // raw token of the message's id where one was found, else nil
	Bytes int64  // its whole length
}

func (e *TooLong) Error() string {
	return fmt.Sprintf("a message of %d bytes is longer than allowed", e.Bytes)
}

// A LineReader cuts a byte stream into lines, one message each (2026-07-28, stdio). It
// takes lines that end in LF or CRLF and does not look at what they say.
type LineReader struct {
	r   *bufio.Reader
	max int
	err error // what ended the stream
}

// NewLineReader reads lines of at most max bytes, the line's end not counted.
func NewLineReader(r io.Reader, max int) *LineReader {
	return &LineReader{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

// Next gives the next line that is not blank, without its end. The slice is the
// caller's to keep. A line over the bound gives a *TooLong, after which Next goes on.
// An unfinished last line is given before the error that ended the stream.
func (l *LineReader) Next() ([]byte, error) {
	for l.err == nil {
		line, err := l.line()
		if err != nil {
			return nil, err
		}
		if len(bytes.Trim(line, " \t\r")) > 0 {
			return line, nil
		}
	}
	return nil, l.err
}

// line gives one line, blank or not. What ends the stream is kept in l.err.
func (l *LineReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil || err != bufio.ErrBufferFull {
			l.err = err
			break
		}
		// Two bytes more than the bound may be the line's end.
		if len(line) > l.max+2 {
			return nil, l.skip(line)
		}
	}
	end := trimEnd(line)
	if len(end) > l.max {
		return nil, tooLong(end)
	}
	return end, nil
}

// skip reads the rest of a line that is too long, keeping nothing but its id.
func (l *LineReader) skip(start []byte) *TooLong {
	var find rawjson.Finder
	n := int64(len(start))
	find.Write(start)
	last := start[len(start)-1]
	for {
		part, err := l.r.ReadSlice('\n')
		if err == nil {
			part = part[:len(part)-1]
		}
		n += int64(len(part))
		find.Write(part)
		if len(part) > 0 {
			last = part[len(part)-1]
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		l.err = err
		if err == nil && last == '\r' {
			n--
		}
		return &TooLong{ID: bytes.Clone(find.ID()), Bytes: n}
	}
}

func tooLong(line []byte) *TooLong {
	return &TooLong{ID: bytes.Clone(rawjson.FindID(line)), Bytes: int64(len(line))}
}

func trimEnd(line []byte) []byte {
	end, ok := bytes.CutSuffix(line, []byte("\n"))
	if ok {
		end = bytes.TrimSuffix(end, []byte("\r"))
	}
	return end
}
