package stateful

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

const (
	maxAsking  = 1024             // questions of one server that wait for a client
	answerTime = 30 * time.Second // for a server to take an answer
	maxAnswers = 64               // answers that are being written at once without having waited; more are dropped
)

// asking is the ledger of a server's open questions, and the goroutines that wait for their
// answers or write them.
type asking struct {
	ctx  context.Context // ends with the connection
	stop context.CancelFunc
	room chan struct{} // for answers that are given at once

	mu     sync.Mutex
	open   map[string]*question // guarded by mu: by the server's id
	closed bool                 // guarded by mu: nothing is started any more
	run    sync.WaitGroup
}

// A question was put to a client and is not answered; end ends the wait.
type question struct{ end context.CancelFunc }

func (a *asking) init() {
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.room = make(chan struct{}, maxAnswers)
	a.open = map[string]*question{}
}

// begin enters a question and runs f, which waits for its answer. It is nil where f runs.
func (a *asking) begin(id []byte, q *question, f func()) *mcp.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return mcp.Errorf(mcp.Internal, "closed", "the connection is being closed")
	case a.open[string(id)] != nil:
		return mcp.Errorf(mcp.InvalidRequest, "id", "a request with this id is open")
	case len(a.open) >= maxAsking:
		return mcp.Errorf(mcp.Overloaded, "questions", "%d questions of this server are open", maxAsking)
	}
	a.open[string(id)] = q
	a.run.Go(f)
	return nil
}

// waits tells whether the server still wants an answer.
func (a *asking) waits(id []byte, q *question) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[string(id)] == q
}

// settle takes a question out.
func (a *asking) settle(id []byte, q *question) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[string(id)] == q {
		delete(a.open, string(id))
	}
}

// withdraw ends a question that its server does not want answered any more (2025-11-25,
// cancellation).
func (a *asking) withdraw(id []byte) {
	a.mu.Lock()
	q := a.open[string(id)]
	delete(a.open, string(id))
	a.mu.Unlock()
	if q != nil {
		q.end()
	}
}

// write runs f, which writes something to the server, where there is room for one more that does. It
// tells whether it does.
func (a *asking) write(room chan struct{}, f func()) bool {
	select {
	case room <- struct{}{}:
	default:
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		<-room
		return false
	}
	a.run.Go(func() {
		defer func() { <-room }()
		f()
	})
	return true
}

// end starts nothing any more and ends what waits.
func (a *asking) end() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
}

func (a *asking) wait() { a.run.Wait() }

// question answers a request of the server: at once where that is ours to do, else by asking
// the client whose call it belongs to. of is the call on whose own stream it came; nil for
// none.
func (o *Outbound) question(m *jsonrpc.Message, of *era.Open) {
	switch {
	case m.Method == mcp.Ping:
		o.answer(jsonrpc.AppendResult(nil, m.ID, []byte("{}")))
		return
	case m.Method == mcp.RootsList && o.p.Roots != nil:
		result := append(append([]byte(`{"roots":`), o.p.Roots...), '}')
		o.answer(jsonrpc.AppendResult(nil, m.ID, result))
		return
	}
	of, bad := o.tasks.asks(m.Params, of)
	if bad == nil {
		bad = era.MayAsk(o.p.Capabilities, m.Method, m.Params)
	}
	switch {
	case bad != nil:
	case (of == nil || of == nobody) && (o.ofSession() || o.p.PerClient && o.idle()):
		w := o.outside.enter(era.IsClosed(o.open())) // before the reader goes on: what it brings next may let a call go
		if bad = o.begin(m, func(ctx context.Context) ([]byte, func(), error) { return o.askClient(ctx, m, w) }); bad != nil {
			o.outside.leave(w)
			close(w.done) // a call may have been given it already
		}
	default:
		if of == nil {
			of, bad = o.addressee()
		}
		if bad == nil {
			bad = o.begin(m, func(ctx context.Context) ([]byte, func(), error) {
				result, err := o.put(ctx, of, m)
				return result, func() {}, err
			})
		}
	}
	if bad != nil {
		o.answer(refusal(m.ID, bad))
	}
}

// ofSession tells whether the connection is one session's, so that whatever the server asks on
// it is for that client. Callers without a session share one where they look alike: while calls
// of theirs are open, a question is put only where it can be but one call's.
func (o *Outbound) ofSession() bool {
	return o.p.PerClient && (o.p.From == nil || o.p.From.Session != "")
}

// idle tells whether no call is open that a question could belong to.
func (o *Outbound) idle() bool {
	of, several := o.calls.Only()
	return of == nil && !several
}

// errNoCall: whoever asks so late asks nobody.
var errNoCall = mcp.Errorf(mcp.Internal, "attribution", "no call is open that the question could belong to")

// addressee gives the call that a question belongs to which came on a stream of many clients:
// the only one that the server has not answered.
func (o *Outbound) addressee() (*era.Open, *mcp.Error) {
	of, several := o.calls.Only()
	if several {
		before, now := "while several calls were in flight", "several calls are in flight on this connection"
		if o.calls.Lingers() {
			before, now = "after a call was cancelled or timed out that it never answered", "a call that was cancelled or timed out has not been answered on this connection, and the question may be that one's"
		}
		o.p.Report(`it asked a question ` + before + `, which was refused; set "sessions": "per-client" for this server`)
		return nil, mcp.Errorf(mcp.Internal, "attribution", `%s, so the gateway cannot tell which client it is for; set "sessions": "per-client" for this server in the gateway's configuration`, now)
	}
	if of == nil {
		return nil, errNoCall
	}
	return of, nil
}

// belongs gives the call that a notification on a stream of many belongs to: the one whose
// token it names, or else the only one; nil for none.
func (o *Outbound) belongs(m *jsonrpc.Message) *era.Open {
	if m.Method == mcp.NoteProgress {
		return o.calls.Get(rawjson.Get(m.Params, mcp.MetaProgressToken))
	}
	of, several := o.calls.Only()
	if several && o.ofSession() {
		of = o.calls.Newest()
	}
	return of
}

// begin has a question put by ask and answers it. The wait ends when the server withdraws the
// question, which then is not answered.
func (o *Outbound) begin(m *jsonrpc.Message, ask func(ctx context.Context) (result []byte, answered func(), err error)) *mcp.Error {
	ctx, end := context.WithCancel(o.asking.ctx)
	q := &question{end}
	bad := o.asking.begin(m.ID, q, func() {
		result, answered, err := ask(ctx)
		defer answered()
		end()
		if err != nil && m.Method == mcp.RootsList && era.AsRemote(err) == nil {
			o.outside.missed.Store(true)
		}
		if !o.asking.waits(m.ID, q) {
			return
		}
		defer o.asking.settle(m.ID, q) // while its answer is written it counts
		body := jsonrpc.AppendResult(nil, m.ID, related(m.Params, o.readable(m.Method, era.CleanResult(result))))
		if err != nil {
			body = refusal(m.ID, err)
		}
		o.send(body)
	})
	if bad != nil {
		end()
	}
	return bad
}

// readable is a client's answer as the server's revision has it. Answers to other questions are
// the same in all: a form has an array only where the server asked for one, whatever its
// revision, and nobody must read the _meta of a root.
func (o *Outbound) readable(method string, result []byte) []byte {
	r := o.revision.Load()
	if method != mcp.CreateMessage || r == nil {
		return result
	}
	return projectAnswer(result, *r)
}

// put puts a question to the caller of one call, until ctx or the call ends.
func (o *Outbound) put(ctx context.Context, of *era.Open, m *jsonrpc.Message) ([]byte, error) {
	if of.Ctx.Err() != nil {
		return nil, errNoCall
	}
	o.elicited.remember(of.Call.From, m)
	call, end := context.WithCancel(of.Ctx)
	defer end()
	defer context.AfterFunc(ctx, end)()
	result, err := of.Call.Back.Ask(call, m.Method, unrelated(era.CleanResult(m.Params)))
	if err != nil && of.Ctx.Err() != nil && era.AsRemote(err) == nil {
		return nil, errNoCall
	}
	return result, err
}

// refusal is the error answer to a question. What the client itself said passes as it is.
func refusal(id []byte, err error) []byte {
	if remote := era.AsRemote(err); remote != nil {
		return jsonrpc.AppendError(nil, id, remote.Raw)
	}
	object, _ := era.Render(err)
	return jsonrpc.AppendError(nil, id, object)
}

// answer writes an answer without waiting until it is written.
func (o *Outbound) answer(body []byte) { o.asking.write(o.asking.room, func() { o.send(body) }) }

func (o *Outbound) send(body []byte) {
	ctx, stop := context.WithTimeout(o.asking.ctx, answerTime)
	defer stop()
	m := transport.Message{Body: body}
	if o.revision.Load() != nil { // a server may ping before it has answered initialize
		m.Header = o.link.Header
	}
	_ = o.link.Conn.Send(ctx, m)
}

// Bounds on the ids of elicitations that are remembered.
const (
	maxElicitations  = 1024
	maxElicitationID = 256
)

// elicitations remembers which client was sent to which URL, since the server's word that it
// is done there belongs to that client alone (2025-11-25, elicitation, Completion
// Notifications for URL Mode Elicitation). Stateless clients are told nothing.
type elicitations struct {
	mu    sync.Mutex
	of    map[string]*mcp.Caller // guarded by mu: by the decoded id
	order []string               // guarded by mu: oldest first
}

var urlMode = []byte(`{"mode":"url"}`)

// remember notes whom a question sends to a URL.
func (e *elicitations) remember(from *mcp.Caller, m *jsonrpc.Message) {
	if m.Method == mcp.Elicit && era.ElicitMode(m.Params) == "url" {
		e.note(from, rawjson.Get(m.Params, mcp.MemberElicitationID))
	}
}

func (e *elicitations) note(from *mcp.Caller, raw []byte) {
	id, ok := rawjson.Text(raw)
	if !ok || len(id) > maxElicitationID || from.Inbox == nil || era.MayAsk(from.Capabilities, mcp.Elicit, urlMode) != nil {
		return // a client that opens no URLs is not asked
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[string]*mcp.Caller{}
	}
	e.order = slices.DeleteFunc(e.order, func(id string) bool {
		over := era.IsClosed(e.of[id].Ended)
		if over {
			delete(e.of, id)
		}
		return over
	})
	if e.of[id] == nil {
		if len(e.order) >= maxElicitations {
			delete(e.of, e.order[0])
			e.order = e.order[1:]
		}
		e.order = append(e.order, id)
	}
	e.of[id] = from
}

// tell passes on that an elicitation is done. It stays known, for a client may be told twice
// but must not be missed; another session's never gets it.
func (e *elicitations) tell(params []byte) {
	id, ok := rawjson.Text(rawjson.Get(params, mcp.MemberElicitationID))
	if !ok {
		return
	}
	e.mu.Lock()
	from := e.of[id]
	e.mu.Unlock()
	if from == nil {
		return
	}
	select {
	case <-from.Ended:
	default:
		from.Inbox.Put(mcp.NoteElicited, era.CleanResult(params))
	}
}

// rememberRequired notes the elicitations that a call was refused for (2025-11-25,
// elicitation, URL Elicitation Required Error).
func (o *Outbound) rememberRequired(from *mcp.Caller, err error) {
	var remote *mcp.Remote
	if !errors.As(err, &remote) || remote.Number != era.URLElicitation {
		return
	}
	for one := range rawjson.Elements(rawjson.Get(rawjson.Get(remote.Raw, "data"), "elicitations")) {
		o.elicited.note(from, rawjson.Get(one, mcp.MemberElicitationID))
	}
}
