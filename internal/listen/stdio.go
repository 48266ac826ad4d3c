package listen

import (
	"context"
	"errors"
	"io"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// lastAnswers is how long requests in flight may take once the input has ended: somebody
// who pipes a file in still reads the answers.
const lastAnswers = 5 * time.Second

// ServeStdio serves the one client at the other end of r and w until r ends, and answers
// what is in flight then. When it returns, every goroutine it started has exited.
func (l *Listener) ServeStdio(ctx context.Context, r io.Reader, w io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out := newQueue(&l.load, func(items []item) error {
		var buf []byte
		for _, it := range items {
			buf = append(rawjson.AppendLine(buf, it.raw), '\n')
		}
		_, err := w.Write(buf)
		return err
	}, stop)
	p := l.newPipe(ctx, mcp.Stdio, l.p.Names, out, l.p.Edges.of)
	defer out.closeWithin(writeTime)
	defer p.close()
	lines := jsonrpc.NewLineReader(r, l.p.Body)
	for {
		line, err := lines.Next()
		var long *jsonrpc.TooLong
		switch {
		case errors.As(err, &long):
			p.refuse(mcp.Errorf(mcp.InvalidRequest, "size", "a message may have at most %d bytes (gateway.limits.requestBody)", l.p.Body), validID(long.ID))
		case errors.Is(err, io.EOF):
			p.settle(lastAnswers)
			return nil
		case err != nil:
			return err
		default:
			l.load.add(len(line))
			p.receive(line, func() { l.load.add(-len(line)) })
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func validID(id []byte) []byte {
	if id == nil || jsonrpc.ValidID(id, jsonrpc.ClientLimits) != nil {
		return nil
	}
	return id
}

var _ era.Outlet = (*queue)(nil)
