package stateful

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

const (
	all    = `{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{}}`
	form   = `{"message":"m","requestedSchema":{}}`
	newest = "2025-11-25"
)

// An asked is how one question ended.
type asked struct {
	result string
	err    error
}

// A trial is one call of a session in which the server asks.
type trial struct {
	b    *Inbound
	s    *session.Session
	out  *told
	back mcp.Back        // of the call
	ctx  context.Context // of the call
	over chan string     // the call's answer
	stop func()          // ends the server's work on the call
}

// ask puts a question of the server.
func (c *trial) ask(ctx context.Context, method, params string) <-chan asked {
	done := make(chan asked, 1)
	go func() {
		result, err := c.back.Ask(ctx, method, []byte(params))
		done <- asked{string(result), err}
	}()
	return done
}

// answer is the client's, to the question with this id.
func (c *trial) answer(t *testing.T, id, rest string) {
	t.Helper()
	if got := send(t, c.b, c.s, c.out, `{"jsonrpc":"2.0","id":`+id+`,`+rest+`}`); got != "" {
		t.Errorf("an answer is answered: %s", got)
	}
}

// finish lets the server answer the call, and gives what the client gets.
func (c *trial) finish() string {
	c.stop()
	return <-c.over
}

// begin starts a call with id 1, whose result will be this one.
func begin(t *testing.T, s *session.Session, result string) *trial {
	t.Helper()
	c := &trial{s: s, out: newTold(), over: make(chan string, 1)}
	working, work := make(chan struct{}), make(chan struct{})
	c.stop = sync.OnceFunc(func() { close(work) })
	c.b = NewInbound(era.Params{Feed: newFeed(), Presence: presence{}, Handler: mcp.HandlerFunc(func(ctx context.Context, call *mcp.Call) (*mcp.Reply, error) {
		c.back, c.ctx = call.Back, ctx
		close(working)
		select {
		case <-work:
			return &mcp.Reply{Result: []byte(result)}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})}, nil)
	open := s.Calls.Begin(s.Context(), []byte("1"))
	in := &era.Incoming{Message: message(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`), Out: c.out, Session: s}
	go func() {
		a := c.b.Serve(open.Context, in)
		if !open.Finish() {
			a.Body = nil
		}
		c.over <- string(a.Body)
	}()
	<-working
	return c
}

// asks is how a client sees one.
func asks(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params)
}

func withdrawn(id int, reason string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":%q}}`, id, reason)
}

const done = `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`

// TestAnswersReachTheServer as the client gave them, whatever it decided.
func TestAnswersReachTheServer(t *testing.T) {
	for _, c := range []struct{ method, params, answer, want string }{
		{mcp.Elicit, form, `{"action":"accept","content":{"n":1.0}}`, ""},
		{mcp.Elicit, form, `{"action":"decline"}`, ""},
		{mcp.Elicit, form, `{"action":"cancel","_meta":{"x/y":1e400}}`, ""},
		{mcp.CreateMessage, `{"messages":[],"maxTokens":1.0}`, `{"role":"assistant","content":{}}`, ""},
		{mcp.RootsList, `{}`, `{"roots":[]}`, ""},
		{mcp.RootsList, `{"_meta":{"progressToken":7,"x/y":1.0}}`, `{"roots":[]}`, `{"_meta":{"x/y":1.0}}`}, // the token is of the server's hop
	} {
		synctest.Test(t, func(t *testing.T) {
			call := begin(t, opened(t, newest, all), `{"content":[]}`)
			end := call.ask(call.ctx, c.method, c.params)
			synctest.Wait()
			if c.want == "" {
				c.want = c.params
			}
			call.out.want(t, asks(1, c.method, c.want))
			call.answer(t, "1", `"result":`+c.answer)
			if got := <-end; got.err != nil || got.result != c.answer {
				t.Errorf("%s: the server gets %s, %v", c.answer, got.result, got.err)
			}
			if got := call.finish(); got != done {
				t.Error(got)
			}
			call.out.want(t, asks(1, c.method, c.want))
		})
	}
}

// TestAClientsErrorIsRemote, and an answer that is none is an error of ours.
func TestAClientsErrorIsRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := begin(t, opened(t, newest, all), `{"content":[]}`)
		end := call.ask(call.ctx, mcp.Elicit, form)
		synctest.Wait()
		call.answer(t, "1", `"error":{"code":-1,"message":"User rejected","data":1.0}`)
		var remote *mcp.Remote
		if got := <-end; !errors.As(got.err, &remote) || string(remote.Raw) != `{"code":-1,"message":"User rejected","data":1.0}` || remote.Number != -1 {
			t.Errorf("the server gets %v", got.err)
		}
		for i, m := range []*jsonrpc.Message{{Kind: jsonrpc.Response}, {Kind: jsonrpc.Response, Result: []byte("[]")}} {
			end = call.ask(call.ctx, mcp.Elicit, form)
			synctest.Wait()
			m.ID = fmt.Append(nil, i+2)
			call.b.Serve(t.Context(), &era.Incoming{Message: m, Out: call.out, Session: call.s})
			if got := <-end; code(got.err) != mcp.Internal || !strings.Contains(got.err.Error(), "not acceptable") {
				t.Errorf("the server gets %v", got.err)
			}
		}
		call.finish()
	})
}

func code(err error) mcp.Code {
	var e *mcp.Error
	if !errors.As(err, &e) {
		return -1
	}
	return e.Code
}

// TestWhoCannotAnswerIsNotAsked.
func TestWhoCannotAnswerIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := begin(t, opened(t, newest, `{"elicitation":{}}`), `{"content":[]}`)
		if got := <-call.ask(call.ctx, mcp.CreateMessage, `{"messages":[]}`); code(got.err) != mcp.UnknownMethod {
			t.Errorf("%v", got.err)
		}
		if got := <-call.ask(call.ctx, mcp.Elicit, `{"mode":"url","url":"x:","message":"m"}`); code(got.err) != mcp.InvalidParams {
			t.Errorf("%v", got.err)
		}
		call.finish()
		call.out.want(t)
	})
}

// TestQuestionsAreWithdrawn when nobody waits for the answer any more, and an answer that
// comes all the same is ignored.
func TestQuestionsAreWithdrawn(t *testing.T) {
	ask := asks(1, mcp.Elicit, form)
	for name, c := range map[string]struct {
		act    func(*trial, context.CancelFunc)
		reason string // empty where the client is told nothing
		code   mcp.Code
	}{
		"by the server":  {func(_ *trial, stop context.CancelFunc) { stop() }, "the server withdrew the question", -1},
		"by time":        {func(*trial, context.CancelFunc) { time.Sleep(10 * time.Minute) }, "there was no answer in time", mcp.TimedOut},
		"by the answer":  {func(c *trial, _ context.CancelFunc) { c.finish() }, "the call has ended", mcp.Internal},
		"by the session": {func(c *trial, _ context.CancelFunc) { c.s.End() }, "the call has ended", mcp.Internal},
		"by the client":  {func(c *trial, _ context.CancelFunc) { c.s.Calls.Cancel([]byte("1")) }, "", mcp.Internal},
	} {
		synctest.Test(t, func(t *testing.T) {
			call := begin(t, opened(t, newest, all), `{"content":[]}`)
			ctx, stop := context.WithCancel(context.WithoutCancel(call.ctx))
			defer stop()
			end := call.ask(ctx, mcp.Elicit, form)
			synctest.Wait()
			call.out.want(t, ask)
			time.Sleep(10*time.Minute - time.Second)
			call.out.want(t, ask)
			c.act(call, stop)
			if got := <-end; got.err == nil || code(got.err) != c.code {
				t.Errorf("%s: the server gets %q, %v", name, got.result, got.err)
			}
			synctest.Wait()
			want := []string{ask}
			if c.reason != "" {
				want = append(want, withdrawn(1, c.reason))
			}
			call.out.want(t, want...)
			call.answer(t, "1", `"result":{"action":"accept"}`)
			if call.s.Questions.Strays() != 1 || call.s.Questions.Open() != 0 {
				t.Errorf("%s: %d late answers, %d questions open", name, call.s.Questions.Strays(), call.s.Questions.Open())
			}
			call.stop()
			call.out.want(t, want...)
		})
	}
}

// TestAQuestionAfterTheCallReachesNobody: after its answer, or its cancellation.
func TestAQuestionAfterTheCallReachesNobody(t *testing.T) {
	for name, act := range map[string]func(*trial){
		"answered":  func(c *trial) { c.finish() },
		"cancelled": func(c *trial) { c.s.Calls.Cancel([]byte("1")) },
		"over":      func(c *trial) { c.s.End() },
	} {
		synctest.Test(t, func(t *testing.T) {
			call := begin(t, opened(t, newest, all), `{"content":[]}`)
			act(call)
			synctest.Wait()
			if got := <-call.ask(context.Background(), mcp.Elicit, form); got.err == nil {
				t.Errorf("%s: the client answered %s", name, got.result)
			}
			call.stop()
			call.out.want(t)
		})
	}
}

// TestURLsGetIDs towards the revision that wants them, and the client is told the end of
// those that it opened.
func TestURLsGetIDs(t *testing.T) {
	const url = `{"mode":"url","url":"https://a","message":"m"}`
	for name, c := range map[string]struct {
		revision, params, action, result string
		minted, told                     bool
	}{
		"accepted":    {newest, url, "accept", `{"content":[]}`, true, true},
		"declined":    {newest, url, "decline", `{"content":[]}`, true, false},
		"failed":      {newest, url, "accept", `{"content":[],"isError":true}`, true, false},
		"own id":      {newest, `{"mode":"url","elicitationId":"theirs","url":"https://a","message":"m"}`, "accept", `{"content":[]}`, false, false},
		"form":        {newest, form, "accept", `{"content":[]}`, false, false},
		"an older":    {"2025-06-18", url, "accept", `{"content":[]}`, false, false},
		"an old form": {"2025-06-18", `{"mode":"form","message":"m"}`, "accept", `{"content":[]}`, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := opened(t, c.revision, all)
			call := begin(t, s, c.result)
			end := call.ask(call.ctx, mcp.Elicit, c.params)
			sent := <-call.out.asked
			call.answer(t, "1", `"result":{"action":"`+c.action+`"}`)
			<-end
			id, minted := strings.CutPrefix(string(sent.Params), c.params[:len(c.params)-1]+`,"elicitationId":"`)
			id, _ = strings.CutSuffix(id, `"}`)
			if minted != c.minted || (minted && len(id) < 26) || (!minted && string(sent.Params) != c.params) {
				t.Errorf("%s: asked %s", name, sent.Params)
			}
			if len(s.TakeNews()) != 0 {
				t.Errorf("%s: the end is told before it", name)
			}
			call.finish()
			news := s.TakeNews()
			if (len(news) == 1) != c.told || c.told && (news[0].Method != mcp.NoteElicited || string(news[0].Params) != `{"elicitationId":"`+id+`"}`) {
				t.Errorf("%s: the news is %s", name, news)
			}
		})
	}
}

// TestTooManyQuestions of one session are refused, and the call goes on.
func TestTooManyQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := begin(t, opened(t, newest, all), `{"content":[]}`)
		for range 256 {
			call.ask(call.ctx, mcp.RootsList, `{}`)
		}
		synctest.Wait()
		if got := <-call.ask(call.ctx, mcp.RootsList, `{}`); code(got.err) != mcp.Overloaded {
			t.Errorf("%v", got.err)
		}
		if got := call.finish(); got != done || call.s.Questions.Open() != 0 {
			t.Errorf("%s, and %d questions are open", got, call.s.Questions.Open())
		}
		synctest.Wait()
	})
}

// TestSessionsNeverCross: clients that are asked under the same ids at the same time each
// answer their own server, and cannot answer another's.
func TestSessionsNeverCross(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 50 {
		call := begin(t, opened(t, newest, all), `{"content":[]}`)
		other := opened(t, newest, all)
		wg.Go(func() {
			for n := range 20 {
				want := fmt.Sprintf(`{"action":"accept","content":{"of":"%d.%d"}}`, i, n)
				end := call.ask(call.ctx, mcp.Elicit, form)
				q := <-call.out.asked
				if string(q.ID) != fmt.Sprint(n+1) {
					t.Errorf("the id is %s", q.ID)
				}
				forged := &jsonrpc.Message{Kind: jsonrpc.Response, ID: q.ID, Result: []byte(`{"action":"forged"}`)}
				call.b.Serve(context.Background(), &era.Incoming{Message: forged, Out: call.out, Session: other})
				real := &jsonrpc.Message{Kind: jsonrpc.Response, ID: q.ID, Result: []byte(want)}
				call.b.Serve(context.Background(), &era.Incoming{Message: real, Out: call.out, Session: call.s})
				if got := <-end; got.err != nil || got.result != want {
					t.Errorf("the server gets %s, %v, want %s", got.result, got.err, want)
				}
			}
			call.finish()
			if other.Questions.Strays() != 20 || call.s.Questions.Strays() != 0 {
				t.Errorf("%d forged answers were counted, and %d good ones", other.Questions.Strays(), call.s.Questions.Strays())
			}
		})
	}
	wg.Wait()
}

// TestAnErrorThatWantsAURLOpened passes to a client that can, to others as an internal error.
func TestAnErrorThatWantsAURLOpened(t *testing.T) {
	const object = `{"code":-32042,"message":"open it","data":{"elicitations":[]}}`
	for _, c := range []struct {
		revision, capabilities string
		passes                 bool
	}{{newest, all, true}, {newest, `{"elicitation":{}}`, false}, {newest, ``, false}, {"2025-06-18", all, false}} {
		b := NewInbound(era.Params{Feed: newFeed(), Handler: mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) {
			return nil, era.ReadRemote([]byte(object))
		})}, nil)
		got := send(t, b, opened(t, c.revision, c.capabilities), newTold(), request("tools/call", `"name":"a"`))
		want := `"error":` + object + `}`
		if !c.passes {
			want = `"error":{"code":-32603,"message":"open it","data":{"reason":"server_error","error":` + object + `}}}`
		}
		wantAnswer(t, got, want)
	}
}

// TestAQuestionThatIsNotOnItsWayIsTakenBack: the client hears neither of it nor of its end.
func TestAQuestionThatIsNotOnItsWayIsTakenBack(t *testing.T) {
	for name, act := range map[string]func(*trial, context.CancelFunc){
		"by the server": func(_ *trial, stop context.CancelFunc) { stop() },
		"by time":       func(*trial, context.CancelFunc) { time.Sleep(10 * time.Minute) },
		"by the answer": func(c *trial, _ context.CancelFunc) { c.finish() },
	} {
		synctest.Test(t, func(t *testing.T) {
			call := begin(t, opened(t, newest, all), `{"content":[]}`)
			call.out.unread = true
			ctx, stop := context.WithCancel(call.ctx)
			defer stop()
			end := call.ask(ctx, mcp.Elicit, form)
			synctest.Wait()
			act(call, stop)
			if got := <-end; got.err == nil {
				t.Errorf("%s: the server gets %q", name, got.result)
			}
			call.stop()
			synctest.Wait()
			call.out.want(t, asks(1, mcp.Elicit, form))
		})
	}
}

// TestAQuestionThatFindsNoRoomIsRefused, and the call goes on.
func TestAQuestionThatFindsNoRoomIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := begin(t, opened(t, newest, all), `{"content":[]}`)
		call.out.full = true
		if got := <-call.ask(call.ctx, mcp.Elicit, form); code(got.err) != mcp.Overloaded {
			t.Errorf("the server gets %q, %v", got.result, got.err)
		}
		if got := call.finish(); got != done || call.s.Questions.Open() != 0 {
			t.Errorf("%s, and %d questions are open", got, call.s.Questions.Open())
		}
		call.out.want(t)
	})
}
