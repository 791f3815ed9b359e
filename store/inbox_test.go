package store_test

import (
	"sync"
	"testing"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

func dropped(userID int64) store.NewObject {
	return store.NewObject{
		UserID: userID, Bucket: "drop", Key: "inbox/a.csv", Version: "v1", ETag: `"e"`, Bytes: 1000, Filename: "a.csv",
	}
}

// droppedInto is a file of an object store, as a HEAD describes it.
func (b bench) droppedInto(o objects.Store, key string) store.NewObject {
	b.Helper()
	info, err := o.Head(b.Context(), key)
	if err != nil {
		b.Fatal(err)
	}
	return store.NewObject{
		UserID: b.user.ID, Bucket: "drop", Key: key, Version: info.Version, ETag: info.ETag, Modified: info.Modified,
		Bytes: info.Bytes, Filename: "a.csv",
	}
}

func TestEnqueueObjectIsIdempotent(t *testing.T) {
	b := newBench(t, store.Config{})
	first, created, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID))
	if err != nil || !created || first.RowCount != nil || first.Bytes != 1000 || first.Explain != "all" ||
		first.Model.Name != "" {
		t.Fatalf("%+v, %v", first, err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			p, created, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID))
			if err != nil || created || p.ID != first.ID {
				t.Errorf("%+v, %v, %v", p, created, err)
			}
		})
	}
	group.Wait()
	changed := dropped(b.user.ID)
	changed.Version = "v2"
	if p, created, err := b.Predictions.EnqueueObject(t.Context(), changed); err != nil || !created || p.ID == first.ID {
		t.Errorf("another version: %+v, %v, %v", p, created, err)
	}
	wantEqual(t, "parts", ask[int](b, `SELECT count(*)::int FROM prediction_parts`), 2)
	wantEqual(t, "outbox entries", ask[int](b, `SELECT count(*)::int FROM outbox`), 2)
	_, _, err = b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID+1))
	wantErr(t, err, store.ErrNotFound)
}

func TestEnqueueObject_Concurrently(t *testing.T) {
	b := newBench(t, store.Config{})
	var mu sync.Mutex
	made := 0
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, created, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if created {
				made++
			}
		})
	}
	group.Wait()
	wantEqual(t, "created", made, 1)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 1)
}

func plan() store.Plan {
	u := newUpload(0, 20, 30)
	return store.Plan{
		Header: u.Header, Rows: u.Rows, Bytes: u.Bytes, SHA256: u.SHA256, Parts: u.Parts, Model: u.Model,
	}
}

func TestPlanPart(t *testing.T) {
	b := newBench(t, store.Config{})
	p, _, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID))
	if err != nil {
		t.Fatal(err)
	}
	late := b.claim("late")
	if late.Part.Planned || late.Part.FirstRow != 1 || late.ObjectKey != "inbox/a.csv" || late.ObjectETag != `"e"` {
		t.Fatalf("%+v", late)
	}
	_, err = b.Ledger.CommitPart(t.Context(), late, store.PartResult{}, nil)
	wantErr(t, err, store.ErrAccounting) // no rows is not what an unplanned part has
	b.vanish("late")
	b.noClaim()
	c := b.alone("w")
	wantErr(t, b.Ledger.PlanPart(t.Context(), late, plan()), store.ErrLeaseLost)
	wantErr(t, b.Ledger.PlanPart(t.Context(), c, store.Plan{}), store.ErrConflict)
	if err := b.Ledger.PlanPart(t.Context(), c, plan()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Ledger.PlanPart(t.Context(), c, plan()), store.ErrLeaseLost)
	p = b.reload(p)
	if *p.RowCount != 50 || p.PartsTotal != 2 || p.Model.SHA256 != "5a" || p.Columns[0] != "customerID" ||
		p.SHA256[0] != 7 || p.Status != store.Running {
		t.Fatalf("%+v", p)
	}
	first := b.claim("w")
	if first.Part.No != 0 || first.Part.Rows != 20 || first.Attempt != 1 || first.Deaths != 0 || first.Header.Bytes != 18 ||
		first.ObjectKey != "inbox/a.csv" || first.Epoch <= c.Epoch {
		t.Fatalf("%+v", first)
	}
	c.Part = first.Part // the planner's claim is no claim to the first part
	_, err = b.score(c, nil)
	wantErr(t, err, store.ErrLeaseLost)
	c.Part.Planned = false
	wantErr(t, b.Ledger.PlanPart(t.Context(), first, plan()), store.ErrConflict)
	b.mustScore(first)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
}

func TestPlanPartWithAnUnpackedCopy(t *testing.T) {
	b := newBench(t, store.Config{})
	if _, _, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID)); err != nil {
		t.Fatal(err)
	}
	one := plan()
	one.Parts, one.Rows, one.ObjectKey, one.ObjectETag = one.Parts[:1], 20, "uploads/x/input.csv", `"u"`
	if err := b.Ledger.PlanPart(t.Context(), b.claim("w"), one); err != nil {
		t.Fatal(err)
	}
	if c := b.claim("w"); c.ObjectKey != "uploads/x/input.csv" || c.ObjectETag != `"u"` || c.Part.Rows != 20 {
		t.Errorf("%+v", c)
	}
	// The dropped file is still known under its own name.
	if _, created, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID)); created || err != nil {
		t.Error(created, err)
	}
}
