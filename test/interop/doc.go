// Package interop tests the gateway against real peers: the official npm servers, an MCP Apps server,
// gopls, servers made with the official Go SDK and with mcp-go in both eras; and clients made with the
// TypeScript SDKs v1 and v2, the Go SDK and mcp-go, the MCP Inspector and mcp-remote. Names are tested
// in both styles. What servers ask of their client and tell it (sampling, elicitation, roots, log
// lines, progress, updates), and prompts, resources and completion, are tested with scripts: each
// client runs each server's script directly and through the gateway, and must see the same.
//
// Everything that is said before and behind a gateway goes through taps, and must be valid by the official
// schemas (the folder that MCP_SCHEMA_DIR names); the counts are printed at the end, which -v shows.
//
// It runs the gateway's binary as a process and knows nothing of its inside: of the gateway's module it
// imports the judge of messages alone, which shares no code with it. The binary is built from the folder
// two levels up, or named by MCP_GATEWAY_BIN. What the tests need of npm is pinned in package.json and
// package-lock.json and installed with "npm ci" when it is missing or out of date; gopls is pinned in
// fleet_test.go. A peer that is missing fails the tests; nothing is skipped.
package interop
