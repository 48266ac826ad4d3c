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
	return hashed(name, maxDotted, canonical, ".")
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
	return hashed(name, maxSafe, canonical, "")
}

func hashed(name string, most int, canonical, also string) string {
	sum := sha256.Sum256([]byte(canonical))
	name = sanitised(name, also)
	return name[:min(len(name), most-hashChars-1)] + "_" + hex.EncodeToString(sum[:])[:hashChars]
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
