package stateless

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

const (
	maxRounds = 16 // of one call, in all
	maxInputs = 64 // requests for input in one round
)

// shed is how long a call waits when the server only puts it off, time after time.
var shed = [...]time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}

// A round is what a server wants before it goes on (2026-07-28, patterns, Multi Round-Trip
// Requests, InputRequiredResult).
type round struct {
	inputs []input
	state  []byte // a raw string; nil where the server gave none
}

// An input is one question to the client.
type input struct {
	key    []byte // raw, as the response is to bear it
	method string
	params []byte
}

// readRound takes an InputRequiredResult apart.
func readRound(result []byte) (*round, error) {
	r := &round{}
	if state := rawjson.Get(result, mcp.MemberRequestState); state != nil && string(state) != "null" {
		if _, ok := rawjson.Text(state); !ok {
			return nil, errors.New("its requestState is no string")
		}
		r.state = state
	}
	requests := rawjson.Get(result, mcp.MemberInputRequests)
	if requests != nil && requests[0] != '{' {
		return nil, errors.New("its inputRequests are no object")
	}
	if err := rawjson.CheckMembers(requests); requests != nil && err != nil {
		return nil, fmt.Errorf("inputRequests: %w", err)
	}
	for f := range rawjson.Members(requests) {
		if len(r.inputs) == maxInputs {
			return nil, fmt.Errorf("it asks for more than %d inputs at once", maxInputs)
		}
		method, ok := rawjson.Text(rawjson.Get(f.Value, "method"))
		if !ok || !isQuestion(method) {
			return nil, fmt.Errorf("the input request %.80s is none that the revision allows", f.Key)
		}
		params := rawjson.Get(f.Value, "params")
		if params != nil && params[0] != '{' {
			return nil, fmt.Errorf("the params of the input request %.80s are no object", f.Key)
		}
		r.inputs = append(r.inputs, input{f.Key, method, params})
	}
	if r.inputs == nil && r.state == nil {
		return nil, errors.New("it has neither inputRequests nor requestState")
	}
	return r, nil
}

func isQuestion(method string) bool {
	return method == mcp.Elicit || method == mcp.CreateMessage || method == mcp.RootsList
}

// handleRounds takes a call through its rounds for a caller that knows none: each question is
// put to the client in place, and the call sent again with what it said.
func (o *Outbound) handleRounds(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	next := withoutRounds(c.Params.Raw)
	puts := 0
	for n := 0; ; n++ {
		result, err := o.send(ctx, c, next)
		if err != nil {
			return nil, err
		}
		reply, err := readReply(c, result)
		if err != nil || reply.Kind != mcp.InputRequired {
			return reply, err
		}
		if n == maxRounds {
			return nil, mcp.Errorf(mcp.Internal, "rounds", "server %q asked for input more than %d times during one call", c.Target.Server, maxRounds)
		}
		r, err := readRound(result)
		if err != nil {
			return nil, invalid(c, err)
		}
		next = next[:0:0]
		if r.inputs == nil {
			if puts == len(shed) {
				return nil, mcp.Errorf(mcp.Internal, "server_busy", "server %q put the call off %d times; try again later", c.Target.Server, puts)
			}
			if !era.Sleep(ctx, shed[puts]) {
				return nil, ctx.Err()
			}
			puts++
		} else {
			puts = 0
			responses, err := ask(ctx, c, r.inputs)
			if err != nil {
				return nil, err
			}
			next = append(next, rawjson.Edit{Key: mcp.MemberInputResponses, Value: responses})
		}
		if r.state != nil {
			next = append(next, rawjson.Edit{Key: mcp.MemberRequestState, Value: r.state})
		}
		next = append(next, withoutRounds(c.Params.Raw, next...)...)
	}
}

// withoutRounds takes out what a caller that knows no rounds may have put where rounds stand,
// but for those that are set anew.
func withoutRounds(params []byte, set ...rawjson.Edit) []rawjson.Edit {
	var drop []rawjson.Edit
	for _, key := range [...]string{mcp.MemberInputResponses, mcp.MemberRequestState} {
		isSet := slices.ContainsFunc(set, func(e rawjson.Edit) bool { return e.Key == key })
		if !isSet && rawjson.Get(params, key) != nil {
			drop = append(drop, rawjson.Edit{Key: key})
		}
	}
	return drop
}

// ask puts the questions of a round to the client, one after the other, and gives the object
// of its responses. A client that declines has answered.
func ask(ctx context.Context, c *mcp.Call, inputs []input) ([]byte, error) {
	responses := []byte{'{'}
	for i, in := range inputs {
		result, err := c.Back.Ask(ctx, in.method, era.CleanResult(in.params))
		if err != nil {
			return nil, unasked(ctx, c, err)
		}
		if i > 0 {
			responses = append(responses, ',')
		}
		responses = append(append(responses, in.key...), ':')
		responses = append(responses, era.CleanResult(result)...)
	}
	return append(responses, '}'), nil
}

// unasked is how a call ends when one of its questions has no answer: this era's server can
// be told nothing.
func unasked(ctx context.Context, c *mcp.Call, err error) error {
	var own *mcp.Error
	if remote := era.AsRemote(err); remote != nil {
		text, _ := rawjson.Text(rawjson.Get(remote.Raw, "message"))
		return &mcp.Error{Code: mcp.Internal, Reason: "client_error", Err: err,
			Message: fmt.Sprintf("the client answered a question of server %q with an error: %s", c.Target.Server, text)}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &own):
		return err
	case own.Code == mcp.UnknownMethod || own.Code == mcp.InvalidParams:
		return &mcp.Error{Code: mcp.Internal, Reason: "capability", Err: err,
			Message: fmt.Sprintf("server %q asks for input that this client cannot give: %s", c.Target.Server, own.Message)}
	}
	return err
}

// checkRound holds a round that passes to the caller against what the caller declared: a
// client must not be sent what it did not (2026-07-28, patterns, Multi Round-Trip Requests,
// Server Requirements 7).
func checkRound(c *mcp.Call, result []byte) error {
	r, err := readRound(result)
	if err != nil {
		return invalid(c, err)
	}
	var missing *mcp.Error
	var required []byte
	for _, in := range r.inputs {
		bad := era.MayAsk(c.From.Capabilities, in.method, in.params)
		if bad == nil {
			continue
		}
		if missing == nil {
			missing = bad
		}
		required = require(required, in)
	}
	if missing == nil {
		return nil
	}
	return &mcp.Error{Code: mcp.MissingCapability, Reason: "capability", Data: append(append([]byte(`{"requiredCapabilities":`), required...), '}'),
		Message: fmt.Sprintf("server %q asks for input that this client did not declare to give: %s", c.Target.Server, missing.Message)}
}

// require adds to a ClientCapabilities object what an input needs.
func require(required []byte, in input) []byte {
	name, mode := "roots", ""
	switch in.method {
	case mcp.Elicit:
		name, mode = "elicitation", era.ElicitMode(in.params)
	case mcp.CreateMessage:
		name = "sampling"
		if rawjson.Get(in.params, "tools") != nil || rawjson.Get(in.params, "toolChoice") != nil {
			mode = "tools"
		}
	}
	inner := rawjson.Get(required, name)
	if inner == nil {
		inner = []byte("{}")
	}
	if mode != "" {
		inner = rawjson.AppendEdited(nil, inner, rawjson.Edit{Key: mode, Value: []byte("{}")})
	}
	return rawjson.AppendEdited(nil, required, rawjson.Edit{Key: name, Value: inner})
}

func invalid(c *mcp.Call, err error) error {
	return &mcp.Error{Code: mcp.Internal, Reason: "server_invalid", Err: err,
		Message: fmt.Sprintf("server %q asks for input in a way that is not acceptable: %s", c.Target.Server, err)}
}
