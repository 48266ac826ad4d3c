package admin

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTokenIsKept: made once, 0600, in a folder of ours alone, and the same from then on.
func TestTokenIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	one, err := Token(dir)
	if err != nil || len(one) < 32 || strings.ContainsAny(one, " \n") {
		t.Fatalf("%q %v", one, err)
	}
	if two, err := Token(dir); err != nil || two != one {
		t.Errorf("%q %v, want the same", two, err)
	}
	for path, want := range map[string]os.FileMode{filepath.Join(dir, tokenFile): 0o600, dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if other, err := Token(t.TempDir()); err != nil || other == one {
		t.Errorf("two gateways share a token: %v", err)
	}
	alone(t, dir)
}

// alone makes sure that no half-made file is left.
func alone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
}

// TestManyMakersAgree: whoever comes at once gets the same token.
func TestManyMakersAgree(t *testing.T) {
	for range 20 {
		dir := filepath.Join(t.TempDir(), "state")
		var wg sync.WaitGroup
		tokens := make([]string, 20)
		start := make(chan struct{})
		for i := range tokens {
			wg.Go(func() {
				<-start
				var err error
				if tokens[i], err = Token(dir); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		for _, token := range tokens {
			if token == "" || token != tokens[0] {
				t.Fatalf("%q and %q", token, tokens[0])
			}
		}
		alone(t, dir)
	}
}

// TestTokenFilesThatAreNone are refused and stay as they are.
func TestTokenFilesThatAreNone(t *testing.T) {
	for _, text := range []string{"", "\n", "short", strings.Repeat("x", 31) + "\n", strings.Repeat(" ", 100)} {
		dir := t.TempDir()
		path := filepath.Join(dir, tokenFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := Token(dir)
		if err == nil || token != "" || !strings.Contains(err.Error(), path) || (text != "" && strings.TrimSpace(text) != "" && strings.Contains(err.Error(), strings.TrimSpace(text))) {
			t.Errorf("%q gives %q %v", text, token, err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("the file was changed to %q", b)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, tokenFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if token, err := Token(dir); err == nil || token != "" {
		t.Errorf("a folder gives %q", token)
	}
}

// TestReadableTokensAreMended.
func TestReadableTokensAreMended(t *testing.T) {
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o660, 0o666, 0o620} {
		dir := t.TempDir()
		path := filepath.Join(dir, tokenFile)
		want := strings.Repeat("t", 40)
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		token, err := Token(dir)
		info, _ := os.Stat(path)
		if err != nil || token != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%v: %q %v, now %v", mode, token, err, info.Mode())
		}
	}
}

// TestStateDirFollowsXDG, where that is absolute.
func TestStateDirFollowsXDG(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	usual := filepath.Join(home, ".local", "state", "mcp-gateway")
	for set, want := range map[string]string{"/x/state": "/x/state/mcp-gateway", "": usual, "relative": usual} {
		if got, err := StateDir(func(string) string { return set }); err != nil || got != want {
			t.Errorf("%q gives %q %v, want %q", set, got, err, want)
		}
	}
}
