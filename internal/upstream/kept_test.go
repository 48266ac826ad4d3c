package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/catalog"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

// keptAs is what is remembered of a caller.
func (k *clients) keptAs(from *mcp.Caller) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keep(clientKey(from), from)
}

// A shop lists one tool to all, and one more to those who can sample; more when it is told.
type shop struct {
	peer
	mu   sync.Mutex
	caps map[int]bool // guarded by mu: by connection: it can sample
	more []string     // guarded by mu: on every connection
	live map[int]*wire
}

func newShop() *shop {
	s := &shop{caps: map[int]bool{}, live: map[int]*wire{}}
	s.script = func(w *wire, m *jsonrpc.Message) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch m.Method {
		case mcp.Initialize:
			s.caps[w.n], s.live[w.n] = strings.Contains(string(m.Params), `"sampling"`), w
			w.say(m, initializedNew)
			return nil
		case mcp.Tools.List():
			names := append([]string{"t"}, s.more...)
			if s.caps[w.n] {
				names = append(names, "samples")
			}
			w.say(m, toolsNamed(names...))
			return nil
		}
		return saysWhich(w, m)
	}
	return s
}

// open starts the server for so many clients. told counts how often some client was to look again.
func (s *shop) open(t *testing.T, most int) (r *rig, told func() int) {
	t.Helper()
	pr := params(&s.peer)
	pr.PerClient, pr.Clients = true, most
	var renewed atomic.Int64
	pr.Renewed = func() { renewed.Add(1) }
	r = start(t, pr)
	r.readyAt(t)
	return r, func() int { return int(renewed.Load()) }
}

func toolsNamed(names ...string) string {
	var tools []string
	for _, n := range names {
		tools = append(tools, `{"name":"`+n+`","inputSchema":{"type":"object"}}`)
	}
	return `{"jsonrpc":"2.0","id":%s,"result":{"tools":[` + strings.Join(tools, ",") + `]}}`
}

// stock changes what is listed on every connection.
func (s *shop) stock(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more = names
	for _, w := range s.live {
		w.say(nil, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	}
}

func toolsOf(p *catalog.Part) string {
	if p == nil {
		return "unknown"
	}
	var out []string
	for _, e := range p.Entries[mcp.Tools] {
		out = append(out, e.Target.Origin)
	}
	return strings.Join(out, " ")
}

// sees waits for what a caller sees as a list does.
func (r *rig) sees(t *testing.T, who *mcp.Caller) string {
	t.Helper()
	r.WaitOwn(t.Context(), who, 10*time.Second)
	return toolsOf(r.Own(who))
}

// TestEachClientSeesWhatIsListedToIt: what the server lists to its capabilities, at its first
// list and after each change. Who sees the same shares it.
func TestEachClientSeesWhatIsListedToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		r, told := s.open(t, 8)
		a, b, c := from("A", "p", `{}`, nil), from("B", "p", `{"sampling":{}}`, nil), from("", "p", `{}`, nil)
		if got := r.sees(t, a) + ", " + r.sees(t, b) + ", " + r.sees(t, c); got != "t, t samples, t" {
			t.Errorf("they see %s", got)
		}
		if r.Own(a) != r.Own(c) || r.Own(b) != r.clients.base {
			t.Error("who sees the same does not share it")
		}
		time.Sleep(2 * refetch)
		if n := told(); n != 2 {
			t.Errorf("told %d times; two see something else than what is listed to all", n)
		}
		s.stock("new")
		time.Sleep(2 * refetch)
		if got := toolsOf(r.Own(a)) + ", " + toolsOf(r.Own(b)); got != "t new, t new samples" {
			t.Errorf("then they see %s", got)
		}
		if n := told(); n != 5 {
			t.Errorf("told %d times in all", n)
		}
	})
}

// TestWhatAClientSeesOutlivesItsConnection, so that a list does not change because its client was idle;
// until what is listed to all changes, which makes it doubtful.
func TestWhatAClientSeesOutlivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		r := perClient(t, &s.peer, 8)
		a := from("A", "p", `{}`, nil)
		r.sees(t, a)
		time.Sleep(2 * clientIdle)
		synctest.Wait()
		if r.clients.find(a) != nil {
			t.Fatal("the idle connection stays")
		}
		if got := r.sees(t, a); got != "t" || len(s.dialed()) != 2 {
			t.Errorf("it sees %q, and %d connections were made", got, len(s.dialed()))
		}
		s.stock("new")
		time.Sleep(2 * refetch)
		if got := toolsOf(r.Own(a)); got != "unknown" {
			t.Errorf("after a change it sees %q", got)
		}
		if got := r.sees(t, a); got != "t new" || len(s.dialed()) != 3 {
			t.Errorf("then it sees %q, and %d connections were made", got, len(s.dialed()))
		}
	})
}

// TestAListWaitsForAClientsServerOnce: a slow one is waited for from when it was begun, a failing
// one not again until its back-off is over.
func TestAListWaitsForAClientsServerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if w.n == 2 && m.Method == mcp.Initialize {
				w.in(25*time.Second, m, initialized)
				return nil
			}
			return saysWhich(w, m)
		}, refuse: func(n int) error {
			if n == 3 || n == 4 {
				return errors.New("no")
			}
			return nil
		}}
		r := perClient(t, p, 8)
		slow, bad := from("A", "p", `{}`, nil), from("B", "p", `{}`, nil)
		took := func(who *mcp.Caller) time.Duration {
			began := time.Now()
			r.sees(t, who)
			return time.Since(began)
		}
		if first, second := took(slow), took(slow); first != 10*time.Second || second != 0 {
			t.Errorf("waited %s, then %s", first, second)
		}
		time.Sleep(20 * time.Second)
		if got := toolsOf(r.Own(slow)); got != "t" {
			t.Errorf("the slow one's client sees %q", got)
		}
		for range 5 {
			took(bad)
		}
		if n := len(p.dialed()); n != 3 {
			t.Errorf("%d connections were tried at once", n)
		}
		var e *mcp.Error
		if _, err := r.Handle(t.Context(), callOf(r.Server, bad)); !errors.As(err, &e) || e.Code != mcp.Unavailable {
			t.Errorf("a call meanwhile: %v", err)
		}
		time.Sleep(2 * time.Second)
		took(bad)
		time.Sleep(4 * time.Second)
		if n := which(t, r, bad); n != "5" {
			t.Errorf("in the end it has connection %s", n)
		}
	})
}

// TestAServerThatCrashesForAClientIsStartedSeldom, however often that client calls.
func TestAServerThatCrashesForAClientIsStartedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if w.n > 1 && m.Method == mcp.ToolsCall {
				return errors.New("killed")
			}
			return saysWhich(w, m)
		}}
		r := perClient(t, p, 8)
		for range 600 {
			_, _ = r.Handle(t.Context(), callOf(r.Server, from("A", "p", `{}`, nil)))
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(p.dialed()); n < 3 || n > 10 {
			t.Errorf("%d connections were made in a minute", n)
		}
	})
}

// TestAListMakesNoRoom: where each connection is some client's, a list is what is listed to all.
func TestAListMakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		r := perClient(t, &s.peer, 1)
		a, b := from("A", "p", `{}`, nil), from("B", "p", `{}`, nil)
		which(t, r, a)
		if got := r.sees(t, b); got != "unknown" || r.clients.find(a) == nil {
			t.Errorf("B sees %q", got)
		}
		if n := which(t, r, b); n != "3" { // a call does
			t.Errorf("B has connection %s", n)
		}
	})
}

// TestClosingConnectionsCount, so that clients that come and go do not pile up processes that are slow to
// end.
func TestClosingConnectionsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: saysWhich, slowEnd: 5 * time.Second}
		r := perClient(t, p, 2)
		refused := 0
		for i := range 10 {
			ended := make(chan struct{})
			c := callOf(r.Server, from(fmt.Sprint("S", i), "p", `{}`, ended))
			_, err := r.Handle(t.Context(), c)
			var e *mcp.Error
			if err != nil && (!errors.As(err, &e) || e.Code != mcp.Overloaded) {
				t.Fatal(err)
			}
			if err != nil {
				refused++
			}
			close(ended)
			synctest.Wait()
		}
		if refused != 6 {
			t.Errorf("%d were refused; two may be in use and two more be closing", refused)
		}
		time.Sleep(10 * time.Second)
		if n := which(t, r, from("T", "p", `{}`, nil)); n == "" || r.clients.closing != 0 {
			t.Errorf("after that %d are closing", r.clients.closing)
		}
	})
}

// TestOfManyClientsTheOldestIsForgotten, and first those whose session is over.
func TestOfManyClientsTheOldestIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := perClient(t, &peer{}, 2)
		over := make(chan struct{})
		close(over)
		r.clients.keptAs(from("oldest", "p", `{}`, nil))
		time.Sleep(time.Second)
		r.clients.keptAs(from("over", "p", `{}`, over))
		watching := from("watching", "p", `{}`, nil)
		r.clients.keptAs(watching).watched.add(watching, "file:///a", func(string) {})
		for i := range maxKept - 2 {
			r.clients.keptAs(from(fmt.Sprint(i), "p", `{}`, nil))
		}
		if _, ok := r.clients.kept["session over"]; ok || len(r.clients.kept) != maxKept {
			t.Errorf("%d are kept", len(r.clients.kept))
		}
		r.clients.keptAs(from("one more", "p", `{}`, nil))
		names := []string{}
		for key := range r.clients.kept {
			names = append(names, key)
		}
		if slices.Contains(names, "session oldest") || !slices.Contains(names, "session watching") || len(names) != maxKept {
			t.Errorf("%d are kept", len(names))
		}
	})
}

// TestAListLeavesRootsToTheFirstCall: a server asks for them right after the handshake, when a
// client without calls cannot be reached; so its first call makes a connection of its own.
func TestAListLeavesRootsToTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		r := perClient(t, &s.peer, 8)
		mute := from("", "p", `{"roots":{}}`, nil)
		listens := from("A", "p", `{"roots":{}}`, nil)
		listens.Back = &lane{}
		none := from("B", "p", `{}`, nil)
		late := from("C", "p", `{"roots":{}}`, nil)
		opens := &lane{open: make(chan struct{})}
		late.Back = opens
		if got := r.sees(t, mute) + ", " + r.sees(t, listens) + ", " + r.sees(t, none); got != "t, t, t" {
			t.Errorf("they see %s", got)
		}
		r.sees(t, late)
		close(opens.open) // it listens right after its list
		time.Sleep(2 * refetch)
		if a, b, c, d := which(t, r, mute), which(t, r, listens), which(t, r, none), which(t, r, late); a != "6" || b != "3" || c != "4" || d != "5" {
			t.Errorf("their calls go over connections %s, %s, %s and %s", a, b, c, d)
		}
		time.Sleep(2 * refetch)
		if n := which(t, r, mute); n != "6" {
			t.Errorf("then over %s", n)
		}
	})
}

// TestAClientIsToldThoughItsConnectionEnded right after it was listed to for the first time.
func TestAClientIsToldThoughItsConnectionEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, told := newShop().open(t, 1)
		a := from("A", "p", `{}`, nil)
		which(t, r, a)
		time.Sleep(refetch / 10)
		which(t, r, from("B", "p", `{"sampling":{}}`, nil)) // A's makes room; B sees what all see
		time.Sleep(10 * time.Second)
		if got, n := toolsOf(r.Own(a)), told(); got != "t" || n != 1 {
			t.Errorf("A sees %q, told %d times", got, n)
		}
	})
}

// TestAListThatFailsWaits before it begins another connection, also where that is for the list alone.
func TestAListThatFailsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peer{script: func(w *wire, m *jsonrpc.Message) error {
			if w.n > 1 && m.Method == mcp.Tools.List() {
				w.say(m, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"no"}}`)
				return nil
			}
			return saysWhich(w, m)
		}}
		r := perClient(t, p, 8)
		for range 60 {
			r.sees(t, from("", "p", `{"roots":{}}`, nil))
			time.Sleep(1100 * time.Millisecond)
		}
		if n := len(p.dialed()) - 1; n < 2 || n > 12 {
			t.Errorf("60 lists in 66 s made %d connections", n)
		}
	})
}
