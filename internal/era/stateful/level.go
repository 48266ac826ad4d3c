package stateful

import (
	"context"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// levelTime is how long a call may be held up until the server has taken a log level.
const levelTime = 5 * time.Second

// level is the most verbose log level that the server was told, of all its callers': what
// each of them wants to hear is seen to where it is told. It never becomes less verbose, for
// the calls of others may still run.
type level struct {
	turn chan struct{} // holds one: whoever put it there tells the server
	told atomic.Int32  // len(era.Levels) minus the severity; 0 for nothing told in this session
}

func (l *level) forget() { l.told.Store(0) }

// raiseLevel has the server be as verbose as a caller wants, before its call. What the server
// says to that changes nothing, and it is not told again.
func (o *Outbound) raiseLevel(ctx context.Context, want string) {
	severity := era.Severity(want)
	if severity < 0 || !o.info.Logs {
		return
	}
	verbosity := int32(len(era.Levels) - severity)
	if o.level.told.Load() >= verbosity {
		return
	}
	select {
	case o.level.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-o.level.turn }()
	if o.level.told.Load() >= verbosity {
		return
	}
	session := o.session.Load()
	timed, stop := context.WithTimeout(ctx, levelTime)
	defer stop()
	params := append(rawjson.AppendText([]byte(`{"level":`), want), '}')
	_, _ = o.round(timed, o.link.NextID(), mcp.SetLevel, params, nil)
	if ctx.Err() == nil && o.session.Load() == session {
		o.level.told.Store(verbosity)
	}
}
