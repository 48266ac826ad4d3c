package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// MaxAnswer is the bound on one answer that the transport under test must be given.
const MaxAnswer = 2 << 20

// guard is how long anything in the suite may take.
const guard = 5 * time.Second

// Run plays the suite. start starts a fresh server that plays the script, ends it with the
// test, and gives the way to it. Each test checks that no goroutine is left.
func Run(t *testing.T, start func(t *testing.T, s Server) transport.Dialer) {
	tests := []struct {
		name, script string
		test         func(t *testing.T, conn transport.Conn)
	}{
		{"Echo", "echo", testEcho},
		{"OneMegabyte", "echo", testOneMegabyte},
		{"NotesComeInOrderBeforeTheAnswer", "notes", testNotes},
		{"ShuffledAnswersReachTheirCalls", "shuffle", testShuffle},
		{"ContextEndsDo", "silent", testContext},
		{"EndedContextSendsNothing", "silent", testEndedContext},
		{"SendAndEvents", "told", testEvents},
		{"StrayAnswersAreDropped", "stray", testStray},
		{"UnacceptableAnswersFailAtOnce", "broken", testBroken},
		{"CloseEndsEverything", "silent", testClose},
		{"CloseUnderLoad", "echo", testCloseUnderLoad},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			dialer := start(t, Scripts[tt.script])
			conn, err := dialer.Dial(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := conn.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			tt.test(t, conn)
		})
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	t.Cleanup(cancel)
	return ctx
}

// request makes a call; params may be empty.
func request(id int, method, params string) transport.Message {
	token := fmt.Append(nil, id)
	var raw []byte
	if params != "" {
		raw = []byte(params)
	}
	return transport.Message{ID: token, Body: jsonrpc.AppendRequest(nil, token, method, raw)}
}

func do(t *testing.T, conn transport.Conn, m transport.Message) *jsonrpc.Message {
	t.Helper()
	answer, err := conn.Do(bounded(t), m, nil)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	return answer
}

// within polls until ok, with the suite's guard.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(guard); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", guard, what)
		}
	}
}

func testEcho(t *testing.T, conn transport.Conn) {
	for i, params := range []string{`{}`, `{"n":9007199254740993,"b":1.0,"a":"\ud83d\ude00"}`, "{\n\t\"a\": [1,\r\n2]\n}"} {
		answer := do(t, conn, request(i, "echo", params))
		if answer.Kind != jsonrpc.Response || string(answer.ID) != fmt.Sprint(i) {
			t.Fatalf("answer %s", answer.Raw)
		}
		got, want := answer.Result, []byte(params)
		if i == 2 { // line ends between tokens may change
			var a, b bytes.Buffer
			if json.Compact(&a, got) != nil || json.Compact(&b, want) != nil {
				t.Fatalf("result %s", got)
			}
			got, want = a.Bytes(), b.Bytes()
		}
		if !bytes.Equal(got, want) {
			t.Errorf("result %s, want %s", got, want)
		}
	}
	text := transport.Message{ID: []byte(`"a-\u00e9"`), Body: []byte(`{"jsonrpc":"2.0","id":"a-\u00e9","method":"echo","params":{}}`)}
	if answer := do(t, conn, text); string(answer.ID) != `"a-\u00e9"` {
		t.Errorf("id %s", answer.ID)
	}
}

func testOneMegabyte(t *testing.T, conn transport.Conn) {
	params := `{"text":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`
	if answer := do(t, conn, request(1, "echo", params)); string(answer.Result) != params {
		t.Errorf("%d bytes came back, %d were sent", len(answer.Result), len(params))
	}
}

func testNotes(t *testing.T, conn transport.Conn) {
	var calls sync.WaitGroup
	for id := range 4 {
		calls.Go(func() {
			var got []string // without a lock: on is called on one goroutine, and before Do returns
			answer, err := conn.Do(bounded(t), request(id, "notes", ""), func(m *jsonrpc.Message) {
				got = append(got, string(rawjson.Get(m.Params, "progressToken"))+"/"+string(rawjson.Get(m.Params, "progress")))
			})
			if err != nil || answer.Kind != jsonrpc.Response {
				t.Errorf("call %d: %v", id, err)
				return
			}
			var want []string
			for i := range Notes {
				want = append(want, fmt.Sprintf("%d/%d", id, i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("call %d got %q", id, got)
			}
		})
	}
	calls.Wait()
}

func testShuffle(t *testing.T, conn transport.Conn) {
	const rounds = 20
	var next atomic.Int64
	var callers sync.WaitGroup
	for caller := range Together {
		callers.Go(func() {
			for round := range rounds {
				nonce := fmt.Sprintf(`{"nonce":"%d-%d"}`, caller, round)
				id := int(next.Add(1))
				answer, err := conn.Do(bounded(t), request(id, "hold", nonce), nil)
				if err != nil {
					t.Errorf("%s: %v", nonce, err)
					return
				}
				if string(answer.Result) != nonce || string(answer.ID) != fmt.Sprint(id) {
					t.Errorf("%s with id %d got %s", nonce, id, answer.Raw)
				}
			}
		})
	}
	callers.Wait()
}

type counts struct{ Got, Gone int }

func count(t *testing.T, conn transport.Conn) (c counts) {
	t.Helper()
	if err := json.Unmarshal(do(t, conn, request(1000, "count", "")).Result, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func testContext(t *testing.T, conn transport.Conn) {
	ctx, cancel := context.WithCancel(bounded(t))
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Do(ctx, request(1, "wait", ""), nil)
		failed <- err
	}()
	within(t, "the server has the call", func() bool { return count(t, conn).Got == 1 })
	cancel()
	select {
	case err := <-failed:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Do: %v", err)
		}
	case <-time.After(guard):
		t.Fatal("Do waits on")
	}
	if conn.OwnStream() {
		within(t, "the server sees that nobody waits", func() bool { return count(t, conn).Gone == 1 })
	}
	if conn.Err() != nil {
		t.Errorf("the connection ended: %v", conn.Err())
	}
}

func testEndedContext(t *testing.T, conn transport.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	if _, err := conn.Do(ctx, request(1, "wait", ""), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do: %v", err)
	}
	if c := count(t, conn); c.Got != 0 {
		t.Errorf("the server got %d messages", c.Got)
	}
}

func testEvents(t *testing.T, conn transport.Conn) {
	do(t, conn, request(1, "open", ""))
	conn.Listen()
	const sent = 20
	for i := range sent {
		body := jsonrpc.AppendNotification(nil, "tell", fmt.Appendf(nil, `{"i":%d}`, i))
		if err := conn.Send(bounded(t), transport.Message{Body: body}); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
	if err := conn.Send(bounded(t), transport.Message{Body: []byte(`{"jsonrpc":"2.0","id":"q","result":{"i":"answer"}}`)}); err != nil {
		t.Fatalf("Send: %v", err)
	}
	// The script handles messages side by side, so that the order among them is open.
	seen, questions := map[string]int{}, 0
	for range 2*sent + 1 {
		select {
		case ev, open := <-conn.Events():
			switch {
			case !open || ev.Lost:
				t.Fatalf("event %+v, open: %v", ev, open)
			case ev.Message.Kind == jsonrpc.Request:
				questions++
			default:
				seen[string(rawjson.Get(ev.Message.Params, "i"))]++
			}
		case <-time.After(guard):
			t.Fatalf("after %v and %d questions nothing more came", seen, questions)
		}
	}
	if len(seen) != sent+1 || questions != sent {
		t.Errorf("events %v and %d questions", seen, questions)
	}
}

func testStray(t *testing.T, conn transport.Conn) {
	for id := 1; id <= 3; id++ {
		if answer := do(t, conn, request(id, "stray", "")); string(answer.Result) != `{"right":true}` {
			t.Errorf("answer %s", answer.Raw)
		}
	}
}

func testBroken(t *testing.T, conn transport.Conn) {
	for id, kind := range []string{"syntax", "utf8", "both", "neither", "deep", "long"} {
		_, err := conn.Do(bounded(t), request(id, kind, ""), nil)
		if !errors.Is(err, jsonrpc.ErrAnswer) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	do(t, conn, request(99, "fine", ""))
}

func testClose(t *testing.T, conn transport.Conn) {
	failed := make(chan error, 10)
	for id := range cap(failed) {
		go func() {
			_, err := conn.Do(context.Background(), request(id, "wait", ""), nil)
			failed <- err
		}()
	}
	within(t, "the server has the calls", func() bool { return count(t, conn).Got == cap(failed) })
	conn.Listen()
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := conn.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	closers.Wait()
	for range cap(failed) {
		select {
		case err := <-failed:
			if !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Do: %v", err)
			}
		case <-time.After(guard):
			t.Fatal("a call waits on")
		}
	}
	ended(t, conn)
}

// ended checks a Conn that was closed.
func ended(t *testing.T, conn transport.Conn) {
	t.Helper()
	for {
		if _, open := <-conn.Events(); !open {
			break
		}
	}
	if err := conn.Err(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Err: %v", err)
	}
	if _, err := conn.Do(bounded(t), request(1, "wait", ""), nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	note := transport.Message{Body: jsonrpc.AppendNotification(nil, "note", nil)}
	if err := conn.Send(bounded(t), note); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	conn.Listen()
}

func testCloseUnderLoad(t *testing.T, conn transport.Conn) {
	ctx := bounded(t)
	var answered atomic.Int64
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				answer, err := conn.Do(ctx, request(caller+8*i, "echo", fmt.Sprintf(`{"i":%d}`, i)), nil)
				if err != nil {
					if !errors.Is(err, transport.ErrClosed) {
						t.Errorf("Do: %v", err)
					}
					return
				}
				if string(answer.Result) != fmt.Sprintf(`{"i":%d}`, i) {
					t.Errorf("answer %s", answer.Raw)
				}
				answered.Add(1)
			}
		})
	}
	within(t, "calls are answered", func() bool { return answered.Load() > 50 })
	_ = conn.Close()
	callers.Wait()
	ended(t, conn)
}
