package gatetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ServeLines serves the script over a pipe, one message a line, until r ends or the
// script breaks the connection. It closes w if that is a closer. When it returns, no
// goroutine of it is left.
func (s *Server) ServeLines(r io.Reader, w io.Writer, stateless bool) error {
	v := s.converse(context.Background(), stateless, "stdio")
	written := make(chan error, 1)
	go func() { written <- v.writeLines(w) }()
	read := make(chan error, 1)
	go func() { read <- v.readLines(r) }()

	var err error
	select {
	case err = <-read:
		v.end()
		err = errors.Join(err, <-written)
	case err = <-written:
		v.end()
		if c, ok := r.(io.Closer); ok {
			c.Close()
		}
	}
	if c, ok := w.(io.Closer); ok {
		c.Close()
	}
	return err
}

func (v *conversation) readLines(r io.Reader) error {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadBytes('\n')
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > 0 {
			if bytes.IndexByte(line, '\r') >= 0 {
				v.s.fault("a carriage return in a line")
			}
			v.receive(line, v.side)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errDied is a connection that the script broke.
var errDied = errors.New("the script broke the connection")

func (v *conversation) writeLines(w io.Writer) error {
	if v.s.Banner != "" {
		if _, err := io.WriteString(w, v.s.Banner+"\n"); err != nil {
			return err
		}
	}
	for {
		i, ok := v.side.next(v.ctx)
		if !ok {
			return nil
		}
		if i.die {
			_, err := w.Write(i.raw)
			return errors.Join(errDied, err)
		}
		if i.raw == nil {
			continue
		}
		if _, err := w.Write(append(bytes.Clone(oneLine(i.raw)), '\n')); err != nil {
			return err
		}
	}
}

// The environment that turns a test binary into a scripted server.
const (
	envScript = "MCPGW_FAKE"
	envEra    = "MCPGW_FAKE_ERA"
	envPin    = "MCPGW_FAKE_REVISION" // the one that is negotiated
	envRun    = "MCPGW_FAKE_RUN"      // pid of the test process, to find what it left behind
)

// StdioCommand gives the command of a stdio server that serves this script: the test
// binary itself. The package's TestMain must be Main.
func StdioCommand(script string, stateless bool) (command string, args []string, env map[string]string) {
	if Scripts[script] == nil {
		panic("gatetest: no script " + script)
	}
	command, err := os.Executable()
	if err != nil {
		panic(err)
	}
	if command, err = filepath.EvalSymlinks(command); err != nil {
		panic(err)
	}
	env = map[string]string{envScript: script, envEra: "stateful", envRun: strconv.Itoa(os.Getpid())}
	if stateless {
		env[envEra] = "stateless"
	}
	return command, nil, env
}

// StdioCommandAt is StdioCommand of a server that speaks one revision alone.
func StdioCommandAt(script, revision string) (command string, args []string, env map[string]string) {
	command, args, env = StdioCommand(script, revision == Stateless)
	if revision != Stateless {
		env[envPin] = revision
	}
	return command, args, env
}

// serveStdio is the whole life of a re-executed test binary.
func serveStdio(script string) int {
	if Scripts[script] == nil {
		fmt.Fprintln(os.Stderr, "gatetest: no script "+script)
		return 2
	}
	s := New(script)
	if pin := os.Getenv(envPin); pin != "" {
		s.Revision = pin
	}
	if s.Exit != 0 {
		fmt.Fprintln(os.Stderr, "exiting as the script says")
		return s.Exit
	}
	err := s.ServeLines(os.Stdin, os.Stdout, os.Getenv(envEra) == "stateless")
	s.complain()
	s.leaveSeen()
	if err != nil && !strings.Contains(err.Error(), "broken pipe") {
		fmt.Fprintln(os.Stderr, "gatetest: "+err.Error())
		return 3
	}
	return 0
}
