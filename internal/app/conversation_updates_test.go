package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"mcpgateway/internal/gatetest"
)

// restarting is the library with a tool that ends the server's process or its connections.
func restarting() *gatetest.Server {
	s := gatetest.New("library")
	calls := s.Call
	s.Tools = append(s.Tools, gatetest.Tool("die"))
	s.Call = func(c *gatetest.Call) {
		if c.Name == "die" {
			go c.Server.DropSessions() // which waits for this call as well
			c.Server.EndListens()
			c.Die("")
			return
		}
		calls(c)
	}
	return s
}

// A subscriber is a client that follows some resources.
type subscriber struct {
	client
	follows []string
}

func (s *subscriber) heard(uri string) (n int) {
	for _, note := range s.Notes("notifications/resources/updated") {
		if string(gatetest.Member(note, "params", "uri")) == quoted(uri) {
			n++
		}
	}
	return n
}

func (s *subscriber) follow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	if s.stateless {
		raw, err := json.Marshal(append([]string{}, s.follows...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Listen(ctx, `{"resourceSubscriptions":`+string(raw)+`}`); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		return
	}
	for _, uri := range s.follows {
		do(t, s, "resources/subscribe", `{"uri":`+quoted(uri)+`}`)
	}
}

// Each client follows other resources of one server; an update reaches exactly those that
// follow it, in both eras, before and after the server was down.
func TestUpdatesReachExactlyTheSubscribers(t *testing.T) {
	const a, b = "file:///library/a.txt", "file:///library/b.png"
	follows := [][]string{{a}, {b}, {a, b}, nil}
	for at, server := range serverBindings {
		t.Run(server.name, func(t *testing.T) {
			g := start(t, servers("library", server.define(t, "restarting"))).ready()
			var every []*subscriber
			for i := range 10 {
				binding := clientBindings[i%len(clientBindings)]
				s := &subscriber{client: client{dialAs(t, g, binding, g.url, gatetest.Options{Revision: gatetest.Stateful}), binding, g}}
				s.follows = follows[(i/len(clientBindings)*2+i+at)%len(follows)]
				s.follow(t)
				every = append(every, s)
			}
			watcher := gatetest.DialStateless(t, g.url)
			touch := func(uri string) {
				t.Helper()
				if _, err := gatetest.CallTool(t.Context(), watcher, "library.touch", `{"uri":`+quoted(uri)+`}`); err != nil {
					t.Fatal(err)
				}
			}
			exactly := func(when string) {
				t.Helper()
				for _, s := range every {
					for _, uri := range []string{a, b} {
						follows := fmt.Sprint(s.follows) == fmt.Sprint([]string{uri}) || len(s.follows) == 2
						if heard := s.heard(uri) > 0; heard != follows {
							t.Errorf("%s: %s follows %q and heard of %s %d times", when, s.name, s.follows, uri, s.heard(uri))
						}
					}
					noStray(t, s)
				}
			}
			everybody := func(what string, beyond map[*subscriber]int, again func()) {
				t.Helper()
				within(t, 2*guard, what, func() bool {
					again()
					for _, s := range every {
						for _, uri := range s.follows {
							if s.heard(uri) <= beyond[s] {
								return false
							}
						}
					}
					return true
				})
			}
			touch(a)
			touch(b)
			everybody("the first updates", nil, func() {})
			exactly("before")

			_, _ = gatetest.CallTool(t.Context(), watcher, "library.die", `{}`)
			within(t, startTime, "the server to be back", func() bool {
				s := g.states()["library"]
				got, err := gatetest.CallTool(t.Context(), watcher, "library.touch", `{"uri":"`+a+`"}`)
				return s.State == "ready" && err == nil && got.Result != nil
			})
			before := map[*subscriber]int{}
			for _, s := range every {
				before[s] = max(s.heard(a), s.heard(b)) + 1 // one may come of the restart itself
			}
			everybody("updates after the restart", before, func() { touch(a); touch(b) })
			exactly("after")
		})
	}
}
