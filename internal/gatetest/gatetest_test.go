package gatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// bindings pair each client with the server of the same binding.
var bindings = []struct {
	name string
	dial func(t *testing.T, s *Server) Client
}{
	{"stateful HTTP", func(t *testing.T, s *Server) Client { return DialStateful(t, StartStateful(t, s)) }},
	{"stateless HTTP", func(t *testing.T, s *Server) Client { return DialStateless(t, StartStateless(t, s)) }},
	{"SSE", func(t *testing.T, s *Server) Client { return DialSSE(t, StartSSE(t, s)) }},
	{"stateful stdio", func(t *testing.T, s *Server) Client { return dialLines(t, s, false) }},
	{"stateless stdio", func(t *testing.T, s *Server) Client { return dialLines(t, s, true) }},
}

func dialLines(t *testing.T, s *Server, stateless bool) Client {
	o := Options{}
	if stateless {
		o.Revision = Stateless
	}
	return o.Connect(t, s)
}

func everywhere(t *testing.T, script string, f func(t *testing.T, s *Server, c Client)) {
	for _, b := range bindings {
		t.Run(b.name, func(t *testing.T) {
			s := New(script)
			f(t, s, b.dial(t, s))
		})
	}
}

func mustCall(t *testing.T, c Client, name, arguments string) *Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	a, err := CallTool(ctx, c, name, arguments)
	if err != nil {
		t.Fatal(err)
	}
	if a.Result == nil {
		t.Fatalf("%s: %s", name, a.Raw)
	}
	return a
}

func noStray(t *testing.T, c Client) {
	t.Helper()
	if s := c.Stray(); len(s) > 0 {
		t.Errorf("stray: %s", bytes.Join(rawSlices(s), []byte("\n")))
	}
}

func rawSlices[T ~[]byte](in []T) (out [][]byte) {
	for _, b := range in {
		out = append(out, b)
	}
	return out
}

// odd are argument objects that survive only where nobody decodes and encodes them.
var odd = []string{
	`{}`,
	`{"z":1,"a":{"y":[],"b":{}},"m":null}`,
	`{"n":1234567890123456789,"f":1.0,"e":1e400,"m":-0.0,"x":1E+2}`,
	`{"":"","s":"","u":"\u0000\u001f\/\u00e9é","emoji":"🦊👩‍👩‍👧 \ud83e\udd8a","html":"<&>"}`,
	`{ "spaces" : [ 1 ,2 ] , "_meta":{"a":1}, "result_":[{"type":"x-unknown","resultType":7}]}`,
	`{"deep":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	`{"big":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`,
}

func TestArgumentsArriveByteForByte(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		for _, arguments := range odd {
			if got := FirstText(mustCall(t, c, "raw", arguments)); got != arguments {
				t.Errorf("got %.300s, want %.300s", got, arguments)
			}
		}
		noStray(t, c)
	})
}

func TestResultMembersReturnByteForByte(t *testing.T) {
	members := `"zz":{"n":1234567890123456789,"f":1.0,"e":1e400},"cut":"\ud83d","nul":"\u0000","content":[{"type":"x-unknown","":"","data":"🦊"}],"structuredContent":[1.0]`
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		_, stateless := c.(*core).wire.(*statelessHTTP)
		stateless = stateless || c.(*core).stateless
		for _, big := range []string{"", `,"big":"` + strings.Repeat("x", 1<<20) + `"`} {
			want := "{" + members + big + "}"
			a := mustCall(t, c, "echo", `{"result":`+want+`}`)
			if stateless {
				want = want[:len(want)-1] + `,"resultType":"complete"}`
			}
			if string(a.Result) != want {
				t.Errorf("got %.400s, want %.400s", a.Result, want)
			}
		}
	})
}

func TestParamsGoOutAsGiven(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		params := `{ "x":1.0,"arguments":{"b":1,"a":2},"_meta":{"com.example/k":1e400,"traceparent":"00-x"},"name":"params","later":[ ]}`
		a, err := c.Do(t.Context(), "tools/call", params)
		if err != nil {
			t.Fatal(err)
		}
		want := params
		if c.(*core).stateless {
			meta := `{"com.example/k":1e400,"traceparent":"00-x"`
			want = strings.Replace(params, meta, meta+`,"`+metaVersion+`":"`+Stateless+`","`+metaClientInfo+`":`+clientInfo+`,"`+metaCapabilities+`":{}`, 1)
		}
		if got := FirstText(a); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

func TestDefinitionsArriveByteForByte(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		tools, pages, err := ListTools(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.Join(rawSlices(tools), nil), bytes.Join(rawSlices(s.Tools), nil)) || pages != 1 {
			t.Errorf("%d pages: %s", pages, tools)
		}
	})
}

func TestProgressComesInOrderBeforeTheAnswer(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		a, err := c.Do(t.Context(), "tools/call", `{"name":"progress","arguments":{"count":1000},"_meta":{"progressToken":"tök\u0065n"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Notes) != 1000 {
			t.Fatalf("%d notes", len(a.Notes))
		}
		for i, n := range a.Notes {
			if want := notification("notifications/progress", fmt.Sprintf(`{"progressToken":"tök\u0065n","progress":%d,"total":1000}`, i+1)); string(n) != want {
				t.Fatalf("note %d: %s", i, n)
			}
		}
		noStray(t, c)
	})
}

func TestNoTokenNoProgress(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		if a := mustCall(t, c, "progress", `{"count":5}`); len(a.Notes) != 0 {
			t.Errorf("notes: %s", a.Notes)
		}
		noStray(t, c)
	})
}

func TestCancelReachesTheServerAndNothingFollows(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		p := c.Start("tools/call", `{"name":"hang","arguments":{},"_meta":{"progressToken":7}}`)
		WaitFor(t, "the call to hang", func() bool { return len(p.Notes()) == 1 && s.Count("hanging") == 1 })
		p.Cancel()
		p.Cancel()
		if _, err := p.Wait(t.Context()); !errors.Is(err, ErrCanceled) {
			t.Errorf("Wait: %v", err)
		}
		WaitFor(t, "the cancel", func() bool { return s.Count("cancels") == 1 })
		if got := FirstText(mustCall(t, c, "cancels", `{}`)); got != "1" {
			t.Errorf("cancels: %s", got)
		}
		if n := s.Count("answers"); n != 1 {
			t.Errorf("%d answers", n)
		}
		noStray(t, c)
	})
}

func TestDeadlineCancels(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for s.Count("hanging") == 0 && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		if _, err := CallTool(ctx, c, "hang", `{}`); !errors.Is(err, context.Canceled) {
			t.Errorf("Do: %v", err)
		}
		WaitFor(t, "the cancel", func() bool { return s.Count("cancels") == 1 })
	})
}

func TestEveryChangeIsTold(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		for i := range 3 {
			s.SetTools(Tool(fmt.Sprint("new", i)))
		}
		for i := range 3 {
			select {
			case <-c.ListChanged():
			case <-time.After(guard):
				t.Fatalf("list_changed %d did not come", i)
			}
		}
		tools, _, err := ListTools(t.Context(), c)
		if err != nil || len(tools) != 1 || string(tools[0]) != string(Tool("new2")) {
			t.Errorf("%s, %v", tools, err)
		}
		noStray(t, c)
	})
}

func TestPagesAreFollowed(t *testing.T) {
	for script, want := range map[string][2]int{"many": {250, 25}, "blank": {4, 2}} {
		everywhere(t, script, func(t *testing.T, s *Server, c Client) {
			tools, pages, err := ListTools(t.Context(), c)
			if err != nil || [2]int{len(tools), pages} != want {
				t.Errorf("%d tools in %d pages, %v", len(tools), pages, err)
			}
			if got := FirstText(mustCall(t, c, "t002", `{}`)); got != "t002" {
				t.Errorf("t002 says %q", got)
			}
		})
	}
}

func TestLoopNeverEnds(t *testing.T) {
	everywhere(t, "loop", func(t *testing.T, s *Server, c Client) {
		tools, _, err := ListTools(t.Context(), c)
		if err == nil || len(tools) != 3 {
			t.Errorf("%d tools, %v", len(tools), err)
		}
	})
}

func TestShuffledAnswersFindTheirCalls(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		var all sync.WaitGroup
		for w := range 20 {
			all.Go(func() {
				for i := range 25 {
					nonce := fmt.Sprintf("%d/%d", w, i)
					a, err := CallTool(t.Context(), c, "nonce", `{"nonce":`+quote(nonce)+`}`)
					if err != nil || FirstText(a) != nonce {
						t.Errorf("%s: %v %v", nonce, a, err)
						return
					}
				}
			})
		}
		all.Wait()
		noStray(t, c)
	})
}

func TestUnknownToolAndMethod(t *testing.T) {
	everywhere(t, "echo", func(t *testing.T, s *Server, c Client) {
		for method, code := range map[string]string{"tools/call": codeParams, "x/unknown": codeMethod} {
			a, err := c.Do(t.Context(), method, `{"name":"no such"}`)
			if err != nil || string(field(a.Error, "code")) != code {
				t.Errorf("%s: %v, %v", method, a, err)
			}
		}
	})
}

func TestStrangersAreStray(t *testing.T) {
	everywhere(t, "rude", func(t *testing.T, s *Server, c Client) {
		for _, tool := range []string{"unknown_id", "stranger", "twice"} {
			mustCall(t, c, tool, `{}`)
		}
		WaitFor(t, "the strays", func() bool { return len(c.Stray()) >= 3 })
		c.(*core).mu.Lock()
		c.(*core).faults = nil // those are what this test is about
		c.(*core).mu.Unlock()
	})
}

func TestDeathIsAnError(t *testing.T) {
	everywhere(t, "dying", func(t *testing.T, s *Server, c Client) {
		a, err := CallTool(t.Context(), c, "die_in_answer", `{}`)
		if err == nil {
			t.Errorf("an answer from the dead: %s", a.Raw)
		}
		c.(*core).mu.Lock()
		c.(*core).faults = nil // the unfinished line
		c.(*core).mu.Unlock()
	})
}

func TestStdioByReexecution(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		t.Run(fmt.Sprint("stateless=", stateless), func(t *testing.T) {
			command, args, env := StdioCommand("growing", stateless)
			cmd, out, in := spawn(t, command, args, env)
			c := Pipe(t, out, in, stateless)
			if len(Processes()) != 1 {
				t.Errorf("processes: %q", Processes())
			}
			mustCall(t, c, "grow", `{}`)
			select {
			case <-c.ListChanged():
			case <-time.After(guard):
				t.Error("no list_changed")
			}
			c.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// spawn starts a program on two pipes.
func spawn(t *testing.T, command string, args []string, env map[string]string) (cmd *exec.Cmd, out io.Reader, in io.WriteCloser) {
	t.Helper()
	cmd = exec.Command(command, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ(env)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out, in
}

func environ(env map[string]string) (all []string) {
	for k, v := range env {
		all = append(all, k+"="+v)
	}
	return all
}
