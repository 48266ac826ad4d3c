package stdio

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeGateway starts a watchdog and a stubborn tree, says so, and waits to be killed.
func fakeGateway() {
	run := os.Getenv("TEST_RUN")
	exe, _ := os.Executable()
	stop, err := StartWatchdog(exe, []string{"watchdog", run}, run)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := New(Params{Command: exe, RunID: run, Env: []string{modeVar + "=tree", "PATH=" + os.Getenv("PATH")}})
	c, err := d.Dial(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if line == "stop\n" {
		fmt.Println("stopped:", stop(), stop(), c.(*conn).closing())
	}
	forever()
}

type helper struct {
	cmd   *exec.Cmd
	stdin *os.File
	out   *bufio.Scanner
}

func startHelper(t *testing.T, mode, run string) *helper {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self(t))
	cmd.Env = []string{modeVar + "=" + mode, "TEST_RUN=" + run, "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = r
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		w.Close()
		tree, _ := running(run)
		for _, p := range tree { // only after a failure
			signalOne(p, syscall.SIGKILL)
		}
	})
	return &helper{cmd, w, bufio.NewScanner(out)}
}

func (h *helper) expect(t *testing.T, want string) {
	t.Helper()
	if !h.out.Scan() || h.out.Text() != want {
		t.Fatalf("the helper says %q, want %q", h.out.Text(), want)
	}
}

// running gives the processes of a run, and its watchdog.
func running(run string) (tree, dog []process) {
	for pid, p := range readProcesses() {
		if p.dead {
			continue
		}
		cmdline := string(slurp(fmt.Sprintf("/proc/%d/cmdline", pid), nil))
		if strings.HasSuffix(cmdline, "\x00watchdog\x00"+run+"\x00") {
			dog = append(dog, p)
		} else if marked(p.run, run) {
			tree = append(tree, p)
		}
	}
	return tree, dog
}

func ignores(pid int, sig syscall.Signal) bool {
	status := string(slurp(fmt.Sprintf("/proc/%d/status", pid), nil))
	_, mask, _ := strings.Cut(status, "SigIgn:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	bits, _ := strconv.ParseUint(mask, 16, 64)
	return bits&(1<<(sig-1)) != 0
}

func TestWatchdogEndsWhatAKilledGatewayLeaves(t *testing.T) {
	t.Parallel()
	run := "run-killed-" + rand.Text() // the same test may run elsewhere on the machine
	h := startHelper(t, "gateway", run)
	h.expect(t, "ready")
	until(t, func() bool { tree, dog := running(run); return len(tree) >= treeSize-1 && len(dog) == 1 })
	_, dog := running(run)
	if dog[0].session != dog[0].pid || len(slurp(fmt.Sprintf("/proc/%d/environ", dog[0].pid), nil)) > 0 {
		t.Error("the watchdog is not on its own")
	}
	until(t, func() bool { return ignores(dog[0].pid, syscall.SIGTERM) })
	syscall.Kill(dog[0].pid, syscall.SIGTERM) // as a terminal or a service manager may
	syscall.Kill(dog[0].pid, syscall.SIGINT)
	begin := time.Now()
	h.cmd.Process.Kill()
	until(t, func() bool { tree, dog := running(run); return len(tree)+len(dog) == 0 })
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("all gone after %v", took)
	}
}

func TestStoppedWatchdogKillsNothing(t *testing.T) {
	t.Parallel()
	run := "run-stopped-" + rand.Text() // the same test may run elsewhere on the machine
	h := startHelper(t, "gateway", run)
	h.expect(t, "ready")
	until(t, func() bool { tree, _ := running(run); return len(tree) >= treeSize-1 })
	h.stdin.WriteString("stop\n")
	h.expect(t, "stopped: <nil> <nil> false")
	tree, dog := running(run)
	if len(tree) < treeSize-1 || len(dog) > 0 {
		t.Errorf("%d processes, %d watchdogs", len(tree), len(dog))
	}
	h.cmd.Process.Kill()
	h.cmd.Wait()
	r, w, _ := os.Pipe()
	defer r.Close()
	cleaner := exec.Command(self(t), "watchdog", run)
	cleaner.Stdin = r
	if err := cleaner.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	cleaner.Wait()
	if tree, _ := running(run); len(tree) > 0 {
		t.Errorf("%d left", len(tree))
	}
}
