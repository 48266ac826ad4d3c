package listen

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/era/stateful"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/session"
)

// maxBatch bounds the messages of one batch.
const maxBatch = 50

// A pipe is a client whose messages and answers share one channel: stdio, or a 2024-11-05
// event stream. Each request runs on a goroutine of the
// pipe's, which close waits for.
type pipe struct {
	l       *Listener
	edge    func(isStateless bool) era.Inbound
	session *session.Session
	out     *queue
	open    atomic.Int64
	wg      sync.WaitGroup
	calls   sync.WaitGroup // requests that end by themselves, and batches

	receiving sync.RWMutex // read-locked while a message is taken
	closed    bool         // guarded by receiving
}

// newPipe makes a pipe; its session ends with ctx. edge picks the era's inbound.
func (l *Listener) newPipe(ctx context.Context, principal string, to mcp.Scope, out *queue, edge func(isStateless bool) era.Inbound) *pipe {
	p := &pipe{l: l, edge: edge, session: session.New(ctx, principal, to), out: out}
	p.wg.Go(func() { l.p.Edges.Stateful.Stream(p.session.Context(), p.session, out) })
	return p
}

// settle gives requests in flight some time to be answered.
func (p *pipe) settle(most time.Duration) {
	done := make(chan struct{})
	go func() {
		p.calls.Wait()
		close(done)
	}()
	t := time.AfterFunc(most, p.session.End) // which ends the calls, and so the wait
	defer t.Stop()
	<-done
}

// close ends the session and waits for its requests.
func (p *pipe) close() {
	p.session.End()
	p.receiving.Lock() // on an event stream messages come from other goroutines
	p.closed = true
	p.receiving.Unlock()
	p.wg.Wait()
}

// receive takes one message or batch. It does not wait for answers; release is called once the
// message is dealt with.
func (p *pipe) receive(raw []byte, release func()) {
	p.receiving.RLock()
	defer p.receiving.RUnlock()
	if p.closed {
		release()
		return
	}
	if !era.IsBatch(raw) {
		p.message(raw, func(body []byte) {
			if body != nil {
				p.out.reply(body)
			}
			release()
		})
		return
	}
	messages, bad := p.l.splitBatch(raw, p.session)
	if bad != nil {
		p.refuse(bad, nil)
		release()
		return
	}
	p.calls.Add(1)
	p.wg.Go(func() {
		defer p.calls.Done()
		defer release()
		answer := batch(messages, func(one []byte) []byte {
			done := make(chan []byte, 1)
			p.message(one, func(body []byte) { done <- body })
			return <-done
		})
		if answer != nil {
			p.out.reply(answer)
		}
	})
}

// message takes one message and gives its answer to answer, once; nil is none, which
// callers that need to know also get.
func (p *pipe) message(raw []byte, answer func([]byte)) {
	m, err := jsonrpc.Parse(raw, p.l.p.Limits)
	if err != nil {
		if spoiled(raw, err, p.session) {
			answer(nil)
			return
		}
		bad, id := era.FromParse(err)
		answer(era.Refuse(bad, id).Body)
		return
	}
	if needsServers(m) {
		p.l.p.First()
	}
	inbound := p.edge(era.StatelessMessage(m, ""))
	in := &era.Incoming{Message: m, Principal: p.session.Principal, Scope: p.session.Scope, Out: p.out, Session: p.session}
	if m.Kind != jsonrpc.Request || m.Method == mcp.Initialize { // quick, and what follows builds on it; calls wait for answers
		answer(inbound.Serve(p.session.Context(), in).Body)
		return
	}
	if p.open.Add(1) > int64(p.l.p.Requests) || p.l.load.full() {
		p.open.Add(-1)
		answer(era.Refuse(mcp.Errorf(mcp.Overloaded, "overloaded", "too many requests are in flight, or too many answers wait to be read; try again later"), m.ID).Body)
		return
	}
	call := p.session.Calls.Begin(p.session.Context(), m.ID)
	if call == nil {
		p.open.Add(-1)
		answer(era.Refuse(mcp.Errorf(mcp.InvalidRequest, "id", "the id %.100s belongs to a request in flight", m.ID), m.ID).Body)
		return
	}
	ended := func() {}
	if m.Method != mcp.SubscriptionsListen {
		p.calls.Add(1)
		ended = p.calls.Done
	}
	p.wg.Go(func() {
		defer ended()
		defer p.open.Add(-1)
		a := inbound.Serve(call.Context, in)
		if wanted := call.Finish(); !wanted || a.Dropped {
			a.Body = nil
		}
		answer(a.Body)
	})
}

func (p *pipe) refuse(err *mcp.Error, id []byte) { p.out.reply(era.Refuse(err, id).Body) }

// splitBatch scans a batch and takes it apart, where the session's revision has batches.
func (l *Listener) splitBatch(raw []byte, s *session.Session) ([][]byte, *mcp.Error) {
	var fault *jsonrpc.ParseError // every array is one, scanned well or not
	if _, err := jsonrpc.Parse(raw, l.p.Limits); errors.As(err, &fault) && fault.Reason != jsonrpc.NotAnObject {
		bad, _ := era.FromParse(err)
		return nil, bad
	}
	if s == nil || !stateful.AcceptsBatches(s) {
		return nil, mcp.Errorf(mcp.InvalidRequest, "batch", "this revision of the protocol has no batches")
	}
	var out [][]byte
	for one := range rawjson.Elements(raw) {
		if len(out) == maxBatch {
			return nil, mcp.Errorf(mcp.InvalidRequest, "batch", "a batch may hold at most %d messages", maxBatch)
		}
		if string(rawjson.Get(one, "method")) == `"`+mcp.Initialize+`"` {
			return nil, mcp.Errorf(mcp.InvalidRequest, "batch", "initialize must not be part of a batch")
		}
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, mcp.Errorf(mcp.InvalidRequest, "batch", "a batch must not be empty")
	}
	return out, nil
}
