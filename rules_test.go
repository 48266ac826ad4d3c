// Package rules tests that the house keeps its rules: who may import whom, who may start
// goroutines, how long a function may be.
package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "mcpgateway/"

// imports is the import table of ARCHITECTURE.md: a package may import those of ours that
// match one of its patterns. rawjson is for anyone. A missing package may import nothing.
var imports = map[string][]string{
	"cmd/mcp-gateway":          {"internal/app"},
	"internal/app":             {"internal/*", "internal/*/*"},
	"internal/listen":          {"internal/era", "internal/era/*", "internal/session", "internal/quota", "internal/config", "internal/jsonrpc", "internal/mcp"},
	"internal/admin":           {"internal/mcp", "internal/config"},
	"internal/quota":           {"internal/mcp"},
	"internal/era":             {"internal/session", "internal/quota", "internal/transport", "internal/jsonrpc", "internal/mcp"},
	"internal/era/stateful":    {"internal/era", "internal/session", "internal/transport", "internal/jsonrpc", "internal/mcp"},
	"internal/era/stateless":   {"internal/era", "internal/session", "internal/seal", "internal/transport", "internal/jsonrpc", "internal/mcp"},
	"internal/registry":        {"internal/upstream", "internal/catalog", "internal/config", "internal/mcp"},
	"internal/upstream":        {"internal/era", "internal/era/*", "internal/transport", "internal/catalog", "internal/config", "internal/mcp"},
	"internal/route":           {"internal/catalog", "internal/seal", "internal/mcp"},
	"internal/policy":          {"internal/mcp"},
	"internal/policy/inflight": {"internal/policy", "internal/quota", "internal/config", "internal/mcp"},
	"internal/kinds":           {"internal/transport", "internal/transport/*", "internal/policy/*", "internal/config", "internal/jsonrpc"},
	"internal/transport":       {"internal/jsonrpc"},
	"internal/session":         {"internal/mcp"},
	"internal/catalog":         {"internal/mcp"},
	"internal/observe":         {"internal/mcp"},
	"internal/demo":            {"internal/mcp"},
	"internal/gatetest":        {"internal/jsonrpc"},
	"internal/gatetest/court":  {"internal/gatetest"},
	"internal/mcp":             {},
	"internal/seal":            {},
	"internal/config":          {},
	"internal/jsonrpc":         {},
	"internal/rawjson":         {},

	"internal/transport/exchange":      {"internal/transport", "internal/jsonrpc"},
	"internal/transport/pipe":          {"internal/transport", "internal/jsonrpc"},
	"internal/transport/stdio":         {"internal/transport", "internal/jsonrpc"},
	"internal/transport/streamable":    {"internal/transport", "internal/transport/exchange", "internal/jsonrpc"},
	"internal/transport/sse":           {"internal/transport", "internal/transport/exchange", "internal/jsonrpc"},
	"internal/transport/transporttest": {"internal/transport", "internal/jsonrpc"},
}

// testOnly may be imported by tests alone, and by one another.
var testOnly = []string{"internal/gatetest", "internal/gatetest/court", "internal/transport/transporttest"}

// starters may start goroutines; each waits for those that it starts.
var starters = []string{
	"internal/app",             // what serves
	"internal/registry",        // one supervisor per server
	"internal/upstream",        // the reader of each connection, the two ways of a probe
	"internal/listen",          // requests on a pipe, the writer of each client
	"internal/session",         // the janitor
	"internal/era/stateful",    // answers to a server's questions
	"internal/era/stateless",   // the subscription to a server
	"internal/transport/stdio", // a child's three streams and its end
	"internal/transport/sse",   // the stream
	"internal/transport/streamable",
	"internal/transport/exchange",
	"internal/transport/pipe", // the reader and the server in memory
	"internal/gatetest",
	"internal/transport/transporttest",
}

// longFunctions may be longer than 100 lines, each for a reason.
var longFunctions = map[string]string{}

const maxFunction = 100

type file struct {
	folder string
	name   string
	test   bool
	ast    *ast.File
	set    *token.FileSet
}

func files(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (p == "test" || d.Name() == "node_modules" || (strings.HasPrefix(d.Name(), ".") && p != ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || p == "rules_test.go" {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, file{path.Dir(filepath.ToSlash(p)), p, strings.HasSuffix(p, "_test.go"), parsed, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files were read; the rules would hold of nothing", len(out))
	}
	return out
}

func matches(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, s); return ok })
}

func TestImportTable(t *testing.T) {
	for _, f := range files(t) {
		for _, spec := range f.ast.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			p, ours := strings.CutPrefix(p, module)
			if !ours || p == "internal/rawjson" || p == f.folder {
				continue
			}
			if slices.Contains(testOnly, p) && !slices.Contains(testOnly, f.folder) {
				if !f.test {
					t.Errorf("%s imports %s, which only tests may", f.name, p)
				}
				continue
			}
			allowed, known := imports[f.folder]
			if !known {
				t.Errorf("%s: %s has no row in the import table", f.name, f.folder)
			} else if !f.test && !matches(allowed, p) {
				t.Errorf("%s: %s may not import %s", f.name, f.folder, p)
			}
		}
	}
}

func TestEveryPackageIsInTheTable(t *testing.T) {
	for _, f := range files(t) {
		if _, known := imports[f.folder]; !known {
			t.Errorf("%s: %s has no row in the import table", f.name, f.folder)
		}
	}
}

func TestGoroutinesHaveOwners(t *testing.T) {
	for _, f := range files(t) {
		if f.test || slices.Contains(starters, f.folder) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			starts := false
			switch n := n.(type) {
			case *ast.GoStmt:
				starts = true
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				starts = ok && s.Sel.Name == "Go"
			}
			if starts {
				t.Errorf("%s: %s may not start goroutines", f.set.Position(n.Pos()), f.folder)
			}
			return true
		})
	}
}

func TestFunctionsAndInit(t *testing.T) {
	for _, f := range files(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			at := f.set.Position(fn.Pos())
			if fn.Recv == nil && fn.Name.Name == "init" && !f.test {
				t.Errorf("%s: no package has an init", at)
			}
			if lines := f.set.Position(fn.End()).Line - at.Line + 1; lines > maxFunction && longFunctions[f.folder+"."+fn.Name.Name] == "" {
				t.Errorf("%s: %s has %d lines; %d are the most", at, fn.Name.Name, lines, maxFunction)
			}
		}
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range files(t) {
		if !f.test {
			documented[f.folder] = documented[f.folder] || f.ast.Doc != nil
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", folder)
		}
	}
}

// TestDatesAndNumbersStandUnderEra keeps revision dates and JSON-RPC numbers in one place.
func TestDatesAndNumbersStandUnderEra(t *testing.T) {
	dates := []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}
	for _, f := range files(t) {
		if f.test || strings.HasPrefix(f.folder, "internal/era") || slices.Contains(testOnly, f.folder) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			for _, d := range dates {
				if lit.Kind == token.STRING && strings.Contains(lit.Value, d) {
					t.Errorf("%s: the date of a revision stands under era only: %s", f.set.Position(n.Pos()), lit.Value)
				}
			}
			if lit.Kind == token.INT && len(lit.Value) == 5 && strings.HasPrefix(lit.Value, "32") && lit.Value[2] >= '0' && lit.Value != "32768" {
				t.Errorf("%s: numbers of errors stand under era only: %s", f.set.Position(n.Pos()), lit.Value)
			}
			return true
		})
	}
}

// TestNoSDKInTheBinary: the path is raw bytes, so no MCP SDK is part of it.
func TestNoSDKInTheBinary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/mcp-gateway").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "mcpgateway/internal/listen") {
		t.Fatalf("go list told nothing of use: %.200s", out)
	}
	for _, d := range deps {
		for _, sdk := range []string{"modelcontextprotocol", "mcp-go", "mcp-golang", "go-mcp", "fastmcp"} {
			if strings.Contains(d, sdk) {
				t.Errorf("the binary holds %s", d)
			}
		}
	}
}
