package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
	"mcpgateway/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	transporttest.Run(t, func(t *testing.T, s transporttest.Server) transport.Dialer {
		return New(Params{MaxLine: transporttest.MaxAnswer, Serve: func(_ context.Context, r io.Reader, w io.Writer) error {
			return transporttest.ServeLines(s.Name, r, w)
		}})
	})
}

func request(id string) transport.Message {
	return transport.Message{ID: []byte(id), Body: jsonrpc.AppendRequest(nil, []byte(id), "m", nil)}
}

func dial(t *testing.T, s Serve) transport.Conn {
	t.Helper()
	conn, err := New(Params{Serve: s}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestServerThatReturnsEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		died := errors.New("it died")
		conn := dial(t, func(_ context.Context, r io.Reader, w io.Writer) error {
			lines := jsonrpc.NewLineReader(r, 1<<20)
			_, _ = lines.Next()
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n"+`{"jsonrpc":"2.0","id":3,"resu`)
			return died
		})
		if _, err := conn.Do(t.Context(), request("1"), nil); err != nil {
			t.Errorf("an answer written before the end is delivered: %v", err)
		}
		if _, err := conn.Do(t.Context(), request("2"), nil); !errors.Is(err, transport.ErrClosed) || !errors.Is(err, died) {
			t.Errorf("Do: %v", err)
		}
		if _, open := <-conn.Events(); open {
			t.Error("Events is open")
		}
		if err := conn.Err(); !errors.Is(err, died) {
			t.Errorf("Err: %v", err)
		}
	})
}

// TestServerThatNeverReadsHoldsNobodyForever: a full queue waits for the server, and ends
// with the context or the connection.
func TestServerThatNeverReadsHoldsNobodyForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := dial(t, func(ctx context.Context, _ io.Reader, _ io.Writer) error { <-ctx.Done(); return nil })
		for range queue {
			if err := conn.Send(t.Context(), request("1")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		began := time.Now()
		if _, err := conn.Do(ctx, request("2"), nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("Do: %v after %v", err, time.Since(began))
		}
		sent := make(chan error)
		go func() { sent <- conn.Send(context.Background(), request("3")) }()
		synctest.Wait()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-sent; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Send: %v", err)
		}
	})
}

// TestCloseLetsTheServerSeeTheEnd: reading ends, writing fails, the context is over.
func TestCloseLetsTheServerSeeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saw := make(chan string, 1)
		conn := dial(t, func(ctx context.Context, r io.Reader, w io.Writer) error {
			_, read := io.Copy(io.Discard, r)
			_, wrote := io.WriteString(w, "x\n")
			saw <- fmt.Sprint(read, wrote, ctx.Err())
			return nil
		})
		if err := errors.Join(conn.Close(), conn.Close()); err != nil {
			t.Error(err)
		}
		if got := <-saw; !strings.Contains(got, "<nil> io: read/write on closed pipe context canceled") {
			t.Errorf("the server saw %s", got)
		}
		if err := conn.Err(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Err: %v", err)
		}
	})
}

func TestDialWithAnEndedContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := New(Params{}).Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
}
