package era_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// unwatched gives the resources that an error of Watch is about; "all" where it does not say.
func unwatched(err error) []string {
	var some era.Unwatched
	if err != nil && !errors.As(err, &some) {
		return []string{"all"}
	}
	return slices.Sorted(maps.Keys(some))
}

// set changes how the server answers what comes from now on.
func (l *listened) set(change func()) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// count is how many subscriptions the server was asked for.
func (l *listened) count() int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

// TestLeftOutOfAnAcknowledgement: what the server does not agree to is not watched, for this
// caller and the next one, and is asked for again. It need not say what it agrees to.
func TestLeftOutOfAnAcknowledgement(t *testing.T) {
	for agreed, want := range map[string][]string{
		``:                      nil,
		`"notifications":null,`: nil,
		`"notifications":{"resourceSubscriptions":["b","a","c"]},`: nil,
		`"notifications":{"resourceSubscriptions":["\u0061"]},`:    {"b", "c"},
		`"notifications":{"toolsListChanged":true},`:               {"a", "b", "c"},
	} {
		each(t, isStateless, func(t *testing.T, k kind) {
			l := newListened()
			ob := k.connect(t, l.wire)
			heard := hear(t, ob)
			l.set(func() { l.silent = true })
			done := make(chan error, 1)
			go func() { done <- ob.Watch(t.Context(), []string{"a", "b", "c"}) }()
			id := l.newest()
			l.note(id, mcp.NoteAcknowledged, agreed)
			if got := unwatched(<-done); !slices.Equal(got, want) {
				t.Errorf("%s leaves out %q, want %q", agreed, got, want)
			}
			if got := unwatched(ob.Watch(t.Context(), []string{"a", "b", "c"})); !slices.Equal(got, want) {
				t.Errorf("%s leaves out %q the next time", agreed, got)
			}
			if l.newest() != id {
				t.Error("it was asked for at once")
			}
			heard.take()
			l.set(func() { l.silent = false })
			time.Sleep(5 * time.Second)
			var late []string
			for _, uri := range want {
				late = append(late, `updated {"uri":"`+uri+`"}`)
			}
			if got := heard.take(); !slices.Equal(got, late) {
				t.Errorf("heard %q once all of it is watched", got)
			}
			if err := ob.Watch(t.Context(), []string{"a", "b", "c"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUnacknowledgedListenEnds: it holds up no later one, and the subscription before stays.
func TestUnacknowledgedListenEnds(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		if err := ob.Watch(t.Context(), []string{"a"}); err != nil {
			t.Fatal(err)
		}
		first := l.newest()
		heard.take()
		l.forget()
		l.set(func() { l.silent, l.ended = true, nil })
		if got := unwatched(ob.Watch(t.Context(), []string{"a", "b"})); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%q are not watched", got)
		}
		second := l.newest()
		if got := l.sent(mcp.NoteCancelled); !k.streams && !slices.Equal(got, []string{`notifications/cancelled {"requestId":` + second + `}`}) {
			t.Errorf("the server got %q", got)
		}
		if k.streams && len(l.ended) != 1 {
			t.Errorf("ended %q", l.ended)
		}
		l.note(first, mcp.NoteUpdated, `"uri":"a",`)
		if got := heard.take(); !slices.Equal(got, []string{`updated {"uri":"a"}`}) {
			t.Errorf("heard %q", got)
		}
		l.set(func() { l.silent = false })
		if err := ob.Watch(t.Context(), []string{"a", "c"}); err != nil {
			t.Error(err)
		}
		l.note(l.newest(), mcp.NoteUpdated, `"uri":"c",`)
		if got := heard.take(); !slices.Equal(got, []string{`updated {"uri":"c"}`}) {
			t.Errorf("heard %q", got)
		}
	})
}

// TestRefusedListenKeepsTheConnection: whoever refuses it over HTTP is there. A server that
// cannot be reached is given up.
func TestRefusedListenKeepsTheConnection(t *testing.T) {
	for _, c := range []struct {
		err  error
		lost bool
	}{
		{&transport.Status{Code: 501}, false}, {&transport.Status{Code: 404}, false}, {&transport.Status{Code: 502}, false},
		{fmt.Errorf("its JSON is none: %w", jsonrpc.ErrAnswer), false},
		{fmt.Errorf("dial: %w", transport.ErrUnreachable), true}, {fmt.Errorf("reset: %w", transport.ErrClosed), true},
	} {
		each(t, func(k kind) bool { return k.stateless && k.streams }, func(t *testing.T, k kind) {
			l := newListened()
			refused := 0
			l.fail = func(m *jsonrpc.Message) error {
				if m.Method != mcp.SubscriptionsListen || refused == 9 {
					return nil
				}
				refused++
				return c.err
			}
			ob := k.connect(t, l.wire)
			changed := make(chan mcp.Kind, 3)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- ob.Run(ctx, era.Ear{Changed: func(k mcp.Kind) { changed <- k }, Updated: func([]byte) {}, Note: func(string, []byte) {}})
			}()
			select {
			case <-changed: // it listens
				if c.lost || refused != 9 {
					t.Errorf("%v: the server was asked %d times", c.err, refused)
				}
				stop()
				<-ended
			case err := <-ended:
				stop()
				if !c.lost || !errors.Is(err, c.err) {
					t.Errorf("given up: %v", err)
				}
			}
		})
	}
}

// TestRefusedResourcesHarmNoOther: a server refuses a request as a whole, and does not say for
// which of the resources.
func TestRefusedResourcesHarmNoOther(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		watch := func(want []string, uris ...string) {
			t.Helper()
			if got := unwatched(ob.Watch(t.Context(), uris)); !slices.Equal(got, want) {
				t.Errorf("%q: %q are not watched, want %q", uris, got, want)
			}
			heard.take()
			for _, uri := range uris {
				if !slices.Contains(want, uri) && !strings.Contains(l.carried(), `"`+uri+`"`) {
					t.Errorf("%s is not carried", uri)
				}
			}
		}
		l.set(func() { l.bad = []string{"x", "y"} })
		watch([]string{"x"}, "x")
		watch([]string{"x", "y"}, "a", "b", "c", "x", "d", "e", "f", "g", "y", "h", "i", "j", "k", "l", "m")
		n := l.count()
		watch([]string{"x", "y"}, "a", "b", "c", "x", "d", "e", "f", "g", "y", "h", "i", "j", "k", "l", "m")
		watch(nil, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m")
		if l.count() != n {
			t.Error("the server was asked for what it carries")
		}
		l.set(func() { l.bad = []string{"b", "y"} }) // what it carried is gone
		watch([]string{"b"}, "a", "b", "c", "d", "x")
		watch([]string{"b", "y"}, "a", "b", "c", "d", "x", "y", "z")
		l.set(func() { l.bad = nil })
		time.Sleep(5 * time.Second)
		if got := heard.take(); !slices.Equal(got, []string{`updated {"uri":"b"}`, `updated {"uri":"y"}`}) {
			t.Errorf("heard %q once they are taken", got)
		}
		watch(nil, "a", "b", "c", "d", "x", "y", "z")
	})
}

// carried are the params of the last listen that was not refused.
func (l *listened) carried() string {
	id := l.newest()
	l.mu.Lock()
	for i := len(l.ids) - 1; l.says[id] == nil; i-- {
		id = l.ids[i]
	}
	l.mu.Unlock()
	for _, raw := range l.last(999) {
		if m, err := jsonrpc.Parse([]byte(raw), jsonrpc.ServerLimits); err == nil && m.Kind == jsonrpc.Request && string(m.ID) == id {
			return string(m.Params)
		}
	}
	return ""
}

// TestRefusalsAreBounded: a server that refuses many resources, or all, is asked a few times.
func TestRefusalsAreBounded(t *testing.T) {
	each(t, isStateless, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		hear(t, ob)
		var uris []string
		for i := range 1000 {
			uris = append(uris, fmt.Sprintf("u%03d", i))
		}
		l.set(func() { l.bad = uris })
		before := l.count()
		if got := unwatched(ob.Watch(t.Context(), uris)); !slices.Equal(got, uris) {
			t.Errorf("%d are not watched", len(got))
		}
		if n := l.count() - before; n > 65 {
			t.Errorf("the server was asked %d times", n)
		}
		l.set(func() { l.refuse = true })
		before = l.count()
		if got := unwatched(ob.Watch(t.Context(), uris[1:])); !slices.Equal(got, uris[1:]) {
			t.Errorf("%d are not watched", len(got))
		}
		if n := l.count() - before; n > 2 {
			t.Errorf("the server was asked %d times, though it refuses whatever it is asked", n)
		}
	})
}

// TestProgressWithoutAToken is of no call, and is not answered.
func TestProgressWithoutAToken(t *testing.T) {
	each(t, func(k kind) bool { return k.stateless && !k.streams }, func(t *testing.T, k kind) {
		l := newListened()
		ob := k.connect(t, l.wire)
		heard := hear(t, ob)
		id := l.newest()
		heard.take()
		l.forget()
		l.says[id](`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}`)
		l.says[id](`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1}}`)
		if got := heard.take(); !slices.Equal(got, []string{`notifications/progress {"progress":1}`}) {
			t.Errorf("heard %q", got)
		}
		if got := l.last(9); len(got) != 0 {
			t.Errorf("the server got %q", got)
		}
	})
}
