package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inOwnGroup makes cmd the leader of a process group that its context's end kills as a whole.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
}

// process is a long-lived child: an HTTP server or a gateway.
type process struct {
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when it has exited; err is set then
	err  error
}

func startProcess(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, out: newOutput(), done: make(chan struct{})}
	inOwnGroup(cmd)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// waitLine returns the first line of output that contains text.
func (p *process) waitLine(ctx context.Context, text string) (string, error) {
	for {
		line, changed := p.out.find(text)
		if line != "" {
			return line, nil
		}
		select {
		case <-changed:
		case <-p.done:
			return "", fmt.Errorf("%s ended (%v) before it said %q:\n%s", p.name, p.err, text, p.out)
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not say %q in time:\n%s", p.name, text, p.out)
		}
	}
}

// stop asks the process to end with SIGTERM and kills its group if it does not within the guard.
func (p *process) stop(guard time.Duration) error {
	defer syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // whatever it left in its group
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(guard):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s was still there %v after SIGTERM:\n%s", p.name, guard, p.out)
	}
}

// output keeps what a process printed, up to a bound, and tells when more came.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer // guarded by mu
	changed chan struct{}
}

const outputBound = 256 << 10

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < outputBound {
		o.text.Write(p)
	}
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) find(text string) (line string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := bufio.NewScanner(bytes.NewReader(o.text.Bytes()))
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text(), o.changed
		}
	}
	return "", o.changed
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// markVar marks the stdio servers of one run in their environment, so that those left over are found.
const markVar = "INTEROP_RUN"

// checkNoneLeft fails t if a process marked with mark lives on, and ends it. It sees what /proc shows,
// so elsewhere than on Linux it finds nothing.
func checkNoneLeft(t *testing.T, mark string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	left := markedProcesses(mark)
	for len(left) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		left = markedProcesses(mark)
	}
	for pid, command := range left {
		t.Errorf("still there: process %d: %s", pid, command)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	}
}

func markedProcesses(mark string) map[int]string {
	found := map[int]string{}
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(environ, []byte(markVar+"="+mark+"\x00")) {
			continue
		}
		var pid int
		fmt.Sscanf(path, "/proc/%d/environ", &pid)
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		found[pid] = strings.ReplaceAll(strings.TrimRight(string(command), "\x00"), "\x00", " ")
	}
	return found
}
