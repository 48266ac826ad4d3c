package stdio

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// A suspended server reads nothing until it is resumed.
type suspended struct {
	pid   int
	stdin syscall.RawConn
}

func suspend(t *testing.T, c *conn) suspended {
	t.Helper()
	pid := c.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	raw, err := c.stdin.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return suspended{pid, raw}
}

// unread tells how many bytes wait in its stdin.
func (s suspended) unread() (n int32) {
	const fionread = 0x541B
	s.stdin.Control(func(fd uintptr) {
		syscall.Syscall(syscall.SYS_IOCTL, fd, fionread, uintptr(unsafe.Pointer(&n)))
	})
	return n
}

func (s suspended) resume() { syscall.Kill(s.pid, syscall.SIGCONT) }

// A line that was begun is finished although its caller has left, or the next message
// would be torn.
func TestBegunLineIsFinished(t *testing.T) {
	t.Parallel()
	d := New(fakeParams(t, "echo"))
	c := redial(t, d)
	stopped := suspend(t, c)
	big := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		until(t, func() bool { return stopped.unread() >= 4096 })
		cancel()
	}()
	if _, err := call(ctx, c, "1", "echo", big); err != context.Canceled {
		t.Errorf("the call ended with %v", err)
	}
	stopped.resume()
	if got := mustCall(t, c, "2", `{"second":true}`); got != `{"second":true}` {
		t.Error(got)
	}
	if late := c.duplex.Late(); late != 1 {
		t.Errorf("%d late answers: the first call did not arrive whole", late)
	}
}
