package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/config"
	"mcpgateway/internal/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	operator = "the-operators-token-of-32-bytes-or-more"
	client   = "the-token-of-an-mcp-client-of-32-bytes!"
)

// A house is a fake Gateway with the real parser.
type house struct {
	mu      sync.Mutex
	defs    []config.Server
	fail    error // what Add returns
	waited  []string
	waiting []time.Duration // the times that WaitTried was given
	waitEnd error           // why its context had ended already
	removed []string
	ready   bool
	tools   []admin.Tool
}

func (h *house) Servers() []admin.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []admin.Server
	for _, d := range h.defs {
		out = append(out, admin.Server{Name: d.Name, Transport: d.Transport, State: "down", Reason: "it is a test", Source: "api"})
	}
	return out
}
func (h *house) Tools() []admin.Tool { return h.tools }
func (h *house) Parse(body []byte) ([]config.Server, []config.Problem) {
	return config.ParseServers(body, func(string) (string, bool) { return "", false })
}
func (h *house) Add(defs []config.Server) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return h.fail
	}
	var taken []string
	for _, d := range defs {
		if slices.ContainsFunc(h.defs, func(x config.Server) bool { return x.Name == d.Name }) {
			taken = append(taken, d.Name)
		}
	}
	if taken != nil {
		return fmt.Errorf("add: %w", &admin.Conflict{Names: taken})
	}
	h.defs = append(h.defs, defs...)
	return nil
}
func (h *house) WaitTried(ctx context.Context, names ...string) {
	h.waited = append(h.waited, names...)
	end, _ := ctx.Deadline()
	h.waiting = append(h.waiting, time.Until(end))
	h.waitEnd = ctx.Err()
}
func (h *house) Remove(_ context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removed = append(h.removed, name)
	n := len(h.defs)
	h.defs = slices.DeleteFunc(h.defs, func(x config.Server) bool { return x.Name == name })
	if len(h.defs) == n {
		return admin.ErrUnknown
	}
	return nil
}
func (h *house) Ready() bool { return h.ready }

func (h *house) Waiting() []string { return []string{"slow"} }

// api makes the routes behind the guard, as the gateway has them.
func api(h *house, changes ...func(*admin.Params)) http.Handler {
	p := admin.Params{Gateway: h, Token: operator, MaxBody: 64 << 10, IsBearer: listen.HasBearer, IsJSON: listen.IsJSON, Log: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(&p)
	}
	mux := http.NewServeMux()
	admin.New(p).Routes(mux)
	return listen.Guard{Loopback: true}.Wrap(mux)
}

func send(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+operator)
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func server(name string) string {
	return `{"mcpServers":{"` + name + `":{"command":"prog","env":{"KEY":"canary-secret"},"startTimeout":"7s"}}}`
}

// TestChangesNeedTheOperatorsToken: without it nothing is added or removed.
func TestChangesNeedTheOperatorsToken(t *testing.T) {
	h := &house{}
	top := api(h)
	for name, auth := range map[string]string{
		"none": "", "client's": "Bearer " + client, "wrong": "Bearer x", "prefix": "Bearer " + operator[:len(operator)-1], "longer": "Bearer " + operator + "x",
		"basic": "Basic " + operator, "bare": operator, "empty": "Bearer ",
	} {
		for _, c := range []struct{ method, path string }{{"POST", "/servers"}, {"POST", "/servers?wait=0"}, {"DELETE", "/servers/a"}} {
			w := send(top, c.method, c.path, server("a"), "Authorization", auth, "Cookie", "token="+operator)
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") || strings.Contains(w.Body.String(), operator) {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	}
	if len(h.defs)+len(h.removed) != 0 {
		t.Errorf("%v was added, %v removed", h.defs, h.removed)
	}
	for _, path := range []string{"/health", "/servers", "/tools"} { // reading needs none here
		if w := send(top, "GET", path, "", "Authorization", ""); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestReadingMayNeedTheToken: beyond loopback all but /health and /ready.
func TestReadingMayNeedTheToken(t *testing.T) {
	top := api(&house{ready: true}, func(p *admin.Params) { p.Reads = true })
	for path, want := range map[string]int{"/health": 200, "/ready": 200, "/servers": 401, "/tools": 401} {
		for _, auth := range []string{"", "Bearer " + client} {
			if w := send(top, "GET", path, "", "Authorization", auth); w.Code != want {
				t.Errorf("%s: %d, want %d", path, w.Code, want)
			}
		}
		if w := send(top, "GET", path, ""); w.Code != http.StatusOK {
			t.Errorf("%s with the token: %d", path, w.Code)
		}
	}
}

// TestHealthAndReady say just that.
func TestHealthAndReady(t *testing.T) {
	h := &house{}
	top := api(h)
	for range 2 {
		if w := send(top, "GET", "/health", ""); w.Code != 200 || w.Body.String() != "{\"status\":\"ok\"}\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		want := map[bool]int{false: 503, true: 200}[h.ready]
		if w := send(top, "GET", "/ready", ""); w.Code != want {
			t.Errorf("%d, want %d", w.Code, want)
		}
		h.ready = true
	}
}

// TestBrowsersCannotAdd: neither a body that needs no preflight nor a stranger's page.
func TestBrowsersCannotAdd(t *testing.T) {
	h := &house{}
	top := api(h, func(p *admin.Params) { p.Token = "" }) // "auth": "none"
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"text/plain": {[]string{"Content-Type", "text/plain"}, 415}, "none": {[]string{"Content-Type", ""}, 415},
		"form": {[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415}, "utf-16": {[]string{"Content-Type", "application/json;charset=utf-16"}, 415},
		"origin": {[]string{"Origin", "http://evil.example"}, 403}, "null": {[]string{"Origin", "null"}, 403}, "cross-site": {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if w := send(top, "POST", "/servers", server("a"), c.header...); w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
	if len(h.defs) != 0 {
		t.Errorf("%v was added", h.defs)
	}
	r := httptest.NewRequest("POST", "http://localhost/servers", strings.NewReader(server("a")))
	r.Header["Content-Type"] = []string{"application/json", "text/plain"}
	w := httptest.NewRecorder()
	if top.ServeHTTP(w, r); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("two content types: %d", w.Code)
	}
	if w := send(top, "POST", "/servers", server("a"), "Authorization", "", "Origin", "http://localhost:3000", "Content-Type", "application/json; charset=UTF-8"); w.Code != http.StatusCreated {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestBadBodiesAddNothing, and every problem is told with its path.
func TestBadBodiesAddNothing(t *testing.T) {
	h := &house{}
	top := api(h)
	for name, c := range map[string]struct {
		body   string
		status int
		says   []string // each must be in the answer
	}{
		"empty":        {"", 400, []string{`"problems":[`}},
		"no JSON":      {"hello", 400, []string{`"line":1`}},
		"an array":     {"[]", 400, nil},
		"null":         {"null", 400, nil},
		"no servers":   {`{"mcpServers":{}}`, 400, []string{"mcpServers"}},
		"nothing":      {`{}`, 400, nil},
		"unknown key":  {`{"mcpServers":{"a":{"command":"x","volumes":[],"user":"root","privileged":true}}}`, 400, []string{"volumes", "user", "privileged"}},
		"duplicate":    {`{"mcpServers":{"a":{"command":"x","command":"y"}}}`, 400, []string{"mcpServers.a"}},
		"two problems": {`{"mcpServers":{"a":{"command":7},"b":{"url":"ftp://x"}}}`, 400, []string{"mcpServers.a.command", "mcpServers.b.url"}},
		"one is bad":   {`{"mcpServers":{"good":{"command":"x"},"bad":{}}}`, 400, []string{"mcpServers.bad"}},
		"bad name":     {`{"mcpServers":{"a.b":{"command":"x"}}}`, 400, []string{"a.b"}},
		"NUL":          {`{"mcpServers":{"a":{"command":"x","args":["\u0000"]}}}`, 400, []string{"args"}},
		"too large":    {`{"mcpServers":{"a":{"command":"` + strings.Repeat("x", 65<<10) + `"}}}`, 413, nil},
	} {
		w := send(top, "POST", "/servers", c.body)
		var answer struct {
			Error    string
			Problems []struct {
				Line, Column  int
				Path, Message string
			}
		}
		err := json.Unmarshal(w.Body.Bytes(), &answer)
		if c.status == 413 && !strings.Contains(answer.Error, "gateway.limits.requestBody, which is 65536 bytes") {
			t.Errorf("%s: %s", name, w.Body)
		}
		if err != nil || w.Code != c.status || answer.Error == "" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if c.status == 400 && len(answer.Problems) == 0 {
			t.Errorf("%s: no problem is told", name)
		}
		for _, p := range answer.Problems {
			if p.Message == "" || p.Line == 0 || p.Column == 0 {
				t.Errorf("%s: %+v", name, p)
			}
		}
		for _, s := range c.says {
			if !strings.Contains(w.Body.String(), s) {
				t.Errorf("%s: %q is missing in %s", name, s, w.Body)
			}
		}
	}
	if len(h.defs) != 0 {
		t.Errorf("%v was added", h.defs)
	}
}

// TestAddWaitsForTheServers up to their start time, and not where that is not wanted.
func TestAddWaitsForTheServers(t *testing.T) {
	h := &house{}
	top := api(h)
	w := send(top, "POST", "/servers", `{"mcpServers":{"a":{"command":"x","env":{"K":"canary-secret"},"startTimeout":"7s"},"b":{"url":"http://127.0.0.1:1/mcp?k=canary-secret","startTimeout":"3s"}}}`)
	var answer struct{ Servers []admin.Server }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if len(answer.Servers) != 2 || answer.Servers[0].Name != "a" || answer.Servers[1].Name != "b" || answer.Servers[0].State != "down" || answer.Servers[0].Source != "api" {
		t.Errorf("%s", w.Body)
	}
	if !slices.Equal(h.waited, []string{"a", "b"}) || len(h.waiting) != 2 || h.waiting[0] > 8*time.Second || h.waiting[0] < 5*time.Second ||
		h.waiting[1] > 4*time.Second || h.waiting[1] < 2*time.Second || h.waitEnd != nil { // each its own start time
		t.Errorf("waited %s for %v", h.waiting, h.waited)
	}
	for _, path := range []string{"/servers", "/tools"} {
		if body := send(top, "GET", path, "").Body.String(); strings.Contains(body+w.Body.String(), "canary-secret") {
			t.Errorf("a secret is shown: %s", body)
		}
	}
	h.waited = nil
	if w := send(top, "POST", "/servers?wait=0", server("c")); w.Code != http.StatusCreated || h.waited != nil || !strings.Contains(w.Body.String(), `"name":"c"`) {
		t.Errorf("%d %s, waited for %v", w.Code, w.Body, h.waited)
	}
}

// TestSlowServersDoNotEndTheWait: the time for the body is not the time for the answer.
func TestSlowServersDoNotEndTheWait(t *testing.T) {
	h := &house{}
	w := &deadline{ResponseRecorder: httptest.NewRecorder(), last: time.Now()}
	r := httptest.NewRequest("POST", "http://localhost/servers", strings.NewReader(server("a")))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+operator)
	api(h).ServeHTTP(w, r)
	if w.Code != http.StatusCreated || !w.last.IsZero() {
		t.Errorf("%d, read until %s", w.Code, w.last)
	}
}

type deadline struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadline) SetReadDeadline(t time.Time) error { d.last = t; return nil }

// TestNamesThatExistConflict: all are named and nothing is added.
func TestNamesThatExistConflict(t *testing.T) {
	h := &house{}
	top := api(h)
	send(top, "POST", "/servers?wait=0", server("a"))
	w := send(top, "POST", "/servers", `{"mcpServers":{"new":{"command":"x"},"a":{"command":"x"}}}`)
	var answer struct {
		Error string
		Names []string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusConflict || !slices.Equal(answer.Names, []string{"a"}) || answer.Error == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(h.defs) != 1 || h.waited != nil {
		t.Errorf("%v", h.defs)
	}
	h.fail = fmt.Errorf("%w: 500 are the most", admin.ErrFull)
	if w := send(top, "POST", "/servers", server("b")); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "too many servers") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.fail = errors.New("the gateway is ending")
	if w := send(top, "POST", "/servers", server("b")); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestOneOfManyAdds: of a hundred that add one name at once, one wins.
func TestOneOfManyAdds(t *testing.T) {
	top := api(&house{})
	codes := make(chan int, 100)
	for range 100 {
		go func() { codes <- send(top, "POST", "/servers?wait=0", server("a")).Code }()
	}
	n := map[int]int{}
	for range 100 {
		n[<-codes]++
	}
	if n[201] != 1 || n[409] != 99 {
		t.Errorf("%v", n)
	}
}

// TestRemove: 204 once, then 404; a name is taken literally.
func TestRemove(t *testing.T) {
	h := &house{}
	top := api(h)
	send(top, "POST", "/servers?wait=0", server("a"))
	for _, want := range []int{204, 404, 404} {
		if w := send(top, "DELETE", "/servers/a", "", "Content-Type", ""); w.Code != want || (want == 204 && w.Body.Len() != 0) {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	h.removed = nil
	send(top, "DELETE", "/servers/a%2Fb%20%00", "")
	if !slices.Equal(h.removed, []string{"a/b \x00"}) {
		t.Errorf("%q", h.removed)
	}
	for _, path := range []string{"/servers", "/servers/", "/servers/a/b"} {
		if w := send(top, "DELETE", path, ""); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
