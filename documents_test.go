package main_test

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
