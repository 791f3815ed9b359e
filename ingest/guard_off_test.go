package ingest_test

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

func TestUnguard(t *testing.T) {
	for _, test := range []struct{ cell, want string }{
		{`'=1+1`, `=1+1`},
		{`'-`, `'-`},
		{`'-1,000`, `-1,000`},
		{`a;'=1`, `a;=1`},
		{"'\t'=1", "\t=1"},
		{"two\n'=1", "two\n=1"},
		{`''=1`, `'=1`},
		{`a,''-b`, `a,'-b`},
		{`' =1`, ` =1`},
		{` '=1`, ` '=1`},
		{`'-5`, `'-5`}, // a number is never guarded
		{`'t Hooft`, `'t Hooft`},
		{`O'Hara`, `O'Hara`},
		{`'`, `'`},
		{`a;'b`, `a;'b`},
		{``, ``},
	} {
		if got := ingest.Unguard(test.cell); got != test.want {
			t.Errorf("%q: got %q, want %q", test.cell, got, test.want)
		}
	}
}

// TestOwnFilesAreReadWithoutTheGuard checks ids, numbers and categories of results and rejects, and that files of others are
// read as they are.
func TestOwnFilesAreReadWithoutTheGuard(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		const result = ",churn_probability,risk_band,risk_factors,protective_factors,explanation"
		const rejects = ",_row,_line,_code,_column,_reason"
		for name, test := range map[string]struct {
			own, rest, id string
			tenureNull    bool
		}{
			"result":    {result, ",0.5,low,[],[],x", "=b", true},
			"rejects":   {rejects, ",1,2,ERR-1604,a,b", "=b", true},
			"of others": {",churn_probability", ",0.5", "'=b", false},
		} {
			schema := ingest.Schema{Columns: []ingest.Column{
				{Name: "id", Kind: ingest.Text},
				{Name: "tenure", Kind: ingest.Number, MissingWords: []string{"-"}},
				{Name: "=plan", Kind: ingest.Category, Categories: []string{"@home", "away"}},
			}}
			text := "id,tenure,'=plan" + test.own + "\n'=b,'-,'@home" + test.rest + "\n'=b,'-1,away" + test.rest + "\n"
			if name == "of others" {
				text = "id,tenure,=plan" + test.own + "\n'=b,1,'@home" + test.rest + "\n"
			}
			_, _, batch := convertFile(t, text, schema, false)
			if batch.Record.NumRows() != 1 {
				t.Fatalf("%s: %d rows, rejects %+v", name, batch.Record.NumRows(), batch.Rejects)
			}
			id := batch.Record.Column(3).(*array.String).Value(0)
			plan := batch.Record.Column(5)
			if id != test.id || batch.Record.Column(4).IsNull(0) != test.tenureNull || plan.IsNull(0) == (test.own != ",churn_probability") {
				t.Errorf("%s: id %q, tenure %v, plan %v", name, id, batch.Record.Column(4), plan)
			}
		}
	})
}
