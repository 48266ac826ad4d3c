package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/client"
)

// client is one kind of client. Each lists the tools and makes the calls of every job, in order.
type client struct {
	name      string
	stateless bool   // speaks 2026-07-28 where its peer does
	plain     string // a stateless one's likeness that asks initialize at once
	run       func(ctx context.Context, jobs []job) ([]session, error)
}

// job is one session of a client with one peer. The TypeScript clients take it as JSON.
type job struct {
	link
	Mode  string    `json:"mode,omitempty"`
	Calls []jobCall `json:"calls,omitempty"`
	Steps []step    `json:"steps,omitempty"` // those that have some declare that they can be asked
}

type jobCall struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`

	progress int  // notifications to wait for
	loose    bool // any others may come at any time
}

// session is what a client saw. Tools is what its SDK gave; WireTools, of those clients that can tell,
// is what the transport gave the SDK.
type session struct {
	ProtocolVersion string            `json:"protocolVersion"`
	Tools           []json.RawMessage `json:"tools"`
	WireTools       []json.RawMessage `json:"wireTools"`
	StrayProgress   int               `json:"strayProgress"`
	Results         []outcome         `json:"results"`
	Said            []said            `json:"said"`
	Error           json.RawMessage   `json:"error"`
}

// jobGuard bounds one session without steps: npm servers start slowly.
const jobGuard = 30 * time.Second

func (j job) guard() time.Duration {
	if len(j.Steps) > 0 {
		return 3 * jobGuard
	}
	return jobGuard
}

// firstStateless is the first revision without initialize.
const firstStateless = "2026-07-28"

// clients declare no capabilities for calls alone, all of them: some servers list other tools to those who declare some.
func clients() []client {
	return []client{
		{name: "ts-v1", run: tsClient("ts-v1.mjs", "stateful")},
		{name: "ts-v2-stateful", run: tsClient("ts-v2.mjs", "stateful")},
		{name: "ts-v2-auto", stateless: true, plain: "ts-v2-stateful", run: tsClient("ts-v2.mjs", "auto")},
		{name: "go-stateful", run: goClient("2025-11-25")},
		{name: "go-auto", stateless: true, plain: "go-stateful", run: goClient("")},
		{name: "mcpgo-stateful", run: mcpgoClient(mcpgo.WithProtocolVersion("2025-11-25"))},
		{name: "mcpgo-auto", stateless: true, plain: "mcpgo-stateful", run: mcpgoClient()},
	}
}

// clientNamed is one of the clients.
func clientNamed(name string) client {
	for _, c := range clients() {
		if c.name == name {
			return c
		}
	}
	panic("no client " + name)
}

// tsClient runs one of the TypeScript programs, one process for all jobs.
func tsClient(script, mode string) func(context.Context, []job) ([]session, error) {
	return func(ctx context.Context, jobs []job) ([]session, error) {
		guard := jobGuard
		for i := range jobs {
			jobs[i].Mode = mode
			guard += jobs[i].guard()
		}
		ctx, cancel := context.WithTimeout(ctx, guard)
		defer cancel()
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, theFleet.node, filepath.Join("clients", script), mustJSON(jobs))
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		inOwnGroup(cmd)
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", script, err, &stderr)
		}
		var sessions []session
		for line := range bytes.Lines(stdout.Bytes()) {
			var s session
			if err := json.Unmarshal(line, &s); err != nil {
				return nil, fmt.Errorf("%s printed %q: %w", script, line, err)
			}
			sessions = append(sessions, s)
		}
		if len(sessions) != len(jobs) {
			return nil, fmt.Errorf("%s printed %d lines for %d jobs\n%s", script, len(sessions), len(jobs), &stderr)
		}
		for i := range sessions {
			if len(sessions[i].Error) > 0 {
				return nil, fmt.Errorf("%s, job %d (%s %s%s): %s\n%s", script, i,
					jobs[i].Transport, jobs[i].URL, jobs[i].Command, sessions[i].Error, &stderr)
			}
		}
		return sessions, nil
	}
}
