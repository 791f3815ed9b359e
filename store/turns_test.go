package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// Numbers of rows of files in either lane; a row of the tests has 100 bytes.
const (
	largeRows = 80_000
	smallRows = 1_000
)

func (b bench) uploadFor(user store.User, rows ...int64) store.Prediction {
	b.Helper()
	p, err := b.Predictions.CreateUpload(b.Context(), newUpload(user.ID, rows...))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b bench) another(subject string) store.User {
	b.Helper()
	u, err := b.Accounts.EnsureUser(b.Context(), subject)
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// claimants claims n parts and names the users that they belong to.
func (b bench) claimants(n int) string {
	b.Helper()
	var list []string
	for range n {
		list = append(list, fmt.Sprint(b.claim("w").UserID-b.user.ID))
	}
	return strings.Join(list, " ")
}

func TestUsersTakeTurns(t *testing.T) {
	b := newBench(t, store.Config{})
	second, third := b.another("user_2"), b.another("user_3")
	for range 4 { // user 0 comes first, with much
		b.uploadFor(b.user, largeRows, largeRows)
	}
	wantEqual(t, "alone", b.claimants(2), "0 0")
	b.uploadFor(second, largeRows, largeRows)
	b.uploadFor(third, largeRows/2, largeRows/2)
	// Each has the same bytes in the end; the third has parts of half the size.
	got := strings.Fields(b.claimants(6))
	count := func(user string) (n int) {
		for _, u := range got {
			if u == user {
				n++
			}
		}
		return n
	}
	if count("0") > 2 || count("1") != 2 || count("2") != 2 {
		t.Errorf("order %v", got)
	}
	b.uploadFor(second, largeRows)
	if got := b.claimants(2); !strings.Contains(got, "1") {
		t.Errorf("a newcomer waits behind %s", got)
	}
}

func TestClaimPart_SmallLane(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(slices.Repeat([]int64{largeRows}, 5)...)
	p := b.upload(smallRows)
	c, err := b.Ledger.ClaimSmallPart(t.Context(), "w")
	if err != nil || c == nil || c.PublicID != p.ID || !c.Small {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err := b.Ledger.ClaimSmallPart(t.Context(), "w"); c != nil || err != nil {
		t.Errorf("a large file in the small lane: %+v, %v", c, err)
	}
	b.upload(smallRows)
	if c := b.claim("w"); c.Small {
		t.Error("a place for everything prefers small files: large ones could wait for ever")
	}
	ahead, err := b.Predictions.Ahead(t.Context(), b.upload(smallRows))
	if err != nil || ahead.Predictions != 2 {
		t.Errorf("ahead in the small lane: %+v, %v", ahead, err)
	}
}

// A file that turns out to be large when it is looked into goes where it belongs; a retry has its turn anew.
func TestTurnsOfDroppedAndRetriedFiles(t *testing.T) {
	b := newBench(t, store.Config{})
	dropped, _, err := b.Predictions.EnqueueObject(t.Context(), store.NewObject{
		UserID: b.user.ID, Bucket: "b", Key: "inbox/u/a.csv.gz", Version: "1", Bytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	u := newUpload(b.user.ID, largeRows, largeRows)
	plan := store.Plan{Header: u.Header, Rows: u.Rows, Bytes: u.Bytes, Parts: u.Parts, Model: u.Model}
	c, err := b.Ledger.ClaimSmallPart(t.Context(), "w")
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	if err := b.Ledger.PlanPart(t.Context(), c, plan); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Ledger.ClaimSmallPart(t.Context(), "w"); c != nil || err != nil {
		t.Fatalf("still in the small lane: %+v, %v", c, err)
	}
	wantEqual(t, "part", b.claim("w").Part.No, 0)
	other := b.another("user_2")
	b.uploadFor(other, largeRows, largeRows)
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, dropped.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.Retry(t.Context(), dropped.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "order", b.claimants(3), "0 1 0")
	if _, err := b.Outbox.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "open parts of the first run", ask[int](b, `
		SELECT count(*)::int FROM prediction_parts WHERE status = 'open' AND generation = 1 AND prediction_id = $1`,
		dropped.InternalID), 0)
	wantEqual(t, "parts in work stay", ask[int](b, `
		SELECT count(*)::int FROM prediction_parts WHERE status = 'open'`), 4)
}

// However much is queued, finding the next part reads a few pages of one index.
func TestClaimReadsAnIndexInOrder(t *testing.T) {
	b := newBench(t, store.Config{})
	b.queueParts(20_000)
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			b.exec(`ANALYZE`)
		}
		rows, err := conn.Query(t.Context(), `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS) `+store.ClaimPartSQL,
			"w", 3, int64(1), store.Failure{}, false)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan := strings.Join(lines, "\n")
		// Before the first ANALYZE, which autovacuum does within a minute, the rows seem to be few, and cheap to sort.
		if err != nil || !strings.Contains(plan, "prediction_parts_turn_idx") || analyzed && strings.Contains(plan, "Sort") ||
			strings.Contains(plan, "Seq Scan on prediction") {
			t.Errorf("analyzed %v: %v\n%s", analyzed, err, plan)
		}
	}
}

// queueParts adds parts past the store, of 500 predictions of 100 users.
func (b bench) queueParts(n int) {
	b.Helper()
	b.exec(`INSERT INTO users (subject) SELECT 'queued_' || i FROM generate_series(1, 100) i`)
	b.exec(`
		WITH up AS (
		    INSERT INTO uploads (public_id, user_id, object_key)
		    SELECT gen_random_uuid(), u.id, 'k' FROM users u, generate_series(1, 5) WHERE u.subject LIKE 'queued%'
		    RETURNING id, user_id
		), d AS (
		    INSERT INTO predictions (public_id, upload_id, user_id, small)
		    SELECT gen_random_uuid(), id, user_id, false FROM up RETURNING id
		)
		INSERT INTO prediction_parts
		    (prediction_id, generation, part_no, byte_offset, first_row, first_line, small, turn)
		SELECT d.id, 1, i, 0, 1, 1, false, (i * 8000000::bigint) + d.id % 1000
		FROM d, generate_series(1, $1::int / 500) i`, n)
}
