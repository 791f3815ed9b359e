package logging

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An attribute that is not on the list never reaches the log: every one that the program gives must be there.
func TestLog_KnowsEveryAttribute(t *testing.T) {
	files := token.NewFileSet()
	seen := map[string]bool{}
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains([]string{"bin", "chaos", "deploy"}, d.Name()) {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "slog") {
			return err
		}
		file, err := parser.ParseFile(files, path, text, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, key := range attributes(n) {
				if seen[key] = true; !slices.Contains(logKeys, key) {
					t.Errorf("%s: %q does not reach the log", files.Position(n.Pos()), key)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || len(seen) < 10 {
		t.Errorf("%d attributes were found (%v)", len(seen), err)
	}
}

// attributes are the names that a call of a logger gives.
func attributes(n ast.Node) (keys []string) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) < 3 {
		return nil
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
		return nil
	}
	for i := 1; i < len(call.Args); i += 2 {
		if name, ok := call.Args[i].(*ast.BasicLit); ok && name.Kind == token.STRING {
			key, err := strconv.Unquote(name.Value)
			if err == nil {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
