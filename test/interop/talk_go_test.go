package interop

import (
	"context"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// acknowledged tells that a subscription of the stateless era is open.
const acknowledged = "notifications/subscriptions/acknowledged"

// goTalker makes a client of the Go SDK run steps.
type goTalker struct {
	*talk
	session *mcp.ClientSession
	level   mcp.LoggingLevel
}

// options are those of a client that can be asked.
func (t *goTalker) options() *mcp.ClientOptions {
	return &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{
			RootsV2:     &mcp.RootCapabilities{ListChanged: true},
			Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{}},
		},
		CreateMessageHandler: func(_ context.Context, req *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			t.ask("sampling/createMessage", req.Params)
			return &mcp.CreateMessageResult{
				Model: "test-model", Role: "assistant", StopReason: "endTurn",
				Content: &mcp.TextContent{Text: sampled(req.Params)},
			}, nil
		},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			t.ask("elicitation/create", req.Params)
			action, content := t.current().elicited(req.Params.Mode)
			return &mcp.ElicitResult{Action: action, Content: content}, nil
		},
	}
}

// attach gives the client its roots, and notes what it is told.
func (t *goTalker) attach(c *mcp.Client) {
	for _, r := range clientRoots {
		c.AddRoots(&mcp.Root{URI: r.uri, Name: r.name})
	}
	c.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == "roots/list" {
				t.ask(method, map[string]any{})
			}
			if strings.HasPrefix(method, "notifications/") {
				t.hear(method, req.GetParams())
			}
			return next(ctx, method, req)
		}
	})
}

func (t *goTalker) stateless() bool {
	return t.session.InitializeResult().ProtocolVersion >= firstStateless
}

func (t *goTalker) run(ctx context.Context, steps []step) []said {
	var out []said
	for _, s := range steps {
		t.begin(s)
		result, err := t.do(ctx, s)
		t.wait(s.Await)
		out = append(out, t.end(result, err))
	}
	return out
}

func (t *goTalker) do(ctx context.Context, s step) (any, error) {
	cs := t.session
	switch s.Do {
	case "tool":
		params := &mcp.CallToolParams{Meta: t.meta(), Name: s.Name, Arguments: s.Args}
		params.SetProgressToken(mustJSON(s))
		return cs.CallTool(ctx, params)
	case "together":
		return together(s.With, func(s step) (any, error) { return t.do(ctx, s) }), nil
	case "prompt":
		return cs.GetPrompt(ctx, &mcp.GetPromptParams{Meta: t.meta(), Name: s.Name, Arguments: texts(s.Args)})
	case "prompts":
		return cs.ListPrompts(ctx, &mcp.ListPromptsParams{})
	case "resources":
		return cs.ListResources(ctx, &mcp.ListResourcesParams{})
	case "templates":
		return cs.ListResourceTemplates(ctx, &mcp.ListResourceTemplatesParams{})
	case "read":
		return cs.ReadResource(ctx, &mcp.ReadResourceParams{Meta: t.meta(), URI: s.URI})
	case "complete":
		p := &mcp.CompleteParams{
			Ref:      &mcp.CompleteReference{Type: s.Ref.Type, Name: s.Ref.Name, URI: s.Ref.URI},
			Argument: mcp.CompleteParamsArgument{Name: s.Argument.Name, Value: s.Argument.Value},
		}
		if s.Context != nil {
			p.Context = &mcp.CompleteContext{Arguments: s.Context.Arguments}
		}
		return cs.Complete(ctx, p)
	}
	return map[string]any{}, t.change(ctx, s)
}

// change does what changes the session.
func (t *goTalker) change(ctx context.Context, s step) error {
	switch s.Do {
	case "level":
		t.level = mcp.LoggingLevel(s.Level)
		if t.stateless() {
			return nil
		}
		return t.session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: t.level})
	case "subscribe":
		err := t.session.Subscribe(ctx, &mcp.SubscribeParams{URI: s.URI})
		if err == nil && t.stateless() {
			t.wait(map[string]int{acknowledged: 1})
		}
		return err
	case "unsubscribe":
		return t.session.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: s.URI})
	}
	return fmt.Errorf("step %s: not known", s.Do)
}

// meta carries the level, which goes with each request in the stateless era
// (2026-07-28, server/utilities/logging).
func (t *goTalker) meta() mcp.Meta {
	if t.level == "" || !t.stateless() {
		return nil
	}
	return mcp.Meta{mcp.MetaKeyLogLevel: t.level}
}

func texts(args map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range args {
		out[k] = fmt.Sprint(v)
	}
	return out
}
