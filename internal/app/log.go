package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
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
