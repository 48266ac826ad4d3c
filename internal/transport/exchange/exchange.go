// Package exchange is what the HTTP transports share: one HTTP request and its answer,
// sent with the server's own headers, followed nowhere, decompressed never, bounded, and
// ended with its caller's context or its connection. It knows no message of JSON-RPC but
// the error in a refusal, and never shows a URL's credentials or query, nor a body.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mcpgateway/internal/transport"
)

const (
	answerHeaders = 64 << 10
	idleConns     = 256
	// A server that closes an idle connection just as we write loses a message that must
	// not be sent twice. Node and uvicorn close after 5 s, load balancers after 60 s, so
	// we close first.
	idlePlain = 4 * time.Second
	idleTLS   = 50 * time.Second
)

// Params are what a Client is made of.
type Params struct {
	URL       string
	Header    []transport.Header // on every request
	Pool      http.RoundTripper  // of TCP connections; nil: one of its own
	UserAgent string             // where Header names none
}

// A Client sends requests to one server. Any number of goroutines may use it.
type Client struct {
	url    *url.URL
	err    error // why url cannot be used
	header http.Header
	host   string
	pool   http.RoundTripper
	own    bool // the pool is ours to close
}

// New makes a Client and does no I/O. What is wrong with p is told by URL.
func New(p Params) *Client {
	c := &Client{header: http.Header{}}
	c.url, c.err = parse(p.URL)
	for _, h := range p.Header {
		if !validHeader(h) {
			c.err = errors.Join(c.err, fmt.Errorf("%w: header %q has characters that HTTP does not allow", transport.ErrNotStarted, h.Name))
			continue
		}
		if strings.EqualFold(h.Name, "Host") {
			c.host = h.Value
			continue
		}
		c.header.Add(h.Name, h.Value)
	}
	// Under these names as net/http writes them it sends a POST again whose connection
	// broke. Names are the same in any case (RFC 9110, 5.1), but for that rule.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := c.header[name]; ok {
			delete(c.header, name)
			c.header[strings.ToLower(name)] = v
		}
	}
	if c.header.Get("User-Agent") == "" && p.UserAgent != "" {
		c.header.Set("User-Agent", p.UserAgent)
	}
	if c.pool = p.Pool; c.pool == nil {
		c.pool, c.own = pool(c.url), true
	}
	return c
}

// URL is where the server is; an error wraps transport.ErrNotStarted.
func (c *Client) URL() (*url.URL, error) { return c.url, c.err }

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() {
	if pool, ok := c.pool.(*http.Transport); ok && c.own {
		pool.CloseIdleConnections()
	}
}

func parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // its text holds the URL
		return nil, fmt.Errorf("%w: the URL cannot be read", transport.ErrNotStarted)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%w: the URL must start with http:// or https:// and name a host", transport.ErrNotStarted)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func pool(u *url.URL) *http.Transport {
	idle := idlePlain
	if u != nil && u.Scheme == "https" {
		idle = idleTLS
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idle,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: answerHeaders,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// proxy is the environment's. Its error would show the proxy's URL with its password.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the environment's proxy setting is no URL")
	}
	return u, nil
}

// validHeader tells whether net/http would send it (RFC 9110, 5.1 and 5.5).
func validHeader(h transport.Header) bool {
	if h.Name == "" {
		return false
	}
	for i := range len(h.Name) {
		c := h.Name[i]
		alphanumeric := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return ValidValue(h.Value)
}

// ValidValue tells whether s can be the value of a header.
func ValidValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7F {
			return false
		}
	}
	return true
}

// request makes one request; own headers win over the server's.
func (c *Client) request(ctx context.Context, method string, to *url.URL, own []transport.Header) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "", nil)
	if err != nil {
		return nil, err
	}
	r.URL, r.Host = to, to.Host
	if c.host != "" {
		r.Host = c.host
	}
	r.Header = c.header.Clone()
	for _, h := range own {
		if !validHeader(h) {
			return nil, errors.New("a header of the message has characters that HTTP does not allow")
		}
		r.Header.Set(h.Name, h.Value)
	}
	r.Header.Set("Accept-Encoding", "identity")
	if user := to.User; user != nil && r.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	return r, nil
}
