package store_test

import (
	"fmt"
	"testing"

	"github.com/retainwise/millrace/store"
)

// completed uploads a file of one part and finishes it.
func (b bench) completed(change func(*store.NewUpload)) store.Prediction {
	b.Helper()
	u := newUpload(b.user.ID, 5)
	if change != nil {
		change(&u)
	}
	p, err := b.Predictions.CreateUpload(b.Context(), u)
	if err != nil {
		b.Fatal(err)
	}
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		b.Fatal(err)
	}
	return p
}

func TestPrevious_SameDataset(t *testing.T) {
	b := newBench(t, store.Config{})
	stranger, err := b.Accounts.EnsureUser(t.Context(), "stranger")
	if err != nil {
		t.Fatal(err)
	}
	b.completed(nil)
	want := b.completed(nil)
	b.completed(func(u *store.NewUpload) { u.UserID = stranger.ID })
	b.completed(func(u *store.NewUpload) { u.Model.Name = "saas" })
	b.completed(func(u *store.NewUpload) { u.Dataset = "north" })
	cancelled := b.upload(5)
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, cancelled.ID); err != nil {
		t.Fatal(err)
	}
	b.upload(5)
	c := b.claim("w")
	later := newUpload(b.user.ID, 5)
	if _, err := b.Predictions.CreateUpload(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if err := b.finish(b.mustScore(b.claim("w2"))); err != nil { // overtakes
		t.Fatal(err)
	}
	p, err := b.Ledger.Previous(t.Context(), c)
	if err != nil || p == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	wantEqual(t, "previous", p.PublicID, want.ID)
	wantEqual(t, "rows", p.Scored, 5)
	wantEqual(t, "generation", p.Generation, 1)
	wantEqual(t, "file", p.Filename, "march.csv")
	wantEqual(t, "version", p.ModelVersion, "1")
	wantEqual(t, "snapshots", len(p.Snapshots), 0)
	for name, change := range map[string]func(*store.Claim){
		"another dataset": func(c *store.Claim) { c.Dataset = "south" },
		"another model":   func(c *store.Claim) { c.Model.Name = "none" },
		"another user":    func(c *store.Claim) { c.UserID += 100 },
	} {
		other := *c
		change(&other)
		if p, err := b.Ledger.Previous(t.Context(), &other); p != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestPreviousListsSnapshots(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(3, 3, 3)
	var last *store.Claim
	for i := range 3 {
		c := b.claim("w")
		r := store.PartResult{Scored: 3, SnapshotBytes: int64(i % 2 * 100)} // 0 of the first and the last
		var err error
		if last, err = b.Ledger.CommitPart(t.Context(), c, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := b.Ledger.Parts(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "bytes", parts[1].SnapshotBytes, 100)
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	b.upload(5)
	p, err := b.Ledger.Previous(t.Context(), b.claim("w"))
	if err != nil || p == nil || len(p.Snapshots) != 1 || p.Snapshots[0].Part != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCustomerIDs(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(2500)
	c := b.claim("w")
	if _, err := b.score(c, func(row int64) bool { return row%7 == 0 }); err != nil { // 1001 among them
		t.Fatal(err)
	}
	ids, err := b.Ledger.CustomerIDs(t.Context(), c, []int64{1, 1000, 1001, 1002, 2498, 2501}) // 1000 has no id
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "ids", fmt.Sprint(ids), "map[1:c-1 1002:c-1002 2498:c-2498]")
}
