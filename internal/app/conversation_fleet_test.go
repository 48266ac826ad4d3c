package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"mcpgateway/internal/gatetest"
)

// A fleetKey tells which conversations can share a gateway: those whose servers have the same
// binding, revision and definitions. All servers of one gateway are of one binding, so that
// each has its URIs for itself.
type fleetKey struct {
	server          binding
	revision        string
	config, gateway string
}

func (k fleetKey) String() string {
	parts := []string{k.server.name}
	for _, s := range []string{k.revision, k.config, k.gateway} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// A fleetGateway is a gateway and the servers behind it that live in this process.
type fleetGateway struct {
	*gateway
	servers []*gatetest.Server
	said    *witness
}

// startFleet starts a gateway in front of a server of each script.
func startFleet(t testing.TB, k fleetKey, scripts []string) *fleetGateway {
	t.Helper()
	f := &fleetGateway{said: attend(t)}
	var all []string
	for _, script := range scripts {
		all = append(all, quoted(script)+":"+merged(f.define(t, k, script), k.config))
	}
	config := `{"mcpServers":{` + strings.Join(all, ",\n") + `},"gateway":` + merged(`{}`, k.gateway) + `}`
	f.gateway = startAt(t, slog.LevelInfo, config).ready()
	for name, s := range f.states() {
		if s.State != "ready" {
			t.Fatalf("server %s is %s: %s", name, s.State, s.Reason)
		}
	}
	return f
}

func (f *fleetGateway) define(t testing.TB, k fleetKey, script string) string {
	if k.server.pipe {
		revision := k.revision
		if k.server.stateless {
			revision = gatetest.Stateless
		}
		command, args, env := gatetest.StdioCommandAt(script, revision)
		f.said.keep(env)
		shareOpen(t, env)
		return object("command", command, "args", append([]string{}, args...), "env", env)
	}
	s := gatetest.New(script)
	s.Revision = k.revision
	f.servers, f.said.servers = append(f.servers, s), append(f.said.servers, s)
	switch k.server.name {
	case "sse":
		return remote("sse", gatetest.StartSSE(t, s))
	case "http-stateful":
		return remote("streamable-http", gatetest.StartStateful(t, s))
	}
	return remote("streamable-http", gatetest.StartStateless(t, s))
}

// merged puts the members of one object beside those of another.
func merged(object, more string) string {
	all := map[string]json.RawMessage{}
	for _, raw := range []string{object, more} {
		if raw == "" {
			continue
		}
		if err := json.Unmarshal([]byte(raw), &all); err != nil {
			panic("no object: " + raw)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// faults are the rules that the gateway broke towards the servers of this process.
func (f *fleetGateway) faults() (all []string) {
	for _, s := range f.servers {
		all = append(all, s.Faults()...)
	}
	return all
}

// dialAs connects a client of a binding; at is a base URL.
func dialAs(t testing.TB, g *gateway, b binding, at string, o gatetest.Options) gatetest.Client {
	t.Helper()
	o.NoListen = true // it subscribes to what the conversation says
	if b.stateless {
		o.Revision = gatetest.Stateless
	}
	switch b.name {
	case "http-stateful":
		return o.DialStateful(t, at)
	case "http-stateless":
		return o.DialStateless(t, at)
	case "sse":
		return o.DialSSE(t, at)
	}
	in, toGateway := io.Pipe()
	fromGateway, out := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		err := g.ServePipe(ctx, in, out)
		out.Close()
		served <- err
	}()
	t.Cleanup(func() { // after the client's own
		toGateway.Close()
		if err := <-served; err != nil {
			t.Errorf("the pipe: %v", err)
		}
		cancel()
	})
	return o.Pipe(t, fromGateway, toGateway)
}
