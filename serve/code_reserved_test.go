package serve_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// usedNames are the identifiers of a folder's sources, but for tests and the files that define codes.
func usedNames(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("internal/*/*.go")
	wiring, wiringErr := filepath.Glob("*.go")
	if err := errors.Join(err, wiringErr); err != nil {
		t.Fatal(err)
	}
	paths = append(paths, wiring...)
	definitions := []string{"internal/fault/code.go", "internal/fault/reserved.go", "internal/fault/code_table.go"}
	used := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || slices.Contains(definitions, path) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				used[name.Name] = true
			}
			return true
		})
	}
	return used
}

// codeNames are the names of the numbered codes.
func codeNames(t *testing.T) map[string]fault.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "internal/fault/code.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	byNumber := map[string]fault.Code{}
	for _, c := range serve.AllCodes() {
		byNumber[strings.TrimPrefix(c.String(), "ERR-")] = c
	}
	names := map[string]fault.Code{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			number := spec.Values[0].(*ast.BasicLit).Value
			code, known := byNumber[number]
			if !known {
				t.Errorf("%s is in no table", spec.Names[0].Name)
			}
			names[spec.Names[0].Name] = code
		}
		return true
	})
	return names
}

// Every code is answered by something, or its page says that it is reserved and why: never both, never neither.
func TestC10EveryCodeIsAnsweredOrReserved(t *testing.T) {
	a := startAPI(t, nil)
	used, names := usedNames(t), codeNames(t)
	if len(names) < 50 {
		t.Fatalf("only %d codes found", len(names))
	}
	for name, code := range names {
		path := "/errors/" + code.String()
		view := a.get(path, header("Accept", "application/json")).want(t, http.StatusOK).object(t)
		reason, reserved := view["reserved"].(string)
		if reserved == used[name] || reserved && reason == "" {
			t.Errorf("%s %s: used %v, reserved %q", code, name, used[name], reason)
		}
		page := a.get(path, header("Accept", "text/html")).want(t, http.StatusOK)
		if strings.Contains(string(page.body), "<strong>Reserved.</strong>") != reserved {
			t.Errorf("%s: the page and the object differ: %v", code, view)
		}
	}
}
