package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

func wantWaiting(t *testing.T, err error, most int) {
	t.Helper()
	var waiting *store.WaitingError
	if !errors.As(err, &waiting) || waiting.Max != most {
		t.Errorf("%v, want a refusal at %d", err, most)
	}
}

// A user may have so many unfinished predictions and no more, however they come; others are not touched by it.
func TestC10TooManyWaiting(t *testing.T) {
	b := newBench(t, store.Config{WaitingMax: 2})
	running := b.upload(10)
	claim := b.claim("w")
	b.upload(10)
	link := b.link(time.Minute)
	refused := map[string]func() error{
		"upload": func() error { _, err := b.Predictions.CreateUpload(t.Context(), newUpload(b.user.ID, 10)); return err },
		"inbox":  func() error { _, _, err := b.Predictions.EnqueueObject(t.Context(), dropped(b.user.ID)); return err },
		"link": func() error {
			_, err := b.UploadLinks.Complete(t.Context(), link, objects.Info{Bytes: 7})
			return err
		},
	}
	for name, send := range refused {
		t.Run(name, func(t *testing.T) { wantWaiting(t, send(), 2) })
	}
	wantEqual(t, "uploads recorded", ask[int](b, `SELECT count(*)::int FROM uploads`), 2)
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Predictions.CreateUpload(t.Context(), newUpload(other.ID, 10)); err != nil {
		t.Errorf("another user: %v", err)
	}

	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, running.ID); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Ledger.RenewLease(t.Context(), claim), store.ErrLeaseLost)
	if err := refused["link"](); err != nil {
		t.Errorf("with room again: %v", err)
	}
	wantWaiting(t, refused["upload"](), 2)
}

// A link that was postponed stays until it is completed or given up, and users are asked for one by one.
func TestC10PostponedLinks(t *testing.T) {
	b := newBench(t, store.Config{})
	first, second := b.link(time.Minute), b.link(time.Minute)
	for _, l := range []store.UploadLink{first, second} {
		if err := b.UploadLinks.Postpone(t.Context(), l.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	b.exec(`UPDATE upload_links SET expires_at = clock_timestamp() - interval '9 days'`)
	postponed := func(but ...int64) (ids []uuid.UUID) {
		t.Helper()
		if err := b.UploadLinks.Sweep(t.Context(), oneDay); err != nil {
			t.Fatal(err)
		}
		list, err := b.UploadLinks.Postponed(t.Context(), but)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			ids = append(ids, l.ID)
		}
		return ids
	}
	wantEqual(t, "postponed", len(postponed()), 2)
	wantEqual(t, "of others", len(postponed(b.user.ID)), 0)
	if _, err := b.UploadLinks.Complete(t.Context(), first, objects.Info{Bytes: 7}); err != nil {
		t.Fatal(err)
	}
	if left := postponed(); len(left) != 1 || left[0] != second.ID {
		t.Errorf("after one was completed: %v", left)
	}
	if err := b.UploadLinks.Postpone(t.Context(), second.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := b.UploadLinks.Sweep(t.Context(), oneDay); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "given up, to be deleted",
		ask[int](b, `SELECT count(*)::int FROM deletions WHERE upload_id = $1`, second.ID), 1)
}
