package gatetest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main is a TestMain. Where the environment says so it is a stdio server instead (see
// StdioCommand). After the tests it looks for goroutines and processes that they left.
func Main(m *testing.M, opts ...goleak.Option) {
	if script := os.Getenv(envScript); script != "" {
		os.Exit(serveStdio(script))
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(opts...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
		if left := waitProcesses(); len(left) > 0 {
			fmt.Fprintln(os.Stderr, "processes are left:", strings.Join(left, "; "))
			code = 1
		}
	}
	os.Exit(code)
}

func waitProcesses() []string {
	for end := time.Now().Add(guard); ; time.Sleep(20 * time.Millisecond) {
		left := Processes()
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// Processes describes the children of this process and the scripted servers that it
// started, whoever their parent is now. It needs Linux's /proc and is empty elsewhere.
func Processes() []string {
	self := strconv.Itoa(os.Getpid())
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var left []string
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // it is gone
		}
		dir := filepath.Dir(stat)
		// pid (comm) state ppid …; comm may hold anything.
		after := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		child := len(after) > 1 && string(after[1]) == self
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		ours := bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+envRun+"="+self+"\x00"))
		if child || ours {
			command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			left = append(left, filepath.Base(dir)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return left
}
