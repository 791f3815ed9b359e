package test_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// reference is a relative link of a page, or a source file named in the text.
var reference = regexp.MustCompile("\\]\\(([^)#:]+)(?:#[^)]*)?\\)|`([a-z_/]+/[a-z0-9_]+\\.go)`")

// TestPagesNameWhatExists follows every relative link and every source file that the pages in Markdown name.
func TestPagesNameWhatExists(t *testing.T) {
	tree := os.DirFS(".")
	followed := 0
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && outside(tree, name):
			return fs.SkipDir
		case path.Ext(name) != ".md":
			return nil
		}
		for _, found := range reference.FindAllStringSubmatch(readText(t, name), -1) {
			target := path.Clean(found[2])
			if found[1] != "" {
				target = path.Join(path.Dir(name), found[1])
			}
			if _, err := fs.Stat(tree, strings.TrimPrefix(target, "/")); err != nil {
				t.Errorf("%s names %s: %v", name, target, err)
			}
			followed++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if followed < 20 {
		t.Errorf("found %d references in all pages: the pattern has gone blind", followed)
	}
}

// TestPagesNameTestsThatExist looks up every test that a page names.
func TestPagesNameTestsThatExist(t *testing.T) {
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)`")
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)\(`)
	tests, pages := map[string]bool{}, map[string][]string{}
	tree := os.DirFS(".")
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && generated(name, entry):
			return fs.SkipDir
		case strings.HasSuffix(name, "_test.go"):
			for _, found := range declared.FindAllStringSubmatch(readText(t, name), -1) {
				tests[found[1]] = true
			}
		case path.Ext(name) == ".md":
			for _, found := range named.FindAllStringSubmatch(readText(t, name), -1) {
				pages[found[1]] = append(pages[found[1]], name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 50 {
		t.Errorf("the pages name %d tests: the pattern has gone blind", len(pages))
	}
	for test, where := range pages {
		if !tests[test] {
			t.Errorf("%s: there is no %s", strings.Join(where, ", "), test)
		}
	}
}

// generated reports whether a folder is hidden, or created by make or a run.
func generated(name string, entry fs.DirEntry) bool {
	return name != "." && strings.HasPrefix(entry.Name(), ".") || name == "bin" || name == "data"
}
