package upstream

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/transport"
)

// refusing is a transport that answers every dial with one error.
type refusing struct{ err error }

func (r refusing) Dial(ctx context.Context) (transport.Conn, error) {
	if r.err == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, r.err
}

// TestTheOlderTransportIsTried where the newer one was refused as a server of the older one
// would, or met with silence; and remembered.
func TestTheOlderTransportIsTried(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first error // nil: silence
		want  State
	}{
		{"not found", &transport.Status{Code: http.StatusNotFound}, Ready},
		{"method not allowed", &transport.Status{Code: http.StatusMethodNotAllowed}, Ready},
		{"silence", nil, Ready},
		{"unauthorized", &transport.Status{Code: http.StatusUnauthorized}, Down},
		{"too many requests", &transport.Status{Code: http.StatusTooManyRequests}, Down},
		{"server error", &transport.Status{Code: http.StatusInternalServerError}, Down},
		{"unreachable", transport.ErrUnreachable, Down},
		{"something else", errors.New("no"), Down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: plain}
				pr := params(p)
				pr.Older, pr.OlderTransport, pr.Dialer = pr.Dialer, "sse", refusing{tt.first}
				r := start(t, pr)
				st := r.after(25 * time.Second)
				if (st.State == Ready) != (tt.want == Ready) {
					t.Fatalf("status %+v", st)
				}
				if st.State == Ready && st.Transport != "sse" {
					t.Errorf("transport %q", st.Transport)
				}
				if tries := len(p.dialed()); (tries > 0) != (tt.want == Ready) {
					t.Errorf("the older transport was tried %d times", tries)
				}
			})
		})
	}
}
