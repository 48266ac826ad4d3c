package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// theFleet is what TestMain started; nothing changes it afterwards.
var theFleet *fleet

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // gopls compiles for minutes where nothing is cached
	defer cancel()
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	f, err := newFleet(ctx, dir)
	if f != nil {
		defer f.stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop: the peers cannot be had:", err)
		return 1
	}
	theFleet = f
	code := m.Run()
	fmt.Printf("schema: what was said on both sides of all gateways\n%s\n", &heardInAll.Tally)
	return code
}

// nodePath finds a Node.js that all npm peers can run on.
func nodePath(ctx context.Context) (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("Node.js 20 or later is needed: %w", err)
	}
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", node, err)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		return "", fmt.Errorf("%s is %s: Node.js 20 or later is needed", node, version)
	}
	return node, nil
}

// npmInstall runs "npm ci" unless what is installed is younger than what is pinned.
func npmInstall(ctx context.Context) error {
	if installed, err := os.Stat("node_modules/.package-lock.json"); err == nil {
		lock, err := os.Stat("package-lock.json")
		if err != nil {
			return err
		}
		if !installed.ModTime().Before(lock.ModTime()) {
			return nil
		}
	}
	return tool(ctx, ".", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
}

// goBuild builds pkg of the module in dir to the absolute path out.
func goBuild(ctx context.Context, dir, pkg, out string) error {
	return tool(ctx, dir, "go", "build", "-o", out, pkg)
}

// tool runs a command to its end and shows its output only when it fails.
func tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	inOwnGroup(cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.Bytes())
	}
	return nil
}
