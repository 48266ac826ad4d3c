// Command tap runs a command between whoever started it and the command's own pipes, and keeps a copy
// of what passes:
//
//	tap FOLDER COMMAND [ARGUMENT...]
//
// The copies lie in a new folder within FOLDER: "in" is what the command was told, "out" what it said.
// No byte is changed or held back. A signal, the end of the input and the way in which the command ends
// are passed on too, so that neither side can tell that there is a tap.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tap FOLDER COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tap:", err)
		os.Exit(1)
	}
	if status.Signaled() {
		signal.Reset(status.Signal())
		syscall.Kill(os.Getpid(), status.Signal())
		select {}
	}
	os.Exit(status.ExitStatus())
}

func run(folder string, command []string) (syscall.WaitStatus, error) {
	dir, err := os.MkdirTemp(folder, "")
	if err != nil {
		return 0, err
	}
	in, err := os.Create(filepath.Join(dir, "in"))
	if err != nil {
		return 0, err
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(out, os.Stdout), os.Stderr
	cmd.WaitDelay = time.Second // what it leaves running may hold its output open
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	// A reader that went away ends the copying below, and with it the command's own pipe; not us.
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s != syscall.SIGPIPE {
				cmd.Process.Signal(s)
			}
		}
	}()
	go func() {
		io.Copy(io.MultiWriter(in, stdin), os.Stdin)
		stdin.Close()
	}()
	err = cmd.Wait()
	if cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), nil
}
