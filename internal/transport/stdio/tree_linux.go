package stdio

import (
	"os"
	"slices"
	"syscall"
	"time"
)

// A tree is a server's process and everything that came from it: what bears its mark in
// its environment, however far it went (setsid, double fork); what is or was seen to be a
// descendant; and what is in its session or group. Only its conn's goroutine uses it.
type tree struct {
	leader   int
	instance string
	known    map[int]uint64 // pid → start of each process ever seen in the tree
	group    bool           // the leader's number still names a group or session of ours
}

func newTree(leader *os.Process, instance string, exited <-chan struct{}) *tree {
	t := &tree{leader: leader.Pid, instance: instance, known: map[int]uint64{}, group: true}
	if p, ok := readProcess(leader.Pid); ok { // it is there: nobody waits for it yet
		t.known[p.pid] = p.start
	}
	return t
}

// living gives the processes of the tree that run.
func (t *tree) living() []process {
	all := processes.since(time.Now())
	group := false
	in := members(all, func(p process) bool {
		if t.group && (p.group == t.leader || p.session == t.leader) {
			group = true
			return true
		}
		start, known := t.known[p.pid]
		return known && start == p.start || marked(p.instance, t.instance)
	})
	// While one of the group lives, its number goes to nobody else; afterwards it may.
	t.group = group
	var out []process
	for _, p := range in {
		t.known[p.pid] = p.start
		if !p.dead {
			out = append(out, p)
		} else if p.parent == os.Getpid() && p.pid != t.leader {
			// We are process 1 of a container, and an orphan of the tree fell to us.
			syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
		}
	}
	return out
}

// look notes who is in the tree now and gives the numbers.
func (t *tree) look() []int {
	var pids []int
	for _, p := range t.living() {
		pids = append(pids, p.pid)
	}
	slices.Sort(pids)
	return pids
}

// gone tells whether nothing of the tree runs any more. It looks twice, for in the middle
// of an exec a process shows no environment.
func (t *tree) gone() bool {
	if len(t.living()) > 0 {
		return false
	}
	time.Sleep(5 * time.Millisecond)
	return len(t.living()) == 0
}

func (t *tree) terminate() { t.signal(syscall.SIGTERM) }
func (t *tree) kill()      { t.signal(syscall.SIGKILL) }

// signal reaches the group first: at once, also those born a moment ago, and without a look
// at /proc, which takes its time on a busy machine.
func (t *tree) signal(sig syscall.Signal) {
	group := t.group
	if group {
		syscall.Kill(-t.leader, sig)
	}
	for _, p := range t.living() {
		if !group || p.group != t.leader {
			signalOne(p, sig)
		}
	}
}
