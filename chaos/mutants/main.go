// Mutants breaks millrace on purpose, one promise at a time, and runs the tests that must notice. Coverage says which
// lines ran; this says whether a test checks them. Each file *.mutant beside this one is
//
//	# what is broken
//	test PACKAGE TESTS          the narrowest tests that must fail, as a pattern of go test
//	file PATH                   once or more, each with what is replaced:
//	-the line as it stands      these must stand in the file exactly once
//	+the line in its place
//
// The files of the project are not touched: go test -overlay puts the changed one in the place of the original.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is a promise that is broken.
type mutant struct {
	name, what   string
	pkg, pattern string
	replacements []replacement
}

type replacement struct{ path, old, new string }

func main() {
	if err := run("..", os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run tries the mutants that are named, or all. With "overlay NAME FILE" it only writes the overlay of one.
func run(root string, args []string) error {
	mutants, err := readMutants("mutants")
	if err != nil {
		return err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return err
	}
	if len(args) == 3 && args[0] == "overlay" {
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == args[1] })
		if i < 0 {
			return fmt.Errorf("no mutant %s", args[1])
		}
		return mutants[i].writeOverlay(root, args[2])
	}
	survivors := 0
	for _, m := range mutants {
		if len(args) > 0 && !slices.Contains(args, m.name) {
			continue
		}
		red, err := m.try(root)
		if err != nil {
			survivors++
			red = "NOT FOUND OUT: " + err.Error()
		}
		fmt.Printf("%-24s %-72s → %s\n", m.name, m.what, red)
	}
	if survivors > 0 {
		return fmt.Errorf("%d mutants were not found out", survivors)
	}
	return nil
}

func readMutants(dir string) (mutants []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.mutant"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := mutant{name: strings.TrimSuffix(filepath.Base(file), ".mutant")}
		if err := m.parse(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		mutants = append(mutants, m)
	}
	if len(mutants) == 0 {
		return nil, errors.New("no mutants in " + dir)
	}
	return mutants, nil
}

func (m *mutant) parse(text string) error {
	for line := range strings.Lines(text) {
		last := len(m.replacements) - 1
		rest := strings.TrimSuffix(line[1:], "\n")
		switch {
		case line[0] == '#':
			m.what = strings.TrimSpace(rest)
		case strings.HasPrefix(line, "test "):
			var ok bool
			m.pkg, m.pattern, ok = strings.Cut(strings.TrimSpace(line[5:]), " ")
			if !ok {
				return errors.New("test needs a package and a pattern")
			}
		case strings.HasPrefix(line, "file "):
			m.replacements = append(m.replacements, replacement{path: strings.TrimSpace(line[5:])})
		case line[0] == '-' && last >= 0:
			m.replacements[last].old += rest + "\n"
		case line[0] == '+' && last >= 0:
			m.replacements[last].new += rest + "\n"
		case strings.TrimSpace(line) != "":
			return fmt.Errorf("line %q", line)
		}
	}
	if m.what == "" || m.pkg == "" || len(m.replacements) == 0 {
		return errors.New("needs a sentence, a test and a file")
	}
	return nil
}

// writeOverlay writes what go build -overlay wants, and the changed files beside it.
func (m *mutant) writeOverlay(root, file string) error {
	changed := map[string][]byte{}
	replace := map[string]string{}
	for i, r := range m.replacements {
		original := filepath.Join(root, r.path)
		text, ok := changed[original]
		if !ok {
			var err error
			if text, err = os.ReadFile(original); err != nil {
				return err
			}
		}
		if n := bytes.Count(text, []byte(r.old)); n != 1 {
			return fmt.Errorf("%s: what is to be replaced stands there %d times", r.path, n)
		}
		changed[original] = bytes.Replace(text, []byte(r.old), []byte(r.new), 1)
		replace[original] = fmt.Sprintf("%s.%d%s", file, i, filepath.Ext(r.path))
		if err := os.WriteFile(replace[original], changed[original], 0o600); err != nil {
			return err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(file, overlay, 0o600)
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try runs the tests on the mutant and names the first that failed. Anything else is an error: that they pass, and that
// they do not compile.
func (m *mutant) try(root string) (red string, err error) {
	dir, err := os.MkdirTemp("", "millrace-mutant-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay := filepath.Join(dir, "overlay.json")
	if err := m.writeOverlay(root, overlay); err != nil {
		return "", err
	}
	command := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-timeout=5m", "-run", m.pattern, m.pkg)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err == nil {
		return "", fmt.Errorf("%s -run %s passes", m.pkg, m.pattern)
	}
	failed := failedTest.FindAllSubmatch(out, -1)
	if len(failed) == 0 {
		return "", fmt.Errorf("no test failed:\n%s", out)
	}
	return m.pkg + " " + string(failed[len(failed)-1][1]), nil
}
