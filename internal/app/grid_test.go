package app_test

import (
	"testing"

	"mcpgateway/internal/gatetest"
)

// A binding is a transport in one era. On a line binding a result crosses as one line or
// event; a pipe is one in both directions.
type binding struct {
	name      string
	stateless bool
	line      bool
	pipe      bool
}

// The bindings of servers; define gives a server's definition.
var serverBindings = []struct {
	binding
	define func(t testing.TB, script string) string
}{
	{binding{name: "http-stateful"}, func(t testing.TB, s string) string {
		return remote("streamable-http", gatetest.StartStateful(t, gatetest.New(s)))
	}},
	{binding{name: "http-stateless", stateless: true}, func(t testing.TB, s string) string {
		return remote("http", gatetest.StartStateless(t, gatetest.New(s)))
	}},
	{binding{name: "sse", line: true}, func(t testing.TB, s string) string {
		return remote("sse", gatetest.StartSSE(t, gatetest.New(s)))
	}},
	{binding{name: "stdio-stateful", line: true, pipe: true}, func(_ testing.TB, s string) string { return stdio(s, false) }},
	{binding{name: "stdio-stateless", stateless: true, line: true, pipe: true}, func(_ testing.TB, s string) string { return stdio(s, true) }},
}

// fleet is a config with one server of every binding, each serving this script.
func fleet(t testing.TB, script string) string {
	t.Helper()
	var pairs []string
	for _, b := range serverBindings {
		pairs = append(pairs, b.name, b.define(t, script))
	}
	return servers(pairs...)
}

// A client of one binding, and the gateway it is a client of.
type client struct {
	gatetest.Client
	binding
	gateway *gateway
}

// everyClient dials one client of every binding. A gateway has one standard input, so the
// last client has a gateway of its own; config makes the config of each.
func everyClient(t testing.TB, config func() string) []client {
	t.Helper()
	one, two := start(t, config()), start(t, config())
	one.ready()
	two.ready()
	return []client{
		{gatetest.DialStateful(t, one.url), binding{name: "HTTP stateful"}, one},
		{gatetest.DialStateless(t, one.url), binding{name: "HTTP stateless", stateless: true}, one},
		{gatetest.DialSSE(t, one.url), binding{name: "SSE", line: true}, one},
		{gatetest.Pipe(t, one.out, one.in, false), binding{name: "stdio stateful", line: true, pipe: true}, one},
		{gatetest.Pipe(t, two.out, two.in, true), binding{name: "stdio stateless", stateless: true, line: true, pipe: true}, two},
	}
}

// everyCell runs f for each binding of clients and each binding of servers, all of which
// serve this script.
func everyCell(t *testing.T, script string, f func(t *testing.T, c client, server binding)) {
	t.Helper()
	for _, c := range everyClient(t, func() string { return fleet(t, script) }) {
		for _, s := range serverBindings {
			t.Run(c.name+" to "+s.name, func(t *testing.T) {
				f(t, c, s.binding)
				noStray(t, c)
			})
		}
	}
}
