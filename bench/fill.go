package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/retainwise/millrace/store/tuple"
)

// filling is how much is stored while queries are measured. The user of the first predictions has more than others, and
// the first predictions have all of the rows.
type filling struct {
	users, predictions, busiest int // busiest: predictions of the first user
	large, largeRows            int // predictions with rows, and how many rows each has
	training                    int // rows kept for retraining
}

func (o Options) filling() filling {
	if o.Quick {
		return filling{users: 10, predictions: 100, busiest: 60, large: 2, largeRows: 12_000, training: 200}
	}
	return filling{
		users: 10_000, predictions: 100_000, busiest: 20_000,
		large: storeRows / copyRows, largeRows: copyRows, training: 200_000,
	}
}

func (f filling) String() string {
	return fmt.Sprintf("%s users, %s predictions, %s rows in blocks, %s rows kept for retraining",
		thousands(fmt.Sprint(f.users)), thousands(fmt.Sprint(f.predictions)), thousands(fmt.Sprint(f.large*f.largeRows)),
		thousands(fmt.Sprint(f.training)))
}

// fillTables makes users, uploads and finished predictions of one part each, without going through the product. $N are
// the fields of filling.
const fillTables = `
	INSERT INTO users (subject, training_rate) SELECT 'user_' || i, 1 FROM generate_series(1, $users) i;
	INSERT INTO uploads (public_id, user_id, object_key, status, filename, bytes, row_count, columns, delimiter,
	                     header_bytes, header_lines, sha256, created_at)
	SELECT gen_random_uuid(), CASE WHEN i <= $busiest THEN 1 ELSE 1 + i % $users END, 'uploads/' || i || '/input.csv',
	       'completed', 'customers.csv', 1000, CASE WHEN i <= $large THEN $rows ELSE 10 END,
	       '{customerID,tenure}', ',', 18, 1, sha256(i::text::bytea), now() - ($predictions - i) * interval '1 minute'
	FROM generate_series(1, $predictions) i;
	INSERT INTO predictions (public_id, upload_id, user_id, model_name, model_version, model_sha256, engine_version,
	                         status, rows_scored, summary, warnings, created_at, queued_at, started_at, first_result_at,
	                         finished_at, result_key, result_bytes)
	SELECT gen_random_uuid(), id, user_id, 'telecom', '1', repeat('5a', 32), '1',
	       CASE WHEN id % 500 = 499 THEN 'dead' WHEN id % 100 = 99 THEN 'cancelled' ELSE 'completed' END,
	       row_count, jsonb_build_object('rows', row_count, 'text', repeat('summary ', 500)), '[]',
	       created_at, created_at, created_at, created_at, created_at + interval '1 second', 'results/' || id,
	       500 * row_count
	FROM uploads ORDER BY id;
	INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, byte_length, first_row, first_line,
	                              n_rows, status, n_scored, n_rejected)
	SELECT d.id, 1, 0, 18, 1000, 1, 2, rows_scored, 'done', rows_scored, 0 FROM predictions d;
	INSERT INTO prediction_failures (prediction_id, generation, part_no, attempt, worker, error)
	SELECT id, 1, 0, a, 'w', '{"code": "ERR-1500"}' FROM predictions, generate_series(1, 3) a WHERE status = 'dead';
	INSERT INTO ml_training_data (user_id, prediction_id, row_no, customer_hash, features, probability, risk_band)
	SELECT d.user_id, d.id, n, substr(sha256((d.id * 1000 + n)::text::bytea), 1, 16),
	       '{"tenure": 5, "MonthlyCharges": 70.35, "Contract": "Month-to-month"}', random(), 1
	FROM (SELECT id, user_id FROM predictions ORDER BY id LIMIT $training / 20) d, generate_series(1, 20) n;
	INSERT INTO request_keys (user_id, route, key_hash, claim, claimed_until, fingerprint, prediction_id, expires_at)
	SELECT user_id, 'POST /upload', sha256(id::text::bytea), gen_random_uuid(), now(), sha256('f'), public_id,
	       now() + interval '1 day'
	FROM predictions ORDER BY id DESC LIMIT $training / 20;`

// checkpoint brings the filling to the disk, where the user may: else what is measured competes with its being written,
// and waits for new files of the write-ahead log, which a server that runs for a while has at hand.
const checkpoint = `
	DO $$ BEGIN
	    EXECUTE 'CHECKPOINT';
	EXCEPTION WHEN insufficient_privilege THEN
	    RAISE NOTICE 'no checkpoint behind the filling';
	END $$`

// fill stores everything and brings the statistics up to date, as autovacuum would.
func (d *database) fill(ctx context.Context, f filling) error {
	sql := strings.NewReplacer("$users", fmt.Sprint(f.users), "$predictions", fmt.Sprint(f.predictions),
		"$busiest", fmt.Sprint(f.busiest), "$large", fmt.Sprint(f.large), "$rows", fmt.Sprint(f.largeRows),
		"$training", fmt.Sprint(f.training)).Replace(fillTables)
	if err := d.exec(ctx, sql); err != nil {
		return fmt.Errorf("fill tables: %w", err)
	}
	var first int64
	if err := d.conn.QueryRow(ctx, `SELECT min(id) FROM predictions`).Scan(&first); err != nil {
		return err
	}
	scored := scoredRows(1, f.largeRows)
	defer scored.Release()
	var blocks []byte
	for i := range f.large {
		var err error
		if blocks, err = tuple.NewBlockEncoder(first+int64(i)).AppendBlocks(blocks[:0], scored); err != nil {
			return err
		}
		if err := copyBlocks(ctx, d.conn.PgConn(), blocks); err != nil {
			return fmt.Errorf("fill blocks: %w", err)
		}
	}
	if err := d.exec(ctx, `VACUUM ANALYZE`); err != nil {
		return err
	}
	return d.exec(ctx, checkpoint)
}

// copyBlocks sends encoded blocks as the product does.
func copyBlocks(ctx context.Context, conn *pgconn.PgConn, blocks []byte) error {
	_, err := conn.CopyFrom(ctx, io.MultiReader(strings.NewReader(copyHead), bytes.NewReader(blocks),
		strings.NewReader(copyEnd)), `COPY prediction_blocks (prediction_id, first_row, n, row_offset, customer_id,
			customer_ids, probability, risk_bands, band_rows, result_bytes, row_starts) FROM STDIN (FORMAT binary)`)
	return err
}
