package app_test

import (
	"path/filepath"
	"testing"

	"mcpgateway/internal/gatetest"
	"mcpgateway/internal/gatetest/court"
)

// A witness collects what is said in front of a gateway and behind it.
type witness struct {
	left    string // the file of servers that are processes of their own
	kept    bool   // there are such servers
	clients []gatetest.Client
	servers []*gatetest.Server
}

// attend holds everything to the schemas once the test and all that was started after this
// have ended.
func attend(t testing.TB) *witness {
	t.Helper()
	w := &witness{left: filepath.Join(t.TempDir(), "seen")}
	t.Cleanup(func() {
		n := court.Convene(t).Hold(t, w.all(t)).Total
		t.Logf("schema: %d messages of the gateway; %d were invalid on the hop that they came from", n.Ours, n.OursInvalid)
	})
	return w
}

// keep has a server that is a process of its own leave what it saw; env is its command's.
func (w *witness) keep(env map[string]string) {
	w.kept = true
	gatetest.KeepSeen(env, w.left)
}

// hear adds a client. Where nobody attends it does nothing.
func (w *witness) hear(c gatetest.Client) {
	if w != nil {
		w.clients = append(w.clients, c)
	}
}

// all gives what was said; what is left by processes is there once they have ended.
func (w *witness) all(t testing.TB) (all []court.Fact) {
	t.Helper()
	for _, c := range w.clients {
		all = append(all, court.Facts(court.ToClient, c.Seen())...)
	}
	for _, s := range w.servers {
		all = append(all, court.Facts(court.ToServer, s.Seen())...)
	}
	if !w.kept {
		return all
	}
	left, err := gatetest.ReadSeen(w.left)
	if err != nil {
		t.Error(err)
	}
	return append(all, court.Facts(court.ToServer, left)...)
}
