package bench

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/storetest"
)

// TestUpgradeUnderLoad has the version before read and write while the schema is migrated under it: nothing it sends
// fails, and nothing waits for long.
func TestUpgradeUnderLoad(t *testing.T) {
	r := new(Report)
	o := Options{Quick: true, DatabaseURL: storetest.EmptyPostgres(t)}
	if err := r.upgradeSchema(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(r.Goals) != 2 || len(r.Latencies) != 1 || r.Latencies[0].Requests < upgradeUsers {
		t.Fatalf("%+v", r)
	}
	for _, g := range r.Goals {
		if !g.Met || g.Want > 60_000 {
			t.Errorf("%s took %.0f %s", g.Name, g.Value, g.Unit)
		}
	}
}

// An upgrade that is measured begins before the newest migration, and knows all before.
func TestUpgradeBeginsAtTheReleaseBefore(t *testing.T) {
	before, err := fs.Glob(schemaUntil{migrations.FS, schemaBefore}, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	all, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(before) >= len(all) {
		t.Fatalf("%d of %d migrations: %v", len(before), len(all), err)
	}
	if last := before[len(before)-1]; !strings.HasPrefix(last, schemaBefore) {
		t.Errorf("the last is %s", last)
	}
}

// TestC7IndexesAreCompared wants a figure with and without each promised index, of which none is read without.
func TestC7IndexesAreCompared(t *testing.T) {
	report, err := Run(t.Context(), "indexes", Options{Quick: true, DatabaseURL: storetest.EmptyPostgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	var text, table strings.Builder
	if err := report.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{
		"idx_predictions_user_id", "idx_predictions_status", "idx_predictions_created_at", "idx_predictions_upload_id",
		"idx_predictions_user_status", "idx_uploads_user_id", "idx_uploads_status", "idx_uploads_created_at",
		"idx_uploads_user_status", "idx_ml_training_user_id", "idx_ml_training_experiment_group",
		"idx_ml_training_actual_churn", "idx_ml_training_created_at",
	} {
		if strings.Count(text.String(), "| `"+index+"` |") != 1 || !strings.Contains(table.String(), index+" ") {
			t.Errorf("%s is not compared:\n%s", index, text.String())
		}
	}
	for _, g := range report.Indexes {
		if g.P50 <= 0 || g.WithoutP50 <= 0 || strings.Contains(g.WithoutPlan, "idx_") || g.WithoutPlan == "" {
			t.Errorf("%+v", g)
		}
	}
}
