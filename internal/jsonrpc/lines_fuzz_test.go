package jsonrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// framed writes down what a LineReader gives, and what ended it.
func framed(r io.Reader, max int) (lines []string, end error) {
	l := NewLineReader(r, max)
	for {
		line, err := l.Next()
		var long *TooLong
		switch {
		case errors.As(err, &long):
			lines = append(lines, fmt.Sprintf("too long id=%s bytes=%d", long.ID, long.Bytes))
		case err != nil:
			return lines, err
		case len(line) > max:
			return lines, fmt.Errorf("a line of %d bytes is over the bound of %d", len(line), max)
		default:
			lines = append(lines, fmt.Sprintf("line %q", line))
		}
	}
}

// plainLines says the same of a stream that is there whole.
func plainLines(stream []byte, max int) (lines []string) {
	for len(stream) > 0 {
		line, rest, ended := bytes.Cut(stream, []byte("\n"))
		if stream = rest; ended {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		switch {
		case len(line) > max:
			lines = append(lines, tooLongLine(line))
		case len(bytes.Trim(line, " \t\r")) > 0:
			lines = append(lines, fmt.Sprintf("line %q", line))
		}
	}
	return lines
}

func tooLongLine(line []byte) string {
	long := tooLong(line)
	return fmt.Sprintf("too long id=%s bytes=%d", long.ID, long.Bytes)
}

// FuzzLineReader: how a stream is cut on its way does not matter, nothing longer than the
// bound is given, and an error in mid-line loses no whole line.
func FuzzLineReader(f *testing.F) {
	f.Add([]byte("{\"id\":1}\r\n\n \t\r\n{\"id\":2}\n{\"id\""), uint8(3), uint16(20), uint8(0))
	f.Add([]byte("{\"id\":1,\"x\":\"~\"}\r\n{\"x\":\"~\",\"id\":\"a\"}\n~\r\r\nx~"), uint8(200), uint16(100), uint8(90))
	f.Add([]byte("~\r\n~\n~\r"), uint8(0), uint16(1<<16-1), uint8(64))
	f.Fuzz(func(t *testing.T, stream []byte, n uint8, max uint16, stretch uint8) {
		// Where a stream has a ~ it is made longer than the reader's buffer may be.
		stream = bytes.Replace(stream, []byte("~"), []byte(strings.Repeat("z", int(stretch)<<10)), 4)
		want := plainLines(stream, int(max))
		for kind, r := range map[string]io.Reader{
			"whole":     bytes.NewReader(stream),
			"in pieces": &chunks{stream, int(n)*37 + 1},
			"EOF early": iotest.DataErrReader(&chunks{stream, int(n)*999 + 1}),
		} {
			if got, err := framed(r, int(max)); err != io.EOF || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s, at most %d: got %.500q, %v\nwant %.500q", kind, max, got, err, want)
			}
		}
		broken := errors.New("broken")
		got, err := framed(io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(broken)), int(max))
		if err != broken || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("a broken stream: got %.500q, %v\nwant %.500q", got, err, want)
		}
	})
}
