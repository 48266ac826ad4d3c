package interop

import (
	"context"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpgoTalker makes a client of mcp-go run steps.
type mcpgoTalker struct {
	*talk
	client *mcpgo.Client
	roots  []mcp.Root
	listen func() // ends the subscription that is open, if any
}

// options are those of a client that can be asked.
func (t *mcpgoTalker) options() []mcpgo.ClientOption {
	for _, r := range clientRoots {
		t.roots = append(t.roots, mcp.Root{URI: r.uri, Name: r.name})
	}
	return []mcpgo.ClientOption{
		mcpgo.WithClientCapabilities(mcp.ClientCapabilities{
			Elicitation: &mcp.ElicitationCapability{Form: &struct{}{}, URL: &struct{}{}},
		}),
		mcpgo.WithSamplingHandler(t), mcpgo.WithElicitationHandler(t), mcpgo.WithRootsHandler(t),
	}
}

// CreateMessage answers a sampling request.
func (t *mcpgoTalker) CreateMessage(_ context.Context, req mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	t.ask("sampling/createMessage", req.CreateMessageParams)
	return &mcp.CreateMessageResult{
		Model: "test-model", StopReason: "endTurn",
		SamplingMessage: mcp.SamplingMessage{Role: mcp.RoleAssistant, Content: mcp.NewTextContent(sampled(req.CreateMessageParams))},
	}, nil
}

// Elicit answers an elicitation.
func (t *mcpgoTalker) Elicit(_ context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	t.ask("elicitation/create", req.Params)
	action, content := t.current().elicited(req.Params.Mode)
	result := &mcp.ElicitationResult{}
	result.Action = mcp.ElicitationResponseAction(action)
	if content != nil {
		result.Content = content
	}
	return result, nil
}

// ListRoots answers with the roots.
func (t *mcpgoTalker) ListRoots(context.Context, mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	t.ask("roots/list", map[string]any{})
	t.mu.Lock()
	defer t.mu.Unlock()
	return &mcp.ListRootsResult{Roots: t.roots}, nil
}

func (t *mcpgoTalker) stateless() bool { return t.client.ProtocolVersion() >= firstStateless }

func (t *mcpgoTalker) run(ctx context.Context, steps []step) []said {
	var out []said
	for _, s := range steps {
		t.begin(s)
		result, err := t.do(ctx, s)
		t.wait(s.Await)
		out = append(out, t.end(result, err))
	}
	if t.listen != nil {
		t.listen()
	}
	return out
}

func (t *mcpgoTalker) do(ctx context.Context, s step) (any, error) {
	switch s.Do {
	case "tool":
		var req mcp.CallToolRequest
		req.Params.Name, req.Params.Arguments = s.Name, s.Args
		if s.Args == nil {
			req.Params.Arguments = map[string]any{}
		}
		req.Params.Meta = &mcp.Meta{ProgressToken: mustJSON(s)}
		return t.client.CallTool(ctx, req)
	case "together":
		return together(s.With, func(s step) (any, error) { return t.do(ctx, s) }), nil
	case "prompt":
		var req mcp.GetPromptRequest
		req.Params.Name, req.Params.Arguments = s.Name, texts(s.Args)
		return t.client.GetPrompt(ctx, req)
	case "prompts":
		return t.client.ListPrompts(ctx, mcp.ListPromptsRequest{})
	case "resources":
		return t.client.ListResources(ctx, mcp.ListResourcesRequest{})
	case "templates":
		return t.client.ListResourceTemplates(ctx, mcp.ListResourceTemplatesRequest{})
	case "read":
		var req mcp.ReadResourceRequest
		req.Params.URI = s.URI
		return t.client.ReadResource(ctx, req)
	case "complete":
		var req mcp.CompleteRequest
		req.Params.Ref = s.Ref
		req.Params.Argument = mcp.CompleteArgument{Name: s.Argument.Name, Value: s.Argument.Value}
		if s.Context != nil {
			req.Params.Context.Arguments = s.Context.Arguments
		}
		return t.client.Complete(ctx, req)
	}
	return map[string]any{}, t.change(ctx, s)
}

// change does what changes the session.
func (t *mcpgoTalker) change(ctx context.Context, s step) error {
	switch s.Do {
	case "level":
		var req mcp.SetLevelRequest
		req.Params.Level = mcp.LoggingLevel(s.Level)
		return t.client.SetLevel(ctx, req) // notes it only, in the stateless era
	case "subscribe":
		if t.stateless() {
			var err error
			t.listen, err = t.client.ListenAsync(ctx, mcp.SubscriptionFilter{ResourceSubscriptions: []string{s.URI}}, nil)
			if err == nil {
				t.wait(map[string]int{acknowledged: 1})
			}
			return err
		}
		var req mcp.SubscribeRequest
		req.Params.URI = s.URI
		return t.client.Subscribe(ctx, req)
	case "unsubscribe":
		if t.stateless() {
			t.listen()
			t.listen = nil
			return nil
		}
		var req mcp.UnsubscribeRequest
		req.Params.URI = s.URI
		return t.client.Unsubscribe(ctx, req)
	}
	return fmt.Errorf("step %s: not known", s.Do)
}
