package transporttest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite plays over lines in this process what a transport plays with another one.
func TestSuiteOverLines(t *testing.T) {
	Run(t, func(t *testing.T, s Server) transport.Dialer {
		var served sync.WaitGroup
		t.Cleanup(served.Wait)
		return dialer(func() transport.Conn {
			toServer, in := io.Pipe()
			out, fromServer := io.Pipe()
			served.Go(func() {
				if err := ServeLines(s.Name, toServer, fromServer); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("ServeLines: %v", err)
				}
				_ = fromServer.Close()
			})
			return newLines(in, out)
		})
	})
}

func TestServeLinesKnowsItsScripts(t *testing.T) {
	if err := ServeLines("nobody", nil, nil); err == nil {
		t.Error("an unknown script was played")
	}
}

type dialer func() transport.Conn

func (d dialer) Dial(context.Context) (transport.Conn, error) { return d(), nil }

// lines is the smallest Conn there can be: a Duplex on two pipes.
type lines struct {
	*jsonrpc.Duplex
	mu   sync.Mutex
	in   io.WriteCloser // guarded by mu
	out  io.ReadCloser
	done chan struct{}
}

func newLines(in io.WriteCloser, out io.ReadCloser) *lines {
	l := &lines{in: in, out: out, done: make(chan struct{})}
	l.Duplex = jsonrpc.NewDuplex(func(_ context.Context, body []byte) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, err := l.in.Write(append(rawjson.AppendLine(nil, body), '\n')); err != nil {
			return transport.ErrClosed
		}
		return nil
	})
	go func() {
		defer close(l.done)
		r := jsonrpc.NewLineReader(out, MaxAnswer)
		for {
			line, err := r.Next()
			var long *jsonrpc.TooLong
			switch {
			case errors.As(err, &long):
				l.TooLong(long.ID)
			case err != nil:
				l.Shut(transport.ErrClosed)
				return
			default:
				l.Receive(line)
			}
		}
	}()
	return l
}

func (l *lines) Do(ctx context.Context, m transport.Message, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	return l.Duplex.Do(ctx, m.ID, m.Body, on)
}

func (l *lines) Send(ctx context.Context, m transport.Message) error {
	return l.Duplex.Send(ctx, m.Body)
}

func (l *lines) Listen()         {}
func (l *lines) OwnStream() bool { return false }

func (l *lines) Close() error {
	l.Shut(transport.ErrClosed)
	_ = l.in.Close()
	_ = l.out.Close()
	<-l.done
	return nil
}
