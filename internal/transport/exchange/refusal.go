package exchange

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

const (
	refusalBytes = 64 << 10
	refusalTime  = 2 * time.Second // the refusal is known; its body is not worth more
	textBytes    = 200
)

// ErrTooLong is what All returns for a body over its bound.
var ErrTooLong = errors.New("the answer is longer than the bound")

// MediaType is the answer's content type without parameters, or "" where it has none that
// can be read or its bytes are encoded, which we never ask for.
func (x *Exchange) MediaType() string {
	if x.encoding() != "" {
		return ""
	}
	media, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return media
}

func (x *Exchange) encoding() string {
	if e := strings.ToLower(strings.TrimSpace(x.Header.Get("Content-Encoding"))); e != "identity" {
		return e
	}
	return ""
}

// OK tells whether the status is a success.
func (x *Exchange) OK() bool { return x.StatusCode >= 200 && x.StatusCode < 300 }

// Refusal ends the exchange and says what its answer was instead of the one wanted.
// session tells whether the request named one.
func (x *Exchange) Refusal(session bool) *transport.Status {
	s := &transport.Status{Code: x.StatusCode, Text: x.describe(), Session: session}
	if !x.OK() && x.encoding() == "" && x.StatusCode >= 200 {
		late := time.AfterFunc(refusalTime, x.cancel)
		b, err := io.ReadAll(io.LimitReader(x.Body, refusalBytes))
		late.Stop()
		x.ended = err == nil && len(b) < refusalBytes
		if m, err := jsonrpc.Parse(b, jsonrpc.ServerLimits); err == nil && m.Kind == jsonrpc.Failure {
			s.Message = m
		}
	}
	if x.ended {
		x.Release()
	} else {
		x.Cut()
	}
	return s
}

// describe is for logs: nothing in it but the content type is the server's choice.
func (x *Exchange) describe() string {
	text := fmt.Sprintf("HTTP %d", x.StatusCode)
	if name := http.StatusText(x.StatusCode); name != "" {
		text += " " + name
	}
	switch media, _, err := mime.ParseMediaType(x.Header.Get("Content-Type")); {
	case x.Header.Get("Content-Type") == "":
	case err != nil && media == "", len(media) > 100:
		text += ", content type that cannot be read"
	default:
		text += ", " + media
	}
	if e := x.encoding(); e != "" {
		text += ", encoded, which was not asked for"
	}
	if x.StatusCode/100 == 3 {
		text += x.redirection()
	}
	return text
}

// redirection helps whoever wrote a URL that is nearly right.
func (x *Exchange) redirection() string {
	to, err := x.Request.URL.Parse(x.Header.Get("Location"))
	switch {
	case err != nil || x.Header.Get("Location") == "":
		return ""
	case !SameOrigin(x.Request.URL, to):
		return "; it points to another server and is not followed"
	}
	return fmt.Sprintf("; it points to the path %.*q and is not followed", textBytes, to.EscapedPath())
}

// SameOrigin tells whether two URLs have the same scheme, host and port (RFC 6454, 5).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// failure is the error of an exchange that got no answer.
func failure(err error, sent bool) error {
	if sent {
		return fmt.Errorf("%w: %s", transport.ErrClosed, plain(err))
	}
	return fmt.Errorf("%w: %s", transport.ErrUnreachable, plain(err))
}

// plain is the text of an error of net/http's without the URL, which may hold credentials,
// and without what the server wrote.
func plain(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ended in the middle of the answer"
	case errors.Is(err, io.EOF):
		return "it ended before the answer"
	case errors.As(err, &op) && op.Op != "dial":
		err = op.Err
	}
	text := err.Error()
	if strings.Contains(text, "malformed") {
		return "the answer is not HTTP"
	}
	text, _, _ = strings.Cut(text, `"`) // what is quoted comes from the other side
	text = strings.TrimRight(text, " :,=")
	return strings.ToValidUTF8(text[:min(len(text), textBytes)], "")
}
