package gatetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func mustDo(t *testing.T, c Client, method, params string) *Answer {
	t.Helper()
	a, err := c.Do(within(t), method, params)
	if err != nil {
		t.Fatal(err)
	}
	if a.Result == nil {
		t.Fatalf("%s: %s", method, a.Raw)
	}
	return a
}

func TestListsArriveByteForByte(t *testing.T) {
	inEvery(t, "library", nil, func(t *testing.T, s *Server, c Client) {
		for method, pages := range map[string]int{"tools/list": 2, "prompts/list": 1, "resources/list": 2, "resources/templates/list": 1} {
			all, n, err := List(within(t), c, method)
			if err != nil || n != pages || !bytes.Equal(bytes.Join(rawSlices(all), nil), bytes.Join(rawSlices(s.have(method)), nil)) {
				t.Errorf("%s: %d pages, %v: %s", method, n, err, all)
			}
		}
	})
}

func TestTheLibraryIsRead(t *testing.T) {
	inEvery(t, "library", nil, func(t *testing.T, s *Server, c Client) {
		for _, want := range [][3]string{
			{"resources/read", `{"uri":"file:///library/a.txt"}`, `"text":"contents of file:///library/a.txt"`},
			{"resources/read", `{"uri":"file:///library/b.png"}`, `"mimeType":"image/png","blob":"Y29u`},
			{"resources/read", `{"uri":"file:///library/books/x"}`, `"uri":"file:///library/books/x"`},
			{"resources/read", `{"uri":"` + HiddenResource + `"}`, `"text":"contents of ` + HiddenResource},
			{"prompts/get", `{"name":"greet"}`, `"text":"greet"`},
			{"prompts/get", `{"name":"review","arguments":{"code":"é"}}`, `"text":"review {\"code\":\"é\"}"`},
			{"completion/complete", `{"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"code","value":"v"}}`, `"values":["v"]`},
			{"completion/complete", `{"ref":{"type":"ref/resource","uri":"library://{shelf}/{book}"},"argument":{"name":"shelf","value":"w"}}`, `"values":["w"]`},
			{"tools/call", `{"name":"link","arguments":{}}`, `"uri":"` + HiddenResource},
		} {
			if a := mustDo(t, c, want[0], want[1]); !strings.Contains(string(a.Result), want[2]) {
				t.Errorf("%s %s: %s", want[0], want[1], a.Raw)
			}
		}
		for _, wrong := range [][2]string{
			{"resources/read", `{"uri":"file:///none"}`}, {"prompts/get", `{"name":"none"}`}, {"prompts/get", `{"name":"review"}`},
			{"completion/complete", `{"ref":{"type":"ref/prompt","name":"none"},"argument":{"name":"code","value":"v"}}`},
		} {
			a, err := c.Do(within(t), wrong[0], wrong[1])
			want := codeParams
			if wrong[0] == "resources/read" && c.Revision() != Stateless {
				want = codeResource
			}
			if err != nil || string(field(a.Error, "code")) != want {
				t.Errorf("%s %s: %v, %v", wrong[0], wrong[1], a, err)
			}
		}
		noStray(t, c)
	})
}

// follow subscribes to a resource, in the era's own way.
func follow(t *testing.T, c Client, uri string) *Listening {
	t.Helper()
	if c.Revision() != Stateless {
		mustDo(t, c, "resources/subscribe", `{"uri":`+quote(uri)+`}`)
		return nil
	}
	l, err := c.Listen(within(t), `{"resourcesListChanged":true,"promptsListChanged":true,"resourceSubscriptions":[`+quote(uri)+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestUpdatesReachTheSubscribers(t *testing.T) {
	inEvery(t, "library", nil, func(t *testing.T, s *Server, c Client) {
		l := follow(t, c, "file:///library")
		if s.Subscribed("file:///library") != 1 {
			t.Errorf("%d subscribers", s.Subscribed("file:///library"))
		}
		for _, uri := range []string{"file:///other", "file:///library/a.txt", "file:///libraryx", "file:///library"} {
			mustCall(t, c, "touch", `{"uri":`+quote(uri)+`}`)
		}
		WaitFor(t, "the updates", func() bool { return len(c.Notes(resourceUpdated)) == 2 })
		for n, uri := range []string{"file:///library/a.txt", "file:///library"} {
			if got, _ := text(field(c.Notes(resourceUpdated)[n], "params", "uri")); got != uri {
				t.Errorf("%q, want %q", got, uri)
			}
		}
		if l == nil {
			mustDo(t, c, "resources/unsubscribe", `{"uri":"file:///library"}`)
		} else {
			l.Cancel()
		}
		WaitFor(t, "the end", func() bool { return s.Subscribed("file:///library") == 0 })
		mustCall(t, c, "touch", `{"uri":"file:///library"}`)
		if n := len(c.Notes(resourceUpdated)); n != 2 {
			t.Errorf("%d updates", n)
		}
		noStray(t, c)
	})
}

func TestAllListsTellTheirChanges(t *testing.T) {
	inEvery(t, "library", nil, func(t *testing.T, s *Server, c Client) {
		follow(t, c, "x://y")
		s.SetPrompts()
		s.SetResources(raws(`{"uri":"x://new","name":"new"}`)...)
		s.SetTemplates()
		s.SetTools(Tool("new"))
		WaitFor(t, "the changes", func() bool { return len(c.Notes("")) == 4 })
		if n := len(c.Notes("notifications/resources/list_changed")); n != 2 || len(c.ListChanged()) != 1 {
			t.Errorf("%d changes of resources, %d of tools", n, len(c.ListChanged()))
		}
		if all, _, err := List(within(t), c, "resources/list"); err != nil || len(all) != 1 {
			t.Errorf("%s, %v", all, err)
		}
		noStray(t, c)
	})
}

func TestFiltersAreHonoured(t *testing.T) {
	for _, w := range ways() {
		if w.o.Revision != Stateless {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			s := New("library")
			s.NoSubscribe, s.Extensions = true, `{"`+tasksExtension+`":{}}`
			w.o.NoListen = true
			c := w.dial(t, w.o, s)
			l, err := c.Listen(within(t), `{"toolsListChanged":false,"promptsListChanged":true,"resourceSubscriptions":["x:y"],"taskIds":["t1"]}`)
			if err != nil || string(l.Agreed()) != `{"promptsListChanged":true,"taskIds":["t1"]}` {
				t.Fatalf("%s, %v", l.Agreed(), err)
			}
			s.SetTools()
			s.Updated("x:y")
			s.TaskChanged(`{"taskId":"t2","status":"working"}`)
			s.TaskChanged(`{"taskId":"t1","status":"working"}`)
			s.SetPrompts()
			WaitFor(t, "the notes", func() bool { return len(l.Notes()) == 2 })
			s.EndListens()
			a, err := l.Wait(within(t))
			if err != nil || len(a.Notes) != 2 || len(c.Notes(taskChanged)) != 1 || len(c.ListChanged()) != 0 {
				t.Errorf("%v, %v: %s", a, err, c.Notes(""))
			}
			noStray(t, c)
		})
	}
}

func TestLogLinesComeAtTheirLevel(t *testing.T) {
	for _, level := range []string{"", "warning"} {
		inEvery(t, "logging", func(o *Options) { o.LogLevel = level }, func(t *testing.T, s *Server, c Client) {
			var own int
			for _, at := range []string{"debug", "warning", "emergency"} {
				own += len(mustCall(t, c, "log", `{"level":"`+at+`","text":"é"}`).Notes)
			}
			want := map[string]int{"": 0, "warning": 2}[level]
			if n := own + len(c.Notes("notifications/message")); n != want || own != n && c.(*core).http {
				t.Errorf("%d lines, %d of calls, want %d", n, own, want)
			}
			noStray(t, c)
		})
	}
}

func TestRulesOfTheNewMessages(t *testing.T) {
	for _, c := range []struct {
		name     string
		revision string
		raw      string // sent by the server
		result   string // that answers tools/call
	}{
		{"update without subscription", Stateful, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:y"}}`, ""},
		{"list_changed that is not declared", Stateful, `{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`, ""},
		{"log line that is not declared", Stateful, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`, ""},
		{"log line of no level", Stateless, `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":1}}`, ""},
		{"log line that was not asked for", Stateless, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`, ""},
		{"completion of no elicitation", Stateful, `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"x"}}`, ""},
		{"progress of no request", Stateful, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}`, ""},
		{"a request", Stateless, `{"jsonrpc":"2.0","id":5,"method":"roots/list"}`, ""},
		{"a change of no subscription", Stateless, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`, ""},
		{"a cancel", Stateless, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}`, ""},
		{"input of neither", Stateless, "", `{"resultType":"input_required"}`},
		{"input that was not declared", Stateless, "", `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`},
		{"input of another kind", Stateless, "", `{"resultType":"input_required","inputRequests":{"a":{"method":"ping"}}}`},
		{"a task", Stateless, "", `{"resultType":"task","taskId":"1"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Server{Name: "wrong", Tools: tools("x"), Call: func(call *Call) {
				if c.raw != "" {
					call.Raw(c.raw)
				}
				call.Result(c.result)
			}}
			if c.result == "" {
				c.result = `{"content":[]}`
			}
			client := Options{Revision: c.revision, Tolerant: true}.Connect(t, s)
			mustCall(t, client, "x", `{}`)
			if len(client.Faults()) != 1 {
				t.Errorf("faults: %q", client.Faults())
			}
		})
	}
}

func TestUndeclaredAndRemovedMethodsAreFaults(t *testing.T) {
	for _, revision := range []string{Stateful, Stateless} {
		s := New("echo")
		s.Tolerant = true
		c := Options{Revision: revision}.Connect(t, s)
		for _, method := range []string{"resources/subscribe", "logging/setLevel"} {
			a, err := c.Do(within(t), method, `{"uri":"x:y","level":"info"}`)
			if err != nil || string(field(a.Error, "code")) != codeMethod {
				t.Errorf("%s: %v, %v", method, a, err)
			}
		}
		if err := c.Notify("notifications/roots/list_changed", ""); err != nil {
			t.Fatal(err)
		}
		WaitFor(t, "the notification", func() bool { return s.Count("notifications/roots/list_changed") == 1 && len(s.Faults()) == 3 })
	}
}

func TestBothEndsSawTheSame(t *testing.T) {
	inEvery(t, "asking", func(o *Options) { o.OnAsk = answerer() }, func(t *testing.T, s *Server, c Client) {
		doAll(t, c, "roots", `{"tag":"x"}`)
		count := func(all []Seen, sent bool) map[string]int {
			n := map[string]int{}
			for _, m := range all {
				if m.Sent == sent {
					n[fmt.Sprint(m.Kind, " ", m.Method, " ", m.Revision, " ", m.Binding)]++
				}
			}
			return n
		}
		same := func(a, b map[string]int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
		end := time.Now().Add(guard)
		for ; time.Now().Before(end) && !same(count(s.Seen(), true), count(c.Seen(), false)); time.Sleep(time.Millisecond) {
		}
		for _, sent := range []bool{true, false} {
			if a, b := count(s.Seen(), sent), count(c.Seen(), !sent); !same(a, b) || len(a) < 2 {
				t.Errorf("server %v: %v\nclient: %v", sent, a, b)
			}
		}
	})
}
