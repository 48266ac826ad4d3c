// Package gatetest holds the peers that the gateway is tested against: scripted servers
// and clients of both eras over every transport. They handle messages as raw bytes, so
// that a test can compare what left one end with what reached the other, byte for byte.
//
// They are also strict judges: a server notes each rule that its caller breaks, a client
// each rule that the answering side breaks, and both report them as test failures.
//
// The package shares no code with the gateway, neither its scan nor its framing, so a
// fault there cannot hide in both ends. It is for tests only and never part of the
// program.
package gatetest

import (
	"testing"
	"time"
)

// The revisions that the peers speak.
const (
	Stateless = "2026-07-28"
	Stateful  = "2025-11-25"
	Oldest    = "2024-11-05"
)

// guard is how long a peer waits for what must come.
const guard = 5 * time.Second

// statefulRevisions are those that a stateful server negotiates.
var statefulRevisions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// Keys of _meta (2026-07-28, basic, `_meta`).
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClientInfo   = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
)

// WaitFor polls until cond holds and fails the test after 5 seconds.
func WaitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(guard); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", guard, what)
		}
	}
}
