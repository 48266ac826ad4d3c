package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// regionSchema is handed out as it stands. Its x-mcp-header annotation makes a stateless HTTP
// server demand the argument as the header Mcp-Param-Region as well
// (2026-07-28, basic/transports/streamable-http, Custom headers from tool parameters).
const regionSchema = `{"type":"object","required":["region"],"properties":{` +
	`"region":{"type":"string","description":"where to look","x-mcp-header":"Region"}}}`

func addTools(s *server.MCPServer) {
	s.AddTool(mcp.NewTool("add", mcp.WithDescription("Adds two numbers."), mcp.WithTitleAnnotation("Add"),
		mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithNumber("a", mcp.Required()), mcp.WithNumber("b", mcp.Required()),
		mcp.WithOutputSchema[addResult]()), add)
	s.AddTool(mcp.NewTool("countdown", mcp.WithDescription("Sends progress, one step at a time, then answers."),
		mcp.WithNumber("from", mcp.Required())), countdown(s))
	s.AddTool(mcp.NewTool("fail", mcp.WithDescription("Answers with a tool error.")), fail)
	s.AddTool(mcp.NewToolWithRawSchema("region", "Repeats its arguments. Größe: 10 µm → 漢字 🧭",
		json.RawMessage(regionSchema)), region)
	// A dot in a tool's own name: the safe style cannot have it.
	s.AddTool(mcp.NewTool("text.upper", mcp.WithDescription("Makes letters large."),
		mcp.WithString("text", mcp.Required())), upper)
}

type addResult struct {
	Sum float64 `json:"sum"`
}

func add(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	sum := req.GetFloat("a", 0) + req.GetFloat("b", 0)
	return mcp.NewToolResultStructured(addResult{Sum: sum}, fmt.Sprintf("The sum is %v.", sum)), nil
}

func countdown(s *server.MCPServer) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		sent := 0
		if from := req.GetInt("from", 0); req.Params.Meta != nil && req.Params.Meta.ProgressToken != nil {
			for ; sent < from; sent++ {
				err := s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
					"progressToken": req.Params.Meta.ProgressToken,
					"progress":      sent + 1,
					"total":         from,
					"message":       fmt.Sprintf("step %d", sent+1),
				})
				if err != nil {
					return nil, err
				}
			}
		}
		return mcp.NewToolResultStructured(map[string]int{"sent": sent}, fmt.Sprintf(`{"sent":%d}`, sent)), nil
	}
}

func fail(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultError("this tool always fails"), nil
}

func region(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	b, err := json.Marshal(req.GetArguments())
	return mcp.NewToolResultText(string(b)), err
}

func upper(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(strings.ToUpper(req.GetString("text", ""))), nil
}
