package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	watchTerm  = time.Second            // between TERM and KILL
	watchBound = 4 * time.Second        // for all of it
	watchLeast = 300 * time.Millisecond // a child that was being started shows its mark only then
	watchQuit  = 'q'                    // read before the end, it says that there is nothing to do
)

// Watch is the watchdog process: it reads r until its end, which comes when the gateway
// that holds the other end dies, however it dies. Then it ends every process that bears
// the run's mark: TERM, KILL a second later, until none is left or 4 s have passed. It
// ignores the signals that end the gateway, and is for a process that does nothing else.
func Watch(runID string, r io.Reader) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == watchQuit {
			return
		}
		if err != nil {
			break
		}
	}
	if runID == "" {
		return
	}
	seen := map[int]uint64{}
	begin := time.Now()
	termed := map[int]uint64{}
	for time.Since(begin) < watchBound {
		living := watched(runID, seen)
		if len(living) == 0 && time.Since(begin) > watchLeast {
			return
		}
		for _, p := range living {
			if time.Since(begin) >= watchTerm {
				signalOne(p, syscall.SIGKILL)
			} else if termed[p.pid] != p.start {
				termed[p.pid] = p.start
				signalOne(p, syscall.SIGTERM)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// watched gives what runs of the run's processes, those seen before included.
func watched(runID string, seen map[int]uint64) []process {
	var living []process
	for _, p := range members(readProcesses(), func(p process) bool {
		start, known := seen[p.pid]
		return known && start == p.start || marked(p.run, runID)
	}) {
		seen[p.pid] = p.start
		if !p.dead {
			living = append(living, p)
		}
	}
	return living
}

// StartWatchdog starts a process that runs Watch: executable with args, in a session of
// its own and without our environment, so that neither a terminal nor the end of a server
// takes it along. The pipe it reads closes with our process. stop lets it go without
// killing anything and waits for its end; it may be called more than once.
func StartWatchdog(executable string, args []string, runID string) (stop func() error, err error) {
	if runID == "" {
		return nil, errors.New("start the watchdog: no run id")
	}
	r, w, err := os.Pipe() // no child inherits the write end: it closes on exec
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	cmd := exec.Command(executable, args...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin = r
	cmd.SysProcAttr = ownSession()
	err = cmd.Start()
	r.Close()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // stop waits for it
	return sync.OnceValue(func() error {
		_, err := w.Write([]byte{watchQuit})
		w.Close()
		select {
		case waited := <-ended:
			return errors.Join(err, waited)
		case <-time.After(2 * time.Second):
			return errors.Join(err, cmd.Process.Kill(), <-ended)
		}
	}), nil
}
