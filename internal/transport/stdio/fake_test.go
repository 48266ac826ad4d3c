//go:build unix

package stdio

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mcpgateway/internal/jsonrpc"
)

// The test binary is its own fake server, gateway and watchdog: modeVar says which.
const modeVar = "STDIO_TEST_MODE"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "watchdog" {
		Watch(os.Args[2], os.Stdin)
		return
	}
	if mode := os.Getenv(modeVar); mode != "" {
		for _, set := range []map[string]func(){fakes, systemFakes} {
			if fake := set[mode]; fake != nil {
				fake()
				return
			}
		}
		fmt.Fprintln(os.Stderr, "no such mode:", mode)
		os.Exit(2)
	}
	flag.Set("test.parallel", "8") // most tests only wait for the stop sequence
	goleak.VerifyTestMain(m)
}

var fakes = map[string]func(){
	"echo":     func() { serve(os.Stdin, echo) },
	"describe": func() { serve(os.Stdin, describe) },
	"banner": func() {
		fmt.Println("Welcome to the server!\n{not json}")
		serve(os.Stdin, func(m *jsonrpc.Message) {
			fmt.Println("\x1b[32mgot one\x1b[0m")
			echo(m)
		})
	},
	"pretty": func() {
		serve(os.Stdin, func(m *jsonrpc.Message) { fmt.Printf("{\n  \"jsonrpc\": \"2.0\",\n  \"id\": %s\n}\n", m.ID) })
	},
	"crlf": func() {
		serve(os.Stdin, func(m *jsonrpc.Message) { fmt.Printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\r\n", m.ID) })
	},
	"pairs": func() { // answers in pairs, in one write, cut in the middle of the second
		var held []byte
		serve(os.Stdin, func(m *jsonrpc.Message) {
			held = append(jsonrpc.AppendResult(held, m.ID, []byte("{}")), '\n')
			if n := strings.Count(string(held), "\n"); n == 2 {
				os.Stdout.Write(held[:len(held)-5])
				os.Stdout.Write(held[len(held)-5:])
				held = nil
			}
		})
	},
	"exit": func() {
		serve(os.Stdin, func(*jsonrpc.Message) {
			fmt.Fprintln(os.Stderr, "fatal: the disk is full")
			os.Exit(3)
		})
	},
	"answer and exit": func() {
		serve(os.Stdin, func(m *jsonrpc.Message) { echo(m); os.Exit(0) })
	},
	"half": func() {
		serve(os.Stdin, func(m *jsonrpc.Message) {
			if m.Method == "wait" {
				fmt.Println(`{"jsonrpc":"2.0","method":"notifications/waiting"}`)
				return
			}
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"resu`, m.ID)
			os.Exit(1)
		})
	},
	"suicide": func() {
		serve(os.Stdin, func(*jsonrpc.Message) { syscall.Kill(os.Getpid(), syscall.SIGKILL); forever() })
	},
	"close stdout": func() {
		serve(os.Stdin, func(*jsonrpc.Message) { os.Stdout.Close(); os.Stderr.Close() })
	},
	"close stdin": func() {
		serve(io.LimitReader(os.Stdin, 1), nil)
		os.Stdin.Close()
		fmt.Println(`{"jsonrpc":"2.0","method":"notifications/closed"}`)
		forever()
	},
	"hoard": func() { // answers nothing, tells when it has a thousand requests
		n := 0
		serve(os.Stdin, func(*jsonrpc.Message) {
			if n++; n == 1000 {
				fmt.Println(`{"jsonrpc":"2.0","method":"notifications/full"}`)
			}
		})
	},
	"hang":        forever,
	"ignore TERM": func() { ignoreTerm(); forever() },
	"long": func() {
		serve(os.Stdin, func(m *jsonrpc.Message) {
			if m.Method == "long" {
				fmt.Printf(`{"jsonrpc":"2.0","result":{"x":"%s"},"id":%s}`+"\n", strings.Repeat("x", 8<<20), m.ID)
				return
			}
			echo(m)
		})
	},
	"loud": func() {
		chunk := []byte(strings.Repeat("complaint ", 10) + "\n" + strings.Repeat("y", 50<<10) + "\n")
		serve(os.Stdin, func(m *jsonrpc.Message) {
			for n := 0; n < 128<<20; n += len(chunk) {
				os.Stderr.Write(chunk)
			}
			fmt.Fprintln(os.Stderr, "done complaining")
			echo(m)
		})
	},
}

// serve hands each message to answer until stdin ends.
func serve(in io.Reader, answer func(*jsonrpc.Message)) {
	lines := jsonrpc.NewLineReader(in, 64<<20)
	for {
		line, err := lines.Next()
		if err != nil {
			return
		}
		m, err := jsonrpc.Parse(line, jsonrpc.ClientLimits)
		if err != nil {
			if answer != nil {
				fmt.Fprintln(os.Stderr, "bad line:", err)
			}
			continue
		}
		if m.Kind == jsonrpc.Request {
			answer(m)
		}
	}
}

func echo(m *jsonrpc.Message) {
	params := m.Params
	if params == nil {
		params = []byte("{}")
	}
	os.Stdout.Write(append(jsonrpc.AppendResult(nil, m.ID, params), '\n'))
}

// describe answers with what the process was given.
func describe(m *jsonrpc.Message) {
	dir, _ := os.Getwd()
	b, _ := json.Marshal(map[string]any{"args": os.Args, "env": os.Environ(), "dir": dir})
	os.Stdout.Write(append(jsonrpc.AppendResult(nil, m.ID, b), '\n'))
}

func ignoreTerm() { signal.Ignore(syscall.SIGTERM) }

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}
