//go:build unix

package stdio

import "syscall"

// ownSession gives the child a session, hence a group, of its own: a terminal's ^C does not
// reach it, it cannot stop on a terminal's input, and its whole group can be signalled.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
