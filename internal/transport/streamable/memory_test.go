package streamable

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/transport"
)

// memory is a listener whose connections are pipes, so that time can be the bubble's.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { close(m.done); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble runs a test against a handler in a world with a clock of its own.
func bubble(t *testing.T, h http.HandlerFunc, test func(t *testing.T, conn *Conn)) {
	synctest.Test(t, func(t *testing.T) {
		l := &memory{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: h, ErrorLog: quiet}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = srv.Serve(l)
		}()
		pool := &http.Transport{DialContext: l.dial, DisableCompression: true}
		conn, err := New(Params{URL: "http://server/mcp", Pool: pool}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = conn.Close()
			pool.CloseIdleConnections()
			_ = srv.Close()
			<-served
		}()
		test(t, conn.(*Conn))
	})
}

// minutes gives a test's context so many minutes of the bubble's time.
func minutes(t *testing.T, n int) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func note() transport.Message {
	return transport.Message{
		Body:   []byte(`{"jsonrpc":"2.0","method":"n"}`),
		Header: []transport.Header{{Name: "Mcp-Protocol-Version", Value: "2025-11-25"}},
	}
}

// most is the highest number of times in any window of a minute.
func most(times []time.Time) (n int) {
	for i, from := range times {
		in := 0
		for _, at := range times[i:] {
			if at.Sub(from) < time.Minute {
				in++
			}
		}
		n = max(n, in)
	}
	return n
}
