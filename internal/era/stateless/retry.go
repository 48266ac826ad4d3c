package stateless

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// ask serves a call during which the client may be asked: a new one, or the retry of one
// that is parked.
func (b *Inbound) ask(ctx context.Context, in *era.Incoming, c *mcp.Call) era.Answer {
	r, err := b.retried(in, c)
	if err == nil && r == nil {
		c.Admit = admission(in, c)
		var ends context.Context
		if in.Session != nil { // a pipe's: its calls end with it
			ends = in.Session.Context()
		}
		r, err = b.lot.start(ctx, ends, c, newCarrier(in, c, c))
	}
	if err != nil {
		return b.failure(c, in.Message.ID, err)
	}
	return b.carry(ctx, in, r)
}

// retried gives the parked call that a request goes on with. It is nil for a new call, from
// which it takes what was put into it for us alone.
func (b *Inbound) retried(in *era.Incoming, c *mcp.Call) (*run, error) {
	responses := rawjson.Get(c.Params.Raw, mcp.MemberInputResponses)
	if responses != nil && responses[0] != '{' {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"inputResponses" must be an object`)
	}
	raw := rawjson.Get(c.Params.Raw, mcp.MemberRequestState)
	if raw == nil {
		return nil, nil
	}
	text, ok := rawjson.Text(raw)
	if !ok {
		return nil, mcp.Errorf(mcp.InvalidParams, "params", `"requestState" must be a string`)
	}
	if !b.states.owns(text) {
		return nil, nil // the server's own
	}
	st, ok := b.states.open(text)
	if !ok || st.request != binding(c, st.kind != stateWrapped) {
		return nil, errState
	}
	switch st.kind {
	case stateWrapped:
		c.Params.Raw = rawjson.AppendEdited(nil, c.Params.Raw, rawjson.Edit{Key: mcp.MemberRequestState, Value: rawjson.AppendText(nil, st.inner)})
		return nil, nil
	case stateFresh:
		c.Params.Raw = rawjson.AppendEdited(nil, c.Params.Raw, rawjson.Edit{Key: mcp.MemberRequestState}, rawjson.Edit{Key: mcp.MemberInputResponses})
		return nil, nil
	}
	r := b.lot.find(st.call)
	if r == nil {
		return nil, errState
	}
	if admit := admission(in, c); admit != nil {
		if err := admit(&r.call.Target); err != nil { // settled before the call was parked
			return nil, err
		}
	}
	if err := r.resume(newCarrier(in, c, r.call), st.round, responses); err != nil {
		return nil, err
	}
	return r, nil
}

// carry waits with a request for its call: until the call is answered, or asks, or the
// client goes, which ends it (2026-07-28, cancellation).
func (b *Inbound) carry(ctx context.Context, in *era.Incoming, r *run) era.Answer {
	for {
		select {
		case <-ctx.Done():
			r.abandon()
			<-r.ended
			return era.Answer{Dropped: true}
		case <-r.ended:
			reply, err := r.outcome()
			return b.answer(in, r.now(), r.call, reply, err)
		case <-r.asked:
			if !gather(ctx, r) {
				continue
			}
			if open, st, ok := r.park(); ok {
				if ctx.Err() != nil { // its client went while the questions were gathered
					r.abandon()
					<-r.ended
					return era.Answer{Dropped: true}
				}
				return b.questions(in, open, st)
			}
		}
	}
}

// gather gives questions that come together the time to do so. It is false where there is
// no need any more.
func gather(ctx context.Context, r *run) bool {
	t := time.NewTimer(gatherTime)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
	case <-r.ended:
	}
	return false
}

// questions answers a request with what its call asks.
func (b *Inbound) questions(in *era.Incoming, open []*question, st state) era.Answer {
	return ok(in.Message.ID, b.complete(in.Scope, b.inputRequired(open, st)))
}

// inputRequired makes the result that asks.
func (b *Inbound) inputRequired(open []*question, st state) []byte {
	out := []byte(`{"resultType":"` + era.TypeInputRequired + `","` + mcp.MemberInputRequests + `":{`)
	for i, q := range open {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(rawjson.AppendText(out, q.key), `:{"method":`...)
		out = rawjson.AppendText(out, q.method)
		params := q.params
		if params == nil { // the schema lets roots/list have none; clients of the Go SDK cannot read that
			params = []byte("{}")
		}
		out = append(append(append(out, `,"params":`...), params...), '}')
	}
	out = append(out, `},"`+mcp.MemberRequestState+`":`...)
	return append(rawjson.AppendText(out, b.states.close(st)), '}')
}

// wrapped puts our seal around the state of a gateway behind us, which would otherwise be
// taken for one of ours.
func (b *Inbound) wrapped(c *mcp.Call, result []byte) []rawjson.Edit {
	inner, ok := rawjson.Text(rawjson.Get(result, mcp.MemberRequestState))
	if !ok || !strings.HasPrefix(inner, mark) {
		return nil
	}
	st := state{kind: stateWrapped, expires: time.Now().Add(otherStateTime), request: binding(c, false), inner: inner}
	return []rawjson.Edit{{Key: mcp.MemberRequestState, Value: rawjson.AppendText(nil, b.states.close(st))}}
}

// elicited makes of a server's error that the client must visit URLs first, which only
// 2025-11-25 has, a result that asks for it (2025-11-25, elicitation, URL Elicitation Required
// Error). The retry is a new call. ok is false where the error is no such.
func (b *Inbound) elicited(from *mcp.Caller, c *mcp.Call, err error) (result []byte, refusal error, isSuch bool) {
	remote := era.AsRemote(err)
	if remote == nil || remote.Number != era.URLElicitation || !mcp.MayAsk(c.Method) {
		return nil, nil, false
	}
	var open []*question
	for params := range rawjson.Elements(rawjson.Get(rawjson.Get(remote.Raw, "data"), "elicitations")) {
		_, hasMessage := rawjson.Text(rawjson.Get(params, "message"))
		_, hasURL := rawjson.Text(rawjson.Get(params, "url"))
		if !hasMessage || !hasURL || era.ElicitMode(params) != "url" || len(open) == maxQuestions {
			continue
		}
		params = cleanQuestion(mcp.Elicit, params)
		if from.Scope.Server == "" { // else the client knows whom it speaks with
			params = era.Attributed(c.Target.Server, mcp.Elicit, params)
		}
		open = append(open, &question{key: "u" + strconv.Itoa(len(open)+1), method: mcp.Elicit, params: params})
	}
	if open == nil {
		return nil, nil, false
	}
	// 2026-07-28, basic, Per-request protocol fields: what the client did not declare is named.
	if era.MayAsk(from.Capabilities, mcp.Elicit, open[0].params) != nil {
		return nil, &mcp.Error{Code: mcp.MissingCapability, Message: "the server needs the user to visit a URL, and the client did not declare that it can ask for it",
			Reason: "capability", Data: []byte(`{"requiredCapabilities":{"elicitation":{"url":{}}}}`)}, true
	}
	st := state{kind: stateFresh, expires: time.Now().Add(otherStateTime), request: binding(c, true)}
	return b.inputRequired(open, st), nil, true
}
