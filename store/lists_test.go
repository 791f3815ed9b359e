package store_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

func TestEnsureUser(t *testing.T) {
	b := newBench(t, store.Config{})
	again, err := b.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil || again != b.user || again.Subject != "user_1" {
		t.Errorf("%+v, %v", again, err)
	}
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil || other.ID == b.user.ID {
		t.Errorf("%+v, %v", other, err)
	}
	if err := b.Accounts.SetTrainingRate(t.Context(), b.user.ID, 0.25); err != nil {
		t.Fatal(err)
	}
	again, err = b.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil || again.TrainingRate != 0.25 {
		t.Errorf("%+v, %v", again, err)
	}
	if rate, err := b.Ledger.TrainingRate(t.Context(), b.user.ID); rate != 0.25 || err != nil {
		t.Errorf("rate %v: %v", rate, err)
	}
	_, err = b.Ledger.TrainingRate(t.Context(), 999)
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, b.Accounts.SetTrainingRate(t.Context(), 999, 0.25), store.ErrNotFound)
	if err := b.Accounts.SetTrainingRate(t.Context(), b.user.ID, 2); err == nil {
		t.Error("a rate of 2")
	}
}

func TestEnsureUser_Concurrently(t *testing.T) {
	b := newBench(t, store.Config{})
	ids := make(chan int64, 8)
	for range cap(ids) {
		go func() {
			u, err := b.Accounts.EnsureUser(t.Context(), "new")
			if err != nil {
				t.Error(err)
			}
			ids <- u.ID
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		wantEqual(t, "id", <-ids, first)
	}
}

// A page of a list must not move when something new arrives, and must not show what is another's.
func TestList_Pages(t *testing.T) {
	b := newBench(t, store.Config{})
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	var made []uuid.UUID
	for range 7 {
		made = append(made, b.upload(1).ID)
		if _, err := b.Predictions.CreateUpload(t.Context(), newUpload(other.ID, 1)); err != nil {
			t.Fatal(err)
		}
	}
	b.exec(`UPDATE predictions SET created_at = '2026-01-01'`) // all at one moment: the id decides
	var got []uuid.UUID
	var after *store.Cursor
	for {
		page, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			wantEqual(t, "owner", p.UserID, b.user.ID)
			got, after = append(got, p.ID), p.Cursor()
		}
		if len(page) < 3 {
			break
		}
		if len(got) == 3 {
			b.upload(1)
		}
	}
	if len(got) != 7 {
		t.Fatalf("%d predictions", len(got))
	}
	for i, id := range got {
		wantEqual(t, "order", id, made[6-i])
	}
}

// What is skipped counts from the start, or from the cursor, and only what is the user's own.
func TestList_Skip(t *testing.T) {
	b := newBench(t, store.Config{})
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	var made []uuid.UUID // newest first
	for range 6 {
		made = append([]uuid.UUID{b.upload(1).ID}, made...)
		if _, err := b.Predictions.CreateUpload(t.Context(), newUpload(other.ID, 1)); err != nil {
			t.Fatal(err)
		}
	}
	first, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []*store.Cursor{nil, first[0].Cursor()} {
		list := made
		if after != nil {
			list = made[1:]
		}
		for skip := range 8 {
			page, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{After: after, Skip: skip, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			var got []uuid.UUID
			for _, p := range page {
				got = append(got, p.ID)
			}
			from := min(skip, len(list))
			if want := list[from:min(from+2, len(list))]; !slices.Equal(got, want) {
				t.Errorf("skip %d behind %v: %v, want %v", skip, after, got, want)
			}
		}
	}
}

func TestPredictionOfOthers(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1)
	for _, c := range []struct {
		user int64
		id   uuid.UUID
	}{{b.user.ID + 1, p.ID}, {b.user.ID, uuid.New()}, {b.user.ID, p.UploadID}} {
		_, err := b.Predictions.Get(t.Context(), c.user, c.id)
		wantErr(t, err, store.ErrNotFound)
	}
}

func TestAhead(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(10, 5)
	b.upload(20)
	last := b.upload(1)
	ahead, err := b.Predictions.Ahead(t.Context(), last)
	if err != nil || ahead != (store.Ahead{Predictions: 2, Rows: 35}) {
		t.Errorf("%+v, %v", ahead, err)
	}
	// 10 rows in the first second, and another prediction of 90 rows that ended in the two seconds before, with a
	// pause.
	b.mustScore(b.claim("w"))
	b.exec(`UPDATE prediction_parts SET done_at = now() WHERE status = 'done'`)
	b.exec(`UPDATE predictions SET started_at = (SELECT max(done_at) FROM prediction_parts) - interval '1 second'
		WHERE status = 'running'`)
	b.exec(`UPDATE predictions SET status = 'completed', rows_scored = 90, started_at = now() - interval '10 seconds',
		finished_at = now() - interval '8 seconds' WHERE status = 'queued' AND id <> $1`, last.InternalID)
	ahead, err = b.Predictions.Ahead(t.Context(), last)
	if err != nil || ahead.Predictions != 1 || ahead.Rows != 5 || ahead.RowsPerSecond < 32 || ahead.RowsPerSecond > 34 {
		t.Errorf("%+v, %v", ahead, err)
	}
	b.exec(`UPDATE uploads SET row_count = NULL WHERE id = (SELECT upload_id FROM predictions WHERE status = 'running')`)
	if ahead, err = b.Predictions.Ahead(t.Context(), last); err != nil || ahead.Uncounted != 1 || ahead.Rows != 0 {
		t.Errorf("%+v, %v", ahead, err)
	}
}
