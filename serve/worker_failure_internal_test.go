package serve

import (
	"errors"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// What is the file's own fault fails at once; what may pass is tried again.
func TestOnlyTheFilesFaultsArePermanent(t *testing.T) {
	limit := int64(3)
	for _, test := range []struct {
		err       error
		code      string
		permanent bool
	}{
		{at(stageScore, &engine.PanicError{Value: "x"}), "ERR-1102", false},
		{at(stagePanic, errors.New("panic: x")), "ERR-1102", false},
		{at(stageScore, &ingest.QuoteError{Line: 3}), "ERR-1009", true},
		{at(stagePlan, ingest.ErrEmpty), "ERR-1005", true},
		{at(stagePlan, &ingest.MissingColumnsError{}), "ERR-1004", true},
		{at(stageScore, &engine.BudgetError{Budget: engine.Budget{MaxRejected: &limit}}), "ERR-1107", true},
		{at(stageScore, errModelWithdrawn), "ERR-1702", true},
		{at(stageRead, store.ErrNotFound), "ERR-1014", true},
		{at(stageRead, store.ErrObjectChanged), "ERR-1015", true},
		{at(stageRead, errors.New("reset")), "ERR-1502", false},
		{at(stageWrite, errors.New("reset")), "ERR-1502", false},
		{at(stageCommit, errors.New("reset")), "ERR-1501", false},
		{at(stageCommit, store.ErrAccounting), "ERR-1504", false},
		{at(stageFinish, errors.New("reset")), "ERR-1501", false},
	} {
		f := failureOf(test.err)
		if f.Code != test.code || f.Permanent != test.permanent || f.Message == "" || f.Stage == "" {
			t.Errorf("%v: %+v", test.err, f)
		}
	}
}
