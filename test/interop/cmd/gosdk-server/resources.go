package main

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const watchedURI = "go://watched"

// addWatched adds a resource, and a tool that tells its subscribers that it changed.
func addWatched(s *mcp.Server) {
	s.AddResource(&mcp.Resource{Name: "watched", URI: watchedURI, MIMEType: "text/plain"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
				{URI: req.Params.URI, MIMEType: "text/plain", Text: "It may have changed."},
			}}, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "touch", Description: "Tells subscribers that " + watchedURI + " changed."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			if err := s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: watchedURI}); err != nil {
				return nil, nil, fmt.Errorf("resource updated: %w", err)
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "touched"}}}, nil, nil
		})
}

// subscribed lets anyone subscribe to anything.
func subscribed(context.Context, *mcp.SubscribeRequest) error { return nil }

func unsubscribed(context.Context, *mcp.UnsubscribeRequest) error { return nil }
