package test_test

import (
	"fmt"
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

// The borders between the packages and the fences around third-party modules. Every Go file is parsed, whatever its
// build tags or architecture: go list would see only one platform.

const module = "github.com/retainwise/millrace"

// anything stands for every package: on the right of allowed for what may be imported, in a fence for its owners.
const anything = "*"

// allowed says which project packages the files of a folder may import. A folder that is not here is an error.
var allowed = map[string][]string{
	".":                       {"cli/server"},
	"cli":                     {"engine", "engine/draft", "engine/forest", "ingest", "serve/codes", "store/customer"}, // see TestSlimProgramIsSmall
	"cli/slim":                {"cli"},
	"cli/server":              {"bench", "cli", "engine", "engine/forest", "ingest", "migrations", "serve", "store", "store/cluster", "store/objects", "store/queue", "store/schema", "testdata/samples"},
	"test":                    {anything},
	"testdata/samples":        {},
	"bench":                   {"engine", "engine/forest", "ingest", "migrations", "serve", "serve/servetest", "store", "store/cluster", "store/counts", "store/customer", "store/models", "store/objects", "store/schema", "store/storetest", "store/tuple"},
	"bench/peers/engines":     {anything},
	"bench/peers/readers":     {anything},
	"engine":                  {"engine/forest", "ingest"},
	"engine/draft":            {"engine", "engine/forest", "ingest"},
	"engine/forest":           {},
	"ingest":                  {"ingest/internal/kernels"},
	"ingest/internal/kernels": {},
	"migrations":              {},
	"serve":                   serveAnd("engine", "serve/codes", "store", "store/circuit", "store/cluster", "store/customer", "store/objects", "store/queue", "store/schema"),

	// What store is made of, from above to below.
	"store":                   {"store/awsclient", "store/backoff", "store/circuit", "store/counts", "store/customer", "store/internal/database", "store/models", "store/objects", "store/tuple"},
	"store/objects":           {"store/awsclient", "store/backoff", "store/circuit"},
	"store/models":            {"store/internal/database", "store/objects"},
	"store/counts":            {"store/internal/database"},
	"store/queue":             {"store/awsclient", "store/backoff", "store/circuit"},
	"store/awsclient":         {"store/circuit"},
	"store/schema":            {"store/internal/database"},
	"store/internal/database": {"store/circuit"},
	"store/tuple":             {"store/customer"},
	"store/backoff":           {},
	"store/circuit":           {},
	"store/customer":          {},
	"store/cluster":           {},
	"store/storetest":         {"migrations", "store", "store/cluster", "store/objects", "store/queue", "store/schema", "store/storetest/proxy"},
	"store/storetest/proxy":   {},
	"store/storetest/servers": {"store/storetest"},

	// The packages of serve, top-down.
	"serve/internal/admin":   rooms("api", "auth", "fault", "health", "metrics", "plan", "storefault", "wire", "engine", "store", "store/counts", "store/models"),
	"serve/internal/api":     rooms("auth", "fault", "health", "limit", "metrics", "place", "plan", "strictjson", "storefault", "wire", "engine", "ingest", "serve/page", "store", "store/backoff", "store/circuit", "store/counts", "store/customer", "store/models", "store/objects", "store/queue"),
	"serve/internal/work":    rooms("fault", "health", "metrics", "plan", "storefault", "wire", "engine", "ingest", "store", "store/backoff", "store/customer", "store/objects", "store/tuple"),
	"serve/internal/duty":    rooms("fault", "health", "metrics", "plan", "storefault", "wire", "engine", "ingest", "store", "store/backoff", "store/counts", "store/objects", "store/queue"),
	"serve/internal/plan":    rooms("fault", "metrics", "storefault", "engine", "ingest", "store", "store/backoff", "store/models", "store/objects"),
	"serve/internal/auth":    rooms("fault", "store", "strictjson"),
	"serve/internal/metrics": rooms("fault", "place", "engine", "store", "store/awsclient", "store/circuit", "store/objects", "store/queue"),
	"serve/internal/wire":    rooms("fault", "ingest"),
	"serve/internal/place":   rooms("fault"),
	"serve/internal/fault":   rooms("engine", "ingest"),

	// The errors of the store are explained apart, so that serve/codes links no store.
	"serve/internal/storefault": rooms("fault", "store", "store/models", "store/objects"),
	"serve/codes":               rooms("fault"),

	"serve/internal/limit":   rooms("store"),
	"serve/internal/health":  rooms("fault", "engine", "store/counts"),
	"serve/internal/logging": {},

	"serve/internal/strictjson": {},

	"serve/internal/plan/plantest": {"engine"},
	"serve/page":                   {},

	"serve/servetest": serveAnd("ingest", "migrations", "serve", "store", "store/customer", "store/objects", "store/queue"),
}

// serveRooms lists the packages below serve/internal.
var serveRooms = []string{
	"admin", "api", "auth", "duty", "fault", "health", "limit", "logging", "metrics", "place", "plan", "storefault", "strictjson", "wire",
	"work",
}

// rooms returns the paths of packages; those below serve/internal are given by their last element.
func rooms(names ...string) (list []string) {
	for _, name := range names {
		if slices.Contains(serveRooms, name) {
			name = "serve/internal/" + name
		}
		list = append(list, name)
	}
	return list
}

// serveAnd returns all packages below serve/internal, and others.
func serveAnd(names ...string) []string { return append(rooms(serveRooms...), names...) }

// allowedInTests adds to allowed, for every folder, in files named _test.go: real servers to test against.
var allowedInTests = []string{
	"migrations", "serve/servetest", "store/awsclient", "store/circuit", "store/cluster", "store/counts", "store/customer", "store/internal/database",
	"store/models",
	"store/objects", "store/queue", "store/schema", "store/storetest", "store/tuple",
}

// allowedInServeTests adds to both for the tests of serve and of the packages below serve/internal.
var allowedInServeTests = serveAnd("engine", "ingest", "serve", "serve/internal/plan/plantest", "store/storetest/proxy")

// fence names the folders that may import a module (or a part of the standard library), and those whose tests also may.
type fence struct{ owners, inTests []string }

// outward lists the folders that may touch files, processes and the network.
var outward = []string{
	".", "cli", "cli/server", "cli/slim", "test", "bench", "bench/peers/engines", "bench/peers/readers", "serve", "serve/servetest", "store", "store/awsclient", "store/circuit",
	"store/cluster", "store/internal/database", "store/objects", "store/queue", "store/schema", "store/storetest", "store/storetest/proxy", "store/storetest/servers", "serve/internal/admin", "serve/internal/api", "serve/internal/auth",
	"serve/internal/duty", "serve/internal/fault", "serve/internal/logging", "serve/internal/metrics",
	"serve/internal/place", "serve/internal/plan", "serve/internal/plan/plantest", "serve/internal/wire", "serve/internal/work",
}

// fenced is by import path and everything below it; of several that fit, the longest counts.
var fenced = map[string]fence{
	"database/sql": {owners: []string{"store/schema"}},
	"net":          {owners: outward},
	"net/url":      {owners: []string{anything}},
	"os":           {owners: outward, inTests: []string{anything}},
	// Tests of serve break a kernel with it, for which the engine has no API.
	"unsafe": {owners: []string{"engine", "engine/forest", "ingest/internal/kernels"}, inTests: []string{"serve"}},

	"github.com/andybalholm/brotli": {owners: rooms("wire"), inTests: []string{"serve"}},
	"github.com/alecthomas/kong":    {owners: []string{"cli", "cli/server"}},
	"github.com/apache/arrow/go/v17": {
		owners:  []string{"bench", "bench/peers/readers", "engine", "engine/draft", "ingest", "serve/internal/wire", "store", "store/tuple"},
		inTests: []string{"serve"},
	},
	"github.com/apache/arrow/go/v17/arrow/flight": {},
	"github.com/apache/arrow/go/v17/parquet":      {},
	"github.com/aws":                              {owners: []string{"store", "store/awsclient", "store/objects", "store/queue", "store/storetest"}},
	"github.com/dmitryikh/leaves":                 {owners: []string{"engine/forest"}},
	"github.com/fergusstrange/embedded-postgres":  {owners: []string{"store/cluster"}},
	"github.com/getkin/kin-openapi":               {inTests: []string{"serve"}},
	"github.com/golang-jwt":                       {owners: rooms("auth"), inTests: []string{"serve"}},
	"github.com/jackc":                            {owners: []string{"bench", "store", "store/cluster", "store/counts", "store/internal/database", "store/models", "store/schema", "store/storetest"}},
	"github.com/klauspost/compress": {
		owners: []string{"ingest", "serve/internal/wire"}, inTests: []string{"serve"},
	},
	"github.com/pressly/goose":    {owners: []string{"store", "store/schema"}},
	"github.com/prometheus":       {owners: append(rooms("metrics"), "bench"), inTests: append(rooms("plan"), "serve")},
	"github.com/valyala/fasthttp": {owners: append(rooms("api", "wire"), "bench"), inTests: []string{"serve"}},
	"go.yaml.in/yaml":             {owners: append(rooms("api"), "engine", "engine/draft"), inTests: []string{"serve"}},
}

func TestBordersHold(t *testing.T) {
	broken, err := checkImports(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range broken {
		t.Error(line)
	}
}

// checkImports returns a line for every import that the tables do not allow.
func checkImports(tree fs.FS) (broken []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && outside(tree, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		lines, err := checkFile(tree, name)
		broken = append(broken, lines...)
		return err
	})
	return broken, err
}

// outside reports whether a folder is not part of this module: hidden, created by make or a run, or a separate module.
func outside(tree fs.FS, folder string) bool {
	if folder == "." {
		return false
	}
	_, err := fs.Stat(tree, path.Join(folder, "go.mod"))
	return err == nil || strings.HasPrefix(path.Base(folder), ".") || folder == "bin" || folder == "data"
}

func checkFile(tree fs.FS, name string) (broken []string, err error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	folder, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	if _, known := allowed[folder]; !known {
		return []string{fmt.Sprintf("%s: folder %s is not in the table allowed", name, folder)}, nil
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if !mayImport(folder, imported, test) {
			broken = append(broken, fmt.Sprintf("%s: %s may not import %s", name, folder, imported))
		}
	}
	return broken, nil
}

func mayImport(folder, imported string, test bool) bool {
	if within(imported, module) {
		target := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
		inServe := folder == "serve" || strings.HasPrefix(folder, "serve/internal/")
		ofStore := strings.HasPrefix(folder, "store/") && target == "store" // its faults, of its parts' errors
		return listed(allowed[folder], target) || test && (target == folder || listed(allowedInTests, target) || ofStore ||
			inServe && listed(allowedInServeTests, target))
	}
	rule, found := longestFence(imported)
	return !found || listed(rule.owners, folder) || test && listed(rule.inTests, folder)
}

func longestFence(imported string) (rule fence, found bool) {
	longest := ""
	for prefix := range fenced {
		if within(imported, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	rule, found = fenced[longest]
	return rule, found
}

func within(imported, prefix string) bool {
	return imported == prefix || strings.HasPrefix(imported, prefix+"/")
}

func listed(names []string, name string) bool {
	return slices.Contains(names, anything) || slices.Contains(names, name)
}

func TestCheckerReports(t *testing.T) {
	const project = module + "/"
	for name, c := range map[string]struct {
		file, imports string
		broken        bool
	}{
		"down the path":                  {"engine/score.go", project + "ingest", false},
		"up the path":                    {"ingest/header.go", project + "engine", true},
		"sideways":                       {"store/commit.go", project + "ingest", true},
		"up from a test":                 {"ingest/header_test.go", project + "serve", true},
		"own package from a test":        {"ingest/header_test.go", project + "ingest", false},
		"real servers from a test":       {"serve/upload_test.go", project + "store/storetest", false},
		"store from its part's test":     {"store/objects/s3_faults_test.go", project + "store", false},
		"store from its part":            {"store/objects/s3.go", project + "store", true},
		"real servers from code":         {"serve/internal/api/upload.go", project + "store/storetest", true},
		"main calls the command line":    {"main.go", project + "cli/server", false},
		"main imports nothing else":      {"main.go", project + "serve", true},
		"commands for servers":           {"cli/server/serve_command.go", project + "serve", false},
		"commands for files":             {"cli/score_command.go", project + "serve", true},
		"codes for files":                {"cli/report.go", project + "serve/codes", false},
		"nothing imports the commands":   {"bench/suite.go", project + "cli", true},
		"up below serve/internal":        {"serve/internal/plan/plan.go", project + "serve/internal/work", true},
		"module within its fence":        {"serve/internal/api/routes.go", "github.com/valyala/fasthttp", false},
		"below a fenced module":          {"engine/score.go", "github.com/valyala/fasthttp/fasthttputil", true},
		"a name that only looks fenced":  {"engine/score.go", "github.com/valyala/fasthttpx", false},
		"part of an allowed module":      {"engine/score.go", "github.com/apache/arrow/go/v17/parquet/file", true},
		"fenced standard library":        {"ingest/chunker.go", "os", true},
		"the same in a test":             {"ingest/chunker_test.go", "os", false},
		"test library in code":           {"serve/internal/api/routes.go", "github.com/getkin/kin-openapi/openapi3", true},
		"test library in a test":         {"serve/openapi_test.go", "github.com/getkin/kin-openapi/openapi3", false},
		"unlisted folder":                {"util/strings.go", "strings", true},
		"testdata is part of the module": {"testdata/generate/main.go", "strings", true},
		"hidden folder":                  {".cache/x.go", project + "serve", false},
	} {
		t.Run(name, func(t *testing.T) {
			source := fmt.Sprintf("//go:build arm64 && never\n\npackage x\n\nimport _ %q\n", c.imports)
			broken, err := checkImports(fstest.MapFS{c.file: {Data: []byte(source)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(broken) > 0; got != c.broken {
				t.Errorf("%s importing %s: reported %q, want a report: %v", c.file, c.imports, broken, c.broken)
			}
		})
	}
}

func TestCheckerSkipsNestedModules(t *testing.T) {
	broken, err := checkImports(fstest.MapFS{
		"engine/forest/asm/go.mod":  {Data: []byte("module asm\n")},
		"engine/forest/asm/main.go": {Data: []byte("package main\n\nimport _ \"os\"\n")},
	})
	if err != nil || len(broken) > 0 {
		t.Errorf("got %q, %v; want no report", broken, err)
	}
}

func TestCheckerRefusesWhatItCannotRead(t *testing.T) {
	if _, err := checkImports(fstest.MapFS{"main.go": {Data: []byte("pakage main")}}); err == nil {
		t.Error("a file that does not parse passed")
	}
}
