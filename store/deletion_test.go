package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/objects"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// putAll stores objects with any content.
func putAll(t *testing.T, o objects.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := o.Put(ctx(), key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
}

func keysOf(t *testing.T, o objects.Store) (keys []string) {
	t.Helper()
	for info, err := range o.List(ctx(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != objects.MarkKey {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// files puts everything that a prediction may have in the object store.
func files(t *testing.T, o objects.Store, p store.Prediction) {
	t.Helper()
	putAll(t, o, objects.InputKey(p.UploadID), objects.ResultKey(p.ID, 1, objects.ResultName),
		objects.PartKey(p.ID, 1, 0, objects.RejectsName), objects.ResultPrefix(p.ID, 2)+"snapshot/00000")
}

func directory(t *testing.T) objects.Store {
	t.Helper()
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// ownRows counts the rows of every table but those of users, keys and deletions.
const ownRows = `
	SELECT ((SELECT count(*) FROM uploads) + (SELECT count(*) FROM predictions) + (SELECT count(*) FROM prediction_parts) +
	        (SELECT count(*) FROM prediction_blocks) + (SELECT count(*) FROM prediction_failures) +
	        (SELECT count(*) FROM outbox) + (SELECT count(*) FROM ml_training_data))::int`

func TestDeletePrediction(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	p, kept := b.upload(1500, 10), b.upload(20)
	files(t, o, p)
	files(t, o, kept)
	b.mustScore(b.claim("w"))
	running := b.claim("w")
	other, err := b.Accounts.EnsureUser(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Predictions.Delete(t.Context(), other.ID, p.ID), store.ErrNotFound)
	wantErr(t, b.Predictions.Delete(t.Context(), b.user.ID, store.NewID()), store.ErrNotFound)
	for range 2 {
		if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.Predictions.Delete(t.Context(), other.ID, p.ID), store.ErrNotFound)
	}
	_, err = b.Predictions.Get(t.Context(), b.user.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, b.Ledger.RenewLease(t.Context(), running), store.ErrLeaseLost)
	_, err = b.score(running, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.Ledger.FailPart(t.Context(), running, store.Failure{Code: "ERR-1500"}), store.ErrLeaseLost)
	wantErr(t, b.Ledger.ReleasePart(t.Context(), running), store.ErrLeaseLost)
	wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 1)
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 1)

	late := objects.PartKey(p.ID, 1, 1, objects.ResultName) // of a worker that does not know of the deletion
	for pass, due := range []string{"", "11 minutes", "25 hours"} {
		if due != "" {
			putAll(t, o, late)
			if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(keysOf(t, o), late) {
				t.Errorf("pass %d: swept although nothing was due", pass)
			}
			b.exec(`UPDATE deletions SET due_at = due_at - $1::text::interval`, due)
		}
		if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if keys := keysOf(t, o); len(keys) != 4 || strings.Contains(strings.Join(keys, " "), p.ID.String()) {
			t.Errorf("pass %d: objects %v", pass, keys)
		}
	}
	wantEqual(t, "deletions", ask[int](b, `SELECT count(*)::int FROM deletions`), 0)
	wantErr(t, b.Predictions.Delete(t.Context(), b.user.ID, p.ID), store.ErrNotFound)
}

// A commit that is under way when its prediction is deleted either comes first and goes with it, or finds no part.
func TestDeleteWhileCommitting(t *testing.T) {
	b := newBench(t, store.Config{})
	for range 8 {
		p := b.upload(3000)
		c := b.claim("w")
		done := make(chan error, 1)
		go func() {
			_, err := b.score(c, nil)
			done <- err
		}()
		if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("commit: %v", err)
		}
		wantEqual(t, "rows left", ask[int](b, ownRows), 0)
	}
}

// brokenObjects fails on every third call that removes something.
type brokenObjects struct {
	objects.Store
	calls int
}

func (o *brokenObjects) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	if o.calls++; o.calls%3 == 1 {
		return errors.New("away")
	}
	return o.Store.Delete(ctx, why, keys...)
}

// A sweep that breaks off anywhere is taken up again where it was.
func TestSweepDeletions_Resumes(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	for range 5 {
		p := b.upload(10)
		files(t, o, p)
		if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
			t.Fatal(err)
		}
	}
	broken := &brokenObjects{Store: o}
	for n := 0; len(keysOf(t, o)) > 0; n++ {
		if n == 50 {
			t.Fatalf("left %v", keysOf(t, o))
		}
		_ = b.Upkeep.SweepDeletions(t.Context(), broken)
		b.exec(`UPDATE deletions SET due_at = due_at - interval '6 minutes' WHERE passes = 0`)
	}
}

func TestDeleteAccount(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	stays, err := b.Accounts.EnsureUser(t.Context(), "stays")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Predictions.CreateUpload(t.Context(), newUpload(stays.ID, 5))
	if err != nil {
		t.Fatal(err)
	}
	files(t, o, other)
	b.exec(`UPDATE predictions SET status = 'completed'`)
	for range 3 {
		files(t, o, b.upload(10))
	}
	c := b.claim("w")
	u := newUpload(b.user.ID, 10)
	u.Key = b.key("k")
	if _, err := b.Predictions.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Accounts.CreateAccessKey(t.Context(), b.user.ID, store.AccessKey{Name: "n", Scopes: []string{"read"}},
		[32]byte{1}, nil); err != nil {
		t.Fatal(err)
	}
	for _, complete := range []bool{false, true} {
		l := store.UploadLink{ID: store.NewID(), UserID: b.user.ID, Bytes: 1, Options: []byte("{}")}
		if err := b.UploadLinks.Create(t.Context(), &l, time.Hour); err != nil {
			t.Fatal(err)
		}
		putAll(t, o, store.DirectKey(l.ID))
		if !complete {
			continue
		}
		if _, err := b.UploadLinks.Complete(t.Context(), l, objects.Info{Bytes: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Accounts.Delete(t.Context(), b.user.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Accounts.EnsureUser(t.Context(), "user_1")
	wantErr(t, err, store.ErrAccountDeleted)
	_, _, err = b.Accounts.UserOfAccessKey(t.Context(), [32]byte{1})
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, b.Ledger.RenewLease(t.Context(), c), store.ErrLeaseLost)
	b.noClaim()
	if c, err := b.Ledger.ClaimFinish(t.Context(), "w"); c != nil || err != nil {
		t.Errorf("finish %+v, %v", c, err)
	}
	for range 2 { // the second sweep meets what was under way when the first ran
		if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 1)
		wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 1)
		wantEqual(t, "keys", ask[int](b, `SELECT count(*)::int FROM request_keys`), 0)
		wantEqual(t, "links", ask[int](b, `SELECT count(*)::int FROM upload_links`), 0)
		if keys := keysOf(t, o); len(keys) != 4 {
			t.Errorf("objects %v", keys)
		}
		b.exec(`UPDATE users SET deleted_at = NULL WHERE id = $1`, b.user.ID) // a transaction that has not seen it
		late := b.upload(10)
		b.exec(`UPDATE users SET deleted_at = clock_timestamp() WHERE id = $1`, b.user.ID)
		files(t, o, late)
	}
	b.exec(`UPDATE users SET deleted_at = deleted_at - interval '2 hours' WHERE deleted_at IS NOT NULL`)
	if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "erased", ask[int](b, `SELECT count(*)::int FROM users WHERE erased_at IS NOT NULL`), 1)
	_, err = b.Predictions.CreateUpload(t.Context(), newUpload(b.user.ID, 10)) // of a request that lasted for hours
	wantErr(t, err, store.ErrAccountDeleted)
	_, err = b.Predictions.RecordOutcomes(t.Context(), b.user.ID, nil, countRows)
	wantErr(t, err, store.ErrAccountDeleted)
	if _, err := b.Predictions.Get(t.Context(), stays.ID, other.ID); err != nil {
		t.Errorf("another user's: %v", err)
	}
}

// TestDeleteAccountKnowsEveryTable finds the tables that point at users in the database itself.
func TestDeleteAccountKnowsEveryTable(t *testing.T) {
	b := newBench(t, store.Config{})
	conn, err := pgx.Connect(ctx(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	rows, err := conn.Query(ctx(), `
		SELECT DISTINCT conrelid::regclass::text FROM pg_constraint
		WHERE contype = 'f' AND confrelid = 'users'::regclass ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table != "deletions" && !slices.Contains(store.AccountTables(), table) {
			t.Errorf("%s has rows of users, but deleting an account leaves them", table)
		}
	}
}

func TestAccessKey(t *testing.T) {
	b := newBench(t, store.Config{})
	hour := time.Now().Add(time.Hour)
	k, err := b.Accounts.CreateAccessKey(t.Context(), b.user.ID, store.AccessKey{
		Name: "n", Prefix: "mr_abc", Scopes: []string{"read", "write"}, ExpiresAt: &hour,
	}, [32]byte{1}, nil)
	if err != nil || k.Name != "n" || len(k.Scopes) != 2 || k.LastUsedAt != nil {
		t.Fatalf("made %+v, %v", k, err)
	}
	u, scopes, err := b.Accounts.UserOfAccessKey(t.Context(), [32]byte{1})
	if err != nil || u != b.user || !slices.Equal(scopes, k.Scopes) {
		t.Errorf("found %+v, %v, %v", u, scopes, err)
	}
	used := func() time.Time { return ask[time.Time](b, `SELECT last_used_at FROM access_keys`) }
	first := used()
	if _, _, err := b.Accounts.UserOfAccessKey(t.Context(), [32]byte{1}); err != nil || used() != first {
		t.Errorf("noted twice in a minute: %v", err)
	}
	b.exec(`UPDATE access_keys SET last_used_at = last_used_at - interval '2 minutes'`)
	if _, _, err := b.Accounts.UserOfAccessKey(t.Context(), [32]byte{1}); err != nil || !used().After(first) {
		t.Errorf("not noted: %v", err)
	}
	b.exec(`UPDATE access_keys SET expires_at = clock_timestamp()`)
	_, _, err = b.Accounts.UserOfAccessKey(t.Context(), [32]byte{1})
	wantErr(t, err, store.ErrExpired)
	_, _, err = b.Accounts.UserOfAccessKey(t.Context(), [32]byte{2})
	wantErr(t, err, store.ErrNotFound)
	list, err := b.Accounts.AccessKeys(t.Context(), b.user.ID)
	if err != nil || len(list) != 1 || list[0].ID != k.ID {
		t.Errorf("list %+v, %v", list, err)
	}
	wantErr(t, b.Accounts.RevokeAccessKey(t.Context(), b.user.ID+1, k.ID), store.ErrNotFound)
	if err := b.Accounts.RevokeAccessKey(t.Context(), b.user.ID, k.ID); err != nil {
		t.Error(err)
	}
	wantErr(t, b.Accounts.RevokeAccessKey(t.Context(), b.user.ID, k.ID), store.ErrNotFound)
}
