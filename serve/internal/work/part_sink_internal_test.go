package work

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// brokenObjects is an object store with a defect: whatever is called panics.
type brokenObjects struct{ objects.Store }

// heldObjects take what they are given and never finish a put by themselves.
type heldObjects struct{ objects.Store }

func (heldObjects) Put(ctx context.Context, _ string, r io.Reader) (objects.Info, error) {
	_, err := io.Copy(io.Discard, r)
	return objects.Info{}, err
}

// A sink that a step has left open is closed behind it: no put waits for bytes that never come.
func TestPartSink_ClosedOnEveryPath(t *testing.T) {
	bundle, err := engine.OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		w := &Worker{objects: heldObjects{}, metrics: metrics.NewMetrics()}
		out := w.newPartSink(t.Context(), &store.Claim{}, bundle)
		if err := out.WriteChunk(&engine.ScoredChunk{Result: []byte("a"), Rejects: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		out.abandon()
		out.abandon() // what is closed stays so
		if _, err := out.close(nil); err != nil {
			t.Error(err)
		}
	})
}

// A defect in a put of a part fails that one, and nothing that it started is left.
func TestPartSink_PanicInPutFailsOnePart(t *testing.T) {
	var caught *engine.PanicError
	w := newObjectWriter(t.Context(), brokenObjects{}, "key")
	for err := error(nil); err == nil; {
		err = w.write([]byte("bytes"))
	}
	_, err := w.close(nil)
	var stage *stageError
	if !errors.As(err, &caught) || !errors.As(err, &stage) || stage.stage != stagePanic {
		t.Errorf("a put: %v", err)
	}
}
