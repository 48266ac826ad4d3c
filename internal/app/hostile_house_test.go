package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// A house is a gateway with a stateful and a stateless server behind it, both in this
// process, so that a test sees what reaches them.
type house struct {
	*gateway
	servers [2]*fake // named stateful and stateless
	session string   // of a client of 2025-11-25
	auth    []string // header of who may call, where not everybody may

	pipe  sync.Mutex // one case at a time has the gateway's standard input
	lines chan string
}

var eras = [2]string{"stateful", "stateless"}

// A fake is a server that does what a test tells it to.
type fake struct {
	*gatetest.Server
	reply   atomic.Pointer[string]        // the result of the tool "answer", as it is
	release atomic.Pointer[chan struct{}] // closed for the tool "hold" to answer
	open    atomic.Int64
	most    atomic.Int64 // calls at one time
}

func newFake(extra ...string) *fake {
	f := &fake{Server: gatetest.New("echo")}
	f.Tools = slices.Clip(f.Tools) // it is every server's
	f.hold()()
	for _, name := range append([]string{"answer", "hold", "flood"}, extra...) {
		f.Tools = append(f.Tools, gatetest.Tool(name))
	}
	echo := f.Call
	f.Call = func(c *gatetest.Call) {
		n := f.open.Add(1)
		defer f.open.Add(-1)
		for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
		}
		switch c.Name {
		case "answer":
			c.Result(*f.reply.Load())
		case "hold":
			select {
			case <-*f.release.Load():
				c.Text("released")
			case <-c.Canceled:
			}
		case "flood": // until it is cancelled, as much as is taken
			for i := 1; ; i++ {
				select {
				case <-c.Canceled:
					return
				case <-time.After(4 * time.Millisecond):
				}
				c.Progress(fmt.Sprintf(`{"progress":%d,"message":"%s"}`, i, flood))
			}
		default:
			echo(c)
		}
	}
	return f
}

var flood = strings.Repeat("~", 32<<10)

// hold makes the tool "hold" hold, until the function it gives is called.
func (f *fake) hold() (release func()) {
	ch := make(chan struct{})
	f.release.Store(&ch)
	return sync.OnceFunc(func() { close(ch) })
}

func (f *fake) hits() int { return f.Count("calls") }

var listChanged = regexp.MustCompile(`^\{"jsonrpc":"2\.0","method":"notifications/(tools|prompts|resources)/list_changed"\}$`)

// newHouse starts one; settings are more members of the config file.
func newHouse(t *testing.T, settings ...string) *house {
	t.Helper()
	h := &house{servers: [2]*fake{newFake(), newFake()}, lines: make(chan string, 1024)}
	config := servers(
		"stateful", remote("http", gatetest.StartStateful(t, h.servers[0].Server)),
		"stateless", remote("http", gatetest.StartStateless(t, h.servers[1].Server)))
	for _, s := range settings {
		config = strings.TrimSuffix(config, "}") + "," + s + "}"
		if strings.Contains(s, alice) {
			h.auth = []string{"Authorization", "Bearer " + alice}
		}
	}
	h.gateway = start(t, config).ready()
	var reader sync.WaitGroup
	reader.Go(func() {
		s := bufio.NewScanner(h.out)
		s.Buffer(nil, 32<<20)
		for s.Scan() { // that lists changed is told at any time
			if line := s.Text(); !listChanged.MatchString(line) {
				h.lines <- line
			}
		}
	})
	t.Cleanup(func() {
		h.in.Close()
		reader.Wait()
	})
	h.write(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":`+hello+`}`)
	h.line(t)
	h.write(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return h
}

const hello = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hostile","version":"1"}}`

// write writes a line to the gateway's standard input.
func (h *house) write(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(h.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// line reads a line of its standard output.
func (h *house) line(t testing.TB) string {
	t.Helper()
	select {
	case line := <-h.lines:
		return line
	case <-time.After(guard):
		t.Fatal("no line came on stdio")
		return ""
	}
}

// A hostile is one case: a guest of the house.
type hostile struct {
	*testing.T
	*house
	http *http.Client // of this case
	hits [2]int       // that are right
	had  [2]int
}

// visit begins a case. At its end it looks at what the case has left behind.
func visit(t *testing.T, at *house) *hostile {
	h := &hostile{T: t, house: at, http: &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for i, s := range at.servers {
		h.had[i] = s.hits()
	}
	t.Cleanup(h.http.CloseIdleConnections)
	t.Cleanup(at.http.CloseIdleConnections)
	t.Cleanup(h.leave)
	return h
}

func (h *hostile) leave() {
	h.Helper()
	h.untouched()
	for i, name := range eras { // the canary, on both
		if got := h.call(name+".raw", `{"canary":1.0}`); got.text(h) != `{"canary":1.0}` {
			h.Errorf("after the case %s says: %s", name, got)
		}
		h.hits[i]++
	}
	h.untouched()
	if !h.pipe.TryLock() {
		return
	}
	defer h.pipe.Unlock()
	h.write(h, `{"jsonrpc":"2.0","id":"canary","method":"ping"}`)
	if line := h.line(h); line != `{"jsonrpc":"2.0","id":"canary","result":{}}` {
		h.Errorf("after the case stdio says %.300s", line)
	}
}

// untouched makes sure that servers were reached as often as was right.
func (h *hostile) untouched() {
	h.Helper()
	for i, s := range h.servers {
		if n := s.hits() - h.had[i]; n != h.hits[i] {
			h.Errorf("the %s server was reached %d times, not %d", eras[i], n, h.hits[i])
			h.hits[i] = n
		}
	}
}

// served are as many calls that were right to reach each server.
func (h *hostile) served(n int) {
	h.hits[0] += n
	h.hits[1] += n
}
