package bench_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
	"github.com/retainwise/millrace/store"
)

// sqlStart matches a string that is a statement or the beginning of one.
var sqlStart = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s`)

// statements finds every piece of SQL in the store's source, by the place where it stands.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../store/*.go")
	counts, _ := filepath.Glob("../store/counts/*.go")
	if err != nil || len(files) == 0 || len(counts) == 0 {
		t.Fatal("no source", err)
	}
	files = append(files, counts...)
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && sqlStart.MatchString(text) {
				found[set.Position(literal.Pos()).String()] = strings.Join(strings.Fields(text), " ")
			}
			return true
		})
	}
	return found
}

// unmeasured are statements that no request and no worker sends.
var unmeasured = []string{
	// Once at the start.
	"SELECT FROM predictions LIMIT 1",
	"SELECT row_security_active('prediction_blocks') FROM (SELECT count(*) FROM predictions WHERE false) t",
	"SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'predictions'::regclass",
	"SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('predictions')",
	"SELECT set_config('role', $1, true)",
	"SELECT to_regclass('goose_db_version') IS NULL AND num_nonnulls(to_regclass('users'), " +
		"to_regclass('uploads'), to_regclass('predictions')) > 0",
	"SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied",
	// Follows the lock, which the connection that asks for plans has taken.
	"SELECT pg_advisory_unlock(hashtext('millrace upkeep'))",
}

// TestEveryStatementIsMeasured holds the suite queries against the source of the store, so that no new statement is
// left out, and docs/database.md against the suite.
func TestEveryStatementIsMeasured(t *testing.T) {
	report := quick(t, "queries", bench.Options{})
	page, err := os.ReadFile("../docs/database.md")
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, s := range report.Statements {
		sent = append(sent, s.SQL)
	}
	for place, sql := range statements(t) {
		if !contained(sent, sql) && !contained(unmeasured, sql) {
			t.Errorf("%s: no method that is measured sends this statement: add one to bench/store_methods.go", place)
		}
	}
	for _, s := range report.Statements {
		shown := []rune(s.SQL)
		start := strings.ReplaceAll(string(shown[:min(len(shown), 100)]), "|", "¦")
		if !strings.Contains(string(page), "`"+start+"`") {
			t.Errorf("docs/database.md lacks %q: run make bench-queries", start)
		}
	}
}

func contained(list []string, text string) bool {
	for _, other := range list {
		if strings.Contains(other, text) {
			return true
		}
	}
	return false
}

// TestEveryMethodIsMeasured fails for a method of the store that the suite queries leaves out.
func TestEveryMethodIsMeasured(t *testing.T) {
	without := map[string]string{
		"Close": "ends", "PoolState": "asks nothing", "RowSecurity": "asks nothing", "MayWork": "asks nothing",
		"Listen": "runs for ever", "Ready": "a DO block has no plan",
	}
	files, err := filepath.Glob("store_*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	methods := reflect.TypeFor[*store.Store]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if without[name] == "" && !regexp.MustCompile(`\bw\.`+name+`\b`).MatchString(source.String()) {
			t.Errorf("%s is not measured", name)
		}
	}
}
