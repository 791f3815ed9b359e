package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// cancelled makes a prediction and ends it.
func (b bench) cancelled(options string) store.Prediction {
	b.Helper()
	u := newUpload(b.user.ID, 10)
	u.Options = []byte(options)
	p, err := b.Predictions.CreateUpload(b.Context(), u)
	if err == nil {
		p, err = b.Predictions.Cancel(b.Context(), b.user.ID, p.ID)
	}
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// announced claims what is due and gives it.
func (b bench) announced(limit int) []store.Announcement {
	b.Helper()
	list, err := b.Announcements.Claim(b.Context(), limit)
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func (b bench) wantBacklog(waits bool, dead int) {
	b.Helper()
	lag, got, err := b.Announcements.Backlog(b.Context())
	if (lag > 0) != waits || got != dead || err != nil {
		b.Errorf("the oldest waits for %v, %d are dead: %v", lag, got, err)
	}
}

// An end is announced until the announcement is dropped, each attempt under the same id.
func TestAnnouncements(t *testing.T) {
	b := newBench(t, store.Config{})
	b.cancelled(`{}`) // before announcements are enabled
	for range 2 {
		if err := b.Announcements.Enable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.wantBacklog(false, 0)
	p := b.scored(10)
	b.cancelled(`{"internal":true}`) // a canary's
	first := b.announced(10)
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	a := first[0]
	if a.Prediction != p.ID || a.Status != store.Completed || a.Scored != 10 || a.Rejected != 0 || a.Attempt != 1 ||
		a.PublicID == uuid.Nil || time.Since(a.EndedAt).Abs() > time.Minute {
		t.Errorf("%+v", a)
	}
	b.wantBacklog(true, 0)
	wantEqual(t, "claimed twice", len(b.announced(10)), 0)
	b.exec(`UPDATE webhook_events SET next_at = next_at - interval '61 seconds'`) // the claim's minute is over
	again := b.announced(10)
	if len(again) != 1 || again[0].Attempt != 2 || again[0].PublicID != a.PublicID {
		t.Fatalf("%+v", again)
	}
	for _, test := range []struct {
		wait time.Duration
		dead bool
		due  int
	}{{time.Hour, false, 0}, {0, true, 0}, {0, false, 1}} {
		if err := b.Announcements.Postpone(t.Context(), a.ID, test.wait, test.dead); err != nil {
			t.Fatal(err)
		}
		b.wantBacklog(!test.dead, map[bool]int{true: 1}[test.dead])
		wantEqual(t, "due", len(b.announced(10)), test.due)
	}
	if err := b.Announcements.Drop(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	b.wantBacklog(false, 0)
}

// Operators send again what was given up, with all its attempts; what is as old as a month is forgotten.
func TestAnnouncements_DeadLetters(t *testing.T) {
	b := newBench(t, store.Config{})
	if err := b.Announcements.Enable(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.cancelled(`{}`)
	}
	for _, a := range b.announced(2) {
		if err := b.Announcements.Postpone(t.Context(), a.ID, 0, true); err != nil {
			t.Fatal(err)
		}
	}
	b.wantBacklog(true, 2)
	for _, want := range []int{2, 0} {
		if n, err := b.Announcements.Revive(t.Context()); n != want || err != nil {
			t.Errorf("%d revived, not %d: %v", n, want, err)
		}
	}
	list := b.announced(10)
	wantEqual(t, "due", len(list), 3)
	for _, a := range list {
		wantEqual(t, "attempt", a.Attempt, 1)
	}
	b.exec(`UPDATE webhook_events SET created_at = created_at - interval '31 days' WHERE id <> $1`, list[0].ID)
	if _, _, err := b.Announcements.Backlog(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "kept", ask[int](b, `SELECT count(*)::int FROM webhook_events`), 1)
}

// Senders neither claim the same announcement nor wait for each other.
func TestAnnouncementsAreClaimedOnce(t *testing.T) {
	b := newBench(t, store.Config{StatementTimeout: 5 * time.Second})
	if err := b.Announcements.Enable(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.cancelled(`{}`)
	}
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	other, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var held int64
	const hold = `SELECT id FROM webhook_events ORDER BY id LIMIT 1 FOR UPDATE`
	if err := other.QueryRow(t.Context(), hold).Scan(&held); err != nil {
		t.Fatal(err)
	}
	list := b.announced(10)
	wantEqual(t, "claimed beside another sender", len(list), 2)
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list = b.announced(10); len(list) != 1 || list[0].ID != held {
		t.Errorf("claimed %+v behind it, want %d", list, held)
	}
}
