//go:build unix

package stdio

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

// within is generous: the race detector, other tests and the start of the fake server are in it. The
// bound that matters (250 ms) is printed by -v.
const within = 3 * time.Second

func TestEndsFailTheirCallsAtOnce(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"exit":         `process exited with status 3; its last line on stderr: "fatal: the disk is full"`,
		"suicide":      "process killed by signal 9 (killed)",
		"close stdout": "closed its stdout",
	} {
		t.Run(mode, func(t *testing.T) {
			d := New(fakeParams(t, mode))
			if mode != "close stdout" { // on a busy machine an exit shows late
				d.exit, d.drain = guard, guard
			}
			c := redial(t, d)
			begin := time.Now()
			_, err := call(t.Context(), c, "1", "x", "{}")
			took := time.Since(begin)
			if !errors.Is(err, jsonrpc.ErrClosed) || err.Error() != want {
				t.Errorf("the call ended with %v", err)
			}
			if took > within {
				t.Errorf("it took %v", took)
			}
			if _, open := <-c.Events(); open || c.Err() != err {
				t.Errorf("events open: %v, Err %v", open, c.Err())
			}
			t.Logf("%v after the request", took)
			closeWithin(t, c, 6*time.Second)
		})
	}
}

func closeWithin(t *testing.T, c *conn, bound time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	if took > bound {
		t.Errorf("Close took %v", took)
	}
	return took
}

// Half an answer names its call, which fails by it; the others fail by the end.
func TestDeathInMidLine(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "half"))
	other := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), c, "2", "wait", "{}")
		other <- err
	}()
	<-c.Events() // it has the first
	if _, err := call(t.Context(), c, "1", "x", "{}"); !errors.Is(err, jsonrpc.ErrAnswer) {
		t.Errorf("the call with half an answer ended with %v", err)
	}
	if err := <-other; !errors.Is(err, jsonrpc.ErrClosed) {
		t.Errorf("the other call ended with %v", err)
	}
}

// Each of a thousand calls gets exactly one error when the server is killed.
func TestDeathWithManyCallsOpen(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "hoard"))
	const calls = 1000
	errs := make(chan error, 2*calls)
	for i := range calls {
		go func() {
			_, err := call(t.Context(), c, fmt.Sprint(i), "x", "{}")
			errs <- err
		}()
	}
	<-c.Events() // it has read them all
	begin := time.Now()
	c.cmd.Process.Kill()
	for range calls {
		if err := <-errs; !errors.Is(err, jsonrpc.ErrClosed) {
			t.Fatal(err)
		}
	}
	t.Logf("the last error came %v after the kill", time.Since(begin))
}

func TestAnswerBeforeExitArrives(t *testing.T) {
	t.Parallel()
	for range 10 {
		_, c := dial(t, fakeParams(t, "answer and exit"))
		mustCall(t, c, "1", `{"last":1}`)
		<-c.ended
	}
}

func TestClosedStdinEndsTheConnection(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "close stdin"))
	if err := c.Send(t.Context(), transport.Message{Body: []byte(" ")}); err != nil {
		t.Fatal(err)
	}
	<-c.Events() // it is closed now
	_, err := call(t.Context(), c, "1", "x", "{}")
	if !errors.Is(err, jsonrpc.ErrClosed) || err.Error() != "closed its stdin" {
		t.Error(err)
	}
}

func TestServerThatNeverReads(t *testing.T) {
	t.Parallel()
	d := New(fakeParams(t, "hang"))
	d.stall = 300 * time.Millisecond
	c := redial(t, d)
	_, other := dial(t, fakeParams(t, "echo"))
	big := `{"x":"` + strings.Repeat("x", 256<<10) + `"}`
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := call(t.Context(), c, fmt.Sprint(i), "x", big)
			if !errors.Is(err, jsonrpc.ErrClosed) || !strings.Contains(err.Error(), "did not read its stdin for 300ms") {
				t.Errorf("call %d ended with %v", i, err)
			}
		})
	}
	mustCall(t, other, "1", "{}")
	wg.Wait()
}

// fill writes until the pipe takes no more.
func fill(t *testing.T, c *conn) {
	t.Helper()
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.stdin.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for {
		if _, err := c.stdin.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
			return
		}
	}
}

func TestContextEndsTheWaitToWrite(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "hang"))
	fill(t, c)
	small := transport.Message{Body: []byte(`{"jsonrpc":"2.0","method":"n"}`)}
	for _, what := range []string{"nothing of it is written", "the connection goes on"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begin := time.Now()
		if err := c.Send(ctx, small); err != context.DeadlineExceeded {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(begin); took > within {
			t.Errorf("it waited %v", took)
		}
		cancel()
	}
	c.turn <- struct{}{} // another writer is at work
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Send(ctx, small); err != context.DeadlineExceeded {
		t.Error(err)
	}
	<-c.turn
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

func TestCloseIsForAll(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "echo"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				c.Close()
				return
			}
			_, err := call(t.Context(), c, fmt.Sprint(i), "x", "{}")
			if err != nil && !errors.Is(err, jsonrpc.ErrClosed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestCloseFailsOpenCalls(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "hang"))
	failed := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), c, "1", "x", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
		failed <- err
	}()
	until(t, func() bool { return len(c.turn) == 1 }) // it writes, and is stuck
	go c.Close()
	select {
	case err := <-failed:
		if !errors.Is(err, jsonrpc.ErrClosed) || err.Error() != "closed by the gateway" {
			t.Error(err)
		}
	case <-time.After(guard):
		t.Fatal("the call hangs")
	}
	closeWithin(t, c, 6*time.Second)
}
