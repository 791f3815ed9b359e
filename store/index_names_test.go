package store_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// promisedIndexes are their definitions as pg_indexes gives them, without the method.
var promisedIndexes = []string{
	"INDEX idx_predictions_user_id ON public.predictions (user_id)",
	"INDEX idx_predictions_status ON public.predictions (status)",
	"INDEX idx_predictions_created_at ON public.predictions (created_at DESC)",
	"INDEX idx_predictions_upload_id ON public.predictions (upload_id)",
	"INDEX idx_predictions_user_status ON public.predictions (user_id, status)",
	"INDEX idx_uploads_user_id ON public.uploads (user_id)",
	"INDEX idx_uploads_status ON public.uploads (status)",
	"INDEX idx_uploads_created_at ON public.uploads (created_at DESC)",
	"INDEX idx_uploads_user_status ON public.uploads (user_id, status)",
	"INDEX idx_ml_training_user_id ON public.ml_training_data (user_id)",
	"INDEX idx_ml_training_experiment_group ON public.ml_training_data (experiment_group)",
	"INDEX idx_ml_training_actual_churn ON public.ml_training_data (actual_churn) WHERE (actual_churn IS NOT NULL)",
	"INDEX idx_ml_training_created_at ON public.ml_training_data (created_at DESC)",
}

// wantPromisedIndexes wants each promised index once, under its name, and none of the names before.
func wantPromisedIndexes(b bench) {
	b.Helper()
	list := ask[string](b, `
		SELECT string_agg(replace(indexdef, ' USING btree', ''), E'\n') FROM pg_indexes WHERE schemaname = 'public'`)
	for _, want := range promisedIndexes {
		_, onTable, _ := strings.Cut(want, " ON ")
		if !strings.Contains("\n"+list+"\n", "\nCREATE "+want+"\n") || strings.Count(list+"\n", " ON "+onTable+"\n") != 1 {
			b.Errorf("not once, or not at all: %s\n%s", want, list)
		}
	}
	pages := "UNIQUE INDEX prediction_blocks_pkey ON ONLY public.prediction_blocks (prediction_id, first_row)"
	if !strings.Contains(list, pages) {
		b.Errorf("no %s", pages)
	}
	for _, table := range []string{"predictions", "uploads", "ml_training_data"} {
		for _, columns := range []string{"user_id", "status", "created_at", "upload_id", "user_id_status", "actual_churn"} {
			if former := table + "_" + columns + "_idx "; strings.Contains(list, former) {
				b.Errorf("%s is still there", former)
			}
		}
	}
}

// TestB14IndexesHaveThePromisedNames makes and upgrades databases, some of which have indexes of these names already.
func TestB14IndexesHaveThePromisedNames(t *testing.T) {
	for name, before := range map[string][]string{
		"fresh": nil,
		"the same, made by hand": {
			`CREATE INDEX idx_predictions_user_id ON predictions (user_id)`,
			`CREATE INDEX idx_ml_training_actual_churn ON ml_training_data (actual_churn) WHERE actual_churn IS NOT NULL`,
		},
		"other indexes": {
			`CREATE INDEX idx_predictions_status ON predictions (status, id)`,
			`CREATE UNIQUE INDEX idx_uploads_user_id ON uploads (user_id, id)`,
			`CREATE INDEX idx_uploads_status ON predictions (status DESC)`,
			`CREATE INDEX idx_ml_training_actual_churn ON ml_training_data (actual_churn, id)`,
		},
		"renamed by hand": {`ALTER INDEX uploads_created_at_idx RENAME TO idx_uploads_created_at`},
		"dropped by hand": {`DROP INDEX predictions_user_id_status_idx`},
	} {
		t.Run(name, func(t *testing.T) {
			b := bench{TB: t, url: storetest.EmptyPostgres(t)}
			if err := schema.Migrate(t.Context(), b.url, until(t, "00023")); err != nil {
				t.Fatal(err)
			}
			for _, statement := range before {
				b.exec(statement)
			}
			for range 2 { // a restart changes nothing
				if err := schema.Migrate(t.Context(), b.url, migrations.FS); err != nil {
					t.Fatal(err)
				}
				wantPromisedIndexes(b)
			}
			kept := ask[int](b, `SELECT count(*)::int FROM pg_indexes WHERE indexname ~ '^idx_.*_[0-9]+$'`)
			if want := map[string]int{"other indexes": 4}[name]; kept != want {
				t.Errorf("%d other indexes are kept, want %d", kept, want)
			}
			if err := schema.Down(t.Context(), b.url, migrations.FS, 23); err != nil {
				t.Fatal(err)
			}
			if left := ask[int](b, `SELECT count(*)::int FROM pg_indexes WHERE indexname ~ '^idx_.*[a-z]$'`); left != 0 {
				t.Errorf("%d promised names are left behind the way back", left)
			}
		})
	}
}
