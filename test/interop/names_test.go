package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// style is how a gateway names tools on one of its endpoints.
type style struct {
	name string
	args []string // of a gateway on stdio
	path string   // added to an HTTP endpoint's path
	of   func(server, tool string) string
}

var styles = []style{
	{name: "dotted", of: func(server, tool string) string { return server + "." + tool }},
	{name: "safe", args: []string{"--names", "safe"}, path: "?names=safe", of: safeName},
}

// originName is a tool's name at its own server.
func originName(tool string) string { return tool }

var (
	unsafe   = regexp.MustCompile(`[^A-Za-z0-9_-]`)
	hashLike = regexp.MustCompile(`_[0-9a-f]{10}$`)
)

// safeName is the promise of the safe style, written down a second time: clients keep such names
// in their settings, so that they may never change.
func safeName(server, tool string) string {
	name, sum := server+"__"+tool, sha256.Sum256([]byte(server+"."+tool))
	if len(name) <= 48 && !unsafe.MatchString(name) && !hashLike.MatchString(name) &&
		!strings.Contains(server, "__") && !strings.HasSuffix(server, "_") && !strings.HasPrefix(tool, "_") {
		return name
	}
	// The server's part gives way first, as far as 8 characters, then the tool's end.
	server, tool = unsafe.ReplaceAllString(server, "_"), unsafe.ReplaceAllString(tool, "_")
	const most = 48 - 11
	over := len(server) + len("__") + len(tool) - most
	if cut := min(over, len(server)-8); cut > 0 {
		server = server[:len(server)-cut]
		over -= cut
	}
	tool = tool[:len(tool)-max(over, 0)]
	return server + "__" + tool + "_" + hex.EncodeToString(sum[:])[:10]
}
