package interop

import "testing"

// TestThroughRemote puts mcp-remote between stdio clients and the gateway, as people do whose client
// knows stdio only: in its default mode, on the 2024-11-05 transport, and in the mode in which it speaks
// 2026-07-28 to us and the client's own revision to the client. It needs no flag: a gateway that asks
// for no token never makes it look for a login.
func TestThroughRemote(t *testing.T) {
	g := startGateway(t, wide)
	for _, mode := range []struct {
		name, path string
		args       []string
	}{
		{"http", "/mcp", []string{"--transport", "http-only"}},
		{"sse", "/sse", []string{"--transport", "sse-only"}},
		{"stateless", "/mcp", []string{"--protocol", "auto"}},
	} {
		for _, st := range styles {
			t.Run(mode.name+"/"+st.name, func(t *testing.T) {
				l, err := theFleet.remote(t.TempDir(), g.base+mode.path+st.path, mode.args...)
				if err != nil {
					t.Fatal(err)
				}
				checkThrough(t, clientNamed("go-stateful"), l, st, g.gatewayConfig)
			})
		}
	}
}
