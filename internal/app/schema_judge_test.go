package app_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"mcpgateway/internal/gatetest"
)

// A court holds messages to the official schemas, or, where those are not on this machine, to
// the rules of envelopes.
type court struct {
	mu      sync.Mutex
	schemas map[string]*official // empty where there are none
}

// theCourt reads the schemas once.
var theCourt = sync.OnceValues(func() (*court, error) {
	c := &court{schemas: map[string]*official{}}
	folder, err := schemaFolder()
	if folder == "" || err != nil {
		return c, err
	}
	for _, revision := range revisions {
		o, err := readOfficial(folder, revision)
		if err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", revision, err)
		}
		c.schemas[revision] = o
	}
	return c, nil
})

// convene gives the court, and tells where it has to do without the schemas.
func convene(t testing.TB) *court {
	t.Helper()
	c, err := theCourt()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.schemas) == 0 {
		t.Log("the official schemas are absent (MCP_SCHEMA_DIR); only the envelopes are held to their rules")
	}
	return c
}

// judge gives the types of a message, and why it is invalid.
func (c *court) judge(f fact) (types []string, err error) {
	if err := plain(f); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	revision := revisionOf(f.Seen)
	o := c.schemas[revision]
	switch {
	case len(c.schemas) == 0 || o == nil && f.Sent: // a peer may answer before a revision is agreed to
		return []string{f.Kind}, nil
	case o == nil:
		return nil, fmt.Errorf("a message of revision %q", revision)
	}
	return o.judge(f)
}

// places are where in a message its faults are, without the numbers of lists: what is the
// third entry on one hop may be the ninth on the other.
func places(f fact, err error) (all []string) {
	about := fmt.Sprint(f.way, " ", f.Kind, " ", f.Method, " ")
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []string{about + strings.TrimPrefix(err.Error(), revisionOf(f.Seen))}
	}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		_, any := e.ErrorKind.(*kind.AnyOf)
		if len(e.Causes) == 0 || any {
			all = append(all, about+numbers.ReplaceAllString("/"+strings.Join(e.InstanceLocation, "/"), "/*"))
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(invalid)
	return all
}

var numbers = regexp.MustCompile(`/\d+`)

// hold fails the test for each message of the gateway that is invalid, but for those that were
// so already when a peer said them: invalid in the same places on their own hop.
func (c *court) hold(t testing.TB, all []fact) (ours, passedOn int) {
	t.Helper()
	said := map[string]bool{}
	type finding struct {
		fact
		err error
	}
	var found []finding
	for _, f := range all {
		_, err := c.judge(f)
		switch {
		case f.Sent && err != nil:
			for _, p := range places(f, err) {
				said[p] = true
			}
		case !f.Sent:
			ours++
			if err != nil {
				found = append(found, finding{f, err})
			}
		}
	}
	for _, f := range found {
		excused := true
		for _, p := range places(f.fact, f.err) {
			excused = excused && said[p]
		}
		if excused {
			passedOn++
			continue
		}
		t.Error(f.describe(f.err))
	}
	return ours, passedOn
}

func (f fact) describe(err error) string {
	who := "the gateway"
	if f.Sent {
		who = "a scripted peer"
	}
	return fmt.Sprintf("%s, %s %s, %s %s by %s: %v\n\t%.700s", revisionOf(f.Seen), f.Binding, f.way, f.Kind, f.Method, who, err, f.Raw)
}

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
		all := w.all(t)
		ours, passedOn := convene(t).hold(t, all)
		t.Logf("schema: %d messages of the gateway; %d were invalid on the hop that they came from", ours, passedOn)
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
func (w *witness) all(t testing.TB) (all []fact) {
	t.Helper()
	for _, c := range w.clients {
		all = append(all, facts(toClient, c.Seen())...)
	}
	for _, s := range w.servers {
		all = append(all, facts(toServer, s.Seen())...)
	}
	if !w.kept {
		return all
	}
	left, err := gatetest.ReadSeen(w.left)
	if err != nil {
		t.Error(err)
	}
	return append(all, facts(toServer, left)...)
}
