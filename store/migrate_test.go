package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

func TestMigrateUpDownUpWhenEmpty(t *testing.T) {
	upDownUp(t, storetest.EmptyPostgres(t))
}

func TestMigrateUpDownUpWhenFilled(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(5, 5)
	if last := b.mustScore(b.claim("w")); last != nil {
		t.Fatal("one part is open")
	}
	if err := b.Ledger.FailPart(t.Context(), b.claim("w"), store.Failure{Code: "ERR-1500", Permanent: true}); err != nil {
		t.Fatal(err)
	}
	upDownUp(t, b.url)
}

func upDownUp(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	for range 2 {
		if err := schema.Migrate(ctx, url, migrations.FS); err != nil {
			t.Fatal(err)
		}
		list, err := schema.Status(ctx, url, migrations.FS)
		if err != nil || len(list) < 2 || !list[0].Applied || !list[len(list)-1].Applied || list[0].Version != 1 {
			t.Fatalf("after up: %+v, %v", list, err)
		}
		if err := schema.Down(ctx, url, migrations.FS, 0); err != nil {
			t.Fatal(err)
		}
		if list, err = schema.Status(ctx, url, migrations.FS); err != nil || list[0].Applied {
			t.Fatalf("after down: %+v, %v", list, err)
		}
		if left := leftovers(t, url); left != "goose_db_version goose_db_version_id_seq goose_db_version_pkey" {
			t.Errorf("down leaves %s", left)
		}
	}
}

// leftovers lists the relations and functions of the schema.
func leftovers(t *testing.T, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var names string
	err = conn.QueryRow(t.Context(), `
		SELECT string_agg(name, ' ' ORDER BY name) FROM (
		    SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
		    UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace) x`).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrate_Concurrently(t *testing.T) {
	url := storetest.EmptyPostgres(t)
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() { errs[i] = schema.Migrate(context.Background(), url, migrations.FS) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestMigrateErrors(t *testing.T) {
	secret := "postgres://user:hidden@host:port/db"
	err := schema.Migrate(t.Context(), secret, migrations.FS)
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("bad URL: %v", err)
	}
	if _, err := store.Open(t.Context(), store.Config{URL: secret}); err == nil ||
		strings.Contains(err.Error(), "hidden") {
		t.Errorf("bad URL: %v", err)
	}
	if _, err := store.Open(t.Context(), store.Config{URL: "postgres:///x?host=/nowhere"}); err == nil ||
		!store.Unavailable(err) {
		t.Errorf("no server: %v", err)
	}
}

func TestMigrate_MonthlyPartitions(t *testing.T) {
	b := newBench(t, store.Config{})
	partitions := `SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'prediction_blocks'::regclass`
	wantEqual(t, "partitions", ask[int](b, partitions), 2)
	inMonth := func(p store.Prediction, month string) {
		t.Helper()
		if p.InternalID/1e9 != ask[int64](b, `SELECT prediction_month_start($1::text::date) / 1000000000`, month) {
			t.Errorf("id %d is not of %s", p.InternalID, month)
		}
	}
	today := ask[string](b, `SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date::text`)
	inMonth(b.upload(1), today)
	b.exec(`SELECT turn_prediction_month('2099-01-31')`)
	wantEqual(t, "partitions", ask[int](b, partitions), 4)
	future := b.upload(1)
	inMonth(future, "2099-01-01")
	if _, err := b.Outbox.Sweep(t.Context(), 0); err != nil { // turns to this month, which is over
		t.Fatal(err)
	}
	inMonth(b.upload(1), "2099-01-01")
	for range 3 {
		if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
			t.Fatal(err)
		}
	}
	wantEqual(t, "blocks in the month's partition", ask[int](b, `SELECT count(*)::int FROM prediction_blocks_2099_01`), 2)
	wantEqual(t, "storage", ask[string](b, `
		SELECT string_agg(DISTINCT attstorage::text, '') FROM pg_attribute
		WHERE attrelid = 'prediction_blocks_2099_01'::regclass
		  AND attname IN ('customer_id', 'customer_ids', 'probability', 'risk_band', 'risk_bands', 'row_offset')`), "e")
}
