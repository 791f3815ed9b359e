package store_test

import (
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

// TestB7SkipIsFast lists the predictions of a user who has a fifth of all, and only the oldest: that must not depend on
// what others have sent since. The best of some calls counts, so that a busy machine does not.
func TestB7SkipIsFast(t *testing.T) {
	b := newBench(t, store.Config{})
	other, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	b.exec(`
		WITH o AS (INSERT INTO users (subject) SELECT 'other_' || i FROM generate_series(1, 1000) i RETURNING id),
		l AS (SELECT min(id) AS least FROM o),
		u AS (INSERT INTO uploads (public_id, user_id, object_key, status)
		    SELECT gen_random_uuid(), CASE WHEN i <= 12000 THEN $1 ELSE l.least + i % 1000 END, 'k', 'completed'
		    FROM generate_series(1, 60000) i, l RETURNING id, user_id)
		INSERT INTO predictions (public_id, upload_id, user_id, status, created_at, finished_at)
		SELECT gen_random_uuid(), id, user_id, 'completed', now() - interval '1 year' + id * interval '1 minute', now()
		FROM u ORDER BY id`, other.ID)
	b.exec(`ANALYZE`)
	for _, q := range []store.ListQuery{{Limit: 100}, {Skip: 10_000, Limit: 100}} {
		best := time.Hour
		for range 10 { // behind the fifth, a plan may be one for any values
			start := time.Now()
			list, err := b.Predictions.List(t.Context(), other.ID, q)
			if err != nil || len(list) != 100 {
				t.Fatalf("%d predictions, %v", len(list), err)
			}
			best = min(best, time.Since(start))
		}
		t.Logf("%+v: %v", q, best)
		if best > 50*time.Millisecond {
			t.Errorf("%+v: at best %v", q, best)
		}
	}
}
