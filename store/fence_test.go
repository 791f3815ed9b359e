package store_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/retainwise/millrace/store"
)

// A claim of an older run is refused before its blocks are read: they could meet those of the new run.
func TestOldGenerationSendsNoBlocks(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	old := b.claim("w")
	b.restart(p)
	c := b.claim("w")
	wantEqual(t, "epoch", c.Epoch, old.Epoch)
	_, err := b.Ledger.CommitPart(t.Context(), old, store.PartResult{Scored: 10}, readFunc(func([]byte) (int, error) {
		t.Error("the blocks were read")
		return 0, io.EOF
	}))
	wantErr(t, err, store.ErrLeaseLost)
}

// restart cancels a prediction and begins it anew.
func (b bench) restart(p store.Prediction) {
	b.Helper()
	if _, err := b.Predictions.Cancel(b.Context(), b.user.ID, p.ID); err != nil {
		b.Fatal(err)
	}
	if err := b.Upkeep.Retry(b.Context(), p.ID, store.Model{}); err != nil {
		b.Fatal(err)
	}
}

// What ends a run while a part of it is being committed ends the commit too.
func TestRunEndsWhileAPartIsCommitted(t *testing.T) {
	for name, end := range map[string]func(b bench, p store.Prediction){
		"cancelled": func(b bench, p store.Prediction) {
			if _, err := b.Predictions.Cancel(ctx(), b.user.ID, p.ID); err != nil {
				b.Fatal(err)
			}
		},
		"running again": func(b bench, p store.Prediction) {
			b.restart(p)
			b.claim("heir")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, store.Config{})
			p := b.upload(1000)
			c := b.claim("w")
			blocks := bytes.NewReader(encode(t, c.PredictionID, scoredRows(c.Part, nil)))
			ended := false
			_, err := b.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 1000}, readFunc(func(to []byte) (int, error) {
				if !ended { // the fence has let it through
					ended = true
					end(b, p)
				}
				return blocks.Read(to)
			}))
			wantErr(t, err, store.ErrLeaseLost)
			wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
			wantEqual(t, "parts done", ask[int](b, `SELECT count(*)::int FROM prediction_parts WHERE status = 'done'`), 0)
		})
	}
}
