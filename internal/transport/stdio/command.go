package stdio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"mcpgateway/internal/transport"
)

// Every process of a server bears these two in its environment, however it was started,
// so that all of them can be found when the server or the gateway ends. Where a gateway
// is itself the server of another one, a value is the path "outer/inner", so that both find
// their own.
const (
	runMark      = "MCP_GATEWAY_RUN"
	instanceMark = "MCP_GATEWAY_SERVER"
	// OriginMark names the variable by which a process knows from which configs the gateways above it
	// run: their Params.Origin, with "/" between them.
	OriginMark = "MCP_GATEWAY_ORIGIN"
)

// command prepares the process without starting it. Its errors wrap ErrNotStarted.
func (p *Params) command(instance string) (*exec.Cmd, error) {
	for _, s := range append(append([]string{p.Command, p.Dir}, p.Args...), p.Env...) {
		if strings.ContainsRune(s, 0) {
			return nil, notStarted("its command, args, env or cwd holds a NUL byte; remove it")
		}
	}
	if p.Dir != "" {
		if info, err := os.Stat(p.Dir); err != nil {
			return nil, notStarted("cwd %q: %s; create the folder or correct the path", p.Dir, plain(err))
		} else if !info.IsDir() {
			return nil, notStarted("cwd %q is not a folder; give the path of one", p.Dir)
		}
	}
	path, err := p.lookup()
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path:        path,
		Args:        append([]string{p.Command}, p.Args...),
		Env:         p.childEnv(instance),
		Dir:         p.Dir,
		SysProcAttr: ownSession(),
	}, nil
}

// lookup finds the command as a shell would, but on the PATH that the child gets, and
// never by a relative entry of it: what runs must not depend on where we were started.
func (p *Params) lookup() (string, error) {
	if p.Command == "" {
		return "", notStarted("its command is empty; name the program to start")
	}
	if filepath.Base(p.Command) != p.Command {
		path := p.Command
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.Dir, path)
		}
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = exec.LookPath(path)
		}
		if err != nil {
			return "", notStarted("command %q: %s; %s", p.Command, plain(err), advice(err))
		}
		return path, nil
	}
	var found error
	for _, dir := range filepath.SplitList(p.variable("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path, err := exec.LookPath(filepath.Join(dir, p.Command))
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) && found == nil {
			found = fmt.Errorf("%s: %w", filepath.Join(dir, p.Command), unwrapped(err))
		}
	}
	if found != nil {
		return "", notStarted("command %q: %s; %s", p.Command, plain(found), advice(found))
	}
	if first, rest, spaced := strings.Cut(p.Command, " "); spaced {
		return "", notStarted("command %q was not found on PATH; no shell takes it apart: write %q as the command and put %q into \"args\", word by word", p.Command, first, rest)
	}
	return "", notStarted("command %q was not found on PATH; install it, or give its full path", p.Command)
}

func (p *Params) variable(name string) string {
	value := ""
	for _, kv := range p.Env { // the last one wins, as exec has it
		if k, v, ok := strings.Cut(kv, "="); ok && sameVariable(k, name) {
			value = v
		}
	}
	return value
}

// sameVariable compares names as the system does: "Path" is PATH on Windows.
func sameVariable(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}

func (p *Params) childEnv(instance string) []string {
	out := make([]string, 0, len(p.Env)+3)
	for _, kv := range p.Env {
		if k, _, _ := strings.Cut(kv, "="); !sameVariable(k, runMark) && !sameVariable(k, instanceMark) && !sameVariable(k, OriginMark) {
			out = append(out, kv)
		}
	}
	return append(out, mark(runMark, p.RunID), mark(instanceMark, instance), mark(OriginMark, p.Origin))
}

func mark(name, id string) string {
	if outer := os.Getenv(name); outer != "" {
		id = outer + "/" + id
	}
	return name + "=" + id
}

// startError tells what somebody must mend from what may pass.
func (p *Params) startError(err error) error {
	for _, passing := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, passing) {
			return fmt.Errorf("start %q: %w", p.Command, err)
		}
	}
	return notStarted("command %q: %s; %s", p.Command, plain(err), advice(err))
}

func advice(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "make the file executable (chmod +x)"
	case errors.Is(err, syscall.EISDIR):
		return "give the path of a program, not of a folder"
	case errors.Is(err, syscall.ENOEXEC):
		return "the file is no program for this machine, or a script without a #! line"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return "correct the path, or install what it (or a script's #! line) names"
	case errors.Is(err, syscall.E2BIG):
		return "shorten its args and env"
	}
	return "correct the command"
}

// plain strips the system call and the path, which the message names anyway.
func plain(err error) string { return unwrapped(err).Error() }

func unwrapped(err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err
}

func notStarted(format string, args ...any) error {
	return &startFailure{fmt.Sprintf(format, args...)}
}

// A startFailure reads as its plain words and wraps ErrNotStarted.
type startFailure struct{ text string }

func (e *startFailure) Error() string { return e.text }
func (e *startFailure) Unwrap() error { return transport.ErrNotStarted }
