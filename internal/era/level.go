package era

import (
	"slices"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Levels are the severities of log lines, the least severe first (2025-11-25, logging, Log
// Levels; RFC 5424, section 6.2.1).
var Levels = [...]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// Severity is a level's place among Levels; -1 for what is no level.
func Severity(level string) int { return slices.Index(Levels[:], level) }

// WantsLine tells whether a caller wants the log line of these params. A stateful client that
// set no level gets all; a stateless one that named none gets none (2026-07-28, logging, Log
// Level).
func WantsLine(c *mcp.Caller, params []byte) bool {
	if c.LogLevel == "" {
		return c.Session != ""
	}
	level, _ := rawjson.Text(rawjson.Get(params, "level"))
	severity := Severity(level)
	return severity < 0 || severity >= Severity(c.LogLevel)
}
