package test_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// publicAPI lists the packages whose exported names are for programs outside this repository. See ARCHITECTURE.md.
var publicAPI = []string{"engine", "engine/forest", "ingest", "serve"}

// TestExportedNamesAreUsed reports exported package-level names that no other folder needs. Such a name should be
// unexported, so that the exported names of a package are those that others depend on.
func TestExportedNamesAreUsed(t *testing.T) {
	unused, checked, err := unusedExports(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range unused {
		t.Error(name)
	}
	if checked < 50 {
		t.Errorf("checked %d exported names: the test has gone blind", checked)
	}
}

// unusedExports parses every Go file of the tree, whatever its build tags and whichever module it belongs to, and
// returns the exported names that nothing outside their folder needs, sorted, and how many names it checked. Needed are
// names that another folder mentions and, as its values pass through other folders, what the signature or the exported
// fields and methods of a needed name mention; a group of constants is needed if one of them is. Import names are
// resolved by syntax alone: a package is known by its declared name, or by the name that an import gives it.
func unusedExports(tree fs.FS) (unused []string, checked int, err error) {
	packages, err := parsePackages(tree)
	if err != nil {
		return nil, 0, err
	}
	used := map[string]bool{} // "folder.Name"
	for folder, p := range packages {
		for _, file := range p.files {
			markUses(packages, folder, file, used)
		}
	}
	for folder, p := range packages {
		if p.name == "main" || slices.Contains(publicAPI, folder) || slices.Contains(strings.Split(folder, "/"), "internal") {
			continue
		}
		needed := map[string]bool{}
		for name := range p.surface {
			if used[folder+"."+name] {
				p.need(name, needed)
			}
		}
		for name := range p.surface {
			checked++
			if !needed[name] {
				unused = append(unused, fmt.Sprintf("%s: %s is exported and used nowhere else", folder, name))
			}
		}
	}
	slices.Sort(unused)
	return unused, checked, nil
}

// sourcePackage is what the files of one folder declare.
type sourcePackage struct {
	name    string              // of the package clause, without _test
	surface map[string][]string // exported package-level names of files that are no tests, with the names they mention
	files   []*ast.File
}

// need adds a name and what its surface mentions.
func (p *sourcePackage) need(name string, needed map[string]bool) {
	mentioned, exported := p.surface[name]
	if !exported || needed[name] {
		return
	}
	needed[name] = true
	for _, other := range mentioned {
		p.need(other, needed)
	}
}

// parsePackages returns the packages of a tree by folder. Hidden folders and what make produces are left out, and
// testdata/forest, which has many folders and no Go file.
func parsePackages(tree fs.FS) (map[string]*sourcePackage, error) {
	packages := map[string]*sourcePackage{}
	set := token.NewFileSet()
	return packages, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (generated(name, entry) || name == "testdata/forest"):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		p := packages[folder]
		if p == nil {
			p = &sourcePackage{surface: map[string][]string{}}
			packages[folder] = p
		}
		p.files = append(p.files, file)
		if !strings.HasSuffix(name, "_test.go") {
			p.name = file.Name.Name
			addSurface(p.surface, file)
		}
		return nil
	})
}

// addSurface adds the exported names of a file, each with the exported names of its signature, exported fields and
// exported methods.
func addSurface(surface map[string][]string, file *ast.File) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type)
			}
			if d.Name.IsExported() && ast.IsExported(name) {
				surface[name] = append(surface[name], mentions(d.Type)...)
			}
		case *ast.GenDecl:
			var group []string
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						surface[s.Name.Name] = append(surface[s.Name.Name], mentions(s.Type)...)
					}
				case *ast.ValueSpec:
					for _, id := range s.Names {
						if id.IsExported() {
							surface[id.Name] = append(surface[id.Name], mentions(s.Type)...)
							group = append(group, id.Name)
						}
					}
				}
			}
			if d.Tok == token.CONST {
				for _, name := range group {
					surface[name] = append(surface[name], group...)
				}
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(expr ast.Expr) string {
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// mentions returns the exported names of a type expression; of a struct those of its exported and embedded fields.
func mentions(expr ast.Expr) (names []string) {
	if expr == nil {
		return nil
	}
	ast.Inspect(expr, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
					names = append(names, mentions(field.Type)...)
				}
			}
			return false
		case *ast.SelectorExpr:
			return false // another package's
		case *ast.Ident:
			if n.IsExported() {
				names = append(names, n.Name)
			}
		}
		return true
	})
	return names
}

// markUses marks every name that a file selects from a package of another folder. A variable that shadows an import
// can mark a name too many, never one too few.
func markUses(packages map[string]*sourcePackage, folder string, file *ast.File, used map[string]bool) {
	imported := map[string]string{} // name in the file to folder
	for _, spec := range file.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		target = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(target, module), "/"), ".")
		p := packages[target]
		if p == nil || target == folder {
			continue // of another module, or an external test of its own package
		}
		name := p.name
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = target
	}
	if len(imported) == 0 {
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if base, ok := selector.X.(*ast.Ident); ok {
				if target, ok := imported[base.Name]; ok {
					used[target+"."+selector.Sel.Name] = true
				}
			}
		}
		return true
	})
}

func TestUnusedExportsAreFound(t *testing.T) {
	const declared = `package store

type Ledger struct {
	Open Options
	kept Cache
}

type (
	Options struct{}
	Cache   struct{}
	Tally   int
)

func (*Ledger) Count() Tally { return 0 }

func Dial(...Options) (l *Ledger, err error) { return }

const (
	One Tally = 1 + iota
	Two
)

var ErrLost, errGone error
`
	importing := func(name, body string) string {
		return fmt.Sprintf("package x\n\nimport %s %q\n\n%s\n", name, module+"/store", body)
	}
	all := []string{"Cache", "Dial", "ErrLost", "Ledger", "One", "Options", "Tally", "Two"}
	but := func(used ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(used, name) })
	}
	for name, c := range map[string]struct {
		folder, file, source string
		unused               []string
	}{
		"what a signature mentions":    {"cli", "x.go", importing("", "var _ = store.Dial"), but("Dial", "Ledger", "Options", "Tally")},
		"what fields, methods mention": {"cli", "x.go", importing("", "var _ store.Ledger"), but("Ledger", "Options", "Tally")},
		"constants of one group":       {"cli", "x.go", importing("", "var _ = store.Two"), but("One", "Two", "Tally")},
		"under an alias":               {"cli", "x.go", importing("s", "var _ = s.ErrLost"), but("ErrLost")},
		"used by a test":               {"cli", "x_test.go", importing("", "var _ store.Cache"), but("Cache")},
		"used by a module":             {"chaos/kill", "x.go", importing("", "var _ = store.ErrLost"), but("ErrLost")},
		"used by its own test":         {"store", "x_test.go", importing("", "var _ = store.Dial"), all},
		"imported and not used":        {"cli", "x.go", importing("_", ""), all},
		"another package's":            {"cli", "x.go", "package x\n\nvar _ = store.Dial\n", all},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := unusedExports(fstest.MapFS{
				"store/store.go":         {Data: []byte(declared)},
				c.folder + "/" + c.file:  {Data: []byte(c.source)},
				"serve/run.go":           {Data: []byte("package serve\n\nfunc Public() {}\n")},
				"store/internal/db/x.go": {Data: []byte("package db\n\nfunc Inner() {}\n")},
				"main.go":                {Data: []byte("package main\n\nfunc Main() {}\n")},
			})
			want := make([]string, 0, len(c.unused))
			for _, name := range c.unused {
				want = append(want, "store: "+name+" is exported and used nowhere else")
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}
