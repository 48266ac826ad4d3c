package jsonrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// events reads a whole stream and writes down what came, one line an event.
func events(r io.Reader, max int) (lines []string, end error) {
	e := NewEventReader(r, max)
	for {
		ev, err := e.Next()
		var long *TooLong
		switch {
		case errors.As(err, &long):
			lines = append(lines, fmt.Sprintf("too long id=%s bytes=%d", long.ID, long.Bytes))
		case err != nil:
			return lines, err
		}
		line := ev.Type
		if ev.Data != nil {
			line += fmt.Sprintf(" %q", ev.Data)
		}
		if ev.HasID {
			line += fmt.Sprintf(" id=%q", ev.ID)
		}
		if ev.Retry != 0 {
			line += " retry=" + ev.Retry.String()
		}
		lines = append(lines, line)
	}
}

// chunks gives a stream n bytes at a time.
type chunks struct {
	rest []byte
	n    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestEventReader(t *testing.T) {
	huge := strings.Repeat("x", 3*eventBuffer)
	tests := []struct {
		name, stream string
		max          int
		want         []string
	}{
		{name: "empty"},
		{name: "one", stream: "data: {}\n\n", want: []string{`message "{}"`}},
		{name: "no space", stream: "data:{}\n\n", want: []string{`message "{}"`}},
		{name: "one space only", stream: "data:  a \n\n", want: []string{`message " a "`}},
		{name: "type", stream: "event: endpoint\ndata: /m\n\n", want: []string{`endpoint "/m"`}},
		{name: "type is of one event", stream: "event: a\ndata: 1\n\ndata: 2\n\n", want: []string{`a "1"`, `message "2"`}},
		{name: "type without data", stream: "event: a\n\ndata: 2\n\n", want: []string{`message "2"`}},
		{name: "CRLF", stream: "data: 1\r\n\r\ndata: 2\r\n\r\n", want: []string{`message "1"`, `message "2"`}},
		{name: "CR", stream: "data: 1\r\rdata: 2\r\r", want: []string{`message "1"`, `message "2"`}},
		{name: "mixed line ends", stream: "data: 1\r\n\rdata: 2\n\r\ndata: 3\r\n\n", want: []string{`message "1"`, `message "2"`, `message "3"`}},
		{name: "LF CR is two ends", stream: "data: 1\n\rdata: 2\n\n", want: []string{`message "1"`, `message "2"`}},
		{name: "byte order mark", stream: "\xEF\xBB\xBFdata: 1\n\n", want: []string{`message "1"`}},
		{name: "byte order mark on a comment", stream: "\xEF\xBB\xBF: hi\ndata: 1\n\n", want: []string{`message "1"`}},
		{name: "byte order mark alone", stream: "\xEF\xBB\xBF\n\ndata: 1\n\n", want: []string{`message "1"`}},
		{name: "only one byte order mark", stream: "\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\ndata: 2\n\n", want: []string{`message "2"`}},
		{name: "byte order mark later", stream: "data: 1\n\n\xEF\xBB\xBFdata: 2\n\n", want: []string{`message "1"`}},
		{name: "comments", stream: ":\n: a\n:data: no\ndata: 1\n:b\n\n:\n\n", want: []string{`message "1"`}},
		{name: "data without colon", stream: "data\n\n", want: []string{`message ""`}},
		{name: "data twice without colon", stream: "data\ndata\n\n", want: []string{`message "\n"`}},
		{name: "several lines", stream: "data: {\ndata: \"a\":1\ndata: }\n\n", want: []string{`message "{\n\"a\":1\n}"`}},
		{name: "other fields", stream: "foo: 1\nDATA: 2\ndatax: 3\n data: 4\ndata: 5\n\n", want: []string{`message "5"`}},
		{name: "colons in the value", stream: "data: a:b: c\n\n", want: []string{`message "a:b: c"`}},
		{name: "unfinished event", stream: "data: 1\n\ndata: 2\n", want: []string{`message "1"`}},
		{name: "unfinished line", stream: "data: 1\n\ndata: 2", want: []string{`message "1"`}},
		{name: "id", stream: "id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", want: []string{`message "1" id="7"`, `message "2"`, `message "3" id=""`}},
		{name: "id alone", stream: "id: 7\n\n", want: []string{`message id="7"`}},
		{name: "priming event", stream: "id: 7\ndata: \n\n", want: []string{`message "" id="7"`}},
		{name: "id with NUL", stream: "id: a\x00b\ndata: 1\n\n", want: []string{`message "1"`}},
		{name: "id of an unfinished event", stream: "id: 7\ndata: 1\n"},
		{name: "retry", stream: "retry: 250\n\nretry: 0\ndata: 1\n\n", want: []string{"message retry=250ms", `message "1" retry=1ms`}},
		{name: "retry of an unfinished event", stream: "data: 1\nretry: 250\n", want: []string{"message retry=250ms"}},
		{name: "retry not of digits", stream: "retry: 1s\n\nretry:\n\nretry: -1\n\nretry: 1.5\n\n"},
		{name: "no UTF-8", stream: "data: \xff\xc0\n\n", want: []string{`message "\xff\xc0"`}},
		{name: "longer than the buffer", stream: "data: " + huge + "\ndata: 1\n\n", want: []string{fmt.Sprintf("message %q", huge+"\n1")}},
		{name: "long comment", stream: ":" + huge + "\ndata: 1\n\n", max: 100, want: []string{`message "1"`}},
		{
			name: "over the bound", max: 100,
			stream: "id: 4\ndata: {\"id\":5,\"x\":\"" + huge + "\"}\n\ndata: 1\n\n",
			want:   []string{fmt.Sprintf("too long id=5 bytes=%d", len(huge)+len(`id: 4data: {"id":5,"x":""}`)), `message id="4"`, `message "1"`},
		},
		{
			name: "over the bound in many lines", max: 100,
			stream: "data: {\"x\":\"" + strings.Repeat("y", 50) + "\",\ndata: \"z\":[" + strings.Repeat("\ndata: 1,", 5000) + "1],\ndata:\"id\":\"q\"}\nid: 9\n\ndata: 1\n\n",
			want:   []string{fmt.Sprintf("too long id=\"q\" bytes=%d", len(`data: {"x":"",data: "z":[`)+50+5000*len("data: 1,")+len(`1],data:"id":"q"}id: 9`)), `message id="9"`, `message "1"`},
		},
		{
			name: "over the bound, not data", max: 100,
			stream: "event: " + huge + "\ndata: {\"id\":5}\n\ndata: 1\n\n",
			want:   []string{fmt.Sprintf("too long id=5 bytes=%d", len(huge)+len(`event: data: {"id":5}`)), `message`, `message "1"`},
		},
		{name: "over the bound, unfinished", max: 10, stream: "data: 12345678901234567890\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.max == 0 {
				tt.max = 1 << 20
			}
			for _, n := range []int{1, 2, 3, 5, 7, math.MaxInt} {
				got, err := events(&chunks{[]byte(tt.stream), n}, tt.max)
				if err != io.EOF {
					t.Fatalf("chunks of %d: ended with %v", n, err)
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Fatalf("chunks of %d:\n got %q\nwant %q", n, got, tt.want)
				}
			}
		})
	}
}

func TestEventIsGivenAtItsBlankLine(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r"} {
		r, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, "data: 1"+end) // the rest never comes
		}()
		ev, err := NewEventReader(r, 100).Next()
		if err != nil || string(ev.Data) != "1" {
			t.Errorf("%q: %q, %v", end, ev.Data, err)
		}
		_ = r.Close()
	}
}

func TestEventReaderGivesTheStreamsError(t *testing.T) {
	broken := errors.New("broken")
	got, err := events(io.MultiReader(strings.NewReader("data: 1\n\ndata: 2"), iotest.ErrReader(broken)), 100)
	if err != broken || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEventDataIsTheCallersToKeep(t *testing.T) {
	e := NewEventReader(strings.NewReader("data: aa\n\ndata: bb\n\ndata: cc\ndata: dd\n\n"), 100)
	var kept [][]byte
	for {
		ev, err := e.Next()
		if err != nil {
			break
		}
		kept = append(kept, ev.Data)
	}
	if got := fmt.Sprintf("%s", kept); got != "[aa bb cc\ndd]" {
		t.Error(got)
	}
}

func TestRetryIsBounded(t *testing.T) {
	for _, s := range []string{"99999999999", strings.Repeat("9", 5000)} {
		d, ok := retry([]byte(s))
		if !ok || d < time.Hour {
			t.Errorf("%.20s: %v %v", s, d, ok)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	tests := []struct{ typ, id, data, want string }{
		{"", "", `{"a":1}`, "data: {\"a\":1}\n\n"},
		{"endpoint", "", "/m", "event: endpoint\ndata: /m\n\n"},
		{"", "7", "", "id: 7\ndata: \n\n"},
		{"", "", "a\nb\rc\r\nd\n", "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
	}
	for _, tt := range tests {
		if got := string(AppendEvent(nil, tt.typ, tt.id, []byte(tt.data))); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func FuzzEventReader(f *testing.F) {
	for _, s := range []string{
		"data: 1\n\n", "\xEF\xBB\xBFid: 1\r\ndata: {\"id\":1}\r\n\r\nretry: 5\r", ":c\rdata\rdata: x\r\r",
		"event: e\nid: \x00\ndata:{\"id\":\"a\",\"b\":\"" + strings.Repeat("z", 80) + "\"}\ndata: y\n\ndata: 2\n\n",
	} {
		f.Add([]byte(s), uint8(3), uint8(40))
	}
	f.Fuzz(func(t *testing.T, stream []byte, n, max uint8) {
		want, wantErr := events(bytes.NewReader(stream), int(max))
		got, err := events(&chunks{stream, int(n)%16 + 1}, int(max))
		if err != wantErr || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("chunks of %d:\n got %q, %v\nwant %q, %v", int(n)%16+1, got, err, want, wantErr)
		}
		// What was written is read back, but for the kind of its line ends.
		data := bytes.ReplaceAll(bytes.ReplaceAll(stream, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		ev, err := NewEventReader(bytes.NewReader(AppendEvent(nil, "t", "i", stream)), 1<<20).Next()
		if err != nil || ev.Type != "t" || ev.ID != "i" || !bytes.Equal(ev.Data, data) {
			t.Fatalf("read back %q, %v", ev.Data, err)
		}
	})
}
