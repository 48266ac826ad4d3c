package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Exposed names. The canonical name <server>.<tool> is injective, since a server's name has
// no dot. Each style's name is either that of a form which can be read back, or ends in a
// hash of the canonical name; the first never looks like the second. So no name depends on
// which other servers are there, but for bare ones.

// Bounds of exposed names: what clients take. Many put prefixes of their own before them.
const (
	maxDotted = 128 // 2026-07-28, tools, Tool Names
	maxSafe   = 48
	hashChars = 10

	leastPrefix = 8 // of a prefix is kept in a name that is cut, since the tool's part says more
)

// dotted is the name in the dotted style. An empty prefix gives the bare name.
func dotted(prefix, tool, canonical string) string {
	name := tool
	if prefix != "" {
		name = prefix + separator + tool
	}
	if len(name) <= maxDotted && !endsInHash(name) {
		return name
	}
	return hashed(prefix, separator, tool, maxDotted, canonical, ".")
}

// safe is the name in the safe style: letters, digits, _ and - only, and short.
func safe(prefix, tool, canonical string) string {
	name, readable := tool, true
	if prefix != "" {
		name = prefix + "__" + tool
		// So the first __ is where the prefix ends.
		readable = !strings.Contains(prefix, "__") && !strings.HasSuffix(prefix, "_") && !strings.HasPrefix(tool, "_")
	}
	if readable && len(name) <= maxSafe && name == sanitised(name, "") && !endsInHash(name) {
		return name
	}
	return hashed(prefix, "__", tool, maxSafe, canonical, "")
}

// hashed is a name that ends in a hash. Where it must be cut, the prefix gives way first, as
// far as leastPrefix, then the end of the tool's part.
func hashed(prefix, between, tool string, most int, canonical, also string) string {
	prefix, tool = sanitised(prefix, also), sanitised(tool, also)
	if prefix == "" {
		between = ""
	}
	over := len(prefix) + len(between) + len(tool) - (most - hashChars - 1)
	if cut := min(over, len(prefix)-leastPrefix); cut > 0 {
		prefix = prefix[:len(prefix)-cut]
		over -= cut
	}
	tool = tool[:len(tool)-max(0, over)]
	sum := sha256.Sum256([]byte(canonical))
	return prefix + between + tool + "_" + hex.EncodeToString(sum[:])[:hashChars]
}

// sanitised puts _ for every byte that is no letter, digit, _, - or one of also.
func sanitised(name, also string) string {
	b := []byte(name)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || strings.IndexByte(also, c) >= 0) {
			b[i] = '_'
		}
	}
	return string(b)
}

// endsInHash tells a name that ends as hashed ones do.
func endsInHash(name string) bool {
	if len(name) <= hashChars || name[len(name)-hashChars-1] != '_' {
		return false
	}
	for _, c := range []byte(name[len(name)-hashChars:]) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
