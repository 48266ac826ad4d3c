package app

import (
	"context"
	"io"
)

// ServePipe serves one more client on a pipe, as standard input and output are served: a test
// has many clients, but a process one standard input.
func (a *App) ServePipe(ctx context.Context, r io.Reader, w io.Writer) error {
	return a.listener.ServeStdio(ctx, r, w)
}
