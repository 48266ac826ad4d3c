package stdio

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// A tree is a server's process and those that descend from it while it lives. There is no
// TERM here: terminate ends it by force.
type tree struct {
	leader *os.Process
	exited <-chan struct{}
}

func newTree(leader *os.Process, instance string, exited <-chan struct{}) *tree {
	return &tree{leader: leader, exited: exited}
}

func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func (t *tree) look() []int {
	if t.gone() {
		return nil
	}
	return []int{t.leader.Pid}
}

func (t *tree) gone() bool {
	select {
	case <-t.exited:
		return true
	default:
		return false
	}
}

func (t *tree) terminate() {
	taskkill := filepath.Join(os.Getenv("SystemRoot"), "System32", "taskkill.exe")
	exec.Command(taskkill, "/T", "/F", "/PID", strconv.Itoa(t.leader.Pid)).Run()
	t.leader.Kill()
}

func (t *tree) kill() { t.terminate() }
