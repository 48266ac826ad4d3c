//go:build unix && !linux

package stdio

import (
	"os"
	"syscall"
)

// A tree is a server's process group. What left the group is not found here: only Linux
// shows other processes' environments.
type tree struct {
	leader int
	exited <-chan struct{}
}

func newTree(leader *os.Process, instance string, exited <-chan struct{}) *tree {
	return &tree{leader: leader.Pid, exited: exited}
}

func (t *tree) look() []int {
	if t.gone() {
		return nil
	}
	return []int{t.leader}
}

func (t *tree) gone() bool {
	select {
	case <-t.exited:
		return syscall.Kill(-t.leader, 0) != nil
	default:
		return false
	}
}

func (t *tree) terminate() { syscall.Kill(-t.leader, syscall.SIGTERM) }
func (t *tree) kill()      { syscall.Kill(-t.leader, syscall.SIGKILL) }
