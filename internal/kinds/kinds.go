// Package kinds is the switchboard: names in a config become packages. Nothing registers
// itself; whoever adds a transport adds a case.
package kinds

import (
	"context"
	"fmt"
	"log/slog"

	"mcpgateway/internal/config"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/sse"
	"mcpgateway/internal/transport/stdio"
	"mcpgateway/internal/transport/streamable"
)

// Params are what every transport of one gateway shares.
type Params struct {
	RunID      string // marks every process of ours
	Origin     string // tells a gateway among them from which config it was started
	MaxMessage int    // bytes of one line, event or answer
	Limits     jsonrpc.Limits
	UserAgent  string
	Environ    func() []string // our own environment
	Log        *slog.Logger
}

// Dialer makes the dialer of a server. stderr gives the last lines of a server that writes
// some; it is nil for others.
func Dialer(def config.Server, p Params) (d transport.Dialer, stderr func() []string) {
	if def.Problem != "" {
		return broken(def.Problem), nil
	}
	switch def.Transport {
	case config.Stdio:
		d := stdio.New(stdio.Params{Command: def.Command, Args: def.Args, Env: def.Environ(p.Environ), Dir: def.Cwd,
			RunID: p.RunID, Origin: p.Origin, MaxLine: p.MaxMessage, Limits: p.Limits, Secrets: secrets(def), Log: p.Log})
		return d, d.Stderr
	case config.SSE:
		return sse.New(sse.Params{URL: def.URL, Header: headers(def), MaxAnswer: p.MaxMessage, Limits: p.Limits, UserAgent: p.UserAgent, Log: p.Log}), nil
	case config.StreamableHTTP:
		return streamable.New(streamable.Params{URL: def.URL, Header: headers(def), MaxAnswer: p.MaxMessage, Limits: p.Limits, UserAgent: p.UserAgent, Log: p.Log}), nil
	}
	return broken(fmt.Sprintf("transport %q is not known", def.Transport)), nil
}

// secrets are the values that the config gives a child: nobody else is to see them.
func secrets(def config.Server) []string {
	out := make([]string, len(def.Env))
	for i, v := range def.Env {
		out[i] = v.Value.Reveal()
	}
	return out
}

func headers(def config.Server) []transport.Header {
	out := make([]transport.Header, len(def.Headers))
	for i, h := range def.Headers {
		out[i] = transport.Header{Name: h.Name, Value: h.Value.Reveal()}
	}
	return out
}

// broken is the dialer of a server that cannot start as it is defined: the reason is its state.
type broken string

func (b broken) Dial(context.Context) (transport.Conn, error) {
	return nil, fmt.Errorf("%w: %s", transport.ErrHopeless, string(b))
}
