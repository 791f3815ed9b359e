package store_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

// BenchmarkTenMillionRows times what requests and workers do when 10 million scored rows are stored, as 100 finished
// predictions of 100,000 rows among 20,000 small ones. It reports the 95th percentile beside the mean.
func BenchmarkTenMillionRows(b *testing.B) {
	bb := newBench(b, store.Config{})
	p := bb.fill()
	var blocks []byte
	small := func() *store.Claim {
		bb.upload(10_000)
		c := bb.claim("w")
		blocks = encode(b, c.PredictionID, scoredRows(c.Part, nil))
		return c
	}
	one := int16(1)
	row := store.RowCursor{Row: 50_400}
	for _, c := range []struct {
		name    string
		prepare func() *store.Claim
		do      func(c *store.Claim) error
	}{
		{"prediction", nil, func(*store.Claim) error { _, err := bb.Predictions.Get(ctx(), p.UserID, p.ID); return err }},
		{"list of 100", nil, func(*store.Claim) error {
			_, err := bb.Predictions.List(ctx(), p.UserID, store.ListQuery{Limit: 100})
			return err
		}},
		{"list of 100 behind 10000", nil, func(*store.Claim) error {
			_, err := bb.Predictions.List(ctx(), p.UserID, store.ListQuery{Skip: 10_000, Limit: 100})
			return err
		}},
		{"create upload", nil, func(*store.Claim) error {
			p, err := bb.Predictions.CreateUpload(ctx(), newUpload(bb.user.ID, 10))
			if err == nil {
				_, err = bb.Predictions.Cancel(ctx(), bb.user.ID, p.ID)
			}
			return err
		}},
		{"claim and release", func() *store.Claim { bb.upload(10); return nil }, func(*store.Claim) error {
			c, err := bb.Ledger.ClaimPart(ctx(), "w")
			if err == nil {
				err = bb.Ledger.ReleasePart(ctx(), c)
			}
			if err == nil {
				_, err = bb.Predictions.Cancel(ctx(), bb.user.ID, c.PublicID)
			}
			return err
		}},
		{"commit of 10000 rows", small, func(c *store.Claim) error {
			_, err := bb.Ledger.CommitPart(ctx(), c, store.PartResult{Scored: 10_000}, bytes.NewReader(blocks))
			return err
		}},
		{"page of 1000", nil, func(*store.Claim) error {
			_, err := bb.Predictions.Rows(ctx(), p.UserID, p.ID, store.RowQuery{Limit: 1000, After: &row})
			return err
		}},
		{"100 of a band", nil, func(*store.Claim) error {
			_, err := bb.Predictions.Rows(ctx(), p.UserID, p.ID, store.RowQuery{Limit: 100, Band: &one, After: &row})
			return err
		}},
		{"100 by probability", nil, func(*store.Claim) error {
			_, err := bb.Predictions.Rows(ctx(), p.UserID, p.ID, store.RowQuery{Limit: 100, Order: store.ByProbability})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) { percentile(b, c.prepare, c.do) })
	}
	bb.queueParts(20_000)
	b.Run("claim among 20000 parts", func(b *testing.B) {
		percentile(b, nil, func(*store.Claim) error {
			c, err := bb.Ledger.ClaimPart(ctx(), "w")
			if err == nil && c == nil {
				err = store.ErrNotFound
			}
			return err
		})
	})
}

func percentile(b *testing.B, prepare func() *store.Claim, do func(*store.Claim) error) {
	var times []time.Duration
	for range b.N {
		b.StopTimer()
		var c *store.Claim
		if prepare != nil {
			c = prepare()
		}
		b.StartTimer()
		start := time.Now()
		if err := do(c); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
}

// fill stores the predictions and gives one of the large ones.
func (b bench) fill() store.Prediction {
	b.Helper()
	var p store.Prediction
	for range 100 {
		p = b.upload(100_000)
		if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
			b.Fatal(err)
		}
	}
	b.exec(`
		WITH u AS (INSERT INTO uploads (public_id, user_id, object_key, status)
		    SELECT gen_random_uuid(), $1, 'k', 'completed' FROM generate_series(1, 20000) RETURNING id)
		INSERT INTO predictions (public_id, upload_id, user_id, status, created_at, finished_at)
		SELECT gen_random_uuid(), id, $1, 'completed', now() - id * interval '1 minute', now() FROM u`, b.user.ID)
	b.exec(`INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, byte_length, first_row,
		        first_line, n_rows, status, n_scored, n_rejected)
		SELECT id, 1, 0, 0, 10, 1, 2, 10, 'done', 10, 0 FROM predictions d
		WHERE NOT EXISTS (SELECT FROM prediction_parts p WHERE p.prediction_id = d.id)`)
	b.exec(`ANALYZE`)
	return p
}
