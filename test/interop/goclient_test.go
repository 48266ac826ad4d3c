package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// goClient is a client made with the Go SDK. revision is what it asks for; empty is the SDK's default,
// server/discover first.
func goClient(revision string) func(context.Context, []job) ([]session, error) {
	return func(ctx context.Context, jobs []job) ([]session, error) {
		var sessions []session
		for i, j := range jobs {
			s, err := goSession(ctx, revision, j)
			if err != nil {
				return nil, fmt.Errorf("job %d (%s %s%s): %w", i, j.Transport, j.URL, j.Command, err)
			}
			sessions = append(sessions, s)
		}
		return sessions, nil
	}
}

func goSession(ctx context.Context, revision string, j job) (s session, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.guard())
	defer cancel()
	var stderr bytes.Buffer
	transport, err := goTransport(ctx, j.link, &stderr)
	if err != nil {
		return s, err
	}
	notes := newProgressLog()
	options, talker := &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}}, &goTalker{talk: newTalk()}
	if len(j.Steps) > 0 {
		options = talker.options()
	}
	options.ProgressNotificationHandler = notes.add
	c := mcp.NewClient(&mcp.Implementation{Name: "interop-go", Version: "1.0.0"}, options)
	if len(j.Steps) > 0 {
		talker.attach(c)
	}
	cs, err := c.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		return s, fmt.Errorf("connect: %w\n%s", err, &stderr)
	}
	defer func() {
		if cerr := cs.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close: %w\n%s", cerr, &stderr)
		}
	}()
	s.ProtocolVersion = cs.InitializeResult().ProtocolVersion
	for tool, err := range cs.Tools(ctx, nil) {
		if err != nil {
			return s, fmt.Errorf("tools/list: %w", err)
		}
		b, err := json.Marshal(tool)
		if err != nil {
			return s, err
		}
		s.Tools = append(s.Tools, b)
	}
	for i, call := range j.Calls {
		token := fmt.Sprintf("progress-%d", i)
		o, err := goCall(ctx, cs, call, token)
		if err != nil {
			return s, err
		}
		o.Progress = notes.take(token, call)
		s.Results = append(s.Results, o)
	}
	s.StrayProgress = notes.left()
	talker.session = cs
	s.Said = talker.run(ctx, j.Steps)
	return s, nil
}

func goTransport(ctx context.Context, l link, stderr *bytes.Buffer) (mcp.Transport, error) {
	switch l.Transport {
	case "stdio":
		cmd := exec.CommandContext(ctx, l.Command, l.Args...)
		cmd.Env, cmd.Dir = append(os.Environ(), l.environ()...), l.Cwd
		cmd.Stderr = stderr
		inOwnGroup(cmd)
		return &mcp.CommandTransport{Command: cmd}, nil
	case "sse":
		return &mcp.SSEClientTransport{Endpoint: l.URL}, nil
	case "http":
		return &mcp.StreamableClientTransport{Endpoint: l.URL}, nil
	}
	return nil, fmt.Errorf("transport %q", l.Transport)
}

func goCall(ctx context.Context, cs *mcp.ClientSession, c jobCall, token string) (outcome, error) {
	params := &mcp.CallToolParams{Name: c.Name, Arguments: c.Arguments}
	params.SetProgressToken(token)
	result, err := cs.CallTool(ctx, params)
	if err != nil {
		return outcome{Error: json.RawMessage(mustJSON(err.Error()))}, nil
	}
	b, err := json.Marshal(result)
	return outcome{Result: b}, err
}

// progressLog collects progress notifications. The SDK hands them over on another goroutine than the
// answer, so those of a call may still be on their way when it is answered.
type progressLog struct {
	mu      sync.Mutex
	byToken map[any][]progressNote // guarded by mu
	loose   map[any]bool           // tokens whose notifications may come at any time; guarded by mu
	changed chan struct{}          // guarded by mu
}

func newProgressLog() *progressLog {
	return &progressLog{byToken: map[any][]progressNote{}, loose: map[any]bool{}, changed: make(chan struct{})}
}

func (l *progressLog) add(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
	p := req.Params
	l.note(p.ProgressToken, progressNote{p.Progress, p.Total, p.Message})
}

func (l *progressLog) note(token any, n progressNote) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byToken[token] = append(l.byToken[token], n)
	close(l.changed)
	l.changed = make(chan struct{})
}

// take returns the notifications with the token of a call, once there are as many as are wanted.
func (l *progressLog) take(token any, c jobCall) []progressNote {
	want := c.progress
	if c.loose {
		want = 0
		l.mu.Lock()
		l.loose[token] = true
		l.mu.Unlock()
	}
	guard := time.After(5 * time.Second)
	for {
		l.mu.Lock()
		notes, changed := l.byToken[token], l.changed
		if len(notes) >= want {
			delete(l.byToken, token)
			l.mu.Unlock()
			return notes
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-guard:
			return notes
		}
	}
}

func (l *progressLog) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for token, notes := range l.byToken {
		if !l.loose[token] {
			n += len(notes)
		}
	}
	return n
}
