package stdio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
)

var systemFakes = map[string]func(){
	"gateway":   fakeGateway,
	"process 1": fakeProcessOne,
	"tree": func() {
		ignoreTerm()
		plantTree()
		serve(os.Stdin, echo)
		forever()
	},
	"tree, leader obeys": func() { plantTree(); serve(os.Stdin, echo) },
	"exit, stdout held": func() {
		start("setsid", "sleep", "1000")
		serve(os.Stdin, func(*jsonrpc.Message) { os.Exit(1) })
	},
}

// plantTree starts children of every kind: one in the group, one in a session of its
// own, a double fork, and one that has shed its environment too.
func plantTree() {
	start("sh", "-c", `trap '' TERM; sleep 1000 & setsid sleep 1000 & (setsid sh -c "sleep 1000 & sleep 1000" &); wait`)
	start("env", "-i", "setsid", "sleep", "1000")
}

func start(name string, args ...string) {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // held open by all of them
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// remains gives what still runs of pids, and what bears an instance's mark.
func remains(instance string, pids []process) []int {
	var left []int
	for pid, p := range readProcesses() {
		if !p.dead && marked(p.instance, instance) {
			left = append(left, pid)
		}
	}
	for _, was := range pids {
		if p, ok := readProcess(was.pid); ok && !p.dead && p.start == was.start {
			left = append(left, p.pid)
		}
	}
	return left
}

// grown waits until a fake tree has all its processes.
func grown(t *testing.T, leader int, instance string, n int) []process {
	t.Helper()
	var got []process
	until(t, func() bool {
		got = got[:0]
		for _, p := range members(readProcesses(), func(p process) bool {
			return p.pid == leader || marked(p.instance, instance)
		}) {
			got = append(got, p)
		}
		return len(got) >= n
	})
	return got
}

// A fake tree: leader, sh, its two sleeps, the setsid sh with its two, the bare sleep.
const treeSize = 8

func TestCloseEndsTheWholeTree(t *testing.T) {
	t.Parallel()
	for mode, bound := range map[string]time.Duration{
		"tree":               6 * time.Second, // ignores TERM and the end of stdin
		"tree, leader obeys": 2 * time.Second, // the rest does not
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			_, c := dial(t, fakeParams(t, mode))
			mustCall(t, c, "1", "{}")
			was := grown(t, c.tree.leader, c.tree.instance, treeSize)
			t.Logf("%d processes, closed in %v", len(was), closeWithin(t, c, bound))
			if left := remains(c.tree.instance, was); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

func TestDeathEndsTheWholeTree(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "tree"))
	mustCall(t, c, "1", "{}")
	was := grown(t, c.tree.leader, c.tree.instance, treeSize)
	begin := time.Now()
	syscall.Kill(c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
	t.Logf("known after %v", time.Since(begin))
	<-c.done // without Close
	t.Logf("all gone after %v", time.Since(begin))
	// What has shed its mark, its session and its parent is beyond finding; it is ended here.
	for _, p := range was {
		if !marked(p.instance, c.tree.instance) {
			signalOne(p, syscall.SIGKILL)
		}
	}
	if left := remains(c.tree.instance, nil); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestHeldStdoutHidesNoExit(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "exit, stdout held"))
	begin := time.Now()
	_, err := call(t.Context(), c, "1", "x", "{}")
	if took := time.Since(begin); !errors.Is(err, jsonrpc.ErrClosed) || took > within || err.Error() != "process exited with status 1" {
		t.Errorf("the call ended after %v with %v", took, err)
	}
	closeWithin(t, c, 3*time.Second)
	if left := remains(c.tree.instance, nil); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestCloseOfAQuietServerIsQuick(t *testing.T) {
	t.Parallel()
	_, c := dial(t, fakeParams(t, "echo"))
	mustCall(t, c, "1", "{}")
	closeWithin(t, c, stdinWait) // hence without TERM
	closeWithin(t, c, within)
}

func TestKillComesLast(t *testing.T) {
	t.Parallel()
	_, hang := dial(t, fakeParams(t, "hang"))
	_, stubborn := dial(t, fakeParams(t, "ignore TERM"))
	go hang.Close()
	took := closeWithin(t, stubborn, 6*time.Second)
	if took < stdinWait || stubborn.cmd.ProcessState == nil {
		t.Errorf("ended after %v: %v", took, stubborn.cmd.ProcessState)
	}
	hang.Close()
	if got := exitText(hang.cmd.ProcessState); got != "process killed by signal 15 (terminated)" {
		t.Error(got)
	}
}

func TestNoZombies(t *testing.T) {
	t.Parallel()
	for range 5 {
		_, c := dial(t, fakeParams(t, "exit"))
		call(t.Context(), c, "1", "x", "{}")
		<-c.done
		if p, ok := readProcess(c.tree.leader); ok && p.start == c.tree.known[p.pid] {
			t.Errorf("%+v is left", p)
		}
	}
}

// Where orphans fall to us, as to process 1 of a container, they are reaped.
func TestAdoptedOrphansAreReaped(t *testing.T) {
	t.Parallel()
	h := startHelper(t, "process 1", "run-one")
	h.expect(t, "children left: 0")
}

func fakeProcessOne() {
	const setChildSubreaper = 36
	syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0)
	exe, _ := os.Executable()
	d := New(Params{Command: exe, RunID: os.Getenv("TEST_RUN"), Env: []string{modeVar + "=tree, leader obeys", "PATH=" + os.Getenv("PATH")}})
	opened, err := d.Dial(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	c := opened.(*conn)
	for len(c.tree.marks()) < treeSize-1 {
		time.Sleep(5 * time.Millisecond)
	}
	c.Close()
	n := 0
	for _, p := range readProcesses() {
		if p.parent == os.Getpid() {
			n++
		}
	}
	fmt.Println("children left:", n)
}

// marks gives what bears the tree's mark.
func (t *tree) marks() (out []process) {
	for _, p := range readProcesses() {
		if marked(p.instance, t.instance) {
			out = append(out, p)
		}
	}
	return out
}

func TestSnapshotsAreShared(t *testing.T) {
	reads := 0
	s := &snapshots{read: func() map[int]process { reads++; return map[int]process{} }}
	asked := time.Now()
	for range 5 {
		s.since(asked)
	}
	if reads != 1 {
		t.Errorf("%d readings for one moment", reads)
	}
	if s.since(time.Now()); reads != 2 {
		t.Errorf("a snapshot from before it was asked for")
	}
}

func TestMarks(t *testing.T) {
	for _, tc := range []struct {
		value, id string
		want      bool
	}{
		{"a", "a", true}, {"a/b", "a", true}, {"a/b", "b", true}, {"ab", "a", false}, {"", "a", false}, {"", "", false}, {"a/", "", false},
	} {
		if got := marked(tc.value, tc.id); got != tc.want {
			t.Errorf("marked(%q, %q) = %v", tc.value, tc.id, got)
		}
	}
	t.Setenv(runMark, "outer")
	if got := mark(runMark, "inner"); got != "MCP_GATEWAY_RUN=outer/inner" {
		t.Errorf("within another gateway: %s", got)
	}
	stat := []byte("12 (a) b (c)) Z 7 8 9 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 555 0")
	if p, ok := parseStat(stat); !ok || p.pid != 12 || p.parent != 7 || p.group != 8 || p.session != 9 || p.start != 555 || !p.dead {
		t.Errorf("%+v, %v", p, ok)
	}
	if _, ok := parseStat(nil); ok {
		t.Error("nothing is a process")
	}
	environ := []byte("XMCP_GATEWAY_RUN=no\x00MCP_GATEWAY_RUN=yes\x00MCP_GATEWAY_RUNS=no\x00")
	if got := variable(environ, runMark); got != "yes" {
		t.Error(got)
	}
}
