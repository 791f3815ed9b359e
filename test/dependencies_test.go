package test_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

// TestDependenciesPageIsCurrent compares docs/dependencies.md with go.mod, tools/go.tools.mod, tools/go.audit.mod and deploy/go.mod:
// each direct dependency and the module of each tool has one row with the version in use, and no row names anything
// else.
func TestDependenciesPageIsCurrent(t *testing.T) {
	want := directModules(t, "go.mod")
	want = append(want, toolModules(t, "tools/go.tools.mod")...)
	want = append(want, toolModules(t, "tools/go.audit.mod")...)
	want = append(want, directModules(t, "deploy/go.mod")...)
	slices.Sort(want)
	want = slices.Compact(want) // what is in the program and in deploy alike
	slices.Sort(want)
	got := pageModules(readText(t, "docs/dependencies.md"))
	slices.Sort(got)
	for _, module := range want {
		if !slices.Contains(got, module) {
			t.Errorf("docs/dependencies.md has no row for %s", module)
		}
	}
	for _, module := range got {
		if !slices.Contains(want, module) {
			t.Errorf("docs/dependencies.md has a row for %s, which no mod file names", module)
		}
	}
}

// TestDependenciesAreNotOlderThanTheirFixes checks the versions of modules with exploitable defects in older versions.
func TestDependenciesAreNotOlderThanTheirFixes(t *testing.T) {
	floors := map[string]string{
		"github.com/jackc/pgx/v5":                 "v5.9.2",
		"github.com/valyala/fasthttp":             "v1.70.0",
		"github.com/aws/aws-sdk-go-v2/service/s3": "v1.97.3",
		"github.com/golang-jwt/jwt/v5":            "v5.2.2",
		"github.com/prometheus/client_golang":     "v1.11.1",
		"github.com/klauspost/compress":           "v1.18.7",
	}
	for module := range required(t, "go.mod") {
		path, version, _ := strings.Cut(module, " ")
		if floor, ok := floors[path]; ok {
			if semver.Compare(version, floor) < 0 {
				t.Errorf("%s is %s, older than %s", path, version, floor)
			}
			delete(floors, path)
		}
	}
	for path := range floors {
		t.Errorf("go.mod does not name %s", path)
	}
}

func directModules(t *testing.T, file string) (modules []string) {
	for module, indirect := range required(t, file) {
		if !indirect {
			modules = append(modules, module)
		}
	}
	return modules
}

// toolModules finds the module of each tool: the longest required path that the tool's package lies in.
func toolModules(t *testing.T, file string) (modules []string) {
	_, block, _ := strings.Cut(readText(t, file), "tool (\n")
	block, _, _ = strings.Cut(block, ")")
	for _, tool := range strings.Fields(block) {
		longest := ""
		for module := range required(t, file) {
			if path, _, _ := strings.Cut(module, " "); within(tool, path) && len(module) > len(longest) {
				longest = module
			}
		}
		modules = append(modules, longest)
	}
	return modules
}

// required returns "path version" of every require line, and whether the line is marked indirect.
func required(t *testing.T, file string) map[string]bool {
	modules := map[string]bool{}
	for line := range strings.Lines(readText(t, file)) {
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) >= 2 && strings.Contains(fields[0], ".") && strings.HasPrefix(fields[1], "v") {
			modules[fields[0]+" "+fields[1]] = strings.Contains(line, "// indirect")
		}
	}
	return modules
}

// pageModules reads "path version" from each table row: the first cell with a slash and the cell after it.
func pageModules(page string) (modules []string) {
	for line := range strings.Lines(page) {
		cells := strings.Split(line, " | ")
		at := slices.IndexFunc(cells, func(cell string) bool { return strings.Contains(cell, "/") })
		if strings.HasPrefix(line, "| ") && at >= 0 && at < 2 {
			modules = append(modules, strings.TrimPrefix(cells[at], "| ")+" "+cells[at+1])
		}
	}
	return modules
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
