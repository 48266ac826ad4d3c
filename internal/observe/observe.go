// Package observe records each call once: how it went, for whom, how long it took. It
// never changes a call and never records arguments or results.
package observe

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mcpgateway/internal/mcp"
)

// Frame records the calls that pass it.
type Frame struct {
	next mcp.Handler
	log  *slog.Logger
}

// New makes the frame.
func New(log *slog.Logger, next mcp.Handler) *Frame { return &Frame{next: next, log: log} }

// Handle passes the call on and records how it ended.
func (f *Frame) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if !f.log.Enabled(ctx, slog.LevelDebug) {
		reply, err := f.next.Handle(ctx, c)
		f.fault(ctx, c, err)
		return reply, err
	}
	began := time.Now()
	reply, err := f.next.Handle(ctx, c)
	f.log.DebugContext(ctx, "call", "server", c.Target.Server, "tool", c.Target.Canonical, "method", c.Method,
		"who", c.From.Principal, "took", time.Since(began), "err", err)
	f.fault(ctx, c, err)
	return reply, err
}

// fault logs what an operator should know: calls that failed for a reason of ours. What the
// caller was told and what the log says are two fields of the error.
func (f *Frame) fault(ctx context.Context, c *mcp.Call, err error) {
	var e *mcp.Error
	if errors.As(err, &e) && e.Err != nil {
		f.log.WarnContext(ctx, e.Message, "server", c.Target.Server, "tool", c.Target.Canonical, "err", e.Err)
	}
}
