package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/transport"
)

func errorAnswer(code int, text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%%s,"error":{"code":%d,"message":%q}}`, code, text)
}

// TestProbeOnAPipe: what a server answers to server/discover, which era follows, and when.
func TestProbeOnAPipe(t *testing.T) {
	tests := []struct {
		name, answer string // empty: silence
		stateless    bool
		after        time.Duration
	}{
		{"a discovery", discovered, true, 0},
		{"unknown method", unknownMethod, false, 0},
		{"not initialized", errorAnswer(-32000, "Server not initialized"), false, 0},
		{"code 0", errorAnswer(0, "invalid during session"), false, 0},
		{"a code from nowhere", errorAnswer(7, "?"), false, 0},
		{"no stateless revision supported", `{"jsonrpc":"2.0","id":%s,"error":{"code":-32022,"message":"m","data":{"supported":["2025-11-25"],"requested":"2026-07-28"}}}`, false, 0},
		{"unsupported without data", errorAnswer(-32022, "m"), false, 0},
		{"a discovery without a stateless revision", `{"jsonrpc":"2.0","id":%s,"result":{"supportedVersions":["2025-11-25","2024-11-05"],"capabilities":{}}}`, false, 0},
		{"a discovery of the future", `{"jsonrpc":"2.0","id":%s,"result":{"supportedVersions":["2099-01-01"],"capabilities":{}}}`, false, 0},
		{"an empty result", empty, false, 0},
		{"a result that is none", `{"jsonrpc":"2.0","id":%s,"result":[1]}`, false, 0},
		{"broken JSON with the id", `{"jsonrpc":"2.0","id":%s,"result":{"a":}}`, false, 0},
		{"an error with id null", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`, false, pipeSilence},
		{"garbage", "usage: server [--help]", false, pipeSilence},
		{"silence", "", false, pipeSilence},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					if m.Method != mcp.Discover {
						return plain(w, m)
					}
					if tt.answer != "" {
						w.say(m, tt.answer)
					}
					return nil
				}}
				r := start(t, params(p))
				if at := r.readyAt(t); at != tt.after {
					t.Errorf("ready after %v, want %v", at, tt.after)
				}
				info := r.Status().Info
				if info.Stateless != tt.stateless {
					t.Errorf("stateless: %v", info.Stateless)
				}
				if n := p.count(mcp.Initialize); (n == 0) != tt.stateless {
					t.Errorf("%d initialize: %q", n, p.methods())
				}
				if n := p.count(mcp.NoteCancelled); n != 0 {
					t.Errorf("the server was sent %d cancellations in the handshake", n)
				}
				if n := len(p.dialed()); n != 1 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

// TestLateDiscovery: a server that is slow, not of the other era, is silent as well.
func TestLateDiscovery(t *testing.T) {
	tests := []struct {
		name       string
		discover   time.Duration // when it answers; both after they were asked
		initialize string
		in         time.Duration
		stateless  bool
		at         time.Duration
	}{
		{"discovery first", 7 * time.Second, "", 0, true, 7 * time.Second},
		{"initialize first", 9 * time.Second, initialized, time.Second, false, 6 * time.Second},
		{"initialize refused first", 9 * time.Second, unknownMethod, time.Second, true, 9 * time.Second},
		{"as slow as it may be", 29 * time.Second, "", 0, true, 29 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					switch {
					case m.Method == mcp.Discover:
						w.in(tt.discover, m, discovered)
					case m.Method == mcp.Initialize && tt.initialize != "":
						w.in(tt.in, m, tt.initialize)
					case m.Method == mcp.Tools.List():
						w.say(m, oneTool)
					}
					return nil
				}}
				r := start(t, params(p))
				if at := r.readyAt(t); at != tt.at {
					t.Errorf("ready after %v", at)
				}
				if r.Status().Info.Stateless != tt.stateless {
					t.Errorf("stateless: %v", r.Status().Info.Stateless)
				}
				r.after(25 * time.Second) // the loser's answer changes nothing
				if st := r.Status(); st.State != Ready || st.Info.Stateless != tt.stateless || len(p.dialed()) != 1 {
					t.Errorf("later: %+v", st)
				}
			})
		})
	}
}

// TestExitOnTheUnknownMethod: the server is started again without the probe, however it
// ended.
func TestExitOnTheUnknownMethod(t *testing.T) {
	exit := errors.New("exit status 1")
	tests := map[string]func(w *wire, m *jsonrpc.Message) error{
		"at once":            func(*wire, *jsonrpc.Message) error { return exit },
		"after it answered":  func(w *wire, m *jsonrpc.Message) error { w.say(m, unknownMethod); return exit },
		"after a long while": func(w *wire, _ *jsonrpc.Message) error { era.Sleep(w.ctx, 8*time.Second); return exit },
	}
	for name, onDiscover := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					if m.Method == mcp.Discover {
						return onDiscover(w, m)
					}
					return plain(w, m)
				}}
				r := start(t, params(p))
				r.readyAt(t)
				if n := len(p.dialed()); n != 2 {
					t.Errorf("%d connections", n)
				}
				if got := p.methods(); slices.Contains(got, "2 "+mcp.Discover) || !slices.Contains(got, "2 "+mcp.Initialize) {
					t.Errorf("the server got %q", got)
				}
				if st := r.Status(); st.Restarts != 0 || st.Info.Stateless {
					t.Errorf("status %+v", st)
				}
			})
		})
	}
}

// TestProbeOverHTTP: which refusals say something of the server whatever its era.
func TestProbeOverHTTP(t *testing.T) {
	failure, _ := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Server not initialized"}}`), jsonrpc.ServerLimits)
	tests := []struct {
		name     string
		err      error
		fallback bool
	}{
		{"401", &transport.Status{Code: 401}, false},
		{"403", &transport.Status{Code: 403}, false},
		{"403 with an error", &transport.Status{Code: 403, Message: failure}, false},
		{"407", &transport.Status{Code: 407}, false},
		{"429", &transport.Status{Code: 429}, false},
		{"unreachable", fmt.Errorf("%w: connection refused", transport.ErrUnreachable), false},
		{"400", &transport.Status{Code: 400}, true},
		{"400 with an error", &transport.Status{Code: 400, Message: failure}, true},
		{"404", &transport.Status{Code: 404}, true},
		{"405", &transport.Status{Code: 405}, true},
		{"422", &transport.Status{Code: 422}, true},
		{"500", &transport.Status{Code: 500}, true},
		{"200 text/html", &transport.Status{Code: 200}, true},
		{"reset", fmt.Errorf("%w: reset by peer", transport.ErrClosed), true},
		{"not acceptable", fmt.Errorf("%w: JSON", jsonrpc.ErrAnswer), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stream{answer: func(_ context.Context, m *jsonrpc.Message, _ func(*jsonrpc.Message)) (string, error) {
					switch m.Method {
					case mcp.Discover:
						return "", tt.err
					case mcp.Initialize:
						return initialized, nil
					}
					return oneTool, nil
				}}
				r := start(t, params(s))
				<-r.Tried()
				synctest.Wait()
				st, got := r.Status(), s.methods()
				if tt.fallback != slices.Contains(got, "1 "+mcp.Initialize) {
					t.Errorf("the server got %q", got)
				}
				if tt.fallback != (st.State == Ready) || !tt.fallback && (st.State != Down || !strings.Contains(st.Reason, tt.err.Error())) {
					t.Errorf("state %s: %s", st.State, st.Reason)
				}
				if d := time.Since(r.began); d != 0 {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// TestHTTPSilence: ten seconds, and the discovery is given up once initialize succeeded.
func TestHTTPSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan struct{})
		s := &stream{answer: func(ctx context.Context, m *jsonrpc.Message, _ func(*jsonrpc.Message)) (string, error) {
			switch m.Method {
			case mcp.Discover:
				<-ctx.Done()
				close(left)
				return "", ctx.Err()
			case mcp.Initialize:
				return initialized, nil
			}
			return oneTool, nil
		}}
		r := start(t, params(s))
		if at := r.readyAt(t); at != httpSilence {
			t.Errorf("ready after %v", at)
		}
		select {
		case <-left:
		default:
			t.Error("the silent request is still open")
		}
	})
}

func TestPins(t *testing.T) {
	tests := []struct {
		protocol, never string
		answers         map[string]string
		state           State
	}{
		{Stateful, mcp.Discover, map[string]string{mcp.Discover: discovered, mcp.Initialize: initialized}, Ready},
		{Stateless, mcp.Initialize, map[string]string{mcp.Discover: discovered, mcp.Initialize: initialized}, Ready},
		{Stateful, mcp.Discover, map[string]string{mcp.Discover: discovered, mcp.Initialize: unknownMethod}, Down},
		{Stateless, mcp.Initialize, map[string]string{mcp.Discover: unknownMethod, mcp.Initialize: initialized}, Down},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.protocol, " ", tt.state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
					if a := tt.answers[m.Method]; a != "" {
						w.say(m, a)
						return nil
					}
					return plain(w, m)
				}}
				pr := params(p)
				pr.Protocol = tt.protocol
				r := start(t, pr)
				<-r.Tried()
				synctest.Wait()
				if st := r.Status(); st.State != tt.state {
					t.Errorf("state %s: %s", st.State, st.Reason)
				}
				r.after(20 * time.Second) // a pin holds at later attempts as well
				if n := p.count(tt.never); n != 0 {
					t.Errorf("%d times %s", n, tt.never)
				}
			})
		})
	}
}

// TestEraIsRemembered: the second connection does not probe; one that fails makes the next
// one probe, and that one finds a server that changed its era.
func TestEraIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		die := make(chan struct{}, 1)
		p := &peer{}
		p.script = func(w *wire, m *jsonrpc.Message) error {
			if w.n >= 3 { // it was replaced by a stateless one
				switch m.Method {
				case mcp.Discover:
					w.say(m, discovered)
				case mcp.Initialize:
					w.say(m, errorAnswer(-32600, "no"))
				default:
					return plain(w, m)
				}
				return nil
			}
			if m.Method == mcp.ToolsCall {
				<-die
				return errors.New("killed")
			}
			return plain(w, m)
		}
		r := start(t, params(p))
		r.readyAt(t)
		for range 2 {
			die <- struct{}{}
			if _, err := r.Handle(t.Context(), call(r.Server, "")); err == nil {
				t.Error("the call was answered")
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		var seen []string
		for _, m := range p.methods() {
			if strings.HasSuffix(m, mcp.Discover) || strings.HasSuffix(m, mcp.Initialize) {
				seen = append(seen, m)
			}
		}
		seen = slices.Compact(seen) // a check is a discovery too
		want := []string{"1 server/discover", "1 initialize", "2 initialize", "3 initialize", "4 server/discover"}
		if !slices.Equal(seen, want) {
			t.Errorf("the server got %q", seen)
		}
		if st := r.Status(); st.State != Ready || !st.Info.Stateless || st.Restarts != 3 {
			t.Errorf("status %+v", st)
		}
	})
}

// TestServerOfTheOtherEraIsProbedAgain: an HTTP server is replaced while we are connected;
// no connection ends, calls tell.
func TestServerOfTheOtherEraIsProbedAgain(t *testing.T) {
	gone := &transport.Status{Code: 404, Session: true}
	stateless := map[string]string{mcp.Discover: discovered, mcp.Initialize: unknownMethod, mcp.Ping: unknownMethod}
	stateful := map[string]string{mcp.Discover: unknownMethod, mcp.Initialize: initialized, mcp.Ping: empty}
	for _, first := range []map[string]string{stateful, stateless} {
		synctest.Test(t, func(t *testing.T) {
			now, was := first, first[mcp.Initialize] == initialized
			s := &stream{}
			s.answer = func(_ context.Context, m *jsonrpc.Message, _ func(*jsonrpc.Message)) (string, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				changed := (now[mcp.Initialize] == initialized) != was
				switch {
				case now[m.Method] != "":
					if changed && was && m.Method == mcp.Ping {
						return "", gone
					}
					return now[m.Method], nil
				case m.Method == mcp.Tools.List():
					return oneTool, nil
				case changed && was && s.dials == 1:
					return "", gone
				case changed && s.dials == 1:
					return errorAnswer(-32022, "m"), nil
				}
				return empty, nil
			}
			r := start(t, params(s))
			r.readyAt(t)
			s.mu.Lock()
			now = stateless
			if !was {
				now = stateful
			}
			s.mu.Unlock()
			if _, err := r.Handle(t.Context(), call(r.Server, "")); err == nil {
				t.Error("the call was answered")
			}
			r.after(20 * time.Second)
			if st := r.Status(); st.State != Ready || st.Info.Stateless != was {
				t.Errorf("from stateful %v: status %+v; the server got %q", was, st, s.methods())
			}
			if _, err := r.Handle(t.Context(), call(r.Server, "")); err != nil {
				t.Error(err)
			}
		})
	}
}
