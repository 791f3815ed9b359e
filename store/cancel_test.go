package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

func TestCancel(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10, 10)
	done, open := b.claim("w"), b.claim("w")
	b.mustScore(done)
	p, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID)
	if err != nil || p.Status != store.Cancelled || p.FinishedAt == nil {
		t.Fatal(p, err)
	}
	b.noClaim()
	_, err = b.score(open, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.Ledger.RenewLease(t.Context(), open), store.ErrLeaseLost)
	wantErr(t, b.Ledger.ReleasePart(t.Context(), open), store.ErrLeaseLost)
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Errorf("cancelling twice: %v", err)
	}

	last, err := b.Ledger.ClaimFinish(t.Context(), "w")
	if err != nil || last == nil || !last.Finish || last.PublicID != p.ID {
		t.Fatal(last, err)
	}
	if err := b.Ledger.RenewLease(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if other, err := b.Ledger.ClaimFinish(t.Context(), "w2"); other != nil || err != nil {
		t.Fatal(other, err)
	}
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	p = b.reload(p)
	if p.Status != store.Cancelled || p.Scored != 10 || p.ResultKey == "" {
		t.Errorf("%+v", p)
	}
	page, err := b.Predictions.Rows(t.Context(), b.user.ID, p.ID, store.RowQuery{Limit: 100})
	if err != nil || len(page.Rows) != 10 {
		t.Errorf("%d rows stay readable: %v", len(page.Rows), err)
	}
}

// An operator cancels anybody's, by the same rules.
func TestCancelAny(t *testing.T) {
	b := newBench(t, store.Config{})
	done := b.scored(10)
	p := b.upload(10)
	for range 2 {
		if got, err := b.Upkeep.CancelAny(t.Context(), p.ID); err != nil || got.ID != p.ID || got.Status != store.Cancelled {
			t.Errorf("%+v, %v", got, err)
		}
	}
	_, err := b.Upkeep.CancelAny(t.Context(), done.ID)
	wantErr(t, err, store.ErrConflict)
	_, err = b.Upkeep.CancelAny(t.Context(), uuid.New())
	wantErr(t, err, store.ErrNotFound)
}

func TestCancelRefuses(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1)
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Predictions.Cancel(t.Context(), other.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	_, err = b.Predictions.Cancel(t.Context(), b.user.ID, p.ID)
	wantErr(t, err, store.ErrConflict)
	// Nothing was done yet: there is nothing to join.
	p = b.upload(1)
	if _, err = b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Ledger.ClaimFinish(t.Context(), "w"); c != nil || err != nil {
		t.Error(c, err)
	}
}

// The worker that held the last step has vanished: another takes it, alone, and is charged for failures only.
func TestInterruptedFinish(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour})
	p := b.upload(10)
	last := b.mustScore(b.claim("w"))
	b.found() // it is leased
	b.vanish("w")
	b.found()
	heir := b.alone("heir")
	wantErr(t, b.finish(last), store.ErrLeaseLost)
	wantErr(t, b.Ledger.RenewLease(t.Context(), last), store.ErrLeaseLost)
	wantErr(t, b.Ledger.ReleasePart(t.Context(), last), store.ErrLeaseLost)
	for attempt := 1; attempt <= 3; attempt++ {
		if heir.Attempt != attempt || heir.Deaths != 1 {
			t.Fatalf("%+v", heir)
		}
		if err := b.Ledger.FailPart(t.Context(), heir, store.Failure{Code: "ERR-1502", Stage: "compose"}); err != nil {
			t.Fatal(err)
		}
		if attempt < 3 {
			heir = b.alone("heir")
		}
	}
	b.pauseOver()
	b.found()
	b.noSuspect()
	p = b.reload(p)
	if p.Status != store.Dead || p.Error.Code != "ERR-1502" {
		t.Errorf("%+v %+v", p, p.Error)
	}
}

func TestFailedFinish(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	last := b.mustScore(b.claim("w"))
	err := b.Ledger.FailPart(t.Context(), last, store.Failure{Code: "ERR-1504", Permanent: true})
	if err != nil {
		t.Fatal(err)
	}
	if p = b.reload(p); p.Status != store.Failed || p.Error.Code != "ERR-1504" {
		t.Errorf("%+v %+v", p, p.Error)
	}
	if c, err := b.Ledger.ClaimFinish(t.Context(), "w"); c != nil || err != nil {
		t.Error(c, err)
	}
	list, err := b.Upkeep.Attempts(t.Context(), p.ID)
	if err != nil || len(list) != 1 || list[0].Part != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDeadLettersAndRetry(t *testing.T) {
	b := newBench(t, store.Config{})
	good, bad, worse := b.upload(10), b.upload(1000, 10), b.upload(10)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	b.mustScore(b.claim("w"))
	late := b.claim("w")
	for range 2 { // bad, then worse
		c := late
		if c.PublicID != bad.ID {
			c = b.claim("w")
		}
		f := store.Failure{Code: "ERR-1500", Stage: "score", Chunk: 7, Permanent: true, Details: []byte(`{"line": 3}`)}
		if err := b.Ledger.FailPart(t.Context(), c, f); err != nil {
			t.Fatal(err)
		}
		late = &store.Claim{}
	}
	list, err := b.Upkeep.DeadLetters(t.Context(), store.DeadFilter{}, nil, 1)
	if err != nil || len(list) != 1 || list[0].ID != worse.ID || list[0].Error.Chunk != 7 {
		t.Fatalf("%+v, %v", list, err)
	}
	list, err = b.Upkeep.DeadLetters(t.Context(), store.DeadFilter{}, list[0].Cursor(), 10)
	if err != nil || len(list) != 1 || list[0].ID != bad.ID || list[0].UserID != b.user.ID {
		t.Fatalf("%+v, %v", list, err)
	}

	wantErr(t, b.Upkeep.Retry(t.Context(), good.ID, store.Model{}), store.ErrConflict)
	wantErr(t, b.Upkeep.Retry(t.Context(), uuid.New(), store.Model{}), store.ErrNotFound)
	if err := b.Upkeep.Retry(t.Context(), bad.ID, store.Model{Name: "telecom", Version: "2"}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Upkeep.Retry(t.Context(), bad.ID, store.Model{}), store.ErrConflict)
	p := b.reload(bad)
	if p.Generation != 2 || p.Status != store.Queued || p.Model.Version != "2" || p.Model.Engine != "e1" ||
		p.Error != nil || p.PartsTotal != 2 || p.PartsDone != 0 || p.Scored != 0 {
		t.Fatalf("%+v", p)
	}
	c := b.claim("w")
	if c.Generation != 2 || c.Part.Rows != 1000 || c.Attempt != 1 {
		t.Fatalf("%+v", c)
	}
	b.mustScore(c)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "result", b.reload(bad).ResultKey, objects.ResultKey(bad.ID, 2, objects.ResultName))
	wantEqual(t, "rows", ask[int](b, `SELECT count(*)::int FROM prediction_rows WHERE prediction_id = $1`,
		bad.InternalID), 1010)
}

// A worker of an older generation is fenced off even if the new one has the same epoch.
func TestOldGenerationChangesNothing(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	old := b.claim("w")
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	const version = `SELECT concat(xmin, p) FROM prediction_parts p WHERE generation = 1`
	before := ask[string](b, version)
	c := b.claim("w")
	wantEqual(t, "epoch", c.Epoch, old.Epoch)
	_, err := b.score(old, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.Ledger.FailPart(t.Context(), old, store.Failure{}), store.ErrLeaseLost)
	wantErr(t, b.Ledger.RenewLease(t.Context(), old), store.ErrLeaseLost)
	wantErr(t, b.Ledger.PostponePart(t.Context(), old, store.Postponement{Wait: time.Hour, Reason: "an outage"}), store.ErrLeaseLost)
	wantErr(t, b.Ledger.ReleasePart(t.Context(), old), store.ErrLeaseLost)
	older := *old
	older.Epoch--
	wantErr(t, b.Ledger.PostponePart(t.Context(), &older, store.Postponement{Wait: time.Hour, Reason: "an outage"}), store.ErrLeaseLost)
	wantEqual(t, "old part", ask[string](b, version), before)
	if err := b.finish(b.mustScore(c)); err != nil {
		t.Fatal(err)
	}
}
