package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

func TestBudgetExceeded(t *testing.T) {
	b := baseline(t, "telecom")
	head := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"
	good, bad := "a,1,2,3,One year\n", "a,many,2,3,One year\n"
	limit := func(n int64) engine.Budget { return engine.Budget{MaxRejected: &n} }
	percent := func(p float64) engine.Budget { return engine.Budget{MaxRejectedPercent: &p} }
	for name, test := range map[string]struct {
		rows   string
		budget engine.Budget
		limit  string // empty: within the budget
	}{
		"off":                         {strings.Repeat(bad, 2000), engine.Budget{}, ""},
		"as many as allowed":          {good + strings.Repeat(bad, 3), limit(3), ""},
		"one more":                    {good + strings.Repeat(bad, 4), limit(3), "3"},
		"none allowed":                {good + bad, limit(0), "0"},
		"percentage of few rows":      {strings.Repeat(bad, 999), percent(5), ""},
		"percentage passed":           {strings.Repeat(good, 949) + strings.Repeat(bad, 51), percent(5), "5 %"},
		"percentage reached":          {strings.Repeat(good, 950) + strings.Repeat(bad, 50), percent(5), ""},
		"bad rows first, enough then": {strings.Repeat(bad, 60) + strings.Repeat(good, 1500), percent(5), ""},
	} {
		c, _, err := score(t, head+test.rows, b, engine.Options{Explain: engine.ExplainNone, Budget: test.budget},
			ingest.Limits{})
		var spent *engine.BudgetError
		if test.limit == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &spent) || spent.Limit() != test.limit || !strings.Contains(err.Error(), test.limit) ||
			c.chunks != 0 {
			t.Errorf("%s: error %v after %d chunks", name, err, c.chunks)
		}
	}
}

// The chunk that exceeds the budget, and so the error, is the same for any number of workers.
func TestBudgetErrorDoesNotDependOnWorkers(t *testing.T) {
	b := baseline(t, "telecom")
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
		strings.Repeat(strings.Repeat("a,1,2,3,One year\n", 20)+"a,many,2,3,One year\n", 500)
	most := int64(100)
	want := ""
	for _, workers := range []int{1, 2, 5} {
		opt := engine.Options{Workers: workers, Explain: engine.ExplainNone, Budget: engine.Budget{MaxRejected: &most}}
		c, _, err := score(t, file, b, opt, ingest.Limits{ChunkBytes: 4 << 10, RowBytesMax: 1000})
		if err == nil {
			t.Fatal("the budget was not exceeded")
		}
		got := err.Error() + c.result.String()
		if want == "" {
			want = got
		}
		if got != want || c.chunks == 0 {
			t.Errorf("%d workers: %v after %d chunks", workers, err, c.chunks)
		}
	}
}
