package app_test

import (
	"os"
	"testing"

	"mcpgateway/internal/gatetest"
)

const envOpen = "MCPGW_FAKE_OPEN" // the folder with a file for each open call

// openCalls counts the calls that are open at a server. A client that comes again has another
// process of a per-client server, which must see what its old one holds: where the environment
// names a folder, each open call is a file there.
type openCalls struct{ counter }

// shareOpen has all processes of one server count their open calls together; env is that of its
// command.
func shareOpen(t testing.TB, env map[string]string) { env[envOpen] = t.TempDir() }

// begin counts a call; what it gives is for the call's end.
func (o *openCalls) begin(s *gatetest.Server) (end func()) {
	folder := os.Getenv(envOpen)
	if folder == "" {
		o.add(s, 1)
		return func() { o.add(s, -1) }
	}
	f, err := os.CreateTemp(folder, "call")
	if err != nil {
		panic(err)
	}
	f.Close()
	return func() { os.Remove(f.Name()) }
}

func (o *openCalls) count(s *gatetest.Server) int {
	folder := os.Getenv(envOpen)
	if folder == "" {
		return o.add(s, 0)
	}
	all, err := os.ReadDir(folder)
	if err != nil {
		panic(err)
	}
	return len(all)
}
