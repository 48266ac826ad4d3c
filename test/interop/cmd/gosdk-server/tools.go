package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type addArgs struct {
	A float64 `json:"a" jsonschema:"first summand"`
	B float64 `json:"b" jsonschema:"second summand"`
}

type addResult struct {
	Sum float64 `json:"sum" jsonschema:"a + b"`
}

type countdownArgs struct {
	From int `json:"from" jsonschema:"how many progress notifications to send"`
}

type countdownResult struct {
	Sent int `json:"sent" jsonschema:"progress notifications sent"`
}

// regionSchema is handed out as it stands. Its x-mcp-header annotation makes a stateless HTTP
// server demand the argument as the header Mcp-Param-Region as well
// (2026-07-28, basic/transports/streamable-http, Custom headers from tool parameters).
const regionSchema = `{"type":"object","required":["region"],"properties":{` +
	`"region":{"type":"string","description":"where to look","x-mcp-header":"Region"},` +
	`"depth":{"minimum":0,"default":1,"type":"integer"}},` +
	`"x-vendor":{"zeta":[1,2,3],"alpha":{"nested":null}}}`

func addTools(s *mcp.Server) {
	readOnly := &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true}
	mcp.AddTool(s, &mcp.Tool{
		Name: "add", Title: "Add", Description: "Adds two numbers.", Annotations: readOnly,
		Icons: []mcp.Icon{{Source: "data:image/svg+xml;base64,PHN2Zy8+", MIMEType: "image/svg+xml", Sizes: []string{"any"}}},
	}, add)
	mcp.AddTool(s, &mcp.Tool{
		Name: "countdown", Description: "Sends progress, one step at a time, then answers.",
	}, countdown)
	mcp.AddTool(s, &mcp.Tool{
		Name: "fail", Description: "Answers with a tool error.",
	}, fail)
	s.AddTool(&mcp.Tool{
		Name: "region", Description: "Repeats its arguments. Größe: 10 µm → 漢字 🧭",
		InputSchema: json.RawMessage(regionSchema), Annotations: readOnly,
		Meta: mcp.Meta{"example.com/kind": "lookup", "example.com/order": []any{3, 1, 2}},
	}, region)
}

func add(_ context.Context, _ *mcp.CallToolRequest, in addArgs) (*mcp.CallToolResult, addResult, error) {
	sum := in.A + in.B
	return &mcp.CallToolResult{
		Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf("The sum is %v.", sum)}},
	}, addResult{Sum: sum}, nil
}

func countdown(ctx context.Context, req *mcp.CallToolRequest, in countdownArgs) (*mcp.CallToolResult, countdownResult, error) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return nil, countdownResult{}, nil
	}
	for i := range in.From {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			ProgressToken: token,
			Progress:      float64(i + 1),
			Total:         float64(in.From),
			Message:       fmt.Sprintf("step %d", i+1),
		})
		if err != nil {
			return nil, countdownResult{}, err
		}
	}
	return nil, countdownResult{Sent: in.From}, nil
}

func fail(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
	return nil, nil, fmt.Errorf("this tool always fails")
}

func region(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return &mcp.CallToolResult{
		Content: []mcp.Content{&mcp.TextContent{Text: string(req.Params.Arguments)}},
	}, nil
}
