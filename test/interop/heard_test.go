package interop

import (
	"net/url"
	"sync"
	"testing"

	"mcpgateway/internal/gatetest/court"
)

// hop is one side of a gateway: its clients, or one of its servers. A tap hears all that is said there.
type hop struct {
	server string // empty: the clients
	folder string // of the tapes of processes
	tap    *tap   // for HTTP
}

// through puts a tap before a server of a gateway, or with no name before the gateway itself.
func (c *gatewayConfig) through(t *testing.T, server string, l link) link {
	t.Helper()
	h := &hop{server: server, folder: t.TempDir()}
	c.hops = append(c.hops, h)
	if l.URL == "" {
		command := theFleet.tapped(h.folder, l.Command, l.Args...)
		l.Command, l.Args = command[0], command[1:]
		return l
	}
	target, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	if h.tap, err = newTap(target.Host); err != nil {
		t.Fatal(err)
	}
	target.Host = h.tap.listener.Addr().String()
	l.URL = target.String()
	return l
}

// dialogues are what was heard, once everything has ended.
func (h *hop) dialogues() ([]*dialogue, error) {
	if h.tap != nil {
		return readHTTP(h.tap.close())
	}
	tapes, err := readTapes(h.folder)
	if err != nil {
		return nil, err
	}
	var all []*dialogue
	for _, k := range tapes {
		d, err := readLines(k)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// heardInAll counts what all tests heard.
var heardInAll struct {
	sync.Mutex
	court.Tally // guarded by the mutex
}

// judge holds what was said on both sides of a gateway to the official schema of the revision spoken
// there. An invalid message of the gateway fails the test, unless what it relays was invalid already.
func (c *gatewayConfig) judge(t *testing.T) {
	var all []court.Fact
	for _, h := range c.hops {
		name, way := h.server, court.ToServer
		if name == "" {
			name, way = "the clients", court.ToClient
		}
		dialogues, err := h.dialogues()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h.server != "" && len(dialogues) == 0 {
			t.Errorf("%s: nothing was heard", name)
		}
		for _, d := range dialogues {
			all = append(all, court.Facts(way, d.seen(way == court.ToClient))...)
		}
	}
	counted := court.Convene(t).Hold(t, all)
	n := counted.Total
	t.Logf("schema: %d messages of the gateway, %d invalid; %d of its peers, %d invalid", n.Ours, n.OursInvalid, n.Theirs, n.TheirsInvalid)
	heardInAll.Lock()
	defer heardInAll.Unlock()
	heardInAll.Merge(counted)
}
