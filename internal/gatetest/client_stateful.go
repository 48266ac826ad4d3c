package gatetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
)

// DialStateful is a client of Streamable HTTP of 2025-11-25: a session, and a GET stream
// for what belongs to no call. BaseURL is the site; the endpoint is its /mcp.
func DialStateful(t testing.TB, baseURL string) Client {
	t.Helper()
	return Options{}.DialStateful(t, baseURL)
}

type statefulHTTP struct {
	poster
	mu      sync.Mutex
	session string
	version string
}

func (h *statefulHTTP) connect() error {
	if err := h.c.handshake(); err != nil {
		return err
	}
	h.mu.Lock()
	if version := h.c.Revision(); version >= "2025-06-18" {
		h.version = version // earlier ones have no such header
	}
	session := h.session
	h.mu.Unlock()
	if session == "" {
		return errors.New("initialize opened no session")
	}
	for _, b := range []byte(session) {
		if b < 0x21 || b > 0x7e {
			return fmt.Errorf("session id %q", session)
		}
	}
	if err := h.c.Notify("notifications/initialized", ""); err != nil {
		return err
	}
	if h.c.opts.NoGet {
		return nil
	}
	res, err := h.openEvents(h.c.ctx, h.headers())
	if err != nil {
		return err
	}
	h.c.running.Go(func() {
		defer res.Body.Close()
		readEvents(res.Body, func(e event) {
			if e.typ == "" || e.typ == "message" {
				h.c.arrive([]byte(e.data), nil)
			}
		})
	})
	return nil
}

// headers go with every request after initialize (2025-11-25, transports).
func (h *statefulHTTP) headers() http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := http.Header{}
	if h.session != "" {
		all.Set("Mcp-Session-Id", h.session)
	}
	if h.version != "" {
		all.Set("MCP-Protocol-Version", h.version)
	}
	return all
}

func (h *statefulHTTP) send(p *Pending, body, _ []byte) {
	headers := h.headers()
	h.c.running.Go(func() {
		h.exchange(h.c.ctx, p, body, headers, func(res *http.Response) {
			if p.method == "initialize" {
				h.mu.Lock()
				h.session = res.Header.Get("Mcp-Session-Id")
				h.mu.Unlock()
			}
		})
	})
}

func (h *statefulHTTP) note(body []byte) error { return h.accepted(h.c.ctx, body, h.headers()) }

// abandon sends the notification: a closed stream cancels nothing in this era. The
// stream is read on, so that what still comes on it is seen.
func (h *statefulHTTP) abandon(p *Pending) {
	err := h.c.Notify("notifications/cancelled", `{"requestId":`+p.ID+`}`)
	if err != nil && h.c.ctx.Err() == nil {
		h.c.fault("cancelling %s: %v", p.ID, err)
	}
}

// close ends the session (2025-11-25, transports, Session Management).
func (h *statefulHTTP) close() {
	if headers := h.headers(); headers.Get("Mcp-Session-Id") != "" {
		ctx, cancel := context.WithTimeout(h.c.ctx, guard)
		defer cancel()
		if r, err := http.NewRequestWithContext(ctx, http.MethodDelete, h.url, nil); err == nil {
			h.dress(r, headers)
			if res, err := h.http.Do(r); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
	}
	h.c.cancel()
	h.c.running.Wait()
	h.done()
}

// DialSSE is a client of the HTTP with SSE transport of 2024-11-05. BaseURL is the site;
// the stream is its /sse.
func DialSSE(t testing.TB, baseURL string) Client {
	t.Helper()
	return Options{}.DialSSE(t, baseURL)
}

type sse struct{ poster }

func (h *sse) connect() error {
	if h.c.opts.NoGet {
		return nil
	}
	res, err := h.openEvents(h.c.ctx, nil)
	if err != nil {
		return err
	}
	first := make(chan error, 1)
	base := res.Request.URL
	h.c.running.Go(func() {
		defer res.Body.Close()
		h.read(res.Body, base, first)
	})
	if err := <-first; err != nil {
		return err
	}
	if err := h.c.handshake(); err != nil {
		return err
	}
	return h.c.Notify("notifications/initialized", "")
}

// read takes the endpoint, which comes first, and then the messages.
func (h *sse) read(body io.Reader, base *url.URL, first chan<- error) {
	known := false
	readEvents(body, func(e event) {
		switch {
		case e.typ == "endpoint" && !known:
			known = true
			u, err := base.Parse(e.data)
			if err == nil && (u.Scheme != base.Scheme || u.Host != base.Host) {
				err = fmt.Errorf("endpoint %s of another origin", u)
			}
			if err == nil {
				h.url = u.String()
			}
			first <- err
		case !known:
			h.c.fault("an event %q before the endpoint", e.typ)
		case e.typ == "" || e.typ == "message":
			h.c.arrive([]byte(e.data), nil)
		}
	})
	if !known {
		first <- errors.New("the stream ended before the endpoint event")
	}
	h.c.fail(errors.New("the stream ended"))
}

func (h *sse) send(p *Pending, body, _ []byte) {
	h.c.running.Go(func() {
		if err := h.note(body); err != nil {
			h.c.settle(p, nil, err)
		}
	})
}

// note posts a message; any 2xx takes it.
func (h *sse) note(body []byte) error {
	res, err := h.post(h.c.ctx, body, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d: %.200s", res.StatusCode, text)
	}
	return nil
}

func (h *sse) abandon(p *Pending) {
	if err := h.c.Notify("notifications/cancelled", `{"requestId":`+p.ID+`}`); err != nil && h.c.ctx.Err() == nil {
		h.c.fault("cancelling %s: %v", p.ID, err)
	}
}

func (h *sse) close() {
	h.c.cancel()
	h.c.running.Wait()
	h.done()
}
