package gatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"
)

// poster is what the HTTP clients share: a connection pool of their own and the POST of
// one message.
type poster struct {
	c    *core
	url  string
	http *http.Client
}

func newPoster(c *core, url string) poster {
	return poster{c, url, &http.Client{
		// Idle connections go before servers close them, as those of http.DefaultTransport do.
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("a redirect")
		},
	}}
}

func (h *poster) done() { h.http.CloseIdleConnections() }

// dress puts the options' headers and those of the request on it.
func (h *poster) dress(r *http.Request, headers http.Header) {
	for k, v := range h.c.opts.Header {
		r.Header[http.CanonicalHeaderKey(k)] = v
	}
	for k, v := range headers {
		r.Header[k] = v
	}
}

// post sends one body.
func (h *poster) post(ctx context.Context, body []byte, headers http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h.dress(r, headers)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	return h.http.Do(r)
}

// accepted sends what awaits no answer.
func (h *poster) accepted(ctx context.Context, body []byte, headers http.Header) error {
	res, err := h.post(ctx, body, headers)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("HTTP %d for a notification or an answer: %.200s", res.StatusCode, text)
	}
	return nil
}

// exchange sends a request and reads what comes back, until the end of its stream.
func (h *poster) exchange(ctx context.Context, p *Pending, body []byte, headers http.Header, seen func(*http.Response)) {
	res, err := h.post(ctx, body, headers)
	if err != nil {
		h.c.settle(p, nil, err)
		return
	}
	defer res.Body.Close()
	p.status = res.StatusCode
	if seen != nil {
		seen(res)
	}
	switch media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media {
	case "application/json":
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			h.c.settle(p, nil, err)
			return
		}
		h.status(p, raw)
		h.c.arrive(raw, p)
	case "text/event-stream":
		err := readEvents(res.Body, func(e event) {
			if e.typ == "" || e.typ == "message" {
				h.c.arrive([]byte(e.data), p)
			}
		})
		if err == nil {
			err = errors.New("the stream ended before the answer")
		}
		h.c.settle(p, nil, err)
		return
	default:
		raw, _ := io.ReadAll(res.Body)
		h.c.settle(p, nil, fmt.Errorf("HTTP %d: %.300s", res.StatusCode, raw))
		return
	}
	h.c.settle(p, nil, fmt.Errorf("HTTP %d without the answer", res.StatusCode))
}

// status compares the HTTP status with the answer (2026-07-28, basic, `_meta`, and
// streamable-http, Protocol Version Header and Server Validation).
func (h *poster) status(p *Pending, raw []byte) {
	want := 0
	switch code := string(field(raw, "error", "code")); {
	case field(raw, "result") != nil:
		want = http.StatusOK
	case !h.c.stateless:
	case code == codeHeader || code == codeCapability || code == codeVersion:
		want = http.StatusBadRequest
	case code == codeMethod:
		want = http.StatusNotFound
	}
	if want != 0 && p.status != want {
		h.c.fault("%s: HTTP %d, not %d, with %.300s", p.method, p.status, want, raw)
	}
}

// DialStateless is a client of Streamable HTTP of 2026-07-28. It keeps one subscription
// to list_changed. BaseURL is the site; the endpoint is its /mcp.
func DialStateless(t testing.TB, baseURL string) Client {
	t.Helper()
	return Options{}.DialStateless(t, baseURL)
}

type statelessHTTP struct{ poster }

func (h *statelessHTTP) send(p *Pending, body, params []byte) {
	ctx, cancel := context.WithCancel(h.c.ctx)
	p.abort = cancel
	headers := h.headers(p.method, params)
	h.c.running.Go(func() {
		defer cancel()
		h.exchange(ctx, p, body, headers, nil)
	})
}

// headers mirror the body (2026-07-28, streamable-http, Request Metadata).
func (h *statelessHTTP) headers(method string, params []byte) http.Header {
	all := http.Header{}
	version, _ := text(field(params, "_meta", metaVersion))
	all.Set("MCP-Protocol-Version", version)
	all.Set("Mcp-Method", method)
	if source := nameMember(method); source != "" {
		if name, ok := text(field(params, source)); ok {
			all.Set("Mcp-Name", encodeHeader(name))
		}
	}
	if method == "tools/call" {
		name, _ := text(field(params, "name"))
		h.c.mu.Lock()
		wanted := h.c.headers[name]
		h.c.mu.Unlock()
		for _, a := range wanted {
			if v := field(field(params, "arguments"), a.path...); v != nil && string(v) != "null" {
				all.Set("Mcp-Param-"+a.header, encodeHeader(headerText(v)))
			}
		}
	}
	return all
}

func (h *statelessHTTP) note(body []byte) error {
	m, err := parse(body)
	if err != nil {
		return err
	}
	headers := http.Header{}
	headers.Set("MCP-Protocol-Version", Stateless)
	headers.Set("Mcp-Method", m.method)
	return h.accepted(h.c.ctx, body, headers)
}

// abandon closes the stream of the request; that is the whole signal.
func (h *statelessHTTP) abandon(p *Pending) { p.abort() }

func (h *statelessHTTP) close() {
	h.c.cancel()
	h.c.running.Wait()
	h.done()
}

// openEvents opens an event stream with GET; it ends with the body.
func (h *poster) openEvents(ctx context.Context, headers http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return nil, err
	}
	h.dress(r, headers)
	r.Header.Set("Accept", "text/event-stream")
	res, err := h.http.Do(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		res.Body.Close()
		return nil, fmt.Errorf("GET: HTTP %d %s: %s", res.StatusCode, res.Header.Get("Content-Type"), text)
	}
	return res, nil
}
