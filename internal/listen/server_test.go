package listen

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A door is a listener in memory, so that time can be a test's own.
type door struct {
	knocks chan net.Conn
	shut   chan struct{}
	once   sync.Once
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.knocks:
		return c, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	return nil
}

func (d *door) Addr() net.Addr { return &net.TCPAddr{} }

// whole is a connection in memory, which has no half to close.
type whole struct{ net.Conn }

func (w whole) CloseWrite() error { return w.Close() }

// patience serves a handler that reads its request and says so, for as long as f runs.
func patience(t *testing.T, f func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &door{knocks: make(chan net.Conn), shut: make(chan struct{})}
		srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			_, _ = w.Write(body)
		}), t.Context())
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.Serve(d) })
		defer func() {
			_ = srv.Close()
			serving.Wait()
		}()
		f(t, func() net.Conn {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { ours.Close() })
			d.knocks <- whole{theirs}
			return ours
		})
	})
}

// asks sends a request and wants its answer.
func asks(t *testing.T, c net.Conn, r *bufio.Reader, body string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatalf("the request %s is not taken: %v", body, err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer to %s: %v", body, err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); string(got) != body || err != nil {
		t.Errorf("the answer to %s is %s, %v", body, got, err)
	}
}

// lasts is how long it takes until the other side closes the connection.
func lasts(c net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began)
}

// TestAConnectionMayWaitForItsFirstRequest as long as for any other: clients dial ahead.
func TestAConnectionMayWaitForItsFirstRequest(t *testing.T) {
	patience(t, func(t *testing.T, dial func() net.Conn) {
		c := dial()
		r := bufio.NewReader(c)
		for _, body := range []string{"first", "second", "third"} {
			time.Sleep(idleTime - time.Second)
			asks(t, c, r, body)
		}
		if got := lasts(c); got != idleTime {
			t.Errorf("after its requests it lasts %s, not %s", got, idleTime)
		}
		if got := lasts(dial()); got != idleTime {
			t.Errorf("without a request it lasts %s, not %s", got, idleTime)
		}
	})
}

// TestTheHeaderIsTimedFromItsFirstByte, however long the connection was silent before, and
// however steadily the bytes come.
func TestTheHeaderIsTimedFromItsFirstByte(t *testing.T) {
	patience(t, func(t *testing.T, dial func() net.Conn) {
		for _, silent := range []time.Duration{0, time.Minute} {
			c := dial()
			time.Sleep(silent)
			var drip sync.WaitGroup
			drip.Go(func() {
				for _, err := fmt.Fprint(c, "P"); err == nil; _, err = fmt.Fprint(c, "P") {
					time.Sleep(300 * time.Millisecond)
				}
			})
			if took := lasts(c); took != headerTime {
				t.Errorf("after %s of silence a header may take %s, not %s", silent, took, headerTime)
			}
			drip.Wait()
		}
	})
}

// TestSilentConnectionsAreBounded: those beyond get the time of a header, and places come free.
func TestSilentConnectionsAreBounded(t *testing.T) {
	patience(t, func(t *testing.T, dial func() net.Conn) {
		first := dial()
		for range maxSilent - 1 {
			dial()
		}
		synctest.Wait()
		if got := lasts(dial()); got != headerTime {
			t.Errorf("one silent connection too many lasts %s, not %s", got, headerTime)
		}
		asks(t, first, bufio.NewReader(first), "one is silent no more")
		if got := lasts(dial()); got != idleTime {
			t.Errorf("in a place that came free one lasts %s, not %s", got, idleTime)
		}
	})
}
