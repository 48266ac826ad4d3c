package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/transport"
)

const (
	// An answer whose last bytes were taken has this long and this much to end by itself,
	// which lets its TCP connection serve the next call.
	restTime  = 250 * time.Millisecond
	restBytes = 4 << 10
	restCount = 256 // of them at once
)

// A Link holds the exchanges of one connection to a server and ends them with it.
type Link struct {
	client *Client
	ctx    context.Context // ends with the Link
	cancel context.CancelFunc
	rests  atomic.Int64

	mu      sync.Mutex
	closed  bool // guarded by mu: no goroutine starts any more
	running sync.WaitGroup
}

// NewLink makes a Link of c's.
func (c *Client) NewLink() *Link {
	l := &Link{client: c}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Done is closed once the Link ends.
func (l *Link) Done() <-chan struct{} { return l.ctx.Done() }

// Resting counts the answers whose last bytes are being read.
func (l *Link) Resting() int { return int(l.rests.Load()) }

// Go runs f on a goroutine that Close waits for; f gets a context that ends with the
// Link. It tells whether it did: a closed Link runs nothing.
func (l *Link) Go(f func(ctx context.Context)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.running.Go(func() { f(l.ctx) })
	return true
}

// Cut ends every exchange and waits for nothing.
func (l *Link) Cut() { l.cancel() }

// Close ends every exchange and waits for the goroutines of the Link.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}

// An Exchange is one request and its answer, whose body is open. Release,
// Cut or Refusal ends it.
type Exchange struct {
	*http.Response
	link   *Link
	ctx    context.Context
	cancel context.CancelFunc
	stop   [2]func() bool
	body   *body
	ended  bool // the body was read to its end
}

// Do sends one request and waits for the head of its answer. The exchange ends with ctx,
// also after Do returned, until Release; sent is not read after that. The error wraps
// transport.ErrUnreachable where nothing was sent, else transport.ErrClosed, or is ctx's.
func (l *Link) Do(ctx context.Context, method string, to *url.URL, sent []byte, own []transport.Header) (*Exchange, error) {
	if err := l.Why(ctx, nil); err != nil {
		return nil, err
	}
	x := &Exchange{link: l}
	// Its own context: the rest of the body may be read when the caller's is over.
	x.ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
	x.stop = [2]func() bool{context.AfterFunc(ctx, x.cancel), context.AfterFunc(l.ctx, x.cancel)}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	r, err := l.client.request(httptrace.WithClientTrace(x.ctx, trace), method, to, own)
	if err == nil {
		x.attach(r, sent)
		x.Response, err = l.client.pool.RoundTrip(r) // an http.Client does no more than follow, which is not wanted
	}
	if err != nil {
		x.Cut()
		return nil, l.Why(ctx, failure(err, connected.Load()))
	}
	return x, nil
}

func (x *Exchange) attach(r *http.Request, sent []byte) {
	if sent == nil {
		return
	}
	x.body = &body{rest: sent}
	r.Body = x.body
	r.ContentLength = int64(len(sent))
	r.GetBody = func() (io.ReadCloser, error) { // net/http sends again only what it knows never left
		x.body.detach()
		x.body = &body{rest: sent}
		return x.body, nil
	}
}

// Why is the reason that an exchange for ctx failed: ctx's end, the Link's, or err itself.
func (l *Link) Why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.ctx.Err() != nil {
		return transport.ErrClosed
	}
	return err
}

// Cut ends the exchange at once; the server sees that the connection goes.
func (x *Exchange) Cut() {
	x.cancel()
	x.stop[0]()
	x.stop[1]()
	if x.body != nil {
		x.body.detach()
	}
	if x.Response != nil {
		_ = x.Body.Close()
	}
}

// Detach lets the exchange go on when its caller's context ends. False: that has ended.
func (x *Exchange) Detach() bool { return x.stop[0]() }

// All reads the whole body, if it has at most max bytes; over that, or where the stream
// breaks, it is an error.
func (x *Exchange) All(max int) ([]byte, error) {
	var b bytes.Buffer
	if n := x.ContentLength; n > 0 && n <= int64(max) {
		b.Grow(int(min(n, 64<<10)) + bytes.MinRead) // a length is a claim: trust little of it
	}
	n, err := b.ReadFrom(io.LimitReader(x.Body, int64(max)+1))
	switch {
	case err != nil:
		return nil, x.Broken(err)
	case n > int64(max):
		return nil, ErrTooLong
	}
	x.ended = true
	return b.Bytes(), nil
}

// Broken is the error for a body that could not be read on.
func (x *Exchange) Broken(err error) error {
	return fmt.Errorf("%w: %s", transport.ErrClosed, plain(err))
}

// Release ends an exchange whose answer was taken. What is left of the body is read for a
// moment, by a goroutine of the Link's, so that the TCP connection can be used again.
func (x *Exchange) Release() {
	x.stop[0]()
	if x.body != nil {
		x.body.detach()
	}
	if x.ended || x.Body == http.NoBody || x.ContentLength > restBytes {
		x.Cut()
		return
	}
	if x.link.rests.Add(1) > restCount || !x.link.Go(x.rest) {
		x.link.rests.Add(-1)
		x.Cut()
	}
}

func (x *Exchange) rest(context.Context) {
	defer x.link.rests.Add(-1)
	defer x.Cut()
	late := time.AfterFunc(restTime, x.cancel)
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, x.Body, restBytes)
}

// body is a request's. net/http may read it after the answer came, when its bytes belong
// to somebody else again; detached, it reads them no more.
type body struct {
	mu   sync.Mutex
	rest []byte // guarded by mu
	gone bool   // guarded by mu
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return 0, io.ErrClosedPipe
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

func (b *body) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest, b.gone = nil, true
}
