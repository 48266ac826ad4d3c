// Package court holds the messages that the gateway said in tests to the official schemas of the
// protocol, whoever heard them: scripted peers and, in a module of its own, real ones. Like
// gatetest it shares no code with the gateway, and it is for tests only.
package court

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// A Court holds messages to the official schemas, or, where those are not on this machine, to
// the rules of envelopes.
type Court struct {
	mu      sync.Mutex
	schemas map[string]*official // empty where there are none
}

// theCourt reads the schemas once.
var theCourt = sync.OnceValues(func() (*Court, error) {
	c := &Court{schemas: map[string]*official{}}
	folder, err := schemaFolder()
	if folder == "" || err != nil {
		return c, err
	}
	for _, revision := range Revisions {
		o, err := readOfficial(folder, revision)
		if err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", revision, err)
		}
		c.schemas[revision] = o
	}
	return c, nil
})

// Convene gives the court, and tells where it has to do without the schemas.
func Convene(t testing.TB) *Court {
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

// Judge gives the types of a message, and why it is invalid.
func (c *Court) Judge(f Fact) (types []string, err error) {
	if err := plain(f); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	revision := f.Spoken()
	o := c.schemas[revision]
	switch {
	case len(c.schemas) == 0 || o == nil && f.Sent: // a peer may answer before a revision is agreed to
		return []string{f.Kind}, nil
	case o == nil:
		return nil, fmt.Errorf("a message of revision %q", revision)
	}
	return o.judge(f)
}

// Expected are the types of messages that a revision has in a direction; none where its schema is absent.
func (c *Court) Expected(revision string, way Direction) []string {
	if o := c.schemas[revision]; o != nil {
		return o.expected(way)
	}
	return nil
}

// places are where in a message its faults are, without the numbers of lists: what is the
// third entry on one hop may be the ninth on the other.
func places(f Fact, err error) (all []string) {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, places(f, one)...)
		}
		return all
	case part:
		f.Kind, f.Method = e.kind, e.method
		return places(f, e.error)
	}
	about := fmt.Sprint(f.Way, " ", f.Kind, " ", f.Method, " ")
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []string{about + strings.TrimPrefix(err.Error(), f.Spoken())}
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

// Hold fails the test for each message of the gateway that is invalid, but for those that were
// so already when a peer said them: invalid in the same places on their own hop.
func (c *Court) Hold(t testing.TB, all []Fact) (counted Tally) {
	t.Helper()
	said := map[string]bool{}
	var invalid []Fact
	var errs []error
	for _, f := range all {
		types, err := c.Judge(f)
		counted.Add(f, types, err)
		switch {
		case err != nil && f.Sent:
			for _, p := range places(f, err) {
				said[p] = true
			}
		case err != nil:
			invalid, errs = append(invalid, f), append(errs, err)
		}
	}
	for i, f := range invalid {
		if slices.ContainsFunc(places(f, errs[i]), func(p string) bool { return !said[p] }) {
			t.Error(f.Describe(errs[i]))
		}
	}
	return counted
}
