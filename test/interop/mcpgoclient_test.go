package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"

	mcpgo "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpgoClient is a client made with mcp-go. Without more options it asks server/discover first.
func mcpgoClient(options ...mcpgo.ClientOption) func(context.Context, []job) ([]session, error) {
	return func(ctx context.Context, jobs []job) ([]session, error) {
		var sessions []session
		for i, j := range jobs {
			s, err := mcpgoSession(ctx, j, options)
			if err != nil {
				return nil, fmt.Errorf("job %d (%s %s%s): %w", i, j.Transport, j.URL, j.Command, err)
			}
			sessions = append(sessions, s)
		}
		return sessions, nil
	}
}

func mcpgoSession(ctx context.Context, j job, options []mcpgo.ClientOption) (s session, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.guard())
	defer cancel()
	var stderr bytes.Buffer
	// Without asking for a stream, this client is told nothing between its calls.
	tr, err := mcpgoTransport(j.link, &stderr, len(j.Steps) > 0 && len(options) > 0)
	if err != nil {
		return s, err
	}
	notes, talker := newProgressLog(), &mcpgoTalker{talk: newTalk()}
	options = slices.Clone(options)
	if len(j.Steps) > 0 {
		options = append(options, talker.options()...)
	}
	c := mcpgo.NewClient(tr, options...)
	talker.client = c
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		talker.hear(n.Method, n.Params)
		if n.Method != "notifications/progress" {
			return
		}
		var p struct {
			ProgressToken any `json:"progressToken"`
			progressNote
		}
		if b, err := json.Marshal(n.Params); err == nil && json.Unmarshal(b, &p) == nil {
			notes.note(p.ProgressToken, p.progressNote)
		}
	})
	if err := c.Start(ctx); err != nil {
		return s, fmt.Errorf("start: %w", err)
	}
	defer func() {
		if cerr := c.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close: %w\n%s", cerr, &stderr)
		}
	}()
	var hello mcp.InitializeRequest
	hello.Params.ClientInfo = mcp.Implementation{Name: "interop-mcpgo", Version: "1.0.0"}
	if _, err := c.Initialize(ctx, hello); err != nil {
		return s, fmt.Errorf("initialize: %w\n%s", err, &stderr)
	}
	s.ProtocolVersion = c.ProtocolVersion()
	err = mcpgoListAndCall(ctx, c, j.Calls, notes, &s)
	if err == nil {
		s.Said = talker.run(ctx, j.Steps)
	}
	return s, err
}

func mcpgoListAndCall(ctx context.Context, c *mcpgo.Client, calls []jobCall, notes *progressLog, s *session) error {
	tools, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return fmt.Errorf("tools/list: %w", err)
	}
	for _, tool := range tools.Tools {
		b, err := json.Marshal(tool)
		if err != nil {
			return err
		}
		s.Tools = append(s.Tools, b)
	}
	for i, call := range calls {
		token := fmt.Sprintf("progress-%d", i)
		var req mcp.CallToolRequest
		req.Params.Name, req.Params.Arguments = call.Name, call.Arguments
		req.Params.Meta = &mcp.Meta{ProgressToken: token}
		var o outcome
		if result, err := c.CallTool(ctx, req); err != nil {
			o.Error = json.RawMessage(mustJSON(err.Error()))
		} else if o.Result, err = json.Marshal(result); err != nil {
			return err
		}
		o.Progress = notes.take(token, call)
		s.Results = append(s.Results, o)
	}
	s.StrayProgress = notes.left()
	return nil
}

func mcpgoTransport(l link, stderr *bytes.Buffer, listen bool) (transport.Interface, error) {
	switch l.Transport {
	case "stdio":
		start := func(ctx context.Context, command string, env, args []string) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, command, args...)
			cmd.Env, cmd.Dir = append(os.Environ(), env...), l.Cwd
			inOwnGroup(cmd)
			return cmd, nil
		}
		return transport.NewStdioWithOptions(l.Command, l.environ(), l.Args,
			transport.WithCommandFunc(start), transport.WithCommandStderrWriter(stderr)), nil
	case "sse":
		return transport.NewSSE(l.URL)
	case "http":
		// It gives up the POST of an answer when its call is over, and where that connection has just been
		// taken for the next request, net/http gives up that one too.
		alone := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		options := []transport.StreamableHTTPCOption{transport.WithHTTPBasicClient(alone)}
		if listen {
			options = append(options, transport.WithContinuousListening())
		}
		return transport.NewStreamableHTTP(l.URL, options...)
	}
	return nil, fmt.Errorf("transport %q", l.Transport)
}
