package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever is done to a finished prediction, the checker sees it. It needs bin/millrace, which make chaos-short builds.
func TestCheckerDetectsTampering(t *testing.T) {
	w := testWorld(t)
	const prediction, part = `UPDATE predictions SET `, `UPDATE prediction_parts SET `
	const upload, its = `UPDATE uploads SET `, ` FROM predictions d WHERE d.id = $1 AND uploads.id = d.upload_id`
	const second = ` WHERE prediction_id = $1 AND part_no = 1`
	const blocks, one = `UPDATE prediction_blocks SET `, ` WHERE prediction_id = $1 AND first_row = (
		SELECT min(first_row) FROM prediction_blocks WHERE prediction_id = $1)`
	for name, test := range map[string]struct{ sql, want string }{
		"nothing":        {"", ""},
		"the same again": {prediction + `status = status WHERE id = $1`, "written to"},
		"a part again":   {part + `worker = worker` + second, "written to"},
		"a block lost":   {`DELETE FROM prediction_blocks` + one, "rows lost"},
		"a block twice":  {doubled, "more than once"},
		"a probability":  {blocks + `probability[2] = 0.25` + one, "are not the"},
		"a band":         {blocks + `risk_bands = set_byte(risk_bands, 0, 7)` + one, "are not the"},
		"a customer":     {blocks + `customer_ids = regexp_replace(customer_ids, '[^\x1f]+', '?')` + one, "are not the"},
		"another generation": {
			prediction + `result_key = replace(result_key, '/1/', '/2/') WHERE id = $1`, "key of result",
		},
		"another result":   {prediction + `result_key = rejects_key WHERE id = $1`, "bytes that differ"},
		"counts":           {prediction + `rows_scored = rows_scored + 1 WHERE id = $1`, "scored rows: "},
		"counts of a part": {part + `n_scored = n_scored - 1, n_rejected = n_rejected + 1` + second, "rows of all parts"},
		"a part open":      {part + `status = 'open'` + second, "open"},
		"a part lost":      {`DELETE FROM prediction_parts` + second, "number 2"},
		"the end":          {prediction + `status = 'failed' WHERE id = $1`, "status: failed"},
		"the file":         {upload + `sha256 = sha256('x')` + its, "sha256"},
		"rows of file":     {upload + `row_count = 1` + its, "rows of the upload"},
	} {
		t.Run(name, func(t *testing.T) {
			s := finished(t, w, strings.ReplaceAll(name, " ", "-")+".csv", w.inputs[1])
			if test.sql != "" {
				if _, err := w.db.Exec(t.Context(), test.sql, s.ID); err != nil {
					t.Fatal(err)
				}
			}
			quiet := w.notes
			w.notes = newNotes()
			defer func() { w.notes = quiet }()
			list, err := w.checker.Predictions(t.Context(), s.name)
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			s.Prediction = list[0]
			(&rounds{world: w}).verify(t.Context(), &s)
			found := slices.ContainsFunc(w.notes.violations, func(line string) bool {
				return strings.Contains(line, test.want)
			})
			if test.want == "" && w.notes.bad() > 0 || test.want != "" && !found {
				t.Errorf("%q", w.notes.violations)
			}
		})
	}
}

// Only the sweep may touch the parts of a generation that was given up.
func TestCheckerDetectsWritesToOlderGeneration(t *testing.T) {
	w := testWorld(t)
	for name, test := range map[string]struct {
		set  string
		want int
	}{
		"the sweep":        {`status = 'dead'`, 0},
		"given back":       {`lease_until = clock_timestamp()`, 1},
		"an attempt taken": {`attempts = attempts + 1`, 1},
		"committed":        {`status = 'done', n_rows = 0, n_scored = 0, n_rejected = 0`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := finished(t, w, strings.ReplaceAll(name, " ", "-")+".csv", w.inputs[0])
			older := func(sql string) {
				t.Helper()
				if _, err := w.db.Exec(t.Context(), sql, s.ID); err != nil {
					t.Fatal(err)
				}
			}
			older(`INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, first_row, first_line)
				VALUES ($1, 0, 0, 0, 1, 2)`)
			var err error
			if s.print, err = w.checker.Print(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
			older(`UPDATE prediction_parts SET ` + test.set + ` WHERE prediction_id = $1 AND generation = 0`)
			w.notes = newNotes()
			(&rounds{world: w}).verifyPrint(t.Context(), &s)
			if w.notes.bad() != test.want {
				t.Errorf("%q", w.notes.violations)
			}
			w.notes = newNotes()
		})
	}
}

// A file that was removed is missed.
func TestCheckerDetectsMissingFiles(t *testing.T) {
	w := testWorld(t)
	s := finished(t, w, "missing.csv", w.inputs[1])
	r := &rounds{world: w, done: []settled{s}}
	for i, key := range []string{"", s.UploadKey, s.ResultKey, s.RejectsKey} {
		if key != "" {
			if err := os.Remove(filepath.Join(w.servers.S3Dir, key)); err != nil {
				t.Fatal(err)
			}
		}
		w.notes = newNotes()
		if err := r.verifyFiles(t.Context()); err != nil || w.notes.bad() != i {
			t.Errorf("%s: %q, %v", key, w.notes.violations, err)
		}
	}
	w.notes = newNotes()
}

// doubled stores the first block once more, beside itself.
const doubled = `
	INSERT INTO prediction_blocks
	    (prediction_id, first_row, n, row_offset, customer_ids, probability, risk_bands, band_rows)
	SELECT prediction_id, first_row - 1, n,
	       (SELECT array_agg(coalesce(row_offset[i], i - 1) + 1 ORDER BY i) FROM generate_series(1, n) i),
	       customer_ids, probability, risk_bands, band_rows
	FROM prediction_blocks WHERE prediction_id = $1 ORDER BY first_row LIMIT 1`

// testWorld is one without disturbances.
func testWorld(t *testing.T) *world {
	t.Helper()
	c, err := readConfig()
	if err != nil {
		t.Fatal(err)
	}
	c.Workers, c.Lease, c.Seed = 2, 30*time.Second, 1
	w, err := startWorld(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// finished sends a file and waits until it is scored.
func finished(t *testing.T, w *world, name string, in *input) settled {
	t.Helper()
	r := &rounds{world: w}
	done := r.file(t.Context(), name, "telecom", in)
	if len(done) != 1 || w.notes.bad() > 0 {
		t.Fatalf("%d predictions: %q", len(done), w.notes.violations)
	}
	return done[0]
}
