package store_test

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// scoreAs scores a part whose result begins with a header line of so many bytes.
func (b bench) scoreAs(c *store.Claim, header int64, rejected func(int64) bool) *store.Claim {
	b.Helper()
	rows := scoredRows(c.Part, rejected)
	r := store.PartResult{Scored: int64(len(rows)), Rejected: c.Part.Rows - int64(len(rows)), ResultBytes: header}
	for _, row := range rows {
		r.ResultBytes += int64(rowBytes(row))
	}
	last, err := b.Ledger.CommitPart(ctx(), c, r, bytes.NewReader(encode(b, c.PredictionID, rows)))
	if err != nil {
		b.Fatal(err)
	}
	return last
}

func (b bench) finishBytes(c *store.Claim, bytes int64) {
	b.Helper()
	err := b.Ledger.Finish(ctx(), c, store.Result{
		ResultKey: objects.ResultKey(c.PublicID, c.Generation, objects.ResultName), ResultETag: `"x"`, ResultBytes: bytes,
	})
	if err != nil {
		b.Fatal(err)
	}
}

// checkPlaces compares the places of all rows, asked for backwards, with those in a file of a header and all rows.
func (b bench) checkPlaces(p store.Prediction, header int64, rows []int64) {
	b.Helper()
	at, want := header, map[int64]objects.Range{}
	var backwards []int64
	for _, row := range rows {
		want[row] = objects.Range{Offset: at, Length: int64(rowBytes(row))}
		at += int64(rowBytes(row))
		backwards = append([]int64{row}, backwards...)
	}
	head, got, err := b.Predictions.ResultRows(ctx(), b.user.ID, p.ID, backwards)
	if err != nil || head != (objects.Range{Length: header}) || len(got) != len(rows) {
		b.Fatalf("header %+v, %d rows: %v", head, len(got), err)
	}
	for i, row := range backwards {
		if got[i] != want[row] {
			b.Fatalf("row %d: %+v, want %+v", row, got[i], want[row])
		}
	}
}

func TestResultRows(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(2500, 1200, 5)
	rejected := func(row int64) bool { return row%7 == 3 || row > 900 && row < 1100 }
	var last *store.Claim
	var rows []int64
	header, size := int64(77), int64(77)
	for i := range 3 {
		c := b.claim("w1")
		rows = append(rows, scoredRows(c.Part, rejected)...)
		begin := int64(0)
		if i == 0 {
			begin = header
		}
		last = b.scoreAs(c, begin, rejected)
	}
	_, _, err := b.Predictions.ResultRows(ctx(), b.user.ID, p.ID, rows[:1])
	wantErr(t, err, store.ErrNoResultRows) // not finished
	for _, row := range rows {
		size += int64(rowBytes(row))
	}
	b.finishBytes(last, size)
	b.checkPlaces(p, header, rows)

	_, _, err = b.Predictions.ResultRows(ctx(), b.user.ID+1, p.ID, rows[:1])
	wantErr(t, err, store.ErrNoResultRows)
	_, _, err = b.Predictions.ResultRows(ctx(), b.user.ID, uuid.New(), rows[:1])
	wantErr(t, err, store.ErrNoResultRows)
	if _, none, err := b.Predictions.ResultRows(ctx(), b.user.ID, p.ID, []int64{903}); err == nil {
		t.Errorf("a rejected row is at %+v", none)
	}
	// A version that did not know of places has scored a block in the middle.
	b.exec(`UPDATE prediction_blocks SET result_bytes = NULL, row_starts = NULL
		WHERE first_row > 2000 AND first_row < 2600`)
	_, _, err = b.Predictions.ResultRows(ctx(), b.user.ID, p.ID, rows[:1])
	wantErr(t, err, store.ErrNoResultRows)
}

// A cancelled prediction has the parts that were done, behind a header line that belongs to none of them.
func TestResultRowsOfACancelledPrediction(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1500, 1500, 1500)
	first, second := b.claim("w1"), b.claim("w2")
	b.scoreAs(second, 0, nil)
	if _, err := b.Predictions.Cancel(ctx(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	finish, err := b.Ledger.ClaimFinish(ctx(), "w1")
	if err != nil || finish == nil {
		t.Fatalf("nothing to finish after part %d: %v", first.Part.No, err)
	}
	rows, size := scoredRows(second.Part, nil), int64(30)
	for _, row := range rows {
		size += int64(rowBytes(row))
	}
	b.finishBytes(finish, size)
	b.checkPlaces(p, 30, rows)
}
