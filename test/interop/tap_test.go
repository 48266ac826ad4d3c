package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tape is a copy of what passed on one connection, or through one process: what was told to the side
// that was connected to or started, and what that side said.
type tape struct{ in, out bytes.Buffer }

// tap listens, and passes each connection on to another address byte for byte, its end included.
type tap struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool       // guarded by mu
	open   []net.Conn // guarded by mu
	tapes  []*tape    // guarded by mu; what is in them belongs to who passes it on, until close
}

func newTap(target string) (*tap, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{target: target, listener: ln}
	t.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.running.Go(func() { t.pass(c.(*net.TCPConn)) })
		}
	})
	return t, nil
}

// pass returns when both ways have ended.
func (t *tap) pass(from *net.TCPConn) {
	defer from.Close()
	c, err := net.Dial("tcp", t.target)
	if err != nil {
		return // whoever connected to us meets a connection that breaks
	}
	defer c.Close()
	to, k := c.(*net.TCPConn), &tape{}
	t.mu.Lock()
	t.open, t.tapes = append(t.open, from, to), append(t.tapes, k)
	closed := t.closed
	t.mu.Unlock()
	if closed {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { copyOver(from, to, &k.out) })
	copyOver(to, from, &k.in)
	back.Wait()
}

// copyOver keeps a copy before it passes anything on, so that no answer is there without its question.
func copyOver(to, from *net.TCPConn, kept *bytes.Buffer) {
	if _, err := io.Copy(io.MultiWriter(kept, to), from); err != nil { // broken off: so is the other way
		from.Close()
		to.Close()
		return
	}
	to.CloseWrite()
}

// close returns when nothing passes any more. It gives the tapes.
func (t *tap) close() []*tape {
	t.listener.Close()
	t.mu.Lock()
	t.closed = true
	for _, c := range t.open {
		c.Close()
	}
	t.mu.Unlock()
	t.running.Wait()
	return t.tapes
}

// tapped is a command with cmd/tap before it, which keeps its tapes in folder.
func (f *fleet) tapped(folder, command string, args ...string) []string {
	return append([]string{f.tap, folder, command}, args...)
}

// readTapes gives what cmd/tap kept in folder.
func readTapes(folder string) (all []*tape, err error) {
	runs, err := os.ReadDir(folder)
	for _, run := range runs {
		k := &tape{}
		for name, kept := range map[string]*bytes.Buffer{"in": &k.in, "out": &k.out} {
			raw, failed := os.ReadFile(filepath.Join(folder, run.Name(), name))
			err = errors.Join(err, failed)
			kept.Write(raw)
		}
		all = append(all, k)
	}
	return all, err
}

// TestTapPassesEverythingOn runs commands behind cmd/tap: what they are told and say, how they end and
// what they make of a signal and of the end of their input is as if there were none.
func TestTapPassesEverythingOn(t *testing.T) {
	for name, c := range map[string]struct {
		script, in, out string
		signal          os.Signal
		ends            string
	}{
		"bytes":  {script: "cat", in: "a\nb\r\n\x00\xffno end of line", out: "a\nb\r\n\x00\xffno end of line", ends: "exit status 0"},
		"exit":   {script: "echo no; exit 7", out: "no\n", ends: "exit status 7"},
		"killed": {script: "kill -KILL $$", ends: "signal: killed"},
		"signal": {script: "echo ready; exec sleep 60", out: "ready\n", signal: syscall.SIGTERM, ends: "signal: terminated"},
		"caught": {script: `trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done`, out: "ready\nbye\n", signal: syscall.SIGTERM, ends: "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			args := theFleet.tapped(folder, "/bin/sh", "-c", c.script)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdin = strings.NewReader(c.in)
			p, err := startProcess(name, cmd)
			if err != nil {
				t.Fatal(err)
			}
			if c.signal != nil {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := p.waitLine(ctx, "ready"); err != nil {
					t.Fatal(errors.Join(err, p.stop(time.Second)))
				}
				cmd.Process.Signal(c.signal)
			}
			<-p.done
			if ends := cmd.ProcessState.String(); ends != c.ends {
				t.Errorf("it ended with %s, want %s", ends, c.ends)
			}
			if p.out.String() != c.out {
				t.Errorf("it said %q, want %q", p.out, c.out)
			}
			tapes, err := readTapes(folder)
			if err != nil || len(tapes) != 1 {
				t.Fatalf("%d tapes, %v", len(tapes), err)
			}
			if in, out := tapes[0].in.String(), tapes[0].out.String(); in != c.in || out != c.out {
				t.Errorf("kept are %q and %q, want %q and %q", in, out, c.in, c.out)
			}
		})
	}
}
