package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"mcpgateway/internal/listen"
	"mcpgateway/internal/transport/stdio"
)

// How long an ending gateway takes for what is under way.
const (
	drainCalls = 20 * time.Second
	endStreams = 3 * time.Second
	lastWords  = time.Second
)

// Start starts serving. After an error everything is undone already.
func (a *App) Start(ctx context.Context) error {
	if a.stopping.Load() {
		return errors.New("the gateway was stopped")
	}
	err := a.start(ctx)
	if err != nil {
		err = errors.Join(err, a.Stop(context.Background()))
	}
	return err
}

func (a *App) start(ctx context.Context) error {
	if a.serveHTTP() {
		if err := a.buildAPI(); err != nil {
			return err
		}
		if err := a.startHTTP(); err != nil {
			return err
		}
		a.startServers()
	}
	if a.o.Transport == Stdio {
		a.startStdio()
	}
	return nil
}

// startServers starts every server, once. On stdio that waits for the first message that
// is more than a look at what we are.
func (a *App) startServers() {
	a.first.Do(func() {
		if a.o.Watchdog != nil {
			stop, err := stdio.StartWatchdog(a.o.Executable, append(a.o.Watchdog, a.run), a.run)
			if err != nil {
				a.log.Warn("no watchdog: if the gateway is killed, servers it started may stay", "err", err)
			} else {
				a.undo.addSecond("watchdog", func(context.Context) error { return stop() })
			}
		}
		a.registry.Start()
	})
}

// Watch kills what a run of the gateway left behind, once r ends without a farewell.
func Watch(run string, r io.Reader) { stdio.Watch(run, r) }

func (a *App) startHTTP() error {
	ln, err := net.Listen("tcp", joinHost(a.o.Host, a.o.Port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d on %s is in use; end the program that has it, or name another with --port", a.o.Port, a.o.Host)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w; see --host and --port", joinHost(a.o.Host, a.o.Port), err)
	}
	a.addr = ln.Addr()
	mux := http.NewServeMux()
	a.listener.Routes(mux)
	a.api.Routes(mux)
	srv := listen.NewServer(a.guard.Wrap(mux), context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			a.finish(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	a.undo.add("http", func(ctx context.Context) error {
		err := a.stopHTTP(ctx, srv)
		<-ended
		return err
	})
	a.announce()
	return nil
}

// stopHTTP takes no new connections, lets calls end, then streams.
func (a *App) stopHTTP(ctx context.Context, srv listen.Server) error {
	shut := make(chan error, 1)
	go func() { shut <- srv.Shutdown(ctx) }()
	a.drain(ctx)
	a.edges.Stateless.Close()
	a.listener.Close()
	select {
	case err := <-shut:
		return err
	case <-time.After(endStreams):
	case <-ctx.Done():
	}
	_ = srv.Close()
	<-shut
	return nil
}

// drain lets calls end. Those that do not in time end with an error, since their servers go.
func (a *App) drain(ctx context.Context) {
	a.edges.Stateless.Drain() // whoever waits for a client's next request waits in vain
	if n := a.calls.Open(); n > 0 {
		a.log.Info(fmt.Sprintf("waiting up to %s for %d calls in flight; Ctrl-C once more ends them now", drainCalls, n))
	}
	wait := func(ctx context.Context, most time.Duration) {
		ctx, stop := context.WithTimeout(ctx, most)
		defer stop()
		a.calls.Wait(ctx)
	}
	wait(ctx, drainCalls)
	if a.calls.Open() > 0 {
		a.registry.Close()
		wait(context.Background(), lastWords)
	}
}

// announce tells where to find what.
func (a *App) announce() {
	_, port, _ := net.SplitHostPort(a.Addr())
	at := "http://" + net.JoinHostPort(a.o.Host, port)
	a.log.Info("MCP, Streamable HTTP: " + at + "/mcp")
	a.log.Info("MCP, HTTP+SSE:        " + at + "/sse")
	token := a.o.Executable + " token"
	if a.o.StateDir != "" {
		token += " --state " + a.o.StateDir
	}
	how := "reading needs no token; changes need the one that `" + token + "` prints"
	switch {
	case a.cfg.Gateway.Admin.Auth == "none":
		how = "no token is asked for"
	case !a.guard.Loopback:
		how = "with the token that `" + token + "` prints"
	}
	a.log.Info("Management:           " + at + "/servers (" + how + ")")
}

func (a *App) startStdio() {
	a.log.Info("MCP on stdio; servers start with the first message")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.finish(a.listener.ServeStdio(ctx, a.o.Stdin, a.o.Stdout))
	}()
	a.undo.add("stdio", func(end context.Context) error {
		select { // the client may have gone; else its calls end here, though a read cannot be ended
		case <-ended:
			if a.addr == nil { // nobody else's calls are here
				a.edges.Stateless.Close()
			}
		default:
			a.drain(end)
			a.edges.Stateless.Close()
		}
		stop()
		select {
		case <-ended:
		case <-time.After(lastWords):
		}
		return nil
	})
}

// Stop ends everything that Start started, in reverse. It may be called twice.
func (a *App) Stop(ctx context.Context) error {
	if a.stopping.Swap(true) {
		return nil
	}
	err := a.undo.run(ctx)
	a.finish(nil)
	return err
}
