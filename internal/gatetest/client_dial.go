package gatetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// handshake is the stateful era's beginning.
func (c *core) handshake() error {
	ctx, cancel := context.WithTimeout(c.ctx, startTime)
	defer cancel()
	a, err := c.Do(ctx, "initialize", `{"protocolVersion":"`+c.opts.Revision+`","capabilities":`+c.opts.capabilities()+`,"clientInfo":`+clientInfo+`}`)
	if err != nil {
		return err
	}
	if !slices.Contains(statefulRevisions, c.Revision()) {
		return fmt.Errorf("initialize was answered with %s", a.Raw)
	}
	if _, ok := text(field(a.Result, "serverInfo", "name")); !ok {
		c.fault("initialize: no serverInfo: %s", a.Result)
	}
	if !isObject(field(a.Result, "capabilities")) {
		c.fault("initialize: no capabilities: %s", a.Result)
	}
	return nil
}

// prepare sets the log level of a session.
func (c *core) prepare() error {
	if c.opts.LogLevel == "" || c.Hello() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, startTime)
	defer cancel()
	a, err := c.Do(ctx, "logging/setLevel", `{"level":`+quote(c.opts.LogLevel)+`}`)
	if err == nil && a.Error != nil {
		err = fmt.Errorf("logging/setLevel: %s", a.Error)
	}
	return err
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
	return List(ctx, c, "tools/list")
}

// List is ListTools for any of the lists: tools/list, prompts/list, resources/list and
// resources/templates/list.
func List(ctx context.Context, c Client, method string) (all []json.RawMessage, pages int, err error) {
	params := ""
	for pages < maxPages {
		a, err := c.Do(ctx, method, params)
		if err != nil {
			return nil, pages, err
		}
		var page []json.RawMessage
		if err := json.Unmarshal(field(a.Result, listings[method].member), &page); err != nil {
			return nil, pages, fmt.Errorf("%s was answered with %.300s", method, a.Raw)
		}
		all, pages = append(all, page...), pages+1
		next := field(a.Result, "nextCursor")
		if next == nil {
			return all, pages, nil
		}
		params = `{"cursor":` + string(next) + `}`
	}
	return all, pages, fmt.Errorf("%s does not end within %d pages", method, maxPages)
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
