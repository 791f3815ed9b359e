package storefault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// secret stands for what must not be shown: an internal text.
const secret = "SECRET-7b1f"

// TestExplain gives every kind of error its code, those of files and contexts among them, and lets nothing of its text
// through.
func TestExplain(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("%s: %w", secret, err) }
	for _, test := range []struct {
		err  error
		want fault.Code
	}{
		{store.ErrNotFound, fault.CodePredictionNotFound},
		{store.ErrConflict, fault.CodeWrongState},
		{store.ErrAccountDeleted, fault.CodeInvalidToken},
		{store.ErrAccounting, fault.CodeAccountingBroken},
		{models.ErrWithdrawn, fault.CodeModelWithdrawn},
		{objects.ErrStorageFull, fault.CodeStorageFull},
		{objects.ErrDamaged, fault.CodeObjectStore},
		{objects.ErrChanged, fault.CodeObjectChanged},
		{&store.WaitingError{Max: 3}, fault.CodeTooManyWaiting},
		{ingest.ErrEmpty, fault.CodeEmptyFile},
		{&ingest.TooLargeError{Unit: "rows", Limit: 5}, fault.CodeTooLarge},
		{errors.Join(ingest.ErrDamagedArchive, objects.ErrDamaged), fault.CodeDamagedArchive}, // what was found in the file counts
		{errors.Join(context.Canceled, objects.ErrChanged), fault.CodeObjectChanged},
		{context.DeadlineExceeded, fault.CodeBusy},
		{context.Canceled, fault.CodeShuttingDown},
		{errors.New("anything"), fault.CodeInternal},
		{fault.Fail(fault.CodeNotText, "").Because(store.ErrNotFound), fault.CodeNotText},
	} {
		err := wrap(test.err)
		f := storefault.Explain(err)
		body, _ := fault.ErrorPages{Base: "/errors"}.Body(f, "id", "/path", false)
		if f.Code != test.want || storefault.CodeOf(err) != test.want || strings.Contains(string(body), secret) {
			t.Errorf("%v: %v, want %v: %s", test.err, f.Code, test.want, body)
		}
		if line := storefault.ErrorLine(err); !strings.HasPrefix(line, test.want.String()+": ") {
			t.Errorf("%v: %s", test.err, line)
		}
	}
	if f := storefault.ObjectFailure(wrap(store.ErrNotFound)); f.Code != fault.CodeObjectStore {
		t.Errorf("an object that is gone: %v", f.Code)
	}
	if f := storefault.ExplainAs(fault.CodeDatabase, errors.New("x")); f.Code != fault.CodeDatabase {
		t.Errorf("unknown error of the database: %v", f.Code)
	}
}
