package store_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// until keeps the migrations up to a version.
func until(t *testing.T, last string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name[:len(last)] > last {
			continue
		}
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// TestUpgradeFromVersion4 migrates a database with data in it from an older schema to the newest: what was there is
// read as before, and what waited or was interrupted is scored.
func TestUpgradeFromVersion4(t *testing.T) {
	b := bench{TB: t, url: storetest.EmptyPostgres(t)}
	if err := schema.Migrate(t.Context(), b.url, until(t, "00004")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/version_4.sql")
	if err != nil {
		t.Fatal(err)
	}
	b.execAll(string(text))
	if err := schema.Migrate(t.Context(), b.url, migrations.FS); err != nil {
		t.Fatal(err)
	}
	list, err := schema.Status(t.Context(), b.url, migrations.FS)
	if err != nil || !list[len(list)-1].Applied || list[len(list)-1].Version <= 4 {
		t.Fatalf("not the newest: %+v, %v", list, err)
	}
	if b.Store, err = store.Open(t.Context(), store.Config{URL: b.url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if b.user, err = b.Accounts.EnsureUser(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	b.wantOldResult()
	waiting := b.claim("new worker") // the other was interrupted
	b.noClaim()
	for _, c := range []*store.Claim{waiting, b.alone("new worker")} {
		if c.Part.Rows != 4 || c.Model.Name != "telecom" || c.Header.Delimiter != ';' {
			t.Errorf("claim %+v", c)
		}
		if err := b.finish(b.mustScore(c)); err != nil {
			t.Fatal(err)
		}
	}
	b.noClaim()
	done, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{Limit: 10})
	if err != nil || len(done) != 3 {
		t.Fatalf("%d predictions, %v", len(done), err)
	}
	for _, p := range done {
		wantEqual(t, "status", p.Status, store.Completed)
		wantEqual(t, "scored", p.Scored, 4)
	}
	b.user.ID = done[0].UserID
	b.upload(3)
	if err := b.finish(b.mustScore(b.claim("new worker"))); err != nil {
		t.Errorf("an upload behind the upgrade: %v", err)
	}
}

// wantOldResult reads what was completed before the upgrade.
func (b bench) wantOldResult() {
	b.Helper()
	id := uuid.MustParse("00000000-0000-7000-9000-000000000001")
	p, err := b.Predictions.Get(b.Context(), b.user.ID, id)
	if err != nil || p.Status != store.Completed || p.Scored != 4 || p.Filename != "march.csv" ||
		!strings.Contains(string(p.Summary), "mean") {
		b.Fatalf("%+v, %v", p, err)
	}
	page, err := b.Predictions.Rows(b.Context(), b.user.ID, id, store.RowQuery{Limit: 10})
	if err != nil || len(page.Rows) != 4 || *page.Rows[3].ID != "c-4" || page.Rows[3].Probability != 0.9 {
		b.Errorf("%+v, %v", page, err)
	}
	page, err = b.Predictions.Rows(b.Context(), b.user.ID, id, store.RowQuery{Limit: 2, Order: store.ByProbability})
	if err != nil || len(page.Rows) != 2 || *page.Rows[1].ID != "c-3" || page.Rows[1].Band != 1 {
		b.Errorf("%+v, %v", page, err)
	}
	ids, err := b.Ledger.CustomerIDs(b.Context(), &store.Claim{PredictionID: p.InternalID}, []int64{2})
	if err != nil || ids[2] != "c-2" {
		b.Errorf("%v, %v", ids, err)
	}
	wantEqual(b, "the view", ask[string](b, `SELECT string_agg(concat_ws(' ', row_no, customer_id, risk_band), ', '
		ORDER BY row_no) FROM prediction_rows WHERE prediction_id = $1`, p.InternalID), "1 c-1 0, 2 c-2 0, 3 c-3 1, 4 c-4 2")
}

// execAll runs a file of statements.
func (b bench) execAll(sql string) {
	b.Helper()
	for statement := range strings.SplitSeq(sql, ";\n") {
		if strings.TrimSpace(statement) != "" {
			b.exec(statement)
		}
	}
}
