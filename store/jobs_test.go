package store_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

func TestPredictionFromUploadToResult(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1500, 700)
	if p.Status != store.Queued || p.Filename != "march.csv" || *p.RowCount != 2200 || p.PartsTotal != 2 ||
		p.Model.Name != "telecom" || p.Explain != "none" || string(p.Options) != `{"guard": true}` ||
		len(p.SHA256) != 32 || p.Columns[1] != "tenure" || p.Bytes != 18+220_000 {
		t.Fatalf("after upload: %+v", p)
	}
	wantEqual(t, "outbox", ask[string](b, `SELECT string_agg(public_id::text, ' ') FROM outbox`), p.ID.String())

	first := b.claim("w1")
	part := store.Part{Planned: true, Offset: 18, Bytes: 150_000, FirstRow: 1, FirstLine: 2, Rows: 1500}
	if !reflect.DeepEqual(first.Part, part) ||
		first.Attempt != 1 || first.Header.Delimiter != ';' || first.Header.Lines != 1 ||
		first.Header.Columns[0] != "customerID" || first.PublicID != p.ID || first.UserID != b.user.ID ||
		first.Model.Engine != "e1" || first.ObjectETag != `"abc"` || first.Lease != 30*time.Second || first.Finish {
		t.Fatalf("claim: %+v", first)
	}
	second := b.claim("w2")
	wantEqual(t, "part", second.Part.No, 1)
	b.noClaim()
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads`), "processing")

	// The second part is done first, and has a tenth of its rows rejected.
	last, err := b.score(second, func(row int64) bool { return row%10 == 3 })
	if last != nil || err != nil {
		t.Fatal(last, err)
	}
	p = b.reload(p)
	if p.Status != store.Running || p.Scored != 630 || p.Rejected != 70 || p.PartsDone != 1 ||
		p.StartedAt == nil || p.FirstResultAt == nil || p.FinishedAt != nil {
		t.Fatalf("while running: %+v", p)
	}
	last = b.mustScore(first)
	if last == nil || !last.Finish || last.PublicID != p.ID {
		t.Fatalf("last part: %+v", last)
	}
	parts, err := b.Ledger.Parts(t.Context(), last)
	if err != nil || len(parts) != 2 || !parts[1].Done || parts[1].Scored != 630 || parts[0].Rows != 1500 ||
		parts[0].ResultETag != `"r"` {
		t.Fatalf("ledger: %+v, %v", parts, err)
	}
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	p = b.reload(p)
	if p.Status != store.Completed || !p.Status.Done() || p.Scored != 2130 || p.Rejected != 70 || p.FinishedAt == nil ||
		p.ResultKey != "results/"+p.ID.String()+"/1/result.csv" || p.ResultBytes != 20 || p.Error != nil ||
		string(p.Summary) != `{"mean": 0.5}` {
		t.Fatalf("completed: %+v", p)
	}
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads`), "completed")
	wantEqual(t, "rows", ask[string](b, `
		SELECT count(*) || ' ' || count(DISTINCT row_no) || ' ' || min(row_no) || ' ' || max(row_no)
		FROM prediction_rows`), "2130 2130 1 2200")
	wantErr(t, b.finish(last), store.ErrLeaseLost)
	b.noClaim()
}

func TestCommitPart_Accounting(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(5)
	c := b.claim("w")
	_, err := b.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 3, Rejected: 1}, nil)
	wantErr(t, err, store.ErrAccounting)
	// The table itself would not have it either.
	wantEqual(t, "constraints", ask[int](b, `
		SELECT count(*)::int FROM pg_constraint WHERE conname = 'prediction_parts_accounting'`), 1)
}

func TestAllRowsRejected(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(5)
	last, err := b.Ledger.CommitPart(t.Context(), b.claim("w"), store.PartResult{Rejected: 5}, nil)
	if last == nil || err != nil {
		t.Fatal(last, err)
	}
	if err := b.Ledger.Finish(t.Context(), last, store.Result{RejectsKey: "r", RejectsBytes: 5}); err != nil {
		t.Fatal(err)
	}
	if p = b.reload(p); p.Rejected != 5 || p.ResultKey != "" || p.RejectsBytes != 5 || p.Status != store.Completed {
		t.Errorf("%+v", p)
	}
}

func TestSameUploadTwice(t *testing.T) {
	b := newBench(t, store.Config{})
	u := newUpload(b.user.ID, 3)
	if _, err := b.Predictions.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	_, err := b.Predictions.CreateUpload(t.Context(), u)
	wantErr(t, err, store.ErrConflict)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 1)
	u = newUpload(b.user.ID)
	if _, err = b.Predictions.CreateUpload(t.Context(), u); err == nil {
		t.Error("an upload without parts")
	}
	u = newUpload(b.user.ID+1, 3)
	if _, err = b.Predictions.CreateUpload(t.Context(), u); err == nil {
		t.Error("an upload without a user")
	}
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 1)
}

func TestFailingCopyLeavesNothing(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(1500)
	c := b.claim("w")
	good := encode(t, c.PredictionID, scoredRows(c.Part, nil))
	broken := errors.New("source broke")
	for name, blocks := range map[string]*readers{
		"cut":        {parts: [][]byte{good[:len(good)-100]}},
		"source":     {parts: [][]byte{good[:100]}, err: broken},
		"garbage":    {parts: [][]byte{good, []byte("garbage")}},
		"twice":      {parts: [][]byte{good, good}},
		"NUL":        {parts: [][]byte{bytes.Replace(good, []byte("c-1"), []byte("c\x00a"), 1)}},
		"not UTF-8":  {parts: [][]byte{bytes.Replace(good, []byte("c-1"), []byte("c\xff1"), 1)}},
		"foreign id": {parts: [][]byte{encode(t, 1, []int64{1})}},
	} {
		_, err := b.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 1500}, blocks)
		if err == nil {
			t.Fatalf("%s: committed", name)
		}
		if errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("%s: the lease is fine", name)
		}
		wantEqual(t, name+": blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
		wantEqual(t, name+": part", ask[string](b, `SELECT status FROM prediction_parts`), "open")
	}
	if last := b.mustScore(c); last == nil {
		t.Error("after all that")
	}
}

// readers is a reader that returns some bytes and then an error.
type readers struct {
	parts [][]byte
	err   error
}

func (r *readers) Read(p []byte) (int, error) {
	if len(r.parts) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	if r.parts[0] = r.parts[0][n:]; len(r.parts[0]) == 0 {
		r.parts = r.parts[1:]
	}
	return n, nil
}
