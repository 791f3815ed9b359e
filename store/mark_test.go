package store_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// answerPuts is a bucket that gives some writes another answer, as long as it is asked to.
func answerPuts(t *testing.T, status int, code string, times int64) objects.Store {
	t.Helper()
	faults, config := storetest.NewFaults(t, storetest.S3(t))
	faults.Answer(func(r *http.Request) (int, string) {
		if r.Method == http.MethodPut && faults.Given() < times {
			return status, code
		}
		return 0, ""
	})
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A server may refuse a conditional write because another is under way, of which nothing came.
func TestOwner_RetriesMark(t *testing.T) {
	b := newBench(t, store.Config{})
	w := b.start(answerPuts(t, http.StatusConflict, "ConditionalRequestConflict", 2))
	wantState(t, w, store.Owned)
}

// An adoption that never gets its mark into the store has failed.
func TestAdopt_WriteFails(t *testing.T) {
	b := newBench(t, store.Config{})
	w := store.NewOwner(b.Store, answerPuts(t, http.StatusPreconditionFailed, "PreconditionFailed", 1<<40), nil)
	if a, err := w.Adopt(t.Context()); !errors.Is(err, objects.ErrChanged) {
		t.Errorf("%+v, %v", a, err)
	}
}
