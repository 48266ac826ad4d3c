package listen

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds on how a client may talk HTTP.
const (
	maxHeader  = 32 << 10
	headerTime = 5 * time.Second // from its first byte
	bodyTime   = 30 * time.Second
	idleTime   = 120 * time.Second
	maxSilent  = 1024 // connections that have sent nothing and may wait for idleTime; more wait for headerTime
)

// A Server serves HTTP, bounded against slow and greedy clients.
type Server struct{ *http.Server }

// NewServer makes the Server of a handler.
func NewServer(h http.Handler, base context.Context) Server {
	return Server{&http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != http.NoBody { // whoever reads it whole lifts the deadline; net/http reads what a handler leaves
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
			}
			if len(r.TransferEncoding) > 0 {
				// net/http hides whether a length was given as well, when the connection must
				// end, since what follows may be hidden in the body (RFC 9112, section 6.1).
				w.Header().Set("Connection", "close")
			}
			h.ServeHTTP(w, r)
		}),
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		BaseContext:       func(net.Listener) context.Context { return base },
	}}
}

// Serve is http.Server's on a patient listener.
func (s Server) Serve(ln net.Listener) error { return s.Server.Serve(&patient{Listener: ln}) }

// A patient listener has connections wait for their first request as they wait for later ones.
// net/http counts the time for the first header from the accept. But clients dial ahead and keep
// what they did not need: a POST on a connection that is just being closed is lost, since nobody
// may send it again.
type patient struct {
	net.Listener
	silent atomic.Int64 // connections that have sent nothing
}

// Accept implements net.Listener.
func (p *patient) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if half, ok := c.(halfCloser); ok {
		return &patientConn{halfCloser: half, of: p}, err
	}
	return c, err
}

// A halfCloser is what net/http wants of a connection: it ends its own side alone where it
// refuses a request that is still being sent, or the client would lose the refusal.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

type patientConn struct {
	halfCloser
	of     *patient
	waited bool // for the first byte; whoever reads looks at it, and nobody else
}

// Read implements net.Conn. When it is first called net/http has set the deadline of the
// header, and sets no other before the request is there.
func (c *patientConn) Read(b []byte) (int, error) {
	if c.waited {
		return c.halfCloser.Read(b)
	}
	c.waited = true
	most := idleTime
	if c.of.silent.Add(1) > maxSilent {
		most = headerTime
	}
	defer c.of.silent.Add(-1)
	_ = c.SetReadDeadline(time.Now().Add(most))
	n, err := c.halfCloser.Read(b)
	_ = c.SetReadDeadline(time.Now().Add(headerTime))
	return n, err
}
