package gatetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// startTime is how long a client waits for its first answers: servers may start behind it.
const startTime = 30 * time.Second

// handshake is the stateful era's beginning; it gives the revision that was agreed.
func (c *core) handshake(want string) (string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, startTime)
	defer cancel()
	a, err := c.Do(ctx, "initialize", `{"protocolVersion":"`+want+`","capabilities":{},"clientInfo":`+clientInfo+`}`)
	if err != nil {
		return "", err
	}
	version, _ := text(field(a.Result, "protocolVersion"))
	if !slices.Contains(statefulRevisions, version) {
		return "", fmt.Errorf("initialize was answered with %s", a.Raw)
	}
	if _, ok := text(field(a.Result, "serverInfo", "name")); !ok {
		c.fault("initialize: no serverInfo: %s", a.Result)
	}
	if _, ok := fields(field(a.Result, "capabilities")); !ok {
		c.fault("initialize: no capabilities: %s", a.Result)
	}
	return version, nil
}

// subscribe opens the subscription to list_changed and waits until it stands.
func (c *core) subscribe() error {
	p := c.open("subscriptions/listen")
	c.mu.Lock()
	c.listen = p
	c.mu.Unlock()
	c.begin(p, `{"notifications":{"toolsListChanged":true}}`)
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case <-c.acked:
		return nil
	case <-p.done:
		if p.err != nil {
			return p.err
		}
		return fmt.Errorf("subscriptions/listen was answered with %s", p.answer.Raw)
	case <-timer.C:
		return fmt.Errorf("no acknowledgment of subscriptions/listen in %v", startTime)
	}
}

// endpoint appends a path to a base URL that does not have it yet.
func endpoint(base, path string) string {
	if strings.HasSuffix(base, path) || strings.Contains(base, path+"?") {
		return base
	}
	return strings.TrimSuffix(base, "/") + path
}

// maxPages ends a listing whose cursors never end.
const maxPages = 200

// ListTools follows the cursors of tools/list to the end and gives the definitions and
// the number of pages.
func ListTools(ctx context.Context, c Client) (tools []json.RawMessage, pages int, err error) {
	params := ""
	for pages < maxPages {
		a, err := c.Do(ctx, "tools/list", params)
		if err != nil {
			return nil, pages, err
		}
		var page []json.RawMessage
		if err := json.Unmarshal(field(a.Result, "tools"), &page); err != nil {
			return nil, pages, fmt.Errorf("tools/list was answered with %.300s", a.Raw)
		}
		tools, pages = append(tools, page...), pages+1
		next := field(a.Result, "nextCursor")
		if next == nil {
			return tools, pages, nil
		}
		params = `{"cursor":` + string(next) + `}`
	}
	return tools, pages, fmt.Errorf("tools/list does not end within %d pages", maxPages)
}

// CallTool calls a tool with raw arguments.
func CallTool(ctx context.Context, c Client, name, arguments string) (*Answer, error) {
	return c.Do(ctx, "tools/call", `{"name":`+quote(name)+`,"arguments":`+arguments+`}`)
}

// Member gives a member's raw bytes, by a path of keys; nil where there is none.
func Member(raw []byte, path ...string) json.RawMessage { return field(raw, path...) }

// FirstText decodes the text of a result's first content block, empty where there is none.
func FirstText(a *Answer) string {
	var blocks []json.RawMessage
	if a == nil || json.Unmarshal(field(a.Result, "content"), &blocks) != nil || len(blocks) == 0 {
		return ""
	}
	s, _ := text(field(blocks[0], "text"))
	return s
}
