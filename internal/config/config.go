// Package config is the file format: it reads servers, as we and the known clients
// write them, and the gateway's settings from JSON with comments and trailing commas,
// finds every problem in one pass and says of each where it stands and what would be
// right.
//
// It never starts, dials or looks up anything, reads no files but the config and the
// env files that it names, never asks the process for its environment (the caller
// supplies it), and never puts a variable's value or a secret into a message.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile is more than any config a person or a program writes; it keeps a wrong
// path (a disk image, /dev/zero) from filling the memory.
const maxFile = 16 << 20

// Config is one file, read and found right.
type Config struct {
	File     string
	Servers  []Server // in the file's order
	Gateway  Gateway
	Warnings []Problem // things we ignored or changed; nothing that keeps us from running
}

// Env looks a variable up: its value, and whether it is set at all. os.LookupEnv is
// one; the caller adds MCP_GATEWAY, the path of our own binary.
type Env func(name string) (value string, set bool)

// Load reads the file at path and parses it. Errors in what it says are Problems; a
// missing file is an fs.ErrNotExist.
func Load(path string, env Env) (*Config, error) {
	c, _, err := Inspect(path, env)
	return c, err
}

// Inspect is Load for whoever wants to hear everything: it gives the warnings also where
// there are Problems.
func Inspect(path string, env Env) (c *Config, warnings []Problem, err error) {
	data, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, notThere(path)
	case err != nil:
		return nil, nil, fmt.Errorf("read config: %w", err)
	}
	return inspect(path, data, env, readEnvFile)
}

// notThere is the path of a config file that does not exist.
type notThere string

func (path notThere) Error() string {
	return fmt.Sprintf("config file %s does not exist; write one that holds {\"mcpServers\": {}}, or name another with --config FILE", string(path))
}

func (notThere) Unwrap() error { return fs.ErrNotExist }

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB; it is no config file", path, maxFile>>20)
	}
	return data, nil
}

// Parse reads a file's content. The error is Problems, in the file's order; broken
// JSON gives exactly one, at its place. Relative paths in it (cwd, a command with a
// separator) are taken from the folder of file.
func Parse(file string, data []byte, env Env) (*Config, error) {
	return parse(file, data, env, readEnvFile)
}

func parse(file string, data []byte, env Env, open func(string) ([]byte, error)) (*Config, error) {
	c, _, err := inspect(file, data, env, open)
	return c, err
}

func inspect(file string, data []byte, env Env, open func(string) ([]byte, error)) (*Config, []Problem, error) {
	d := newDocument(file, data)
	root, ok := d.parse()
	if !ok {
		return nil, nil, Problems(d.found())
	}
	r := &reader{doc: d, env: env, folder: folder(file), open: open}
	c := r.file(root)
	warnings := d.warned()
	if p := d.found(); len(p) > 0 {
		return nil, warnings, Problems(p)
	}
	c.File = file
	c.Warnings = warnings
	return c, warnings, nil
}

// ParseServers reads the body of a request that adds servers. It is what a file is,
// with three differences: only mcpServers may stand in it, with one server or more;
// what a file is only warned of is a problem here, because whoever sent it can mend
// it at once; and relative paths stay as they are. What other clients write into a
// server is taken here as it is in a file, without a word. How many servers there may be is
// for the caller to check, who knows how many there are already.
func ParseServers(data []byte, env Env) ([]Server, []Problem) {
	d := newDocument("body", data)
	root, ok := d.parse()
	if !ok {
		return nil, d.found()
	}
	r := &reader{doc: d, env: env, body: true, open: readEnvFile}
	c := r.file(root)
	if p := d.found(); len(p) > 0 {
		return nil, p
	}
	return c.Servers, nil
}

// reader holds what every part of a document is read with.
type reader struct {
	doc      *document
	env      Env
	folder   string // absolute; empty: leave relative paths alone
	body     bool   // a request's body, not a file
	open     func(path string) ([]byte, error)
	envFiles map[string]envFile
	noted    []*note
	unknown  int // keys of servers that nobody knows
}

// doubt reports what works but is hardly meant.
func (r *reader) doubt(n node, at int, format string, args ...any) {
	if r.body {
		n.problemAt(at, format, args...)
		return
	}
	n.warnAt(at, format, args...)
}

// file reads the top level. What it returns is whole only if no problem was found.
func (r *reader) file(root node) *Config {
	c := &Config{Gateway: defaultGateway()}
	o, ok := root.object()
	if !ok {
		return c
	}
	// The gateway's block first: its bound on servers holds for those above it too.
	if n, ok := o.get("gateway"); ok {
		if r.body {
			n.problemAt(n.keyAt, "does not belong here; the gateway's own settings stand in its config file only")
		} else {
			r.gateway(n, &c.Gateway)
		}
	}
	blocks, misspelt := r.topLevel(o)
	if len(blocks) == 0 && !misspelt {
		root.problem("%s", missingServers(o))
	}
	c.Servers = r.servers(blocks, c.Gateway.Limits.Servers)
	r.tellNoted()
	return c
}

// folder is where a file's relative paths begin. It is absolute, since a child with
// a cwd of its own would look a relative command up from there.
func folder(file string) string {
	if file == "" {
		return ""
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return filepath.Dir(file)
	}
	return filepath.Dir(abs)
}
