package admin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const tokenFile = "admin-token"

// Token gives the management token that is kept in the state directory, and makes it where
// there is none yet. Several processes may do so at once: they all get the same one.
func Token(dir string) (string, error) {
	path := filepath.Join(dir, tokenFile)
	if token, err := readToken(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	own, err := os.CreateTemp(dir, tokenFile+"-*") // 0600
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	defer os.Remove(own.Name())
	_, err = own.WriteString(rand.Text() + rand.Text() + "\n")
	if err = errors.Join(err, own.Sync(), own.Close()); err != nil {
		return "", fmt.Errorf("write the management token: %w", err)
	}
	// A link fails where the file exists, so that one process wins and it is never half written.
	if err := os.Link(own.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("keep the management token: %w", err)
	}
	return readToken(path)
}

func readToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		if err := os.Chmod(path, 0o600); err != nil {
			return "", fmt.Errorf("the management token can be read by others, and that cannot be mended: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 32 {
		return "", fmt.Errorf("%s holds no token of ours; remove the file, and a new one is made (it is from %s)", path, info.ModTime().Format(time.DateTime))
	}
	return token, nil
}

// StateDir is where the gateway keeps what must outlive it.
func StateDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mcp-gateway"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home directory to keep state in; name a folder with --state: %w", err)
	}
	return filepath.Join(home, ".local", "state", "mcp-gateway"), nil
}
