package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestBillKeepsNothingOfTheMachine(t *testing.T) {
	made := `{"metadata":{"tools":[{"name":"t","hashes":[{"content":"0f0f"}]}]},"components":[{"name":"m","hashes":[{"content":"abab"}]}]}`
	bill, err := completeBill([]byte(made), []page{{name: "p", version: "1.0.0", licence: "MIT"}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(bill)
	if strings.Contains(text, "0f0f") || !strings.Contains(text, "abab") || !strings.Contains(text, `"purl": "pkg:npm/p@1.0.0"`) {
		t.Error(text)
	}
	for _, made := range []string{`{}`, `{"metadata":{"tools":[{}]}}`, `{"components":[{}]}`, `[`} {
		if bill, err := completeBill([]byte(made), nil); err == nil {
			t.Errorf("%s: %s", made, bill)
		}
	}
}

func TestEmbeddedPagesHaveLicences(t *testing.T) {
	pages, err := embeddedPages(root)
	if err != nil || len(pages) != 2 {
		t.Fatalf("%v, %v", pages, err)
	}
	named := 0
	for _, p := range pages {
		for _, licence := range p.licences {
			named++
			if len(read(t, filepath.Join(root, pagesFolder, licence))) < 500 {
				t.Errorf("%s is short", licence)
			}
		}
	}
	lying, err := filepath.Glob(filepath.Join(root, pagesFolder, "LICENSE*"))
	if err != nil || len(lying) != named {
		t.Errorf("%d licences are named, there are %v (%v)", named, lying, err)
	}
	if pages, err := embeddedPages(t.TempDir()); err == nil {
		t.Errorf("found %v in an empty folder", pages)
	}
}
