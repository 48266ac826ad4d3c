package stateful

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

// A back is the Back of one call. A server's question goes out where the call's answer will,
// as a request with an id of ours (2025-11-25, transports, Sending Messages to the Server, 6);
// the client's answer comes as a message of its own and is matched by the session.
type back struct {
	era.CallerBack
	ctx      context.Context // of the call
	session  *session.Session
	revision era.Revision
	most     time.Duration // for one answer

	mu     sync.Mutex
	over   chan struct{}       // set under mu by the first question; closed by Close
	closed bool                // guarded by mu
	open   []*session.Question // guarded by mu
	minted []string            // guarded by mu: ids of ours for URLs that the client agreed to open
}

func newBack(ctx context.Context, in *era.Incoming, from *mcp.Caller, most time.Duration) *back {
	if most <= 0 {
		most = era.DefaultQuestionTime
	}
	r, _ := era.Find(in.Session.Revision())
	return &back{CallerBack: era.CallerBack{Out: in.Out, From: from}, ctx: ctx, session: in.Session, revision: r, most: most}
}

// Ask implements mcp.Back.
func (b *back) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	if bad := era.MayAsk(b.From.Capabilities, method, params); bad != nil {
		return nil, bad
	}
	params, minted := b.forClient(method, params)
	q, err := b.put(ctx, method, params)
	if err != nil {
		return nil, err
	}
	defer b.forget(q)
	late := time.NewTimer(b.most)
	defer late.Stop()
	for {
		select {
		case a := <-q.Answered():
			return b.read(a, minted)
		case <-ctx.Done():
			b.withdraw(q, "the server withdrew the question")
			return nil, ctx.Err()
		case <-b.ctx.Done():
			b.withdraw(q, ended)
			return nil, errOver
		case <-b.over:
			return nil, errOver
		case <-late.C:
			if b.withdraw(q, "there was no answer in time") {
				return nil, mcp.Errorf(mcp.TimedOut, "question_timeout", "the client did not answer in %s", b.most)
			} // else the answer is there, or the call is over
		}
	}
}

const ended = "the call has ended"

// errOver: the call ended while the server's question was open, or before it came.
var errOver = mcp.Errorf(mcp.Internal, "call_over", "the call that the question belongs to is over")

// put sends the question, unless nobody may hear of the call any more.
func (b *back) put(ctx context.Context, method string, params []byte) (*session.Question, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed, b.ctx.Err() != nil:
		return nil, errOver
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	q := b.session.Questions.Ask()
	if q == nil {
		return nil, mcp.Errorf(mcp.Overloaded, "questions", "too many questions to the client are open")
	}
	if !b.Out.Ask(q.ID, jsonrpc.AppendRequest(nil, q.ID, method, params)) {
		q.Withdraw()
		return nil, mcp.Errorf(mcp.Overloaded, "questions", "too much waits that the client has not read")
	}
	if b.over == nil { // most calls ask nothing
		b.over = make(chan struct{})
	}
	b.open = append(b.open, q)
	return q, nil
}

func (b *back) forget(q *session.Question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(x *session.Question) bool { return x == q })
}

// withdraw tells the client that its answer is not wanted any more (2025-11-25, cancellation),
// unless the question is not on its way to it yet, or it cancelled the call itself, of which it
// hears nothing more. It is false where the answer came first.
func (b *back) withdraw(q *session.Question, reason string) bool {
	b.mu.Lock() // so that whoever closes it meanwhile lets the answer wait for this
	defer b.mu.Unlock()
	return b.takeBack(q, reason)
}

// takeBack is called with mu held.
func (b *back) takeBack(q *session.Question, reason string) bool {
	if !q.Withdraw() {
		return false
	}
	if !b.Out.Recall(q.ID) && !errors.Is(context.Cause(b.ctx), session.ErrByClient) {
		params := append(append([]byte(`{"requestId":`), q.ID...), `,"reason":`...)
		params = append(rawjson.AppendText(params, reason), '}')
		b.Out.Deliver(jsonrpc.AppendNotification(nil, mcp.NoteCancelled, params))
	}
	return true
}

// Close silences the Back, since the call is answered. Questions that are open are withdrawn
// before the answer goes out.
func (b *back) Close() {
	b.CallerBack.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for _, q := range b.open {
		b.takeBack(q, ended)
	}
	if b.over != nil {
		close(b.over)
	}
}

// read takes a client's answer apart.
func (b *back) read(a session.Answer, minted string) ([]byte, error) {
	switch {
	case a.Error != nil:
		return nil, era.ReadRemote(a.Error)
	case len(a.Result) == 0 || a.Result[0] != '{':
		return nil, mcp.Errorf(mcp.Internal, "client_invalid", "the client gave an answer that is not acceptable")
	}
	if action, _ := rawjson.Text(rawjson.Get(a.Result, "action")); minted != "" && action == "accept" {
		b.mu.Lock()
		b.minted = append(b.minted, minted)
		b.mu.Unlock()
	}
	return a.Result, nil
}

// forClient gives a question's params as the client's revision has them: without the _meta keys
// of the server's hop, and with an id where elicitations of URLs must have one. minted is that
// id where the server gave none.
func (b *back) forClient(method string, params []byte) (out []byte, minted string) {
	params = era.CleanResult(params)
	if b.revision.URLs && method == mcp.Elicit && era.ElicitMode(params) == "url" && rawjson.Get(params, mcp.MemberElicitationID) == nil {
		minted = rand.Text()
		params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: mcp.MemberElicitationID, Value: rawjson.AppendText(nil, minted)})
	}
	if method == mcp.CreateMessage {
		params = projectQuestion(params, b.revision)
	}
	return params, minted
}

// opensURLs tells whether the client knows what to do with an error that wants a URL opened
// first (2025-11-25, elicitation, URL Elicitation Required Error).
func (b *back) opensURLs() bool {
	return b.revision.URLs && era.MayAsk(b.From.Capabilities, mcp.Elicit, urlMode) == nil
}

// succeeded tells the client that what it opened URLs for is done, where the ids of those are
// ours: a server that gave one says so itself. A tool that failed is not done.
func (b *back) succeeded(result []byte) {
	if string(rawjson.Get(result, "isError")) == "true" {
		return
	}
	b.mu.Lock()
	minted := b.minted
	b.minted = nil
	b.mu.Unlock()
	for _, id := range minted {
		b.session.Put(mcp.NoteElicited, append(rawjson.AppendText([]byte(`{"`+mcp.MemberElicitationID+`":`), id), '}'))
	}
}
