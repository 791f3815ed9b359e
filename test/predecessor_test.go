package test_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	proofsPage = "docs/predecessor.md"
	proofsHead = "| row | promise | proven by |\n|---|---|---|\n"
	noProof    = "**no test**"
)

// promiseRows are the names of the promises: C1 to C10 and B1 to B27.
func promiseRows() (rows []string) {
	for i := range 10 {
		rows = append(rows, fmt.Sprintf("C%d", i+1))
	}
	for i := range 27 {
		rows = append(rows, fmt.Sprintf("B%d", i+1))
	}
	return rows
}

var promiseTest = regexp.MustCompile(`(?m)^func (Test([BC]\d+)(?:[A-Z]\w*)?)\(`)

// promiseTests are the tests of each promise, by their names, in every module of the tree.
func promiseTests(t *testing.T) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && generated(name, entry):
			return fs.SkipDir
		case strings.HasSuffix(name, "_test.go"):
			for _, found := range promiseTest.FindAllStringSubmatch(readText(t, name), -1) {
				tests[found[2]] = append(tests[found[2]], found[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestPromisesAreProven compares the table of docs/predecessor.md with the existing tests. With UPDATE_PAGES in the
// environment it writes their names into the table. A promise without a test is a failure.
func TestPromisesAreProven(t *testing.T) {
	tests := promiseTests(t)
	page := readText(t, proofsPage)
	before, rest, found := strings.Cut(page, proofsHead)
	table, after, _ := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("%s has no table of promises", proofsPage)
	}
	var want strings.Builder
	var rows []string
	for line := range strings.Lines(table + "\n") {
		cells := strings.SplitN(strings.TrimSpace(line), " | ", 3)
		if len(cells) != 3 {
			t.Fatalf("%s: %q has %d cells", proofsPage, line, len(cells))
		}
		row := strings.TrimPrefix(cells[0], "| ")
		rows = append(rows, row)
		proofs := noProof + " |"
		if names := slices.Compact(slices.Sorted(slices.Values(tests[row]))); len(names) > 0 {
			proofs = "`" + strings.Join(names, "`, `") + "` |"
		} else {
			t.Errorf("no test is named after promise %s", row)
		}
		fmt.Fprintf(&want, "| %s | %s | %s\n", row, cells[1], proofs)
	}
	if !slices.Equal(rows, promiseRows()) {
		t.Errorf("%s has the rows %v", proofsPage, rows)
	}
	for row, names := range tests {
		if !slices.Contains(promiseRows(), row) {
			t.Errorf("%v are named after a promise that there is not", names)
		}
	}
	switch {
	case os.Getenv("UPDATE_PAGES") != "":
		text := before + proofsHead + strings.TrimSuffix(want.String(), "\n") + "\n\n" + after
		if err := os.WriteFile(proofsPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	case table+"\n" != want.String():
		t.Errorf("the table in %s is stale: UPDATE_PAGES=1 go test -run PromisesAreProven ./test", proofsPage)
	}
}
