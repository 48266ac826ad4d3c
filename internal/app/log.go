package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// people is a slog.Handler that writes for a person who reads stderr: the server it is
// about, the message, then what else is known, one line each. Control characters never
// reach the terminal.
type people struct {
	w      io.Writer
	mu     *sync.Mutex
	level  slog.Level
	server string
	attrs  string
	group  string
}

// NewLog makes a logger for people.
func NewLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(&people{w: w, mu: &sync.Mutex{}, level: level})
}

// maxLines bounds what waits for a reader of our stderr that does not read.
const maxLines = 1024

// A lines is a writer that never waits: whoever reads our stderr may have stopped reading,
// and no call may hang on that. Lines over the bound are dropped and counted.
type lines struct {
	w       io.Writer
	queue   chan []byte
	dropped atomic.Int64
	stop    chan struct{}
	done    chan struct{}
}

// newLines starts the one goroutine that writes; close ends it.
func newLines(w io.Writer) *lines {
	l := &lines{w: w, queue: make(chan []byte, maxLines), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *lines) run() {
	defer close(l.done)
	for {
		select {
		case line := <-l.queue:
			l.write(line)
		case <-l.stop:
			for {
				select {
				case line := <-l.queue:
					l.write(line)
				default:
					return
				}
			}
		}
	}
}

func (l *lines) write(line []byte) {
	if n := l.dropped.Swap(0); n > 0 {
		_, _ = fmt.Fprintf(l.w, "warning: %d lines were dropped, since nobody read them\n", n)
	}
	_, _ = l.w.Write(line)
}

func (l *lines) Write(p []byte) (int, error) {
	select {
	case l.queue <- bytes.Clone(p):
	default:
		l.dropped.Add(1)
	}
	return len(p), nil
}

// close writes what waits, for a while; what comes later is lost. It is called once.
func (l *lines) close(most time.Duration) {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(most):
	}
}

func (p *people) Enabled(_ context.Context, l slog.Level) bool { return l >= p.level }

func (p *people) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		b.WriteString("debug: ")
	}
	if p.server != "" {
		b.WriteString(printable(p.server) + " ")
	}
	b.WriteString(printable(r.Message))
	b.WriteString(p.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, p.group, a)
		return true
	})
	b.WriteByte('\n')
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p *people) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	q := *p
	for _, a := range attrs {
		if a.Key == "server" && p.group == "" {
			q.server = a.Value.String()
			continue
		}
		appendAttr(&b, p.group, a)
	}
	q.attrs += b.String()
	return &q
}

func (p *people) WithGroup(name string) slog.Handler {
	q := *p
	q.group += name + "."
	return &q
}

func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) || (v.Kind() == slog.KindAny && v.Any() == nil) {
		return
	}
	text := v.String()
	if text == "" || strings.ContainsAny(text, " \"=") {
		text = fmt.Sprintf("%q", text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, printable(text))
}

// printable escapes what could forge a line or drive a terminal (CWE-117).
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) }) {
		return s
	}
	q := fmt.Sprintf("%q", s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
