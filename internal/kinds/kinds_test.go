package kinds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/config"
	"mcpgateway/internal/transport"
)

var p = Params{RunID: "r", MaxMessage: 1 << 20, UserAgent: "gw/1", Environ: func() []string { return nil }, Log: slog.New(slog.DiscardHandler)}

// TestEveryTransportOfTheConfig has a dialer of its own, and one that can name its stderr
// where there is one.
func TestEveryTransportOfTheConfig(t *testing.T) {
	kinds := map[string]bool{}
	for _, def := range []config.Server{
		{Name: "s", Transport: config.Stdio, Command: "true"},
		{Name: "s", Transport: config.SSE, URL: "http://127.0.0.1:1/sse"},
		{Name: "s", Transport: config.StreamableHTTP, URL: "http://127.0.0.1:1/mcp"},
	} {
		d, stderr := Dialer(def, p)
		kind := fmt.Sprintf("%T", d)
		if kinds[kind] || strings.Contains(kind, "broken") {
			t.Errorf("%s is %s", def.Transport, kind)
		}
		kinds[kind] = true
		if (stderr != nil) != (def.Transport == config.Stdio) {
			t.Errorf("%s: stderr %v", def.Transport, stderr != nil)
		}
	}
}

// TestWhatCannotStartIsAState: the reason is told by Dial, in its own words.
func TestWhatCannotStartIsAState(t *testing.T) {
	for _, tt := range []struct {
		def config.Server
		why string
	}{
		{config.Server{Name: "s", Transport: config.Stdio, Command: "true", Problem: "TOKEN is not set"}, "TOKEN is not set"},
		{config.Server{Name: "s", Transport: "carrier-pigeon"}, `"carrier-pigeon" is not known`},
		{config.Server{Name: "s", Transport: config.Stdio, Command: "/no/such/command"}, "command"},
		{config.Server{Name: "s", Transport: config.Stdio, Command: t.TempDir()}, ""},
		{config.Server{Name: "s", Transport: config.StreamableHTTP, URL: "ftp://x"}, "http"},
		{config.Server{Name: "s", Transport: config.SSE, URL: "://"}, "URL"},
	} {
		d, _ := Dialer(tt.def, p)
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		began := time.Now()
		conn, err := d.Dial(ctx)
		if conn != nil {
			_ = conn.Close()
		}
		stop()
		if !errors.Is(err, transport.ErrNotStarted) || !strings.Contains(err.Error(), tt.why) || time.Since(began) > 4*time.Second {
			t.Errorf("%s %s: %v", tt.def.Transport, tt.def.Command, err)
		}
	}
}
