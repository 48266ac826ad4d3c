package jsonrpc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readLines tells each line and each too long one as text.
func readLines(t *testing.T, r io.Reader, max int) []string {
	t.Helper()
	var got []string
	l := NewLineReader(r, max)
	for {
		line, err := l.Next()
		var long *TooLong
		switch {
		case errors.As(err, &long):
			got = append(got, "long "+string(long.ID)+" "+long.Error())
		case err == io.EOF:
			if _, again := l.Next(); again != io.EOF {
				t.Fatalf("after the end Next gives %v", again)
			}
			return got
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, string(line))
		}
	}
}

func TestLines(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"plain":              {"{1}\n{2}\n", "{1}|{2}"},
		"CRLF":               {"{1}\r\n{2}\r\n", "{1}|{2}"},
		"one CR goes":        {"{1}\r\r\n", "{1}\r"},
		"CR within":          {"{\r1}\n", "{\r1}"},
		"blank lines":        {"\n\r\n \t\r\n{1}\n\n", "{1}"},
		"unfinished":         {"{1}\n{2", "{1}|{2"},
		"nothing":            {"", ""},
		"at the bound":       {strings.Repeat("x", 20) + "\r\n", strings.Repeat("x", 20)},
		"over the bound":     {`{"id":7,"x":"1234567"}` + "\n{1}\n", "long 7 a message of 22 bytes is longer than allowed|{1}"},
		"over, with CR":      {`{"id":7,"x":"1234567"}` + "\r\n{1}\n", "long 7 a message of 22 bytes is longer than allowed|{1}"},
		"over, unfinished":   {`{"id":7,"x":"1234567"`, "long 7 a message of 21 bytes is longer than allowed"},
		"separators in text": {"{\u2028}\n", "{\u2028}"},
	} {
		for kind, r := range map[string]io.Reader{
			"whole":   strings.NewReader(tc.in),
			"by byte": iotest.OneByteReader(strings.NewReader(tc.in)),
			"EOF":     iotest.DataErrReader(strings.NewReader(tc.in)),
		} {
			if got := strings.Join(readLines(t, r, 20), "|"); got != tc.want {
				t.Errorf("%s, %s: got %q, want %q", name, kind, got, tc.want)
			}
		}
	}
}

func TestLinesBeyondTheBuffer(t *testing.T) {
	fits := `{"id":1,"x":"` + strings.Repeat("y", 300<<10) + `"}`
	over := `{"x":"` + strings.Repeat("y", 900<<10) + `","id":"a"}`
	got := readLines(t, strings.NewReader(fits+"\n"+over+"\r\n"+fits+"\n"), 400<<10)
	if len(got) != 3 || got[0] != fits || got[2] != fits {
		t.Fatalf("%d lines", len(got))
	}
	if want := `long "a" ` + (&TooLong{Bytes: int64(len(over))}).Error(); got[1] != want {
		t.Errorf("got %.200q, want %q", got[1], want)
	}
}

// A line is the caller's: what is read later must not change it.
func TestLinesAreKept(t *testing.T) {
	l := NewLineReader(strings.NewReader("aaaa\nbbbb\n"), 100)
	a, _ := l.Next()
	if _, err := l.Next(); err != nil || string(a) != "aaaa" {
		t.Fatalf("the first line became %q, %v", a, err)
	}
}

func TestLinesGiveTheErrorAfterTheRest(t *testing.T) {
	broken := errors.New("broken")
	l := NewLineReader(io.MultiReader(strings.NewReader("{1"), iotest.ErrReader(broken)), 100)
	if line, err := l.Next(); string(line) != "{1" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := l.Next(); err != broken {
		t.Fatalf("%v", err)
	}
}

// A stream without an end of line costs no more than the bound.
func TestLinesBoundMemory(t *testing.T) {
	endless := io.LimitReader(repeat{}, 256<<20)
	allocated := testing.AllocsPerRun(1, func() {
		l := NewLineReader(endless, 1<<20)
		for {
			if _, err := l.Next(); err == io.EOF {
				return
			}
		}
	})
	if allocated > 1000 {
		t.Errorf("%v allocations for one line that is not kept", allocated)
	}
}

type repeat struct{}

func (repeat) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte("x"), len(p)))
	return len(p), nil
}
