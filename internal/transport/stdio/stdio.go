// Package stdio reaches an MCP server that is a program: it starts the process, speaks
// one JSON-RPC message per line over its stdin and stdout, keeps what it says on stderr,
// and ends it together with every process it started. It never runs a shell, never
// restarts a process by itself, and knows no method of MCP.
package stdio

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

// DefaultMaxLine bounds a line on the server's stdout, in bytes.
const DefaultMaxLine = 16 << 20

// Params say what to start and how.
type Params struct {
	Command string         // a name to find on the PATH in Env, or a path; relative ones start at Dir
	Args    []string       // given to the command as they stand; there is no shell
	Env     []string       // the complete environment as KEY=VALUE; nothing of ours is added but three marks
	Dir     string         // working directory; empty means ours
	RunID   string         // unique per gateway process, without "/"; the child gets it as MCP_GATEWAY_RUN
	Origin  string         // says what started it, without "/"; the child gets it as OriginMark
	MaxLine int            // bytes of one line; zero means DefaultMaxLine
	Limits  jsonrpc.Limits // of a message; zero: jsonrpc.ServerLimits

	Log *slog.Logger // already says which server; nil discards

	// Secrets are values that no line of the server's is shown with: not in logs, not in
	// reasons, not in Stderr's lines.
	Secrets []string

	// Stderr, where set, gets every line of stderr on one goroutine. It must not block.
	Stderr func(line string)
}

// A Dialer starts the server's process, one for each Dial. It may be used from any
// number of goroutines.
type Dialer struct {
	p       Params
	stall   time.Duration // writeStall, exitGrace and drainGrace, but for tests
	exit    time.Duration
	drain   time.Duration
	stderr  ring
	hide    *strings.Replacer
	skipped notice // lines on stdout that are no message
	long    notice // lines on stdout that are too long
}

// New makes a Dialer; it starts nothing yet.
func New(p Params) *Dialer {
	if p.MaxLine <= 0 {
		p.MaxLine = DefaultMaxLine
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Dialer{p: p, stall: writeStall, exit: exitGrace, drain: drainGrace, hide: hider(p.Secrets)}
}

// minSecret is the shortest value that is hidden: shorter ones are no secrets, and words of
// any line.
const minSecret = 6

func hider(secrets []string) *strings.Replacer {
	secrets = slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return len(b) - len(a) }) // one may begin another
	var pairs []string
	for _, s := range secrets {
		if len(s) >= minSecret {
			pairs = append(pairs, s, "•••")
		}
	}
	return strings.NewReplacer(pairs...)
}

// Stderr gives the last lines of stderr, oldest first: 64 KiB in all, kept over restarts.
func (d *Dialer) Stderr() []string { return d.stderr.all() }

// Dial starts the process. The context does not bound its life; Close does.
func (d *Dialer) Dial(ctx context.Context) (transport.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	instance := rand.Text()
	cmd, err := d.p.command(instance)
	if err != nil {
		return nil, err
	}
	p, err := startPiped(cmd)
	if err != nil {
		return nil, d.p.startError(err)
	}
	c := &conn{
		dialer:   d,
		pipes:    p,
		cmd:      cmd,
		turn:     make(chan struct{}, 1),
		broken:   make(chan string, 1),
		stopping: make(chan struct{}),
		exited:   make(chan struct{}),
		ended:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	c.tree = newTree(cmd.Process, instance, c.exited)
	c.duplex = jsonrpc.NewDuplex(c.write)
	c.duplex.Bound(d.p.Limits)
	d.p.Log.DebugContext(ctx, "process started", "pid", cmd.Process.Pid)
	go c.run() // Close waits for it
	return c, nil
}

// pipes are our ends of the child's standard streams.
type pipes struct{ stdin, stdout, stderr *os.File }

// startPiped starts cmd with a pipe on each standard stream. They are pipes of our own,
// not exec's, so that waiting for the process does not mean waiting for a descendant that
// still holds one, and so that writes can have a deadline.
func startPiped(cmd *exec.Cmd) (p pipes, err error) {
	var files []*os.File
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
			files = append(files, r, w)
		}
		return r, w
	}
	inR, inW := pipe()
	outR, outW := pipe()
	errR, errW := pipe()
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
		err = cmd.Start()
	}
	if err != nil {
		for _, f := range files {
			f.Close() // a nil one of a pipe that failed only says so
		}
		return pipes{}, err
	}
	// The child has its own copies; with ours open we would never see the end.
	inR.Close()
	outW.Close()
	errW.Close()
	return pipes{stdin: inW, stdout: outR, stderr: errR}, nil
}
