package config

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

func isWord(c byte) bool { return isAlnum(c) || c == '_' }

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

const maxName = 64

// validName reports whether s is [A-Za-z0-9][A-Za-z0-9_-]{0,63}.
func validName(s string) bool {
	if s == "" || len(s) > maxName || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// slug makes a valid name of any other, and an empty string of one that has no
// letter or digit to keep.
func slug(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case isAlnum(c), (c == '_' || c == '-') && b.Len() > 0:
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == maxName {
			break
		}
	}
	return strings.TrimRight(b.String(), "-_")
}

// numbered makes a valid name of one that slug has nothing to keep of: always the same one,
// whatever else is in the file.
func numbered(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "server-" + hex.EncodeToString(sum[:3])
}

// synonyms are what other programs call our keys.
var synonyms = map[string]string{
	"endpoint": "url", "uri": "url", "server_url": "url",
	"cmd": "command", "executable": "command", "arguments": "args",
	"environment": "env", "envVars": "env", "workingDirectory": "cwd", "workdir": "cwd",
	"httpHeaders": "headers", "http_headers": "headers", "requestHeaders": "headers",
	"requestTimeout": "callTimeout", "toolTimeout": "callTimeout", "startupTimeoutMs": "startTimeout",
	"transportType": "transport", "env_file": "envFile", "dotenv": "envFile",
}

// closest is the known key that key is a slip of, or empty.
func closest(key string, known []string) string {
	if s := synonyms[key]; slices.Contains(known, s) {
		return s
	}
	best, least := "", maxName
	for _, k := range known {
		most := max(1, len(k)/4)
		if len(key) > len(k)+most || len(k) > len(key)+most {
			continue
		}
		if d := distance(strings.ToLower(key), strings.ToLower(k)); d < least && d <= most {
			best, least = k, d
		}
	}
	return best
}

// suggestion says what to write in place of an unknown key.
func suggestion(key string, known []string) string {
	if near := closest(key, known); near != "" {
		return "did you mean \"" + near + "\"?"
	}
	return "known are " + strings.Join(known, ", ")
}

// distance counts the insertions, deletions, changes and swaps of neighbours that
// make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int // the row before the last one
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		next := make([]int, len(y)+1)
		next[0] = i + 1
		for j := range y {
			change := row[j]
			if x[i] != y[j] {
				change++
			}
			next[j+1] = min(change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(y)]
}

// either writes words as a person lists them: "a", "b" or "c".
func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "\"" + w + "\""
	}
	return joined(quoted, "or")
}

func joined(words []string, last string) string {
	n := len(words)
	if n < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n-1], ", ") + " " + last + " " + words[n-1]
}
